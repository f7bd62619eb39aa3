"""How unusual a score is: formulas against loops, and what they are worth on films whose true pairs are known."""

from __future__ import annotations

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add, make_encoder, unit_rows
from place_films import write_place_films
from scipy.stats import kstest

from m2s_index.catalog import Catalog
from m2s_index.filters import NO_FILTER, SceneFilter
from m2s_index.matrices import find_encoder
from m2s_index.nothing_similar import HitBackground
from m2s_index.pairing.background import Scores, read_background, unrelated_films
from m2s_index.pairing.film_pairs import PairOptions, film_pairs
from m2s_index.pairing.film_rows import paired_scores, scene_scores
from m2s_index.procedural import PLACES
from m2s_index.search import Searcher

ENCODER = make_encoder(dimension=6)


def test_percentiles():
    """The share of lower scores and half of the equal ones, as counted."""
    background = np.array([-1, 0, 0, 0.25, 0.25, 0.25, 0.5, 1], np.float32)
    asked = np.array([-2, -1, 0, 0.1, 0.25, 1, 2], np.float32)
    counted = [100 * (sum(background < s) + sum(background == s) / 2) / 8 for s in asked]
    assert Scores(background).percentiles(asked) == pytest.approx(counted)


@pytest.fixture
def folder(tmp_path):
    """Films of a genre each or none, two of one title, one without a genre."""
    random = np.random.default_rng(3)
    with Catalog.open(tmp_path / "catalog", create=True) as catalog:
        for name, title, genres in (
            ("ant", "Ant", ("Drama",)), ("bee", "Bee", ("drama", "War")), ("cat", "Cat", ("Comedy",)),
            ("cat-hd", "cat", ()), ("dog", None, ()),
        ):  # fmt: skip
            vectors = unit_rows(random, int(random.integers(6, 12)), 6)
            add(catalog, f"/{name}.mp4", vectors, encoder=ENCODER, title=title, genres=genres)
    return tmp_path / "catalog"


def read(folder, *, windows=False):
    with Catalog.open(folder) as catalog, catalog.reader() as reader:
        return read_background(reader, find_encoder(reader, None), windows=windows)


def test_unrelated_films(folder):
    """Not a film and itself, two of one title, or two that share a genre; less strict where nothing is left."""
    with Catalog.open(folder) as catalog, catalog.reader() as reader:

        def related(*films):
            found = unrelated_films(reader, np.array(films))
            assert (found == found.T).all()
            return {(a, b) for i, a in enumerate(films) for j, b in enumerate(films) if i < j and not found[i, j]}

        assert related(1, 2, 3, 4, 5) == {(1, 2), (3, 4)}
        assert related(1, 2) == set()
        assert related(3, 4) == set()


@pytest.mark.parametrize("drawn", [False, True])
def test_background_is_of_unrelated_films(folder, monkeypatch, drawn):
    """Every score of theirs where there are few; else scores drawn from these."""
    if drawn:
        monkeypatch.setattr("m2s_index.pairing.background.SCORES", 150)
    found = read(folder)
    expected = []
    for a, b in ((1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5), (3, 5), (4, 5)):
        rows = [found.vectors[found.movie_ids == film] for film in (a, b)]
        expected += scene_scores(*rows, "cosine").ravel().tolist()
    scores = found.pairs.ascending
    if drawn:
        assert len(scores) == 150
        assert np.isin(scores, expected).all()
        assert kstest(scores, expected).pvalue > 0.01
    else:
        assert scores.tolist() == sorted(expected)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_nearness_and_csls(tmp_path, metric):
    """The mean of the ten best scores with scenes of other films; and twice a score less those of both."""
    random = np.random.default_rng(1)
    with Catalog.open(tmp_path, create=True) as catalog:
        for name, scenes in (("a", 5), ("b", 9), ("c", 4)):
            vectors = unit_rows(random, scenes, 6)
            add(catalog, f"/{name}.mp4", vectors, encoder=make_encoder(dimension=6, metric=metric))
        found = film_pairs(catalog, "a", "b", PairOptions(1.0)).pairs
    background = read(tmp_path)
    nearness = background.nearness(background.vectors, background.movie_ids)
    naive = []
    for vector, film in zip(background.vectors, background.movie_ids, strict=True):
        others = scene_scores(vector[None], background.vectors, metric)[0][background.movie_ids != film]
        naive.append(np.mean(sorted(others.tolist())[-10:]))
    assert nearness == pytest.approx(naive, abs=1e-6)
    place = {scene: i for i, scene in enumerate(background.scene_ids.tolist())}
    for pair in found:
        r = naive[place[pair.a.scene_id]] + naive[place[pair.b.scene_id]]
        assert pair.csls == pytest.approx(2 * pair.score - r, abs=1e-6)
        assert pair.percentile == pytest.approx(background.pairs.percentiles(np.float32([pair.score]))[0])


