"""Pairs of two films: the seed's rule against loops that spell it out, on random, tied and real scores."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from catalog_factory import add, make_encoder, make_film, unit_rows
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sqlalchemy import text

from m2s_index.catalog import Catalog
from m2s_index.errors import CatalogDamagedError, UsageError
from m2s_index.movies import add_film
from m2s_index.pairing.film_pairs import PairOptions, film_pairs, select_usable
from m2s_index.pairing.film_rows import paired_scores, scene_scores
from m2s_index.types import FilmVectors


def naive_pairs(scores, keep=0.5, span=1):
    """Section 3a in so many words: sort all finite entries, walk down the kept share, skip what is taken."""
    entries = sorted(
        ((-float(value), i, j) for (i, j), value in np.ndenumerate(scores) if value > -np.inf),
    )
    taken = []
    for _, i, j in entries[: math.ceil(len(entries) * keep)]:
        if all(abs(i - a) >= span and abs(j - b) >= span for a, b in taken):
            taken.append((i, j))
    return taken


@given(
    arrays(np.float32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.sampled_from([-1, 0, 0.5, 1])),
    st.sampled_from([1, 3]),
    st.sampled_from([0.1, 0.5, 0.7, 1.0]),
    st.integers(0, 2**14 - 1),
)
def test_selection_is_the_naive_one(scores, span, keep, left_out):
    """With ties, with negative scores, and with rows and columns that are left out."""
    scores = scores.copy()
    scores[[i for i in range(len(scores)) if left_out >> i & 1]] = -np.inf
    scores[:, [j for j in range(scores.shape[1]) if left_out >> (7 + j) & 1]] = -np.inf
    assert [tuple(pair) for pair in select_usable(scores, span, keep).tolist()] == naive_pairs(scores, keep, span)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_scores(metric):
    """Inner products, or minus distances, as loops have them; equal rows have equal scores wherever they stand."""
    random = np.random.default_rng(0)
    a, b = unit_rows(random, 40, 33), unit_rows(random, 50, 33)
    b[7] = b[31] = a[3] = a[22]
    scores = scene_scores(a, b, metric)
    for i, j in ((0, 0), (3, 7), (39, 49), (22, 30)):
        x, y = a[i].astype(float), b[j].astype(float)
        expected = sum(x * y) if metric == "cosine" else -math.sqrt(sum((x - y) ** 2))
        assert scores[i, j] == pytest.approx(expected, abs=1e-7)
        assert paired_scores(a[[i]], b[[j]], metric)[0] == scores[i, j]
    assert scores[3, 7] == scores[3, 31] == scores[22, 7]
    assert scores[3, 7] == pytest.approx(1 if metric == "cosine" else 0)


@pytest.fixture
def catalog(tmp_path):
    """Films of 7 and 5 scenes in a space of 6 dimensions, one film of another encoder, one of 2 scenes."""
    with Catalog.open(tmp_path / "catalog", create=True) as catalog:
        random, encoder = np.random.default_rng(4), make_encoder(dimension=6)
        for name, scenes in (("first", 7), ("second", 5), ("tiny", 2)):
            add(catalog, f"/films/{name}.mp4", unit_rows(random, scenes, 6), encoder=encoder)
        add(catalog, "/films/other.mp4", unit_rows(random, 3, 6), encoder=make_encoder("clip", 6))
        yield catalog


def pairs(catalog, *films, **options):
    return film_pairs(catalog, *films, PairOptions(**options))


def ends(found):
    return [(pair.a.index, pair.b.index) for pair in found.pairs]


def test_pairs_of_two_films(catalog):
    """The naive pairs, ranked, with each scene's own film, index and times."""
    found = pairs(catalog, "first", "second")
    assert ends(found) == naive_pairs(found.scores)
    assert found.scores.shape == (7, 5)
    best = found.pairs[0]
    assert (best.rank, best.a.movie, best.b.movie) == (1, "first", "second")
    assert best.score == found.scores.max()
    assert (best.b.start_seconds, best.b.end_seconds) == (best.b.index * 10, best.b.index * 10 + 10)


@pytest.mark.parametrize("damage", ["not finite", "another size"])
@pytest.mark.parametrize(("table", "windows"), [("embeddings", False), ("features", True)])
def test_vectors_that_do_not_fit_their_film_are_told_of(tmp_path, table, windows, damage):
    """They come from a file that anyone may have written."""
    with Catalog.open(tmp_path, create=True) as catalog:
        random, encoder = np.random.default_rng(4), make_encoder(dimension=6)
        for name in ("first", "second"):
            add(catalog, f"/films/{name}.mp4", unit_rows(random, 12, 6), encoder=encoder)
        with catalog.write() as session:
            rows = 12 if damage == "not finite" else 11
            data = np.full((rows, 6), np.nan if rows == 12 else 1, "<f4").tobytes()
            session.execute(
                text(f"UPDATE {table} SET rows = :rows, dtype = 'float32', data = :data WHERE movie_id = 2"),
                {"rows": rows, "data": data},
            )
        with pytest.raises(CatalogDamagedError, match=f"{table} of 'second' by 'test' are damaged"):
            pairs(catalog, "first", "second", windows=windows)


def test_pairs_turned_round(catalog):
    """B with A gives the same pairs with their ends exchanged."""
    there, back = pairs(catalog, "first", "second"), pairs(catalog, "second", "first")
    assert [(j, i) for i, j in ends(back)] == ends(there)


