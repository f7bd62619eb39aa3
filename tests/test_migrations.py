"""Migrations: the schema they make is the models', and one that is cut short leaves all as it was."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from catalog_contents import contents, sql
from sqlalchemy import select

from m2s_index import migrations
from m2s_index.catalog import Catalog
from m2s_index.db import SCHEMA_REVISION
from m2s_index.schema import Base, MovieRow
from m2s_index.sessions import open_engine

EMPTY_VERSION_TABLE = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"


def schema(folder: Path) -> list[tuple[str, str]]:
    return sql(folder, "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name")


def script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def test_schema_revision_is_the_newest_migration():
    """What reading compares with, without Alembic, is Alembic's own head, and there is one head."""
    assert script().get_heads() == [SCHEMA_REVISION]


def test_revisions_are_in_the_order_of_their_numbers():
    """Revisions are four digits and sort as they follow each other: that tells a newer schema from an older."""
    revisions = [step.revision for step in script().walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert all(len(revision) == 4 and revision.isdecimal() for revision in revisions)


def test_migrations_make_the_models(tmp_path):
    """After all migrations the database is what the models say: Alembic finds no difference."""
    Catalog.open(tmp_path, create=True).close()
    engine = open_engine(tmp_path / "catalog.sqlite", writable=False)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_migrated_tables_are_those_that_the_models_create(tmp_path):
    """Table by table: equal columns, keys, foreign keys with their cascades, and AUTOINCREMENT."""
    for folder in ("migrated", "created"):
        (tmp_path / folder).mkdir()
    Catalog.open(tmp_path / "migrated", create=True).close()
    engine = open_engine(tmp_path / "created" / "catalog.sqlite", writable=True)
    Base.metadata.create_all(engine)
    engine.dispose()

    def facts(folder: Path) -> dict[str, object]:
        return {
            table: (
                sorted(sql(folder, f'SELECT name, type, "notnull", pk FROM pragma_table_info("{table}")')),
                sorted(
                    sql(folder, f'SELECT "table", "from", "to", on_delete FROM pragma_foreign_key_list("{table}")')
                ),
                sorted(
                    (unique, tuple(sql(folder, f"SELECT name FROM pragma_index_info('{name}')")))
                    for name, unique in sql(folder, f'SELECT name, "unique" FROM pragma_index_list("{table}")')
                ),
                "AUTOINCREMENT" in text,
            )
            for table, text in schema(folder)
            if text.startswith("CREATE TABLE") and table != "alembic_version"
        }

    migrated, created = facts(tmp_path / "migrated"), facts(tmp_path / "created")
    assert migrated.keys() == created.keys() == Base.metadata.tables.keys()
    for table in created:
        assert migrated[table] == created[table], table
    assert all(migrated[table][-1] for table in ("movies", "scenes", "embeddings", "encoders"))


@pytest.mark.parametrize("statement", [EMPTY_VERSION_TABLE, "VACUUM"], ids=["empty version table", "no table"])
def test_catalogue_without_a_revision_is_brought_to_the_newest(tmp_path, statement):
    """A catalogue of before the first revision is upgraded when it is opened to be built."""
    sql(tmp_path, statement)
    with Catalog.open(tmp_path, create=True) as catalog, catalog.read() as session:
        assert session.scalars(select(MovieRow)).all() == []
    assert sql(tmp_path, "SELECT version_num FROM alembic_version") == [(SCHEMA_REVISION,)]


def test_down_and_up_again(tmp_path):
    """The first migration undoes itself without remains, and makes the same schema again."""
    Catalog.open(tmp_path, create=True).close()
    before = schema(tmp_path)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    engine = open_engine(tmp_path / "catalog.sqlite", writable=True)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert [name for name, _ in schema(tmp_path)] == ["alembic_version"]
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
    assert schema(tmp_path) == before


def wind_back(folder: Path, revision: str) -> None:
    """Make a catalogue what an older m2s would have made."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    engine = open_engine(folder / "catalog.sqlite", writable=True)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def test_older_catalogue_is_upgraded(catalog_folder, built_catalog, m2s):
    """A catalogue of the first schema is brought to the newest when it is opened, with one line that says so, and
    has what it had; a check finds it sound.
    """
    wind_back(catalog_folder, "0001")
    line = f"the catalogue in {catalog_folder} was brought from schema 0001 to {SCHEMA_REVISION}"
    status = ["-c", "from m2s_index.cli.main import main; main()", "index", "status", "--catalog"]
    ran = subprocess.run([sys.executable, *status, str(catalog_folder)], capture_output=True, text=True, check=True)
    assert ran.stderr == f"{line}\n"
    assert contents(catalog_folder) == contents(built_catalog)
    verified = m2s("index", "verify", "--catalog", catalog_folder)
    assert (verified.status, verified.stderr) == (0, "")


@pytest.mark.parametrize("statement", ["CREATE TABLE failures", "ADD COLUMN keyframes_sha256", "UPDATE alembic"])
def test_upgrade_that_is_killed(catalog_folder, built_catalog, m2s, statement):
    """A process that is killed while it upgrades a catalogue leaves it as it was; the next one upgrades it."""
    wind_back(catalog_folder, "0001")
    before = schema(catalog_folder)
    run = subprocess.run([sys.executable, "-c", KILLED, str(catalog_folder), statement], check=False)
    assert run.returncode == -9
    assert schema(catalog_folder) == before
    assert m2s("index", "verify", "--catalog", catalog_folder).status == 0
    assert contents(catalog_folder) == contents(built_catalog)


KILLED = """
import os, sys
from pathlib import Path
from sqlalchemy import Engine, event
from m2s_index.catalog import Catalog

@event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, parameters, context, executemany):
    if sys.argv[2] in statement:
        os.kill(os.getpid(), 9)