def test_least_percentile(folder, m2s):
    """Only pairs of at least that percentile, of two films and of all; kept ones are not lost by it."""
    percentiles = {}
    for way in (("ant", "cat"), ("--all",), ("--show",)):
        arguments = ("pairs", *way, "--json", "--catalog", folder)
        everything = m2s(*arguments).json()["pairs"]
        left = m2s(*arguments, "--min-percentile", "90").json()["pairs"]
        assert left == [pair for pair in everything if pair["percentile"] >= 90]
        assert len(everything) > len(left)
        percentiles[way[0]] = [pair["percentile"] for pair in everything]
        assert percentiles[way[0]] == sorted(percentiles[way[0]], reverse=True)
    assert percentiles["--show"] == percentiles["--all"]
    for value in ("-1", "101", "nan"):
        ran = m2s("pairs", "ant", "bee", "--min-percentile", value, "--catalog", folder)
        assert (ran.status, "a percentile is from 0 to 100" in ran.stderr) == (2, True)


@pytest.fixture
def long_films(tmp_path):
    """Films of 31, 22 and 12 shots and one of 8, too short for a window; shots 9 to 13 of the first are black."""
    random = np.random.default_rng(5)
    shots = {"ant": 31, "bee": 22, "cat": 12, "dog": 8}
    features = {name: random.standard_normal((count, 6)).astype(np.float16) for name, count in shots.items()}
    with Catalog.open(tmp_path / "long", create=True) as catalog:
        for name, rows in features.items():
            add(catalog, f"/{name}.mp4", rows.astype(np.float32), encoder=ENCODER)
    sql(tmp_path / "long", "UPDATE shots SET junk = CASE WHEN movie_id = 1 AND \"index\" BETWEEN 9 AND 13 "
                           "THEN 'black' ELSE '' END")  # fmt: skip
    return tmp_path / "long", {name: rows.astype(float) for name, rows in features.items()}


def test_background_of_windows(long_films):
    """Windows of nine shots that do not overlap, of each film from its first shot on, without junk, by loops; a
    pair of windows, wherever they begin, is measured against these.
    """
    folder, features = long_films
    unit = {name: rows / np.linalg.norm(rows, axis=1)[:, None] for name, rows in features.items()}
    wanted = {"ant": (0, 18), "bee": (0, 9), "cat": (0,)}
    means = {name: [unit[name][i : i + 9].mean(axis=0) for i in starts] for name, starts in wanted.items()}
    scores = [
        x @ y for a, b in (("ant", "bee"), ("ant", "cat"), ("bee", "cat")) for x in means[a] for y in means[b]
    ]
    found = read(folder, windows=True)
    assert found.pairs.ascending == pytest.approx(sorted(scores), abs=1e-6)

    def nearness(name, window):
        others = [window @ other for film in means if film != name for other in means[film]]
        return np.mean(sorted(others)[-10:])

    with Catalog.open(folder) as catalog:
        pairs = film_pairs(catalog, "ant", "bee", PairOptions(keep=1.0, windows=True)).pairs
    assert len(pairs) > 1
    for pair in pairs:
        ends = [
            (name, unit[name][at.index : at.index + 9].mean(axis=0))
            for name, at in zip(("ant", "bee"), (pair.a, pair.b), strict=True)
        ]
        assert pair.score == pytest.approx(ends[0][1] @ ends[1][1], abs=1e-6)
        assert pair.csls == pytest.approx(2 * pair.score - nearness(*ends[0]) - nearness(*ends[1]), abs=1e-6)
        assert pair.percentile == pytest.approx(100 * np.mean(np.array(scores) < pair.score))