def test_keep_top_and_least_score(catalog):
    """Each narrows what is left, and does not change the order."""
    everything = pairs(catalog, "first", "second", keep=1.0)
    assert len(everything.pairs) == 5
    assert ends(pairs(catalog, "first", "second", keep=1.0, top=2)) == ends(everything)[:2]
    least = everything.pairs[2].score
    assert ends(pairs(catalog, "first", "second", keep=1.0, min_score=least)) == ends(everything)[:3]
    assert ends(pairs(catalog, "first", "second", keep=1 / 35)) == ends(everything)[:1]


def test_windows_are_those_of_the_shot_adjacency_matrix(tmp_path):
    """Windows of nine shots: means of the normalised shots' products, by loops; chosen windows never overlap."""
    random = np.random.default_rng(1)
    shots = [random.standard_normal((m, 8)).astype(np.float32) for m in (31, 24)]
    with Catalog.open(tmp_path, create=True) as catalog:
        for name, features in zip(("a", "b"), shots, strict=True):
            film = make_film(f"/{name}.mp4", [2.0] * len(features))
            scenes = unit_rows(random, len(features), 8)
            with catalog.write() as session:
                add_film(session, film, FilmVectors(make_encoder(dimension=8), features, scenes))
        found = pairs(catalog, "a", "b", windows=True)
    stored = [features.astype(np.float16).astype(float) for features in shots]
    f, g = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in stored)
    adjacency = f @ g.T
    naive = [[adjacency[i : i + 9, j : j + 9].mean() for j in range(16)] for i in range(23)]
    assert found.scores == pytest.approx(np.array(naive), abs=1e-6)
    assert ends(found) == naive_pairs(found.scores, span=9)
    window = found.pairs[0].a
    assert (window.scene_id, window.first_shot, window.end_shot) == (0, window.index, window.index + 9)
    assert (window.start_seconds, window.end_seconds) == (2.0 * window.index, 2.0 * window.index + 18)


def test_real_films(shared_data, tmp_path, m2s):
    """Two real films, by scenes and by windows: the naive pairs of their matrices."""
    videos = [
        shared_data / "video" / name
        for name in ("tears_of_steel_2012_battle_332p.webm", "elephants_dream_2006_first72s_360p.ts")
    ]
    options = ("--scene-shots", "3", "--scene-stride", "3", "--workers", "1")
    assert m2s("index", "build", *videos, "--catalog", tmp_path, *options).status == 0
    with Catalog.open(tmp_path) as catalog:
        for windows, span in ((False, 1), (True, 9)):
            found = pairs(catalog, "tears", "elephants", windows=windows)
            assert ends(found) == naive_pairs(found.scores, span=span)
            assert found.pairs


def test_command(catalog, m2s):
    """Table, JSON in the shape that others rely on, and CSV say the same."""
    films = ("pairs", "first", "second", "--catalog", catalog.folder)
    found = pairs(catalog, "first", "second")
    said = m2s(*films, "--json").json()
    assert said["encoder"] == "test"
    assert [(p["rank"], p["score"], p["a"]["index"], p["b"]["index"]) for p in said["pairs"]] == [
        (p.rank, p.score, p.a.index, p.b.index) for p in found.pairs
    ]
    assert {"scene_id", "movie", "index", "start_seconds", "end_seconds"} <= said["pairs"][0]["a"].keys()
    rows = list(csv.DictReader(io.StringIO(m2s(*films, "--csv").stdout)))
    assert [(row["rank"], row["scene_id_a"], row["scene_id_b"]) for row in rows] == [
        (str(p["rank"]), str(p["a"]["scene_id"]), str(p["b"]["scene_id"])) for p in said["pairs"]
    ]
    assert len(m2s(*films).stdout.splitlines()) == 3 + len(found.pairs)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("first", "first"), "'first' and 'first' are both first: pairs are of two different films"),
        (("first", "other"), "other has no embeddings by encoder 'test' (it has: clip): make them with"),
        (("tiny", "first", "--windows"), "tiny has 2 shots: a window is of 9"),
        (("first", "second", "--keep", "0"), "the share of scores to keep must be above 0 and at most 1, not 0"),
        (
            ("first", "second", "--keep", "nan"),
            "the share of scores to keep must be above 0 and at most 1, not nan",
        ),
        (("first", "second", "--top", "0"), "the number of pairs must be at least 1, not 0"),
        (("first", "second", "--min-score", "inf"), "the least score must be a number, not inf"),
        (("first",), "give two films (m2s pairs A B), or one of --all and --show"),
        (("first", "nothing"), "no movie is called 'nothing'"),
    ],
)
def test_wrong_usage(catalog, m2s, arguments, line):
    """A line that says what is wrong, and exit status 2."""
    ran = m2s("pairs", *arguments, "--catalog", catalog.folder)
    assert (ran.status, ran.stdout) == (2, "")
    assert line in ran.stderr


def test_nothing_alike(catalog, m2s):
    """No pair with such a score: an empty list, a line that says so, and exit status 0."""
    ran = m2s("pairs", "first", "second", "--min-score", "2", "--json", "--catalog", catalog.folder)
    assert (ran.status, ran.json()["pairs"]) == (0, [])
    assert ran.stderr.endswith("pairs: nothing in first and second is so much alike\n")


def test_encoder_of_whole_scenes_has_no_windows(tmp_path):
    """An encoder that keeps no shot features says so."""
    with Catalog.open(tmp_path, create=True) as catalog:
        vectors = unit_rows(np.random.default_rng(0), 12, 4)
        for name in "ab":
            with catalog.write() as session:
                film = make_film(f"/{name}.mp4", [1.0] * 12)
                add_film(session, film, FilmVectors(make_encoder(dimension=4), None, vectors))
        assert pairs(catalog, "a", "b").pairs[0].score == pytest.approx(1)
        with pytest.raises(UsageError, match="sees whole scenes and has no shots of a to compare"):
            pairs(catalog, "a", "b", windows=True)
