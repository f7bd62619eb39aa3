"""How a connection to a catalogue's database is made. The tables are in ``schema``, no queries live here.

SQLite is opened with foreign keys on, a busy time-out, and a write-ahead log; on a network folder, where
a shared-memory file cannot work, with the rollback journal; on read-only media, immutable.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Engine, QueuePool, create_engine, event

SCHEMA_REVISION = "0002"
"""The newest migration. A test holds it against Alembic's own head, so that reading needs no Alembic."""

BUSY_TIMEOUT_MS = 30_000

NETWORK_FILE_SYSTEMS = frozenset(
    """
    9p afpfs afs beegfs ceph cifs coda fuse.glusterfs fuse.rclone fuse.s3fs fuse.sshfs gfs2 glusterfs
    lustre ncpfs nfs nfs4 ocfs2 smb2 smb3 smbfs vboxsf virtiofs
    """.split()  # noqa: SIM905 - forty quotes would hide the names
)


def file_system_type(path: Path, mountinfo: Iterable[str] | None = None) -> str:
    """The type of the file system under ``path`` as /proc/self/mountinfo names it, or "" where unknown."""
    if mountinfo is None:
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
        except OSError:
            return ""
    resolved, best, kind = str(path.resolve()), "", ""
    for line in mountinfo:
        left, _, right = line.partition(" - ")
        point = left.split()[4].encode().decode("unicode_escape")
        inside = resolved == point or resolved.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


def _configure(connection: sqlite3.Connection, journal: str | None) -> None:
    # SQLAlchemy then begins transactions itself (see _begin): sqlite3's own would not cover DDL.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    if journal:
        # Larger pages suit rows that hold whole matrices; only an empty file takes the setting.
        cursor.execute("PRAGMA page_size = 16384")
        cursor.execute(f"PRAGMA journal_mode = {journal}")
        cursor.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'WAL' else 'FULL'}")
    cursor.close()


def open_engine(path: Path, *, writable: bool) -> Engine:
    """An engine on the SQLite file at ``path``. Nothing is read or made until it is first used.

    A writer's transactions begin with ``BEGIN IMMEDIATE``, so that two never deadlock on an upgrade.
    """
    network = file_system_type(path.parent) in NETWORK_FILE_SYSTEMS
    journal = ("DELETE" if network else "WAL") if writable else None

    def connect() -> sqlite3.Connection:
        # A reader of a WAL database must write its shared-memory file, or find it. Where it is not there
        # and cannot be made, the media is read-only and the file may be taken as immutable.
        reader = "mode=rw" if can_write(path) else "mode=ro" if _has_log(path) else "mode=ro&immutable=1"
        uri = f"{path.resolve().as_uri()}?{'mode=rwc' if writable else reader}"
        return sqlite3.connect(uri, uri=True, check_same_thread=False, cached_statements=256)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    begin = "BEGIN IMMEDIATE" if writable else "BEGIN"
    event.listen(engine, "connect", lambda connection, _record: _configure(connection, journal))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def can_write(path: Path) -> bool:
    """Whether this process can write the file and beside it; access(2) also sees read-only mounts."""
    return all(os.access(place, os.W_OK) for place in (path, path.parent))


def _has_log(path: Path) -> bool:
    """Whether someone who can write, as we cannot, has the database open, or left it without closing it."""
    return all(path.with_name(path.name + ending).exists() for ending in ("-wal", "-shm"))