def test_least_percentile_of_windows(long_films, m2s):
    """Only pairs of windows of at least that percentile."""
    arguments = ("pairs", "ant", "bee", "--windows", "--keep", "1", "--json", "--catalog", long_films[0])
    everything = m2s(*arguments).json()["pairs"]
    least = everything[0]["percentile"]
    left = m2s(*arguments, "--min-percentile", str(least)).json()["pairs"]
    assert left == [pair for pair in everything if pair["percentile"] >= least]
    assert 0 < len(left) < len(everything)


def test_query_that_finds_nothing(folder, m2s):
    """No hits, exit status 0, and a line that says how near the nearest was; percentiles where there are hits."""
    query = ("query", "--scene", "ant#0", "--other-movies", "-k", "4", "--catalog", folder)
    plain = m2s(*query, "--json").json()["hits"]
    assert "percentile" not in plain[0]
    measured = m2s(*query, "--json", "--min-percentile", "0").json()["hits"]
    assert [{k: v for k, v in hit.items() if k not in ("percentile", "csls")} for hit in measured] == plain
    compared = 0
    for hit in measured:
        found = m2s("pairs", "ant", hit["movie"], "--keep", "1", "--json", "--catalog", folder).json()["pairs"]
        same = [p["csls"] for p in found if (p["a"]["index"], p["b"]["scene_id"]) == (0, hit["scene_id"])]
        assert same == [pytest.approx(hit["csls"], abs=1e-6)] * len(same)
        compared += len(same)
    assert compared
    assert [hit["percentile"] for hit in measured] == sorted((hit["percentile"] for hit in measured), reverse=True)
    least = measured[1]["percentile"]
    assert m2s(*query, "--json", "--min-percentile", str(least)).json()["hits"][:2] == measured[:2]
    ran = m2s(*query, "--json", "--min-percentile", "100")
    assert (ran.status, ran.json()["hits"]) == (0, [])
    assert f"nothing similar here: the nearest hit scores {plain[0]['score']:.3f}, percentile" in ran.stderr
    assert "percentile" in m2s(*query, "--csv", "--min-percentile", "0").stdout.splitlines()[0]
    assert "percentile" in m2s(*query, "--min-percentile", "0").stdout


def test_batch_of_queries(folder, m2s, tmp_path):
    """Each query's hits are measured as those of the query alone."""
    (tmp_path / "refs").write_text("ant#0\ncat#1\n")
    options = ("--min-percentile", "50", "--json", "--catalog", folder)
    batch = m2s("query", "--batch", tmp_path / "refs", *options).json()["results"]
    for result, ref in zip(batch, ("ant#0", "cat#1"), strict=True):
        assert result["hits"] == m2s("query", "--scene", ref, *options).json()["hits"]


def test_query_without_a_second_film(tmp_path, m2s):
    """There is nothing to compare with, and a line says so."""
    with Catalog.open(tmp_path, create=True) as catalog:
        add(catalog, "/a.mp4", unit_rows(np.random.default_rng(0), 3, 6), encoder=ENCODER)
    ran = m2s("query", "--scene", "a#0", "--min-percentile", "95", "--catalog", tmp_path)
    assert ran.status == 2
    assert "percentiles need hits in two films that are unrelated: there are none" in ran.stderr


# --- films whose like is known -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def places(tmp_path_factory, m2s):
    """Catalogues of 27 films in nine places and of 26 others in thirteen, two scenes each, by the encoder gist."""
    folder = tmp_path_factory.mktemp("places")
    names = list(PLACES)
    write_place_films(folder / "gallery", names[:9], 3, 1000)
    write_place_films(folder / "others", names, 2, 5000)
    for name in ("gallery", "others"):
        ran = m2s(
            "index", "build", folder / name, "--metadata", folder / name / "movies.csv", "--scene-shots", "3",
            "--scene-stride", "3", "--encoder", "gist", "--workers", "2", "--catalog", folder / f"{name}.catalog",
        )  # fmt: skip
        assert ran.status == 0, ran.stderr
    return {name: folder / f"{name}.catalog" for name in ("gallery", "others")}


