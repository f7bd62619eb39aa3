"""Readers: one state of the catalogue, without SQLAlchemy, and from inside a session."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add, add_label, make_encoder, unit_rows
from sqlalchemy import text

from m2s_index.catalog import Catalog
from m2s_index.errors import CatalogDamagedError, CatalogError
from m2s_index.movies import remove_movie
from m2s_index.reading import json_list
from m2s_index.sessions import reader_of
from m2s_index.settings import set_setting

SCENES = "SELECT count(*) FROM scenes"


def add_film(catalog, name, scenes):
    return add(catalog, f"/f/{name}.mkv", unit_rows(np.random.default_rng(0), scenes, 4), encoder=make_encoder())


@pytest.fixture
def catalog(tmp_path):
    """One film of three scenes, with a label for all of it and one for a part."""
    with Catalog.open(tmp_path, create=True) as catalog:
        add_film(catalog, "One", 3)
        add_label(catalog, 1, "place", "office", 5.0, 20.0)
        add_label(catalog, 1, "place", "hotel")
        yield catalog


def test_a_reader_sees_one_state(catalog):
    """What is written meanwhile shows in the next reader, not in this one."""
    with catalog.reader() as reader:
        assert reader.value(SCENES) == 3
        add_film(catalog, "Two", 2)
        assert reader.value(SCENES) == 3
    with catalog.reader() as reader:
        assert reader.value(SCENES) == 5


def test_readers_inside_each_other_are_apart(catalog):
    """Each has a connection of its own, and a connection serves again when its reader has ended."""
    with catalog.reader() as first:
        assert first.value(SCENES) == 3
        add_film(catalog, "Two", 2)
        with catalog.reader() as second:
            assert second.connection is not first.connection
            assert (first.value(SCENES), second.value(SCENES)) == (3, 5)
    with catalog.reader() as third:
        assert third.connection is first.connection


def test_readers_in_several_threads(catalog):
    """Threads read at the same time, each its own transaction."""
    seen, together = [], threading.Barrier(4, timeout=20)

    def work():
        with catalog.reader() as reader:
            together.wait()
            seen.append(reader.value(SCENES))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [3] * 4


def test_a_reader_that_stops_half_way_holds_nothing(catalog):
    """A block that raises, or leaves rows unread, does not keep the state it saw."""

    def stop():
        with catalog.reader() as reader:
            next(reader.rows("SELECT id FROM scenes ORDER BY id"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop()
    with catalog.write() as session:
        remove_movie(session, 1)
    with catalog.reader() as reader:
        assert reader.value(SCENES) == 0


def test_a_reader_cannot_write(catalog):
    """Its transaction is rolled back whatever was done in it."""
    with catalog.reader() as reader:
        reader.connection.execute("DELETE FROM movies")
    with catalog.reader() as reader:
        assert reader.value(SCENES) == 3


def test_a_sessions_reader_sees_what_the_session_wrote(catalog):
    """Also what is not flushed yet; and with the session it is undone."""
    value = "SELECT value FROM settings WHERE key = 'colour'"

    def fail():
        with catalog.write() as session:
            set_setting(session, "colour", "blue")
            assert reader_of(session).value(value) == "blue"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with catalog.reader() as reader:
        assert reader.value(value) is None


def test_the_forms_in_which_rows_come(catalog):
    """First row, first value, arrays, texts; with nothing found, None and arrays of nothing."""
    none = "SELECT id FROM scenes WHERE id > 99"
    with catalog.reader() as reader:
        assert reader.first("SELECT id, movie_id FROM scenes ORDER BY id DESC") == (3, 1)
        assert list(reader.rows("SELECT id FROM scenes WHERE id < ? ORDER BY id", (3,))) == [(1,), (2,)]
        assert (reader.first(none), reader.value(none)) == (None, None)
        assert reader.ids("SELECT id FROM scenes ORDER BY id").tolist() == [1, 2, 3]
        assert (reader.ids(none).dtype, len(reader.ids(none))) == (np.int64, 0)
        assert reader.texts("SELECT value FROM labels ORDER BY value") == ["hotel", "office"]
        labels = reader.columns("SELECT id, start_seconds FROM labels ORDER BY id", (), "i8,f8")
        assert labels["f0"].tolist() == [1, 2]
        np.testing.assert_array_equal(labels["f1"], [5.0, np.nan])
        assert len(reader.columns(none, (), "i8,")) == 0


def test_a_list_is_bound_as_json(catalog):
    """Of numbers or of texts, quotes and what is no valid text included; longer than SQLite's parameters too."""
    among = "SELECT count(*) FROM labels WHERE {} IN (SELECT value FROM json_each(?))".format
    with catalog.reader() as reader:
        assert reader.value(among("value"), (json_list(["office", "'", '"', "\udcff", "é"]),)) == 1
        assert reader.value(among("id"), (json_list(range(2, 100_000)),)) == 1
        assert reader.value(among("id"), (json_list([]),)) == 0


@pytest.mark.parametrize("way", ["reader", "read"])
def test_sqlites_errors_are_the_catalogues(catalog, way):
    """By either way in, a query that fails names the catalogue."""

    def fail():
        with getattr(catalog, way)() as opened:
            if way == "reader":
                opened.value("SELECT colour FROM movies")
            else:
                opened.execute(text("SELECT colour FROM movies"))

    with pytest.raises(CatalogError, match=rf"catalogue {catalog.folder} is damaged \(no such column: colour\)"):
        fail()


@pytest.mark.parametrize("way", ["reader", "read"])
def test_a_damaged_page_is_damage(catalog, way):
    """By either way in, a damaged table is said to be one, with a remedy."""
    ((page,),) = sql(catalog.folder, "SELECT rootpage FROM sqlite_master WHERE name = 'scenes'")
    sql(catalog.folder, "PRAGMA wal_checkpoint(TRUNCATE)")
    catalog.close()
    with (catalog.folder / "catalog.sqlite").open("r+b") as file:
        file.seek((page - 1) * 16384)
        file.write(b"\xff" * 16384)

    def fail():
        with Catalog.open(catalog.folder) as damaged, getattr(damaged, way)() as opened:
            rows = opened.rows if way == "reader" else lambda query: opened.execute(text(query))
            list(rows("SELECT * FROM scenes"))

    with pytest.raises(CatalogDamagedError, match=r"is damaged \(.*malformed\): run .*, or restore a backup$"):
        fail()
