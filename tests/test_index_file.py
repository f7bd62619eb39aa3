"""The index file is a cache: written whole, recorded, checked, and never believed."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from catalog_factory import add, make_encoder, unit_rows
from sqlalchemy import update

from m2s_index import index_file, index_writer
from m2s_index.catalog import Catalog
from m2s_index.errors import IndexFileError, UsageError
from m2s_index.index_file import index_state, open_index
from m2s_index.index_writer import stray_files, write_index
from m2s_index.matrices import find_encoder
from m2s_index.matrix_writer import add_vectors
from m2s_index.movies import remove_movie
from m2s_index.schema import IndexEntryRow, IndexFileRow
from m2s_index.types import FilmVectors

ENCODER = make_encoder(dimension=8)
OTHER = make_encoder("other", dimension=8)


@pytest.fixture
def catalog(tmp_path):
    """Three films of 20 scenes."""
    random = np.random.default_rng(3)
    with Catalog.open(tmp_path, create=True) as catalog:
        for i in range(3):
            add(catalog, f"/films/{i}.mkv", unit_rows(random, 20, 8), encoder=ENCODER)
        yield catalog


def encoder(catalog, name="test"):
    with catalog.reader() as reader:
        return find_encoder(reader, name)


def state(catalog):
    with catalog.reader() as reader:
        return index_state(reader, find_encoder(reader, "test"))


def test_what_is_written_is_recorded_and_opens(catalog):
    written = write_index(catalog, encoder(catalog))
    path = catalog.index_folder / "1-1.faiss"
    assert (written.file, written.generation, written.kind, written.vectors) == ("1-1.faiss", 1, "exact", 60)
    assert written.reason == "60 scenes: up to 200,000 are searched exactly"
    assert written.size_bytes == path.stat().st_size
    assert written.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    opened = open_index(catalog, encoder(catalog))
    assert opened.file == written
    assert opened.index.ids.tolist() == list(range(1, 61))
    assert [path.name for path in catalog.index_folder.iterdir()] == ["1-1.faiss"]


def test_a_new_file_replaces_the_old_one(catalog):
    write_index(catalog, encoder(catalog))
    second = write_index(catalog, encoder(catalog), kind="graph")
    assert (second.generation, second.kind, second.reason) == (2, "graph", "asked for")
    assert [path.name for path in catalog.index_folder.iterdir()] == ["1-2.faiss"]


def test_few_vectors_are_not_compressed(catalog):
    assert write_index(catalog, encoder(catalog), kind="compressed").kind == "exact"
    with pytest.raises(UsageError, match="no index kind 'tree': use one of exact, graph, compressed"):
        write_index(catalog, encoder(catalog), kind="tree")


def test_what_came_and_went_since_shows(catalog):
    assert len(state(catalog).fresh) == 3
    assert state(catalog).file is None
    write_index(catalog, encoder(catalog))
    assert not len(state(catalog).fresh)
    assert not len(state(catalog).gone)
    with catalog.write() as session:
        remove_movie(session, 2)
    add(catalog, "/films/new.mkv", unit_rows(np.random.default_rng(0), 5, 8), encoder=ENCODER)
    now = state(catalog)
    assert now.gone.movie_ids.tolist() == [2]
    assert now.gone.scene_ids.tolist() == list(range(21, 41))
    assert now.fresh.scene_ids.tolist() == list(range(61, 66))
    assert now.embeddings.scenes == 45
    write_index(catalog, encoder(catalog))
    assert not len(state(catalog).fresh)
    assert not len(state(catalog).gone)
    assert len(open_index(catalog, encoder(catalog)).index) == 45


def test_an_index_of_no_movies_can_be_written(catalog):
    with catalog.write() as session:
        for movie_id in (1, 2, 3):
            remove_movie(session, movie_id)
    assert write_index(catalog, encoder(catalog)).vectors == 0
    assert len(open_index(catalog, encoder(catalog)).index) == 0


def test_films_embedded_out_of_order_are_stored_in_order(catalog):
    random = np.random.default_rng(9)
    rows = {movie_id: unit_rows(random, 20, 8) for movie_id in (3, 1, 2)}
    for movie_id, vectors in rows.items():
        with catalog.write() as session:
            add_vectors(session, movie_id, 20 * (movie_id - 1) + 1, FilmVectors(OTHER, vectors, vectors))
    write_index(catalog, encoder(catalog, "other"))
    index = open_index(catalog, encoder(catalog, "other")).index
    assert (index.rows(index.ids) == np.concatenate([rows[1], rows[2], rows[3]])).all()


def cut(path, _record):
    path.write_bytes(path.read_bytes()[:-10])


def flip(path, _record):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def delete(path, _record):
    path.unlink()


def make_folder(path, _record):
    path.unlink()
    path.mkdir()


def empty(path, _record):
    path.write_bytes(b"")


def lead_out(path, record):
    record(file="../catalog.sqlite")


def lead_elsewhere(path, record):
    record(file=str(path))


def rename_kind(_path, record):
    record(kind="tree")


def swap_kind(_path, record):
    record(kind="graph")


def lie_about_columns(_path, record):
    record(columns=9)


def lie_about_vectors(_path, record):
    record(vectors=59)


def put_garbage(path, record):
    path.write_bytes(b"IxFI" + bytes(5000))
    record(size_bytes=5004, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"is damaged \([\d,]+ bytes, not [\d,]+\)"),
        (flip, "is damaged .its checksum differs"),
        (empty, r"is damaged \(0 bytes"),
        (delete, "is missing"),
        (make_folder, "cannot read the index file"),
        (lead_out, r"names '../catalog.sqlite'"),
        (lead_elsewhere, "names '/"),
        (rename_kind, "tree"),
        (swap_kind, "does not hold the graph index recorded"),
        (lie_about_columns, "does not fit its encoder"),
        (lie_about_vectors, "does not fit its encoder"),
        (put_garbage, "1-1.faiss"),
    ],
)
def test_a_file_that_is_not_what_was_recorded_is_not_opened(catalog, damage, message):
    write_index(catalog, encoder(catalog))

    def record(**values):
        with catalog.write() as session:
            session.execute(update(IndexFileRow).values(**values))

    damage(catalog.index_folder / "1-1.faiss", record)
    with pytest.raises(IndexFileError, match=message):
        open_index(catalog, encoder(catalog))
    if damage is not make_folder:
        write_index(catalog, encoder(catalog))
        assert len(open_index(catalog, encoder(catalog)).index) == 60


def test_without_a_record_there_is_no_index(catalog):
    with pytest.raises(IndexFileError, match=r"no index file for encoder 'test' yet: .*m2s index repair"):
        open_index(catalog, encoder(catalog))


def test_another_encoders_file_is_not_taken(catalog):
    random = np.random.default_rng(4)
    for movie_id in (1, 2, 3):
        vectors = unit_rows(random, 20, 8)
        with catalog.write() as session:
            add_vectors(session, movie_id, 20 * (movie_id - 1) + 1, FilmVectors(OTHER, vectors, vectors))
    write_index(catalog, encoder(catalog))
    write_index(catalog, encoder(catalog, "other"))
    folder = catalog.index_folder
    (folder / "1-1.faiss").write_bytes((folder / "2-1.faiss").read_bytes())
    with pytest.raises(IndexFileError, match="checksum"):
        open_index(catalog, encoder(catalog))


def test_entries_of_other_scenes_are_noticed(catalog):
    write_index(catalog, encoder(catalog))
    with catalog.write() as session:
        session.execute(update(IndexEntryRow).where(IndexEntryRow.embedding_id == 3).values(first_scene_id=90))
    with pytest.raises(IndexFileError, match="other scenes than recorded"):
        open_index(catalog, encoder(catalog))


def test_a_writer_that_fails_leaves_the_old_file(catalog, monkeypatch):
    before = write_index(catalog, encoder(catalog))

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index_writer, "sync_folder", fail)
    with pytest.raises(IndexFileError, match="No space left on device"):
        write_index(catalog, encoder(catalog))
    assert open_index(catalog, encoder(catalog)).file == before
    assert [path.name for path in stray_files(catalog)] == ["1-2.faiss"]
    monkeypatch.undo()
    assert write_index(catalog, encoder(catalog)).generation == 2
    assert stray_files(catalog) == []


def test_a_file_that_is_replaced_while_it_is_opened_is_looked_up_again(catalog, monkeypatch):
    write_index(catalog, encoder(catalog))
    check, calls = index_file.checked_path, []

    def replace_first(catalog, file):
        if not calls:
            calls.append(file)
            write_index(catalog, encoder(catalog))
        return check(catalog, file)

    monkeypatch.setattr(index_file, "checked_path", replace_first)
    assert open_index(catalog, encoder(catalog)).file.generation == 2
