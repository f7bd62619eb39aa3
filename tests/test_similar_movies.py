"""Similar movies: signals against loops over people, genres and words; neighbours, pairs and their opposites."""

from __future__ import annotations

import math
import sys
from itertools import combinations

import numpy as np
import pytest

from m2s_index.errors import MissingExtraError
from m2s_index.movie_metadata import similar_movies
from m2s_index.movie_metadata.similar_movies import (
    alike_synopses,
    cowatch,
    dissimilar_pairs,
    nearest,
    shared_genres,
    similar_pairs,
    sparse,
)

SYNOPSES = [
    "The robot learns to paint. The robot paints a robot.",
    "A detective hunts the robot through the rain.",
    "",
    "A detective falls in love; rain, rain and more rain.",
    "Two gardeners grow a giant pumpkin.",
    "the of and",
    "A robot learns to paint in the rain",
]


@pytest.fixture
def random():
    return np.random.default_rng(5)


def ones(table):
    return sparse().csr_array(np.array(table, np.float32))


def drawn(random, movies, features, share=0.3):
    """Zeros and ones with, for the edges, a movie of none, one of all and two that are alike."""
    table = (random.random((movies, features)) < share).astype(int)
    table[0], table[1], table[3] = 0, 1, table[2]
    return table


def all_scores(signal):
    """Scores of every movie with every other, by both of a signal's ways, which agree: [movies, movies]."""
    rows = np.arange(len(signal.sizes))
    first, second = np.divmod(np.arange(len(rows) ** 2), len(rows))
    between = signal.between(first, second).reshape(len(rows), -1)
    among = signal.among(rows)
    shared = (signal.features @ signal.transposed).toarray() != 0
    np.testing.assert_allclose(among.toarray()[shared], between[shared], rtol=1e-6, atol=1e-9)
    return between


def naive_phi(a, b, shrinkage):
    """The correlation of two columns as NumPy has it, shrunk; 0 where one is constant."""
    both = int((a & b).sum())
    if len(set(a.tolist())) < 2 or len(set(b.tolist())) < 2:
        return 0.0
    return np.corrcoef(a, b)[0, 1] * both / (both + shrinkage)


@pytest.mark.parametrize("shrinkage", [0.5, 10])
def test_cowatch_is_the_shrunk_correlation(random, shrinkage):
    """Against NumPy's correlation of the people's zeros and ones, for every pair."""
    liked = drawn(random, 12, 40)
    scores = all_scores(cowatch(ones(liked), shrinkage=shrinkage))
    for i, j in np.ndindex(*scores.shape):
        assert scores[i, j] == pytest.approx(naive_phi(liked[i], liked[j], shrinkage), abs=1e-6)


def test_cowatch_does_not_follow_popularity(random):
    """A movie that nearly everyone likes is no neighbour of one liked independently of it; one that shares
    its few people is.
    """
    popular = random.random(4000) < 0.9
    niche = random.random(4000) < 0.01
    friend = niche & (random.random(4000) < 0.7)
    signal = cowatch(ones([niche, popular, friend]))
    counts = (niche & popular).sum(), (niche & friend).sum()
    assert counts[0] > counts[1]
    found = nearest(signal, np.array([0]), 2)
    assert found.second[0] == 2
    assert found.scores[0] > 0.5
    assert abs(signal.between(np.array([0]), np.array([1]))[0]) < 0.05


def test_cowatch_of_few_people_counts_for_less():
    """Of two perfect agreements the one of more people is the more similar."""
    liked = np.zeros((4, 100), int)
    liked[:2, :2] = 1
    liked[2:, 10:40] = 1
    two, thirty = cowatch(ones(liked)).between(np.array([0, 2]), np.array([1, 3]))
    assert (two, thirty) == (pytest.approx(2 / 12), pytest.approx(30 / 40))


def test_genres_against_sets(random):
    """Jaccard of Python's sets, for every pair."""
    table = drawn(random, 15, 8)
    scores = all_scores(shared_genres(ones(table)))
    sets = [set(np.flatnonzero(row).tolist()) for row in table]
    for i, j in np.ndindex(*scores.shape):
        union = sets[i] | sets[j]
        assert scores[i, j] == pytest.approx(len(sets[i] & sets[j]) / len(union) if union else 0)


def words(text):
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    plain = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return [word for word in plain if len(word) > 1 and word not in ENGLISH_STOP_WORDS]


def naive_tfidf(texts):
    """Vectors as dicts, by the formula in the docstring."""
    bags = [words(text) for text in texts]
    frequency = {word: sum(word in bag for bag in bags) for bag in bags for word in bag}
    vectors = []
    for bag in bags:
        vector = {
            word: (1 + math.log(bag.count(word))) * (1 + math.log((1 + len(texts)) / (1 + frequency[word])))
            for word in set(bag)
            if frequency[word] > 1
        }
        length = math.sqrt(sum(value**2 for value in vector.values())) or 1
        vectors.append({word: value / length for word, value in vector.items()})
    return vectors


def test_synopses_against_the_formula():
    """TF-IDF and its cosine in plain loops, for every pair; texts without words are like no other."""
    scores, vectors = all_scores(alike_synopses(SYNOPSES)), naive_tfidf(SYNOPSES)
    for i, j in np.ndindex(*scores.shape):
        expected = sum(value * vectors[j].get(word, 0) for word, value in vectors[i].items())
        assert scores[i, j] == pytest.approx(expected, abs=1e-6)
    assert not scores[[2, 5]].any()