def of_places(folder, *, windows=False):
    """A catalogue's background and the place of each of its scenes or windows."""
    found = read(folder, windows=windows)
    with Catalog.open(folder) as catalog, catalog.reader() as reader:
        genres = dict(reader.rows("SELECT movie_id, genre FROM movie_genres"))
    return found, np.array([genres[movie_id] for movie_id in found.movie_ids.tolist()])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_percentiles_of_unrelated_scenes_are_uniform(places, seed):
    """Scenes of films that the background has not seen, each in one pair at most, of different places."""
    background, _ = of_places(places["gallery"])
    others, place = of_places(places["others"])
    first, second = np.random.default_rng(seed).permutation(len(place)).reshape(2, -1)
    unlike = place[first] != place[second]
    scores = paired_scores(others.vectors[first[unlike]], others.vectors[second[unlike]], "cosine")
    assert len(scores) >= 20
    assert kstest(background.pairs.percentiles(scores) / 100, "uniform").pvalue > 0.01


@pytest.fixture(scope="module")
def long_places(tmp_path_factory, m2s):
    """Two catalogues of 26 films in thirteen places, two windows of nine shots each, by the encoder gist."""
    folder = tmp_path_factory.mktemp("long")
    for name, seed in (("gallery", 1000), ("others", 5000)):
        write_place_films(folder / name, PLACES, 2, seed, shots=18)
        ran = m2s(
            "index", "build", folder / name, "--metadata", folder / name / "movies.csv", "--workers", "2",
            "--catalog", folder / f"{name}.catalog",
        )  # fmt: skip
        assert ran.status == 0, ran.stderr
    return {name: folder / f"{name}.catalog" for name in ("gallery", "others")}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_percentiles_of_unrelated_windows_are_uniform(long_places, seed):
    """Windows of films that the background has not seen, each in one pair at most, of different places."""
    background, _ = of_places(long_places["gallery"], windows=True)
    others, place = of_places(long_places["others"], windows=True)
    assert len(place) == 52
    first, second = np.random.default_rng(seed).permutation(len(place)).reshape(2, -1)
    unlike = place[first] != place[second]
    scores = paired_scores(others.vectors[first[unlike]], others.vectors[second[unlike]], "cosine")
    assert len(scores) >= 20
    assert kstest(background.pairs.percentiles(scores) / 100, "uniform").pvalue > 0.01


def average_precision(scores, truth):
    ranked = truth[np.argsort(-scores, kind="stable")]
    return (np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean()


@pytest.mark.slow
def test_true_pairs(places):
    """All scene pairs of different films, true where they share a place: scaling finds more of them, sooner. What
    docs/pairs.md says was measured by this.
    """
    found, place = of_places(places["gallery"])
    first, second = np.triu_indices(len(place), 1)
    apart = found.movie_ids[first] != found.movie_ids[second]
    first, second = first[apart], second[apart]
    truth = place[first] == place[second]
    assert (truth.sum(), len(truth)) == (108, 1404)
    scores = paired_scores(found.vectors[first], found.vectors[second], "cosine")
    nearness = found.nearness(found.vectors, found.movie_ids)
    scaled = 2 * scores - nearness[first] - nearness[second]
    assert average_precision(scores, truth) == pytest.approx(0.85, abs=0.03)
    assert average_precision(scaled, truth) == pytest.approx(0.97, abs=0.03)
    unusual = found.pairs.percentiles(scores) >= 99
    assert truth[unusual].mean() == pytest.approx(0.86, abs=0.05)
    assert unusual[truth].mean() == pytest.approx(0.73, abs=0.05)


@pytest.mark.slow
def test_nothing_similar_for_a_place_that_is_not_there(places):
    """Scenes in places that the catalogue lacks, or that a filter leaves out: at least 90 % find nothing at 95."""
    others, place = of_places(places["others"])
    _, known = of_places(places["gallery"])
    kinds, answers, found = sorted(set(known)), [], []
    with Catalog.open(places["gallery"]) as catalog, Searcher(catalog, use_gpu=False) as searcher:
        for name in sorted(set(place)):
            wanted = (
                SceneFilter(genres=tuple(kind for kind in kinds if kind != name)) if name in kinds else NO_FILTER
            )
            absent = HitBackground(catalog, searcher, wanted)
            for vector in others.vectors[place == name]:
                result = absent.measured(searcher.search_vector(vector, 10, wanted), 95)
                answers.append(not result.hits and "nothing similar here" in result.notes[-1])
        background = HitBackground(catalog, searcher)
        for vector in others.vectors[np.isin(place, kinds)]:
            found.append(bool(background.measured(searcher.search_vector(vector, 10), 95).hits))
    assert len(answers) == 52
    assert np.mean(answers) >= 0.9
    assert np.mean(found) >= 0.6
