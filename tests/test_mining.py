"""Mining against the seed's own procedure over real films, and which films are mined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add, make_encoder, unit_rows

from m2s_index.catalog import Catalog
from m2s_index.errors import CatalogDamagedError, CatalogError, UsageError
from m2s_index.metadata import MovieMetadata
from m2s_index.movie_metadata.known_titles import store_titles
from m2s_index.pairing import mining
from m2s_index.pairing.mining import mine, ranked
from m2s_index.pairing.similar_films import similar_films

SHOTS = {"Alpha Beach (1990)": 20, "Beta Road (1991)": 12, "Gamma (1992)": 11}


def stored_features(folder, name):
    """A film's shot features in double precision, straight from the database."""
    ((rows, columns, data),) = sql(
        folder,
        f"SELECT rows, columns, data FROM features JOIN movies ON movies.id = movie_id WHERE name = '{name}'",
    )
    return np.frombuffer(data, "<f2").reshape(rows, columns).astype(np.float64)


def listed_mining(first, second):
    """The seed's procedure with loops, in double precision: (score, i, j) in the order they are taken."""
    first, second = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second))
    adjacency = first @ second.T
    means = {
        (i, j): adjacency[i : i + 9, j : j + 9].mean()
        for i in range(len(first) - 8)
        for j in range(len(second) - 8)
    }
    taken = []
    for i, j in sorted(means, key=lambda at: (-means[at], at))[: math.ceil(len(means) / 2)]:
        if all(abs(i - a) > 8 and abs(j - b) > 8 for _, a, b in taken):
            taken.append((means[i, j], i, j))
    return taken


@pytest.mark.parametrize("encoded", [False, True])
def test_equal_to_the_naive_procedure(catalog_of_movies, encoded):
    """Each pair of films gives the windows that loops over all of them give; with E_movie, over what it makes of
    the features.
    """
    projection = np.random.default_rng(0).standard_normal((512, 32)) if encoded else np.eye(512)
    encode = (lambda features: (features @ projection).astype(np.float32)) if encoded else None
    with Catalog.open(catalog_of_movies) as catalog:
        found = list(mine(catalog, similar_films(catalog, "genre", 10), encode=encode))
    assert {frozenset((films.film.name, films.other.name)) for films in found} == {
        frozenset(names) for names in (list(SHOTS)[:2], list(SHOTS)[1:], list(SHOTS)[::2])
    }
    for films in found:
        first, second = (
            stored_features(catalog_of_movies, film.name) @ projection for film in (films.film, films.other)
        )
        expected = listed_mining(first, second)
        assert films.windows.first_shots.tolist() == [[i, j] for _, i, j in expected]
        assert films.windows.scores.tolist() == pytest.approx([score for score, _, _ in expected], abs=1e-6)


@pytest.mark.slow
def test_real_films(shared_data, tmp_path, m2s):
    """The same over real films, where windows are many."""
    names = ("big_buck_bunny_2008_full_252p", "penny_and_chip_compilation_360p")
    (tmp_path / "m.csv").write_text("movie,genres\n" + "".join(f"{name},Animation\n" for name in names))
    paths = [shared_data / "video" / f"{name}.mp4" for name in names]
    assert m2s("index", "build", *paths, "--catalog", tmp_path).status == 0
    assert m2s("movies", "import", tmp_path / "m.csv", "--catalog", tmp_path).status == 0
    with Catalog.open(tmp_path) as catalog:
        (found,) = mine(catalog, similar_films(catalog, "genre", 1))
    expected = listed_mining(*(stored_features(tmp_path, film.name) for film in (found.film, found.other)))
    assert found.windows.first_shots.tolist() == [[i, j] for _, i, j in expected]
    assert len(expected) > 1


@pytest.fixture
def many_films(tmp_path):
    """A catalogue of twenty films of random vectors, of 9 to 28 shots, all of one genre."""
    random, encoder = np.random.default_rng(1), make_encoder()
    with Catalog.open(tmp_path / "many", create=True) as catalog:
        for number in range(20):
            add(catalog, f"/f/{number}.mp4", unit_rows(random, 9 + number, 16), encoder=encoder)
        records = [MovieMetadata(movie=f"{number}.mp4", genres=("Drama",)) for number in range(20)]
        with catalog.write() as session:
            store_titles(session, records)
        yield catalog


def test_films_are_kept_while_they_are_needed(many_films, monkeypatch):
    """Each film is encoded once where all fit into memory, and few stay where they do not; the pairs are equal."""
    counts = []
    for kept in (20, 2):
        monkeypatch.setattr(mining, "KEPT_FILMS", kept)
        calls = []
        similar = similar_films(many_films, "genre", 19)
        found = list(mine(many_films, similar, encode=lambda rows, calls=calls: calls.append(1) or rows))
        counts.append((len(calls), list(ranked(found))))
    assert len(similar.pairs) == 190
    assert counts[0][0] == 20 < counts[1][0]
    assert counts[0][1] == counts[1][1]