@pytest.mark.parametrize("texts", [[], [""], ["one robot", "two pumpkins"], ["the", "of"]])
def test_synopses_with_no_word_in_common(texts):
    """Where no word is in two synopses there is nothing to compare, and that is no error."""
    signal = alike_synopses(texts)
    assert len(signal.sizes) == len(texts)
    assert len(similar_pairs(signal, 3).first) == 0


def naive_nearest(scores, movie, count):
    total = len(scores)
    others = [j for j in range(total) if j != movie and scores[movie, j] > 1e-12]
    return sorted(others, key=lambda j: (-scores[movie, j], (j - movie) % total))[:count]


@pytest.mark.parametrize("count", [1, 3, 50])
@pytest.mark.parametrize("block", [1, 200, 10**9])
def test_nearest_against_a_sort(random, monkeypatch, count, block):
    """The best of each row, ties to the next row round the end, however small the blocks."""
    monkeypatch.setattr(similar_movies, "BLOCK_VALUES", block)
    signal = shared_genres(ones(drawn(random, 60, 4)))  # few genres: many ties
    scores, asked = all_scores(signal), np.array([59, 0, 7, 1, 30])
    found = nearest(signal, asked, count)
    expected = [(i, j) for i in asked.tolist() for j in naive_nearest(scores, i, count)]
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected
    np.testing.assert_allclose(found.scores, [scores[i, j] for i, j in expected], rtol=1e-6)


def test_similar_pairs_are_the_neighbours_once(random):
    """Whatever is a neighbour of either end, each pair once, the lower row first."""
    signal = cowatch(ones(drawn(random, 40, 30)))
    scores, pairs = all_scores(signal), similar_pairs(signal, 4)
    expected = {tuple(sorted((i, j))) for i in range(40) for j in naive_nearest(scores, i, 4)}
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == sorted(expected)
    np.testing.assert_allclose(pairs.scores, [scores[i, j] for i, j in sorted(expected)], rtol=1e-5)


def test_dissimilar_pairs(random):
    """As many, none similar or twice, of the movies that are in the similar ones; the seed decides."""
    signal = cowatch(ones(drawn(random, 200, 60, share=0.1)))
    scores, similar = all_scores(signal), similar_pairs(signal, 3)
    pairs = dissimilar_pairs(signal, similar, seed=1)
    keys = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert len(keys) == len(pairs.first) == len(similar.first)
    assert all(i < j and scores[i, j] <= 0 for i, j in keys)
    assert not keys & set(zip(similar.first.tolist(), similar.second.tolist(), strict=True))
    assert {i for pair in keys for i in pair} <= {*similar.first.tolist(), *similar.second.tolist()}
    assert not np.signbit(pairs.scores[pairs.scores == 0]).any()
    again, other = dissimilar_pairs(signal, similar, seed=1), dissimilar_pairs(signal, similar, seed=2)
    assert np.array_equal(pairs.first, again.first)
    assert np.array_equal(pairs.second, again.second)
    assert not np.array_equal(pairs.second, other.second)


def test_dissimilar_pairs_are_of_the_same_movies_as_often(random):
    """How often a movie is in the one kind of pair goes with how often it is in the other."""
    signal = cowatch(ones(random.random((300, 200)) < random.beta(0.5, 6, 300)[:, None]))
    similar = similar_pairs(signal, 5)
    counts = [
        np.bincount(np.concatenate([p.first, p.second]), minlength=300)
        for p in (similar, dissimilar_pairs(signal, similar))
    ]
    assert np.corrcoef(*counts)[0, 1] > 0.6


def test_dissimilar_pairs_where_there_are_few():
    """Where all movies are alike but one pair, that pair alone comes back."""
    table = [[1, 0, 1], [0, 1, 1], [1, 1, 1], [1, 1, 0]]
    table[0], table[1] = [1, 0, 0], [0, 1, 0]
    signal = shared_genres(ones(table))
    similar = similar_pairs(signal, 3)
    assert len(similar.first) == len(list(combinations(range(4), 2))) - 1
    pairs = dissimilar_pairs(signal, similar)
    assert (pairs.first.tolist(), pairs.second.tolist(), pairs.scores.tolist()) == ([0], [1], [0])


def test_restricted_to_some_movies(random):
    """Among some movies scores stay what they are among all; among none there are no pairs."""
    signal, rows = cowatch(ones(drawn(random, 20, 30))), np.array([2, 3, 11, 19])
    np.testing.assert_allclose(all_scores(signal.restricted(rows)), all_scores(signal)[np.ix_(rows, rows)])
    none = signal.restricted(np.array([], np.int64))
    assert len(dissimilar_pairs(none, similar_pairs(none, 2)).first) == 0


@pytest.mark.parametrize(
    ("module", "make", "package"),
    [
        ("scipy.sparse", sparse, "SciPy"),
        ("sklearn.feature_extraction.text", lambda: alike_synopses(["a"]), "scikit-learn"),
    ],
)
def test_missing_extra(monkeypatch, module, make, package):
    """Without its package a signal names the extra that has it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*'m2s\[train\]'"):
        make()
