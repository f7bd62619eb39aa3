"""Synopses by dense vectors: scores, neighbours, pairs and their opposites against loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from m2s_index.movie_metadata import similar_movies
from m2s_index.movie_metadata.embedded_synopses import embedded_synopses
from m2s_index.movie_metadata.similar_movies import dissimilar_pairs, nearest, similar_pairs

TEXTS = [*(f"story {number % 50} told" for number in range(60)), "", "  ", *(f"tale {n}" for n in range(18))]


class RandomVectors:
    """Vectors of length 1 that lean one way, as a sentence encoder's do; each text has its own."""

    sha256 = "0" * 64

    def __init__(self):
        self.asked: list[str] = []

    def encode_texts(self, texts):
        self.asked += texts
        rows = [np.random.default_rng(list(text.encode())).normal(size=12) + 0.6 for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32)


@pytest.fixture
def signal():
    return embedded_synopses(TEXTS, RandomVectors())


def cosines(signal):
    """Every movie with every other, in float64; NaN with itself and where there is no synopsis."""
    rows = signal.vectors.astype(float)
    scores = rows @ rows.T
    np.fill_diagonal(scores, np.nan)
    unknown = [number for number, text in enumerate(TEXTS) if not text.strip()]
    scores[unknown], scores[:, unknown] = np.nan, np.nan
    return scores


def test_each_text_is_read_once_and_empty_ones_never():
    """Equal synopses have equal vectors; movies without one have none, and size 0."""
    encoder = RandomVectors()
    signal = embedded_synopses(TEXTS, encoder)
    assert sorted(encoder.asked) == sorted({text for text in TEXTS if text.strip()})
    assert np.array_equal(signal.vectors[0], signal.vectors[50])
    assert signal.sizes.tolist() == [float(bool(text.strip())) for text in TEXTS]
    assert not signal.vectors[60:62].any()


def test_unrelated_is_the_mean_of_all_pairs(signal):
    """Against the mean of the matrix that is never made."""
    assert signal.unrelated == pytest.approx(np.nanmean(cosines(signal)), abs=1e-6)
    assert signal.unrelated > 0.1


@pytest.mark.parametrize("block", [1, 500, 10**9])
@pytest.mark.parametrize("count", [1, 4, 100])
def test_nearest_against_a_sort(signal, monkeypatch, block, count):
    """The best of each row that are more alike than synopses are on average, however small the blocks."""
    monkeypatch.setattr(similar_movies, "BLOCK_VALUES", block)
    scores, asked = cosines(signal), np.array([3, 60, 0, 79])
    found = nearest(signal, asked, count)
    for movie in asked.tolist():
        best = np.sort([value for value in scores[movie] if value > signal.unrelated])[::-1][:count]
        mine = found.first == movie
        np.testing.assert_allclose(found.scores[mine], best, atol=1e-6)
        np.testing.assert_allclose(scores[movie, found.second[mine]], best, atol=1e-6)
        assert len(set(found.second[mine].tolist())) == len(best)
    assert not (found.first == 60).any()


def test_pairs_and_their_opposites(signal):
    """Similar pairs are each movie's neighbours, the others score no more than the mean, and no pair is both."""
    scores, similar = cosines(signal), similar_pairs(signal, 2)
    assert (scores[similar.first, similar.second] > signal.unrelated).all()
    others = dissimilar_pairs(signal, similar, seed=3)
    assert 0.9 * len(similar.first) < len(others.first) <= len(similar.first)
    np.testing.assert_allclose(others.scores, scores[others.first, others.second], atol=1e-6)
    assert (others.scores <= signal.unrelated).all()
    keys = [set(zip(p.first.tolist(), p.second.tolist(), strict=True)) for p in (similar, others)]
    assert not keys[0] & keys[1]


def test_restricted(signal):
    """Among some movies scores and the mean stay what they are among all."""
    rows = np.array([5, 60, 20, 70])
    some = signal.restricted(rows)
    first, second = np.array([0, 2]), np.array([2, 3])
    np.testing.assert_array_equal(some.between(first, second), signal.between(rows[first], rows[second]))
    assert some.unrelated == signal.unrelated
    assert some.sizes.tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("texts", [[], [""], ["", " "], ["one", ""]])
def test_too_few_synopses(texts):
    """With none or one there is no pair, and that is no error."""
    signal = embedded_synopses(texts, RandomVectors())
    assert signal.unrelated == 0
    assert len(similar_pairs(signal, 3).first) == 0
    assert len(nearest(signal, np.arange(len(texts)), 3).first) == 0
