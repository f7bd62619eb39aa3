"""How a connection to a catalogue's database is made. Queries are asked through ``reading`` and ``sessions``.

SQLite is opened with foreign keys on, a busy time-out, and a write-ahead log; on a network folder, where
a shared-memory file cannot work, with the rollback journal; on read-only media, immutable.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

SCHEMA_REVISION = "0006"
"""The newest migration. A test holds it against Alembic's own head, so that reading needs no Alembic."""

BUSY_TIMEOUT_MS = 30_000
SHARED_MEMORY_BYTES = 32 << 10
"""Size of the file that readers and writers of a write-ahead log share, at first."""

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


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """A connection to the SQLite file at ``path``, in no transaction; a writable one makes the file.

    Raises:
        sqlite3.Error: it cannot be opened or, where it is to be written, is no database.
    """
    if writable:
        mode = "mode=rwc"
    else:
        # A reader of a WAL database must write its shared-memory file, or find it. Where it is not there
        # and cannot be made, the media is read-only or full, and the file may be taken as immutable.
        there = _has_log(path)
        if can_write(path) and (there or not _is_full(path.parent)):
            mode = "mode=rw"
        else:
            mode = "mode=ro" if there else "mode=ro&immutable=1"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?{mode}",
        uri=True,
        isolation_level=None,  # transactions are begun by who asks: sqlite3's own would not cover DDL
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if writable:
            journal = "DELETE" if file_system_type(path.parent) in NETWORK_FILE_SYSTEMS else "WAL"
            # Larger pages suit rows that hold whole matrices; only an empty file takes the setting.
            connection.execute("PRAGMA page_size = 16384")
            connection.execute(f"PRAGMA journal_mode = {journal}")
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'WAL' else 'FULL'}")
    except BaseException:
        connection.close()
        raise
    return connection


def can_write(path: Path) -> bool:
    """Whether this process can write the file and beside it; access(2) also sees read-only mounts."""
    return all(os.access(place, os.W_OK) for place in (path, path.parent))


def why_not(error: object) -> str:
    """SQLite's error in words; a full disk is "disk I/O error" to it as often as not."""
    reason = str(error)
    return f"{reason} (is the disk full, or a quota used up?)" if reason == "disk I/O error" else reason


def _is_full(folder: Path) -> bool:
    """Whether the file system has no room for a shared-memory file."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize < 2 * SHARED_MEMORY_BYTES


def _has_log(path: Path) -> bool:
    """Whether someone who can write, as we cannot, has the database open, or left it without closing it.

    A shared-memory file that is too short was begun on a full disk, and nobody uses it.
    """
    log, shared = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    return log.exists() and shared.exists() and shared.stat().st_size >= SHARED_MEMORY_BYTES