Catalog.open(Path(sys.argv[1]), create=True)
"""


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE scenes", "INSERT INTO alembic"],
)
def test_migration_that_is_killed(tmp_path, statement):
    """A process that is killed in the middle of a migration leaves the database as it was, and the next
    one does the whole.
    """
    sql(tmp_path, EMPTY_VERSION_TABLE)
    run = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), statement], check=False)
    assert run.returncode == -9
    assert [name for name, _ in schema(tmp_path)] == ["alembic_version"]
    assert sql(tmp_path, "SELECT * FROM alembic_version") == []
    Catalog.open(tmp_path, create=True).close()
    assert len(schema(tmp_path)) > len(Base.metadata.tables)


def test_migration_that_fails(tmp_path):
    """A migration that fails half way leaves the database as it was."""
    sql(tmp_path, EMPTY_VERSION_TABLE, "CREATE VIEW scenes AS SELECT 1")
    before = schema(tmp_path)
    with pytest.raises(Exception, match="not an m2s catalogue"):
        Catalog.open(tmp_path, create=True)
    assert schema(tmp_path) == before
    engine = open_engine(tmp_path / "catalog.sqlite", writable=True)
    from m2s_index.migrate import upgrade

    with pytest.raises(Exception, match="scenes already exists"), engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    assert schema(tmp_path) == before


def test_two_processes_make_one_catalogue(tmp_path):
    """Processes that make the same catalogue at the same moment all succeed, and make it once."""
    make = "import sys; from pathlib import Path; from m2s_index.catalog import Catalog; \
Catalog.open(Path(sys.argv[1]), create=True).close()"
    running = [
        subprocess.Popen([sys.executable, "-c", make, str(tmp_path / "catalog")], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate()[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert sql(tmp_path / "catalog", "SELECT count(*) FROM alembic_version") == [(1,)]


def test_opening_does_not_touch_a_catalogue_of_the_newest_schema(catalog_folder):
    """Opening a catalogue that is up to date, for reading or writing, changes nothing in it."""
    before = contents(catalog_folder)
    for options in ({}, {"writable": True}, {"create": True}):
        Catalog.open(catalog_folder, **options).close()
    assert contents(catalog_folder) == before
    with closing(sqlite3.connect(catalog_folder / "catalog.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
