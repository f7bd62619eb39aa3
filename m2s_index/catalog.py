"""The catalogue: one folder with a database, key frames and FAISS files. The database is the only truth.

Opening, transactions and settings. Movies, shots and scenes are in ``movies``, matrices in ``matrices``,
references in ``refs``, filters in ``filters``, FAISS files in ``index_file``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from m2s_index.db import SCHEMA_REVISION, can_write, open_engine
from m2s_index.errors import CatalogDamagedError, CatalogError, CatalogMissingError, CatalogVersionError
from m2s_index.files import CATALOG_DATABASE
from m2s_index.schema import SettingRow
from m2s_index.types import BuildOptions

DATABASE_NAME = CATALOG_DATABASE


class Catalog:
    """An open catalogue. Use it as a context manager.

    ``read`` and ``write`` give a session in one transaction; several processes may read while one writes.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder = folder
        self.writable = writable
        self._reading = open_engine(folder / DATABASE_NAME, writable=False)
        self._writing = open_engine(folder / DATABASE_NAME, writable=True) if writable else None

    @classmethod
    def open(cls, folder: Path, *, writable: bool = False, create: bool = False) -> Catalog:
        """Open the catalogue in ``folder``; with ``create``, make one where there is none.

        An older schema is upgraded, which needs a writable folder.

        Raises:
            CatalogMissingError: there is none, and ``create`` is off.
            CatalogDamagedError: the file is no database, or not one of ours.
            CatalogVersionError: a newer m2s made it.
            CatalogError: it cannot be read, or is to be written or upgraded and cannot be.
        """
        path = folder / DATABASE_NAME
        try:
            there = path.is_file()
        except OSError as exc:
            raise CatalogError(f"cannot open the catalogue in {folder}: {exc.strerror}") from exc
        if there and (writable or create) and not can_write(path):
            raise CatalogError(
                f"the catalogue in {folder} cannot be written: it is on read-only media, or its permissions "
                "are against it; copy it elsewhere, or name another with --catalog"
            )
        if not there:
            if not create:
                raise CatalogMissingError(
                    f"no catalogue in {folder}: make one with 'm2s index build PATH --catalog {folder}', "
                    "or name another with --catalog or M2S_CATALOG"
                )
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise CatalogError(f"cannot make a catalogue in {folder}: {exc.strerror}") from exc
        catalog = cls(folder, writable=writable or create)
        try:
            catalog._check_schema(create=create)
        except BaseException:
            catalog.close()
            raise
        return catalog

    @property
    def keyframes_folder(self) -> Path:
        """Where the key-frame files are, one a film."""
        return self.folder / "keyframes"

    @property
    def index_folder(self) -> Path:
        """Where the FAISS files are, one an encoder."""
        return self.folder / "index"

    def close(self) -> None:
        """Close all connections."""
        self._reading.dispose()
        if self._writing:
            self._writing.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Catalog({str(self.folder)!r})"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the catalogue."""
        with self._wrapped(), Session(self._reading) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes appear together, or, if the block raises, not at all."""
        if self._writing is None:
            raise CatalogError(f"catalogue {self.folder} was opened for reading only")
        with self._wrapped(), Session(self._writing) as session, session.begin():
            yield session

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as exc:
            reason = str(exc.orig)
            if isinstance(exc, OperationalError) or "malformed" not in reason:
                raise CatalogError(f"catalogue {self.folder}: {reason}") from exc
            raise CatalogDamagedError(
                f"catalogue {self.folder} is damaged ({reason}): run 'm2s index verify', or restore a backup"
            ) from exc
        except sqlite3.Error as exc:
            raise CatalogError(f"catalogue {self.folder}: {exc}") from exc

    def _check_schema(self, *, create: bool) -> None:
        revision, tables = self._revision()
        if revision == SCHEMA_REVISION and "movies" in tables:
            return
        empty = revision is None and not tables - {"alembic_version"}
        if not empty and (revision is None or "movies" not in tables):
            raise CatalogDamagedError(
                f"{self.folder / DATABASE_NAME} is a database, but not an m2s catalogue: choose another folder"
            )
        if empty and not create:
            raise CatalogMissingError(
                f"the catalogue in {self.folder} is empty: run 'm2s index build PATH --catalog {self.folder}'"
            )
        if revision is not None and revision > SCHEMA_REVISION:
            raise CatalogVersionError(
                f"the catalogue in {self.folder} has schema {revision}, made by a newer m2s "
                f"(this one knows up to {SCHEMA_REVISION}): upgrade m2s"
            )
        self._upgrade()

    def _revision(self) -> tuple[str | None, set[str]]:
        """The schema's revision, None where there is none, and the names of the tables."""
        engine = self._writing or self._reading
        try:
            with engine.connect() as connection:
                tables = set(connection.execute(text("SELECT name FROM sqlite_master")).scalars())
                if "alembic_version" not in tables:
                    return None, tables
                return connection.execute(text("SELECT version_num FROM alembic_version")).scalar(), tables
        except DatabaseError as exc:
            reason = str(exc.orig)
            if "not a database" in reason or "malformed" in reason:
                state = "not a database" if "not a database" in reason else "damaged"
                raise CatalogDamagedError(
                    f"{self.folder / DATABASE_NAME} is {state} ({reason}): restore a backup, or move it "
                    "away and build again"
                ) from exc
            raise CatalogError(f"cannot open the catalogue in {self.folder}: {reason}") from exc

    def _upgrade(self) -> None:
        from alembic.util import CommandError

        from m2s_index.migrate import upgrade

        engine = open_engine(self.folder / DATABASE_NAME, writable=True)
        try:
            with engine.begin() as connection:
                upgrade(connection)
        except OperationalError as exc:
            raise CatalogError(
                f"cannot bring the catalogue in {self.folder} to schema {SCHEMA_REVISION}: {exc.orig}"
            ) from exc
        except CommandError as exc:
            raise CatalogDamagedError(
                f"the catalogue in {self.folder} is of no schema that m2s ever had ({exc}): restore a backup, "
                "or move it away and build again"
            ) from exc
        finally:
            engine.dispose()


def get_setting(session: Session, key: str) -> str | None:
    """A setting of the catalogue, or None."""
    return session.scalar(select(SettingRow.value).where(SettingRow.key == key))


def set_setting(session: Session, key: str, value: str) -> None:
    """Set it, whether or not it was."""
    session.merge(SettingRow(key=key, value=value))


def saved_options(session: Session) -> BuildOptions:
    """The options of the catalogue's builds: the defaults until a build sets others."""
    value = get_setting(session, "build_options")
    return BuildOptions(**json.loads(value)) if value else BuildOptions()


def save_options(session: Session, options: BuildOptions) -> None:
    """Keep the options for the next build."""
    set_setting(session, "build_options", options_text(options))


def options_text(options: BuildOptions) -> str:
    """Canonical JSON: equal options give equal text."""
    return json.dumps(asdict(options), sort_keys=True)
