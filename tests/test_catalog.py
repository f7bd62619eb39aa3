"""Opening a catalogue: what is there, what is not, what is none, and who may write."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add, make_encoder, unit_rows
from sqlalchemy import func, select, text
from unprivileged import run_unprivileged

from m2s_index import db
from m2s_index.catalog import Catalog
from m2s_index.db import BUSY_TIMEOUT_MS, file_system_type
from m2s_index.errors import CatalogDamagedError, CatalogError, CatalogMissingError, CatalogVersionError
from m2s_index.movies import list_scenes, remove_movie
from m2s_index.schema import MovieRow
from m2s_index.settings import get_setting, save_options, saved_options, set_setting
from m2s_index.types import BuildOptions

ENCODER = make_encoder(dimension=4)


def vectors(rows: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(rows), rows, 4)


def pragma(catalog: Catalog, name: str, *, writing: bool) -> object:
    with (catalog.write if writing else catalog.read)() as session:
        return session.execute(text(f"PRAGMA {name}")).scalar()


# --- none, or not one of ours ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: folder.mkdir()], ids=["missing", "empty"])
def test_there_is_no_catalogue(tmp_path, make):
    """Where there is no catalogue the error says how to make one, and nothing is made."""
    folder = tmp_path / "catalog"
    make(folder)
    with pytest.raises(CatalogMissingError, match=r"m2s index build PATH --catalog .*catalog"):
        Catalog.open(folder)
    assert not folder.exists() or not list(folder.iterdir())


def test_empty_file(tmp_path):
    """A file of no bytes is an empty catalogue: refused for reading, and filled by a build."""
    (tmp_path / "catalog.sqlite").touch()
    with pytest.raises(CatalogMissingError, match="is empty"):
        Catalog.open(tmp_path)
    with Catalog.open(tmp_path, create=True) as catalog, catalog.read() as session:
        assert session.scalar(select(func.count(MovieRow.id))) == 0


@pytest.mark.parametrize("create", [False, True])
def test_random_bytes(tmp_path, create):
    """A file that is no database is refused, and left as it is."""
    data = random.Random(4).randbytes(5000)
    (tmp_path / "catalog.sqlite").write_bytes(data)
    with pytest.raises(CatalogDamagedError, match="is not a database"):
        Catalog.open(tmp_path, create=create)
    assert (tmp_path / "catalog.sqlite").read_bytes() == data


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("revision", [None, "0001", "ae1027a6acf"], ids=["plain", "our number", "alembic"])
def test_database_of_another_program(tmp_path, create, revision):
    """Another program's database is refused, also where that program uses Alembic, and left as it is."""
    statements = ["CREATE TABLE bookmarks (url TEXT)"]
    if revision:
        statements += [
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
            f"INSERT INTO alembic_version VALUES ('{revision}')",
        ]
    sql(tmp_path, *statements)
    with pytest.raises(CatalogDamagedError, match="not an m2s catalogue"):
        Catalog.open(tmp_path, create=create)
    assert len(sql(tmp_path, "SELECT name FROM sqlite_master")) == (2 if revision else 1)


def test_truncated_database(catalog_folder):
    """A database that was cut off is said to be damaged, with a remedy."""
    os.truncate(catalog_folder / "catalog.sqlite", 20_000)
    with pytest.raises(CatalogDamagedError, match="restore a backup"):
        Catalog.open(catalog_folder)


def test_newer_schema(catalog_folder):
    """A catalogue of a newer m2s is refused for reading and for writing, with both versions named."""
    sql(catalog_folder, "UPDATE alembic_version SET version_num = '9999'")
    for options in ({}, {"writable": True}, {"create": True}):
        with pytest.raises(CatalogVersionError, match=r"9999.*newer m2s.*0006.*upgrade"):
            Catalog.open(catalog_folder, **options)


