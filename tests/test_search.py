"""Searches against brute force, and against catalogues that change or lose their index file."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from catalog_factory import add, add_label, make_encoder, make_film, unit_rows
from sqlalchemy import insert

from m2s_index import search_state
from m2s_index.catalog import Catalog
from m2s_index.errors import CatalogDamagedError, IndexFileError, UnknownReferenceError, UsageError
from m2s_index.filters import SceneFilter
from m2s_index.index_writer import write_index
from m2s_index.matrices import find_encoder
from m2s_index.matrix_writer import add_vectors
from m2s_index.movies import add_film, remove_movie
from m2s_index.schema import EmbeddingRow, GenreRow, LabelRow, MovieRow, SceneRow
from m2s_index.search import Searcher
from m2s_index.types import FilmVectors

ENCODER = make_encoder(dimension=16)
DIMENSION = 16


def brute_force(vectors, ids, query, k, metric="cosine"):
    """Ids and Euclidean distances by the definition, ties by id."""
    distances = np.linalg.norm(vectors.astype(np.float64) - query.astype(np.float64), axis=1)
    order = np.lexsort((ids, distances))[:k]
    return ids[order].tolist(), distances[order]


def assert_hits(result, expected_ids, expected_distances):
    assert [hit.scene.scene_id for hit in result.hits] == list(expected_ids)
    np.testing.assert_allclose([hit.distance for hit in result.hits], expected_distances, atol=1e-12)
    assert [hit.rank for hit in result.hits] == list(range(1, len(result.hits) + 1))


def index(catalog, kind="auto", encoder=None):
    with catalog.reader() as reader:
        found = find_encoder(reader, encoder)
    return write_index(catalog, found, kind=kind)


class Library:
    """A catalogue of 400 films of 250 scenes, and what a filter should find in it, kept apart."""

    films, scenes = 400, 250

    def __init__(self, folder):
        random = np.random.default_rng(11)
        self.count = self.films * self.scenes
        self.ids = np.arange(1, self.count + 1)
        self.movie = np.repeat(np.arange(1, self.films + 1), self.scenes)
        # A fifth of all scenes are copies of fifty: black frames, logos, titles.
        self.vectors = unit_rows(random, self.count, DIMENSION)
        copies = random.random(self.count) < 0.2
        self.vectors[copies] = self.vectors[random.integers(50, size=copies.sum())]
        self.vectors[random.integers(self.count, size=30)] = 0
        self.seconds = np.round(random.uniform(1, 100, self.count), 2)
        self.year = random.integers(1920, 2020, self.films).tolist()
        self.genres = [tuple(sorted(set(random.choice(list("abcdef"), 2).tolist()))) for _ in range(self.films)]
        self.labelled = {}
        self.catalog = Catalog.open(folder, create=True)
        with self.catalog.write() as session:
            self.add_films(session)
            for size in (1, 1, 1, 3, 10, 30, 100, 300, 1000, 3000):
                self.add_label(session, f"{len(self.labelled)}", random.choice(self.count, size, replace=False))

    def add_films(self, session):
        """The first as a build does it, the others as copies of its rows, which takes a tenth of the time."""
        film = make_film("/films/Film 001.mkv", self.seconds[: self.scenes].tolist(), year=self.year[0])
        add_film(session, film, None)
        first = {c.name: getattr(session.get(MovieRow, 1), c.key) for c in MovieRow.__table__.columns}
        movies = [
            {**first, "id": i + 1, "path": f"/films/Film {i + 1:03}.mkv", "name": f"Film {i + 1:03}", "year": year}
            for i, year in enumerate(self.year)
        ]
        session.execute(insert(MovieRow.__table__), movies[1:])
        ends = np.cumsum(self.seconds.reshape(self.films, -1), axis=1).ravel()
        scenes = [
            {
                "id": i + 1, "movie_id": i // self.scenes + 1, "index": i % self.scenes, "first_shot": 0,
                "end_shot": 1, "start_pts": 0, "end_pts": 1, "start_seconds": end - seconds, "end_seconds": end,
                "duration_seconds": seconds,
            }
            for i, (seconds, end) in enumerate(zip(self.seconds.tolist(), ends.tolist(), strict=True))
        ]  # fmt: skip
        session.execute(insert(SceneRow.__table__), scenes[self.scenes :])
        genres = [{"movie_id": i + 1, "genre": g} for i, genres in enumerate(self.genres) for g in genres]
        session.execute(insert(GenreRow.__table__), genres)
        for i in range(self.films):
            rows = self.vectors[i * self.scenes : (i + 1) * self.scenes]
            add_vectors(session, i + 1, i * self.scenes + 1, FilmVectors(ENCODER, rows[:1], rows))

    def add_label(self, session, value, positions):
        self.labelled[value] = np.isin(np.arange(self.count), positions)
        ends = np.cumsum(self.seconds.reshape(self.films, -1), axis=1).ravel()
        rows = [
            {
                "movie_id": int(self.movie[at]), "vocabulary": "place", "value": value, "source": "test",
                "start_seconds": ends[at] - 0.75 * self.seconds[at],
                "end_seconds": ends[at] - 0.25 * self.seconds[at],
            }
            for at in positions
        ]  # fmt: skip
        session.execute(insert(LabelRow), rows)

    def random_filter(self, random):
        """A filter, and the scenes for which it holds: bool [N]."""
        values, kept = {}, np.ones(self.count, np.bool_)
        parts = random.permutation(["label", "movie", "not_movie", "years", "genre", "seconds", "none"])
        for part in parts[: random.integers(1, 4)]:
            if part == "label":
                value = str(random.integers(len(self.labelled)))
                values["labels"] = (("place", value),)
                kept &= self.labelled[value]
            elif part in ("movie", "not_movie"):
                chosen = random.choice(self.films, random.integers(1, 4), replace=False) + 1
                values["movies" if part == "movie" else "not_movies"] = tuple(f"Film {i:03}" for i in chosen)
                kept &= np.isin(self.movie, chosen) == (part == "movie")
            elif part == "years":
                first = int(random.integers(1910, 2020))
                last = int(first + random.integers(60))
                values["years"] = (first, last)
                kept &= np.array([first <= y <= last for y in self.year])[self.movie - 1]
            elif part == "genre":
                genre = str(random.choice(list("abcdefg")))
                values["genres"] = (genre,)
                kept &= np.array([genre in g for g in self.genres])[self.movie - 1]
            elif part == "seconds":
                low, high = float(random.uniform(0, 100)), float(random.uniform(99, 100))
                values["min_seconds"], values["max_seconds"] = min(low, high), high
                kept &= (self.seconds >= min(low, high)) & (self.seconds <= high)
        if random.random() < 0.5:
            values["other_movies"] = True
        return SceneFilter(**values), kept


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    made = Library(tmp_path_factory.mktemp("library"))
    assert index(made.catalog).kind == "exact"
    yield made
    made.catalog.close()


def expected_hits(library, kept, scene_id, k):
    at = np.flatnonzero(kept)
    # A row of zeros is orthogonal to all: as far as a unit vector at a right angle.
    vectors, query = library.vectors[at].astype(np.float64), library.vectors[scene_id - 1].astype(np.float64)
    distances = np.linalg.norm(vectors - query, axis=1)
    distances[~vectors.any(axis=1)] = 2**0.5
    order = np.lexsort((library.ids[at], distances))[:k]
    return library.ids[at][order], distances[order]


@pytest.mark.slow
def test_500_random_filters_find_what_brute_force_finds(library):
    """Selectivities from 1e-5 to 1, with thousands of equal vectors among the scenes."""
    random = np.random.default_rng(12)
    shares = []
    with Searcher(library.catalog) as searcher:
        assert searcher.search_scene(1, 1).notes == ()
        for _ in range(500):
            wanted, kept = library.random_filter(random)
            scene_id = int(random.choice(50) + 1 if random.random() < 0.3 else random.choice(library.count) + 1)
            while not library.vectors[scene_id - 1].any():
                scene_id += 1
            shares.append(kept.mean())
            if wanted.other_movies:
                kept = kept & (library.movie != library.movie[scene_id - 1])
            kept[scene_id - 1] = False
            k = int(random.choice([1, 3, 10, 40, 200]))
            result = searcher.search_scene(scene_id, k, wanted)
            assert_hits(result, *expected_hits(library, kept, scene_id, k))
            if not result.hits:
                assert result.notes == (f"nothing left by {wanted.describe()}",)
    shares = np.array(shares)
    assert (shares == 1).any()
    assert ((shares > 0) & (shares < 3e-5)).any()


def test_hits_carry_their_scene_and_score(library):
    with Searcher(library.catalog) as searcher:
        result = searcher.search_scene("Film 007#3", 5)
    assert (result.query.scene_id, result.query.movie, result.query.index) == (1504, "Film 007", 3)
    assert result.encoder == "test"
    for hit in result.hits:
        at = hit.scene.scene_id - 1
        assert hit.scene.movie == f"Film {library.movie[at]:03}"
        assert hit.scene.index == at % library.scenes
        assert hit.year == library.year[library.movie[at] - 1]
        assert hit.scene.end_seconds - hit.scene.start_seconds == pytest.approx(library.seconds[at])
        cosine = float(library.vectors[at].astype(np.float64) @ library.vectors[1503].astype(np.float64))
        assert hit.score == pytest.approx(cosine, abs=1e-6)


def test_a_vector_may_be_searched_for(library):
    query = np.random.default_rng(0).standard_normal(DIMENSION).astype(np.float32)
    normalised = (query / np.linalg.norm(query.astype(np.float64))).astype(np.float32)
    nonzero = library.vectors.any(axis=1)
    expected = brute_force(library.vectors[nonzero], library.ids[nonzero], normalised, 20)
    with Searcher(library.catalog) as searcher:
        assert_hits(searcher.search_vector(query, 20), *expected)
        many = searcher.search_vectors(np.stack([query, -query]), 20)
        assert many == [searcher.search_vector(query, 20), searcher.search_vector(-query, 20)]
        own = searcher.search_vector(library.vectors[99], 1, exclude_scene_id=100)
        assert own.hits == searcher.search_scene(100, 1).hits


def test_what_cannot_be_searched_is_refused(library):
    query = np.ones(DIMENSION, np.float32)
    with Searcher(library.catalog) as searcher:
        for k in (0, -3):
            with pytest.raises(UsageError, match=f"at least 1, not {k}"):
                searcher.search_scene(1, k)
        with pytest.raises(UsageError, match=r"makes vectors of 16 numbers; the query's shape is \[512\]"):
            searcher.search_vector(np.ones(512, np.float32), 1)
        with pytest.raises(UsageError, match="by encoder 'clip', the search by 'test'"):
            searcher.search_vector(query, 1, encoder=make_encoder("clip", DIMENSION))
        with pytest.raises(UsageError, match="'test' with other weights"):
            searcher.search_vector(query, 1, encoder=make_encoder("test", DIMENSION, "l2"))
        with pytest.raises(UsageError, match="not finite"):
            searcher.search_vector(query * np.nan, 1)
        with pytest.raises(UsageError, match="the query must be a scene"):
            searcher.search_vector(query, 1, SceneFilter(other_movies=True))
        for scene in (0, -1, 10**30, "Film 007#999", "Film#0"):
            with pytest.raises(UnknownReferenceError):
                searcher.search_scene(scene, 1)
        with pytest.raises(UnknownReferenceError, match="no movie is called 'x'"):
            searcher.search_scene(1, 1, SceneFilter(movies=("x",)))
        assert len(searcher.search_vector(query, 1, encoder=ENCODER).hits) == 1
    with pytest.raises(UsageError, match=r"no embeddings by encoder 'clip' \(it has: test\)"):
        Searcher(library.catalog, "clip")


@pytest.fixture(params=["cosine", "l2"])
def small(request, tmp_path):
    """Six films of 50 scenes, with rows far from normalised where the metric is l2."""
    return Small(tmp_path, request.param)


class Small:
    def __init__(self, folder, metric):
        self.random = np.random.default_rng(2)
        self.encoder = make_encoder("test", DIMENSION, metric)
        self.catalog = Catalog.open(folder, create=True)
        self.rows, self.ids = np.empty((0, DIMENSION), np.float32), np.empty(0, np.int64)
        for i in range(6):
            self.add(i)

    def add(self, i):
        rows = unit_rows(self.random, 50, DIMENSION)
        if self.encoder.metric == "l2":
            rows *= 40
        rows[20:25] = self.rows[0] if len(self.rows) else rows[0]
        movie_id = add(self.catalog, f"/f/{i}.mkv", rows, encoder=self.encoder, year=1990 + i)
        first = 50 * i + 1
        self.rows, self.ids = np.concatenate([self.rows, rows]), np.append(self.ids, np.arange(first, first + 50))
        return movie_id

    def remove(self, movie_id):
        with self.catalog.write() as session:
            remove_movie(session, movie_id)
        gone = (self.ids - 1) // 50 == movie_id - 1
        self.rows, self.ids = self.rows[~gone], self.ids[~gone]

    def check(self, searcher, note=None, ids=(1, 23, 77, 149)):
        for scene_id in ids:
            for k in (1, 7, 60, 1000):
                result = searcher.search_scene(scene_id, k)
                others = self.ids != scene_id
                query = self.rows[~others][0]
                assert_hits(result, *brute_force(self.rows[others], self.ids[others], query, k))
                if note is None:
                    assert result.notes == ()
                else:
                    assert len(result.notes) == 1
                    assert note in result.notes[0]


@pytest.mark.parametrize("kind", ["exact", "graph", "compressed"])
def test_every_kind_follows_movies_that_come_and_go(small, kind):
    index(small.catalog, kind)
    with Searcher(small.catalog) as searcher:
        small.check(searcher)
        small.add(6)
        small.check(searcher, ids=(1, 77, 310))
        small.remove(3)
        small.check(searcher, ids=(1, 77, 310))
        small.remove(5)
        small.check(searcher, ids=(1, 77, 310))
        small.remove(7)
        small.add(7)
        small.check(searcher, ids=(1, 77, 360))
        assert {
            hit.scene.movie for hit in searcher.search_scene(1, 900, SceneFilter(years=(1992, 1992))).hits
        } == set()
        index(small.catalog, kind)
        small.check(searcher, ids=(1, 77, 360))
    with Searcher(small.catalog) as searcher:
        small.check(searcher, ids=(1, 77, 360))


def test_without_its_index_file_a_catalogue_is_searched_itself(small):
    with Searcher(small.catalog) as searcher:
        small.check(searcher, "there is no index file for encoder 'test' yet: rebuild it with 'm2s index repair'")
    index(small.catalog)
    path = small.catalog.index_folder / "1-1.faiss"
    path.write_bytes(path.read_bytes()[:-4])
    with Searcher(small.catalog) as searcher:
        small.check(searcher, "is damaged")
        index(small.catalog)
        small.check(searcher)
    (small.catalog.index_folder / "1-2.faiss").unlink()
    with Searcher(small.catalog) as searcher:
        small.check(searcher, "is missing")


def test_a_catalogue_too_large_to_search_itself_names_the_remedy(small, monkeypatch):
    monkeypatch.setattr(search_state, "available_memory_bytes", lambda: 1000)
    with pytest.raises(IndexFileError, match=r"need 0.0 GB and 0.0 GB is free: run 'm2s index repair'"):
        Searcher(small.catalog)


def test_a_label_that_is_added_counts_at_once(small):
    wanted = SceneFilter(labels=(("place", "office"),))
    with Searcher(small.catalog) as searcher:
        assert searcher.search_scene(1, 5, wanted).hits == ()
        add_label(small.catalog, 2, "place", "office", 0.0, 15.1)
        assert {hit.scene.scene_id for hit in searcher.search_scene(1, 5, wanted).hits} == {51, 52}
        add_label(small.catalog, 3, "place", "office", 0.0, 5.1)
        assert {hit.scene.scene_id for hit in searcher.search_scene(1, 5, wanted).hits} == {51, 52, 101}


def test_a_caller_with_a_transaction_of_its_own_can_search(small):
    with small.catalog.write() as session, Searcher(small.catalog) as searcher:
        session.add(LabelRow(movie_id=1, vocabulary="a", value="b", source="test"))
        session.flush()
        assert len(searcher.search_scene(1, 3).hits) == 3


def test_a_searcher_can_be_used_from_another_thread(small):
    index(small.catalog)
    with Searcher(small.catalog) as searcher:
        errors = []

        def work():
            try:
                small.check(searcher)
            except BaseException as exc:
                errors.append(exc)

        for _ in range(2):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        small.check(searcher)
        assert errors == []


def test_two_encoders_are_searched_apart(small):
    other = make_encoder("other", 4)
    rows = unit_rows(small.random, 50, 4)
    with small.catalog.write() as session:
        add_vectors(session, 4, 151, FilmVectors(other, rows, rows))
    index(small.catalog)
    index(small.catalog, encoder="other")
    with Searcher(small.catalog, "other") as searcher:
        result = searcher.search_scene(160, 100)
        assert {hit.scene.movie_id for hit in result.hits} == {4}
        assert_hits(result, *brute_force(np.delete(rows, 9, 0), np.delete(np.arange(151, 201), 9), rows[9], 100))
        with pytest.raises(UsageError, match="scene 1 has no embedding by encoder 'other'"):
            searcher.search_scene(1, 1)
    with Searcher(small.catalog) as searcher:
        assert searcher.encoder.name == "test"
        small.check(searcher)


def test_rows_that_are_no_numbers_are_never_hits(small):
    rows = unit_rows(small.random, 30, DIMENSION)
    rows[10:] = np.nan
    add(small.catalog, "/f/nan.mkv", rows, encoder=small.encoder)
    for note in (True, False):
        with Searcher(small.catalog) as searcher:
            found = {hit.scene.scene_id for hit in searcher.search_scene(1, 1000).hits}
            assert found == set(range(2, 311))
            assert bool(searcher.search_scene(1, 1).notes) == note
        index(small.catalog)


def test_a_matrix_that_does_not_fit_its_shape_is_named(small):
    index(small.catalog, "compressed")
    for size in (70, 50 * DIMENSION * 2):
        with small.catalog.write() as session:
            session.get(EmbeddingRow, 2).data = bytes(size)
        with Searcher(small.catalog) as searcher, pytest.raises(CatalogDamagedError, match="of movie 2 by 'test'"):
            searcher.search_scene(60, 5)


def test_vectors_stored_in_half_precision_are_searched(small):
    with small.catalog.write() as session:
        for row in session.query(EmbeddingRow):
            row.data, row.dtype = np.frombuffer(row.data, "<f4").astype("<f2").tobytes(), "float16"
    small.rows = small.rows.astype(np.float16).astype(np.float32)
    for kind in ("exact", "compressed"):
        index(small.catalog, kind)
        with Searcher(small.catalog) as searcher:
            small.check(searcher)


def test_scenes_far_from_the_query_have_negative_scores(small):
    rows = -np.repeat(small.rows[:1], 30, axis=0)
    add(small.catalog, "/f/opposite.mkv", rows, encoder=small.encoder)
    index(small.catalog)
    with Searcher(small.catalog) as searcher:
        hits = searcher.search_scene(1, 1000).hits
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert [hit.scene.scene_id for hit in hits[-30:]] == list(range(301, 331))
    if small.encoder.metric == "cosine":
        assert scores[-1] == pytest.approx(-1)
        assert scores[0] == 1
        assert hits[-1].distance == pytest.approx(2)
    else:
        assert scores == [-hit.distance for hit in hits]


def test_thousands_of_equal_vectors_are_ordered_by_id(tmp_path):
    """In both metrics, where the distance that all share is nothing and where it is not."""
    for metric in ("cosine", "l2"):
        encoder = make_encoder("test", DIMENSION, metric)
        rows = np.repeat(unit_rows(np.random.default_rng(1), 2, DIMENSION), 3000, axis=0)
        with Catalog.open(tmp_path / metric, create=True) as catalog:
            add(catalog, "/f/1.mkv", rows, encoder=encoder)
            index(catalog)
            with Searcher(catalog) as searcher:
                for scene_id in (2999, 4000):
                    others = np.arange(1, 6001) != scene_id
                    expected = brute_force(rows[others], np.flatnonzero(others) + 1, rows[scene_id - 1], 3010)
                    assert_hits(searcher.search_scene(scene_id, 3010), *expected)


def test_a_cold_search_imports_only_what_it_needs(small):
    index(small.catalog)
    program = (
        "import sys; from pathlib import Path; from m2s_index.catalog import Catalog; "
        "from m2s_index.search import Searcher\n"
        "searcher = Searcher(Catalog.open(Path(sys.argv[1])))\n"
        "assert len(searcher.search_scene(1, 3).hits) == 3\n"
        "print(*{'torch', 'timm', 'av', 'alembic', 'sqlalchemy', 'scipy', 'PIL'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, str(small.catalog.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    assert done.stdout.split() == []
    assert done.stderr == ""
