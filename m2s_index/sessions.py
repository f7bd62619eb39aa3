"""SQLAlchemy's side of the catalogue's database: engines, and how a session asks what readers ask.

A search does without: loading SQLAlchemy takes longer than all the rest of it (see ``reading``).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import cast

from sqlalchemy import Engine, QueuePool, create_engine, event
from sqlalchemy.orm import Session

from m2s_index.db import connect
from m2s_index.reading import Reader


def open_engine(path: Path, *, writable: bool) -> Engine:
    """An engine on the SQLite file at ``path``. Nothing is read or made until it is first used.

    A writer's transactions begin with ``BEGIN IMMEDIATE``, so that two never deadlock on an upgrade.
    """
    engine = create_engine("sqlite://", creator=lambda: connect(path, writable=writable), poolclass=QueuePool)
    begin = "BEGIN IMMEDIATE" if writable else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def reader_of(session: Session) -> Reader:
    """A reader in the session's own transaction: it sees what the session has changed so far."""
    session.flush()
    return Reader(cast(sqlite3.Connection, session.connection().connection.dbapi_connection))
