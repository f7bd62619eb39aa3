"""The catalogue: one folder with a database, key frames and FAISS files. The database is the only truth.

Opening and transactions. Movies, shots and scenes are in ``movies``, matrices in ``matrices``, references in
``refs``, filters in ``filters``, FAISS files in ``index_file``, settings in ``settings``.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from m2s_index.db import SCHEMA_REVISION, can_write, connect, why_not
from m2s_index.errors import CatalogDamagedError, CatalogError, CatalogMissingError, CatalogVersionError
from m2s_index.files import CATALOG_DATABASE
from m2s_index.reading import Reader

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

DATABASE_NAME = CATALOG_DATABASE
OWN_TABLES = frozenset(("movies", "shots", "scenes", "embeddings"))


class Catalog:
    """An open catalogue. Use it as a context manager.

    ``reader``, ``read`` and ``write`` each give one transaction: a search's, which loads no SQLAlchemy, and
    sessions. Several threads and processes may read while one writes.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder = folder
        self.writable = writable
        self._idle: deque[sqlite3.Connection] = deque()
        self._engines: dict[bool, Engine] = {}

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
        while self._idle:
            self._idle.pop().close()
        for engine in self._engines.values():
            engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Catalog({str(self.folder)!r})"

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """A reader that sees one state of the catalogue."""
        with self._wrapped(), self._reading() as reader:
            yield reader

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the catalogue."""
        from sqlalchemy.orm import Session

        with self._wrapped(), Session(self._engine(writable=False)) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes appear together, or, if the block raises, not at all."""
        from sqlalchemy.orm import Session

        if not self.writable:
            raise CatalogError(f"catalogue {self.folder} was opened for reading only")
        with self._wrapped(), Session(self._engine(writable=True)) as session, session.begin():
            yield session

    @contextmanager
    def _reading(self) -> Iterator[Reader]:
        # The connection that was used last is taken first: it has the pages and the statements at hand.
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self.folder / DATABASE_NAME, writable=False)
        try:
            connection.execute("BEGIN")
            yield Reader(connection)
        finally:
            connection.rollback()
            self._idle.append(connection)

    def _engine(self, *, writable: bool) -> Engine:
        from m2s_index.sessions import open_engine

        if writable not in self._engines:
            # Of two threads' engines the first is kept; the other has no connection yet.
            self._engines.setdefault(writable, open_engine(self.folder / DATABASE_NAME, writable=writable))
        return self._engines[writable]

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except Exception as exc:
            reason = getattr(exc, "orig", exc)  # SQLAlchemy's errors carry SQLite's own
            if not isinstance(reason, sqlite3.Error):
                raise
            malformed = not isinstance(reason, sqlite3.OperationalError) and "malformed" in str(reason)
            if not malformed and not _is_of_statement(reason):
                raise CatalogError(f"catalogue {self.folder}: {why_not(reason)}") from exc
            raise CatalogDamagedError(
                f"catalogue {self.folder} is damaged ({reason}): run 'm2s index verify', or restore a backup"
            ) from exc

    def _check_schema(self, *, create: bool) -> None:
        revision, tables = self._revision()
        if revision == SCHEMA_REVISION and "movies" in tables:
            return
        empty = revision is None and not tables - {"alembic_version"}
        if revision is None and tables >= OWN_TABLES:
            raise self._unlike_its_schema("its revision is lost")
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
        if revision is not None:
            import logging

            # Shown on standard error where nobody has set up logging.
            logging.getLogger(__name__).warning(
                "the catalogue in %s was brought from schema %s to %s", self.folder, revision, SCHEMA_REVISION
            )

    def _revision(self) -> tuple[str | None, set[str]]:
        """The schema's revision, None where there is none, and the names of the tables."""
        if not (self.folder / DATABASE_NAME).exists():
            return None, set()
        try:
            with self._reading() as reader:
                tables = set(reader.texts("SELECT name FROM sqlite_master"))
                if "alembic_version" not in tables:
                    return None, tables
                return reader.value("SELECT version_num FROM alembic_version"), tables
        except (sqlite3.Error, UnicodeDecodeError) as exc:
            # The latter where SQLite's message quotes what stands in place of the schema.
            if isinstance(exc, UnicodeDecodeError) or "not a database" in str(exc) or "malformed" in str(exc):
                state = "not a database" if "not a database" in str(exc) else "damaged"
                raise CatalogDamagedError(
                    f"{self.folder / DATABASE_NAME} is {state} ({exc}): restore a backup, or move it "
                    "away and build again"
                ) from exc
            raise CatalogError(f"cannot open the catalogue in {self.folder}: {why_not(exc)}") from exc

    def _upgrade(self) -> None:
        from alembic.util import CommandError
        from sqlalchemy.exc import OperationalError

        from m2s_index.migrate import upgrade
        from m2s_index.sessions import open_engine

        engine = open_engine(self.folder / DATABASE_NAME, writable=True)
        try:
            with engine.begin() as connection:
                upgrade(connection)
        except OperationalError as exc:
            if _is_of_statement(exc.orig):
                raise self._unlike_its_schema(str(exc.orig)) from exc
            raise CatalogError(
                f"cannot bring the catalogue in {self.folder} to schema {SCHEMA_REVISION}: {why_not(exc.orig)}"
            ) from exc
        except CommandError as exc:
            raise CatalogDamagedError(
                f"the catalogue in {self.folder} is of no schema that m2s ever had ({exc}): restore a backup, "
                "or move it away and build again"
            ) from exc
        finally:
            engine.dispose()

    def _unlike_its_schema(self, reason: str) -> CatalogDamagedError:
        return CatalogDamagedError(
            f"the tables of the catalogue in {self.folder} are not those of its schema ({reason}): restore a "
            "backup, or move it away and build again"
        )


def _is_of_statement(error: BaseException | None) -> bool:
    """Whether SQLite found a statement wrong, and not disk, memory or lock: a table or column is missing, say."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