def test_schema_that_never_was(catalog_folder):
    """A catalogue of an unknown older schema is refused and not touched."""
    sql(catalog_folder, "UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(CatalogDamagedError, match="no schema that m2s ever had"):
        Catalog.open(catalog_folder)
    assert sql(catalog_folder, "SELECT version_num FROM alembic_version") == [("0000",)]


def test_name_that_no_file_can_have(tmp_path):
    """A path that the system refuses is an error of ours."""
    with pytest.raises(CatalogError, match="too long"):
        Catalog.open(tmp_path / ("a" * 300))


def test_folder_that_cannot_be_made(tmp_path):
    """A catalogue below a file is an error that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(CatalogError, match=r"cannot (make|open) (a|the) catalogue in .*file"):
        Catalog.open(tmp_path / "file" / "catalog", create=True)


# --- connections ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("writing", [False, True])
def test_every_connection_checks_foreign_keys_and_waits(tmp_path, writing):
    """Foreign keys are on, and a busy database is waited for, in reading and in writing."""
    with Catalog.open(tmp_path, create=True) as catalog:
        assert pragma(catalog, "foreign_keys", writing=writing) == 1
        assert pragma(catalog, "busy_timeout", writing=writing) == BUSY_TIMEOUT_MS


def test_local_catalogue_has_a_write_ahead_log(tmp_path):
    """On a local folder readers do not wait for a writer: the journal is a write-ahead log."""
    with Catalog.open(tmp_path, create=True) as catalog:
        assert pragma(catalog, "journal_mode", writing=False) == "wal"


def test_network_folder_has_a_rollback_journal(tmp_path, monkeypatch):
    """On a network folder, where shared memory cannot work, the journal is a rollback journal."""
    monkeypatch.setattr(db, "NETWORK_FILE_SYSTEMS", frozenset({file_system_type(tmp_path)}))
    with Catalog.open(tmp_path, create=True) as catalog:
        assert pragma(catalog, "journal_mode", writing=False) == "delete"
        add(catalog, "/films/a.mkv", vectors(3), encoder=ENCODER)
    with Catalog.open(tmp_path) as catalog, catalog.read() as session:
        assert len(list_scenes(session)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["catalog.sqlite"]


MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
90 22 0:50 / /mnt/films rw,relatime shared:2 - nfs4 nas:/films rw,vers=4.2
91 22 0:51 / /mnt/films/fast rw - xfs /dev/sdb rw
92 22 0:52 / /mnt/with\040space rw master:3 propagate_from:2 - fuse.sshfs user@host: rw
""".strip().splitlines()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me", "ext4"),
        ("/mnt/films/catalog", "nfs4"),
        ("/mnt/films", "nfs4"),
        ("/mnt/films/fast/x", "xfs"),
        ("/mnt/films2", "ext4"),
        ("/mnt/with space/c", "fuse.sshfs"),
    ],
)
def test_file_system_of_a_folder(path, kind):
    """The file system is that of the deepest mount point above a path, whatever characters are in it."""
    assert file_system_type(Path(path), MOUNTS) == kind
    assert (kind in db.NETWORK_FILE_SYSTEMS) == (kind in ("nfs4", "fuse.sshfs"))


def test_unknown_file_system():
    """Without a word from the kernel a folder is taken for local."""
    assert file_system_type(Path("/mnt/films"), []) == ""


# --- read-only media ------------------------------------------------------------------------------------


@pytest.fixture
def read_only_catalog(catalog_folder, tmp_path):
    """The catalogue on a file system that is mounted read-only."""
    folder = tmp_path / "media"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode().strip()}")
    try:
        shutil.copytree(catalog_folder, folder, dirs_exist_ok=True)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_read_only_media_can_be_queried(read_only_catalog, built_catalog, m2s):
    """A catalogue on read-only media gives the hits that it gives elsewhere, and is sound."""
    arguments = ("query", "--scene", "Alpha Beach#0", "--json", "--catalog")
    there = m2s(*arguments, read_only_catalog)
    assert there.status == 0, there.stderr
    assert there.json() == m2s(*arguments, built_catalog).json()
    assert len(there.json()["hits"]) == 4
    assert m2s("index", "verify", "--catalog", read_only_catalog).status == 0
    assert m2s("index", "status", "--catalog", read_only_catalog).status == 0


def test_read_only_media_cannot_be_written(read_only_catalog, films, tmp_path, m2s):
    """What would write to read-only media says so in one line."""
    (tmp_path / "labels.csv").write_text("movie,vocabulary,value\nShort,place,office\n")
    for arguments in (
        ("index", "build", films),
        ("index", "remove", "Short"),
        ("index", "repair"),
        ("labels", "import", tmp_path / "labels.csv"),
        ("encoders", "use", "gist"),
    ):
        ran = m2s(*arguments, "--catalog", read_only_catalog)
        assert ran.status == 1
        assert ran.stderr.count("\n") == 1
        assert "cannot" in ran.stderr
        assert str(read_only_catalog) in ran.stderr