def test_ranked_over_all_films(many_films):
    """Best first whatever film it is of; with a limit the best of each two films are kept."""
    similar = similar_films(many_films, "genre", 3)
    whole, few = (list(mine(many_films, similar, limit=limit)) for limit in (None, 1))
    pairs = list(ranked(whole))
    scores = [pair.score for pair in pairs]
    assert scores == sorted(scores, reverse=True)
    assert len(pairs) == sum(len(films.windows) for films in whole) > len(whole)
    assert len(list(ranked(few))) == len(whole)
    best = {(p.scene.fingerprint, p.other.fingerprint): p for p in reversed(pairs)}
    assert set(ranked(few)) == set(best.values())
    assert list(ranked([])) == []
    for pair in pairs[:20]:
        for scene in (pair.scene, pair.other):
            assert (scene.shots, scene.start_seconds) == (9, 10.0 * scene.first_shot)
            assert scene.end_seconds == 10.0 * (scene.last_shot + 1)


def test_times_count_from_the_first_frame(many_films):
    """A film whose clock does not start at 0 has the times that it would have otherwise."""
    before = list(ranked(list(mine(many_films, similar_films(many_films, "genre", 1)))))
    sql(many_films.folder, "UPDATE movies SET start_pts = start_pts + 777, end_pts = end_pts + 777")
    sql(many_films.folder, "UPDATE shots SET start_pts = start_pts + 777, end_pts = end_pts + 777")
    assert list(ranked(list(mine(many_films, similar_films(many_films, "genre", 1))))) == before


def test_the_order_follows_from_contents(many_films):
    """Pairs of films come by fingerprint, not by when films were stored, and each comes once."""
    similar = similar_films(many_films, "genre", 19)
    order = [(film.fingerprint, other.fingerprint) for film, other in similar.pairs]
    assert order == sorted(order)
    assert all(first < second for first, second in order)
    assert len(set(order)) == len(order) == 190


def test_rows_of_zeros_stay(many_films):
    """A shot without features is like no other, and no division by zero."""
    rows = np.array([[3, 4], [0, 0]], np.float32)
    assert mining.unit_rows(rows).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            "UPDATE features SET rows = rows - 1, data = substr(data, 33)",
            CatalogDamagedError,
            "damaged",
        ),
        ("UPDATE features SET data = substr(data, 2)", CatalogDamagedError, "damaged"),
        ("UPDATE features SET data = CAST(x'007e' || substr(data, 3) AS BLOB)", CatalogDamagedError, "damaged"),
        ("DELETE FROM features", CatalogError, "or no longer"),
    ],
)
def test_features_that_are_not_what_they_should_be(many_films, change, error, words):
    """Features that do not fit the film, are not finite, or have gone in the meantime end it with their film."""
    similar = similar_films(many_films, "genre", 1)
    sql(many_films.folder, change)
    with pytest.raises(error, match=rf"of '\d+' by 'test'.* {words}"):
        list(mine(many_films, similar))


def test_films_that_cannot_be_mined(own_movies):
    """Films of fewer shots than a window, and those that the encoder has not seen, are left out and counted."""
    with Catalog.open(own_movies) as catalog:
        similar = similar_films(catalog, "genre", 10)
        assert (similar.too_short, similar.not_embedded, len(similar.films)) == (1, 0, 3)
        assert {film.name: film.shots for film in similar.films} == SHOTS
        sql(own_movies, "DELETE FROM features WHERE movie_id = (SELECT id FROM movies WHERE name LIKE 'Beta%')")
        similar = similar_films(catalog, "genre", 10)
        assert (similar.too_short, similar.not_embedded, len(similar.pairs)) == (1, 1, 1)
        sql(own_movies, "DELETE FROM features WHERE movie_id = (SELECT id FROM movies WHERE name LIKE 'Gamma%')")
        with pytest.raises(UsageError, match=r"of 4 that are .* 1 have fewer than 9 shots, 2 no shot features by"):
            similar_films(catalog, "genre", 10)
        sql(own_movies, "DELETE FROM features")
        with pytest.raises(UsageError, match="no shot features by encoder 'gist', which sees whole scenes"):
            similar_films(catalog, "genre", 10)


def test_the_encoder_that_e_movie_takes(own_movies):
    """It is found by what it is, not by its name; another, or none, is refused with both named."""
    with Catalog.open(own_movies) as catalog:
        gist = similar_films(catalog, "genre", 10).encoder.identity
        sql(own_movies, "UPDATE encoders SET name = 'gist@1'")
        for name in (None, "gist@1"):
            assert similar_films(catalog, "genre", 10, encoder_name=name, features_of=gist).encoder.name == "gist@1"
        other = make_encoder("other")
        with pytest.raises(
            UsageError, match=r"'other' gave .* the catalogue has none of the same \(it has: gist@1\)"
        ):
            similar_films(catalog, "genre", 10, features_of=other)
        with pytest.raises(UsageError, match=r"'other' gave .* those of 'gist@1' are others"):
            similar_films(catalog, "genre", 10, encoder_name="gist@1", features_of=other)