def test_reader_who_may_not_write(catalog_folder):
    """Someone else's catalogue can be queried by who may only read it; also while its owner has it open,
    and then with what the owner wrote last, which is in the log alone.
    """
    query = ("query", "--scene", "Short#0", "--csv", "--catalog", catalog_folder)
    database = catalog_folder / "catalog.sqlite"
    with closing(sqlite3.connect(database, isolation_level=None)) as owner:
        owner.execute("PRAGMA wal_autocheckpoint = 0")
        owner.execute("UPDATE movies SET title = 'Newest' WHERE name LIKE 'Gamma%'")
        for path in (*catalog_folder.rglob("*"), catalog_folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        beside = run_unprivileged(*query)
    alone = run_unprivileged(*query)
    for path in (catalog_folder, *catalog_folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert beside.returncode == 0, beside.stderr
    assert "Newest" in beside.stdout
    assert alone.stdout == beside.stdout


# --- transactions and ids -------------------------------------------------------------------------------


def test_what_raises_is_not_written(tmp_path):
    """A block that raises leaves nothing of what it wrote."""
    with Catalog.open(tmp_path, create=True) as catalog:

        def fail() -> None:
            with catalog.write() as session:
                set_setting(session, "colour", "blue")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with catalog.read() as session:
            assert get_setting(session, "colour") is None


def test_reader_sees_one_state(tmp_path):
    """A reader's block sees the catalogue as it was when it began, whatever is written meanwhile."""
    with Catalog.open(tmp_path, create=True) as catalog:
        add(catalog, "/films/a.mkv", vectors(3), encoder=ENCODER)
        with catalog.read() as session:
            before = len(list_scenes(session))
            add(catalog, "/films/b.mkv", vectors(2), encoder=ENCODER)
            assert len(list_scenes(session)) == before == 3
        with catalog.read() as session:
            assert len(list_scenes(session)) == 5


def test_catalogue_opened_for_reading_is_not_written(tmp_path):
    """Writing through a catalogue that was opened for reading is refused."""
    Catalog.open(tmp_path, create=True).close()
    with Catalog.open(tmp_path) as catalog, pytest.raises(CatalogError, match="for reading only"), catalog.write():
        pass


def test_ids_are_never_used_again(tmp_path):
    """The ids of a movie that was removed, and of its scenes, do not come back, also in a new process."""
    with Catalog.open(tmp_path, create=True) as catalog:
        add(catalog, "/films/a.mkv", vectors(3), encoder=ENCODER)
        last = add(catalog, "/films/b.mkv", vectors(4), encoder=ENCODER)
        with catalog.write() as session:
            remove_movie(session, last)
    with Catalog.open(tmp_path, writable=True) as catalog:
        assert add(catalog, "/films/b.mkv", vectors(2), encoder=ENCODER) == last + 1
        with catalog.read() as session:
            assert [scene.scene_id for scene in list_scenes(session)] == [1, 2, 3, 8, 9]


def test_scene_ids_of_a_movie_follow_each_other(tmp_path):
    """A long film's scenes have ids without a gap, in order, as its matrix needs them."""
    with Catalog.open(tmp_path, create=True) as catalog:
        add(catalog, "/films/a.mkv", vectors(1500), encoder=ENCODER)
        with catalog.read() as session:
            assert [(s.scene_id, s.index) for s in list_scenes(session)] == [(i + 1, i) for i in range(1500)]


def test_options_come_back_as_they_were_saved(tmp_path):
    """Saved options are read back equal; before any build they are the defaults."""
    options = BuildOptions(detector="keyframes", min_shot_seconds=0.1, scene_shots=5, scene_stride=3)
    with Catalog.open(tmp_path, create=True) as catalog:
        with catalog.read() as session:
            assert saved_options(session) == BuildOptions()
        with catalog.write() as session:
            save_options(session, options)
        with catalog.read() as session:
            assert saved_options(session) == options
