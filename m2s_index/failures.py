"""Files that could not be read: which they are and why, so that a night's build does not try them again.

A failure holds for a file as it was: one that has changed since is tried anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from m2s_index.files import is_there
from m2s_index.schema import FailureRow, now_text
from m2s_index.types import FileIdentity


@dataclass(frozen=True)
class Failure:
    """A file that could not be indexed, and why; ``error`` names it.

    ``file`` is the file as it was read, None where the reading is not what failed. ``failed_at`` is when
    (UTC, ISO 8601), for one that an earlier build has left.
    """

    path: str
    error: str
    file: FileIdentity | None = None
    failed_at: str | None = None


def record_failure(session: Session, failure: Failure) -> None:
    """Keep it, in place of what was kept of the same path; one that is not of reading a file is not kept."""
    if failure.file is None:
        return
    values = {
        "size_bytes": failure.file.size_bytes,
        "modified_ns": failure.file.modified_ns,
        "error": failure.error,
        "failed_at": now_text(),
    }
    row = insert(FailureRow).values(path=failure.path, **values)
    session.execute(row.on_conflict_do_update(index_elements=[FailureRow.path], set_=values))


def forget_failure(session: Session, path: str) -> None:
    """The file could be read after all."""
    session.execute(delete(FailureRow).where(FailureRow.path == path))


def forget_lost(session: Session) -> None:
    """Forget failures of files that are no longer there."""
    for path in session.scalars(select(FailureRow.path)).all():
        if not is_there(Path(path)):
            forget_failure(session, path)


def list_failures(session: Session) -> list[Failure]:
    """All that are kept, by path."""
    rows = session.scalars(select(FailureRow).order_by(FailureRow.path))
    return [
        Failure(row.path, row.error, FileIdentity(row.path, row.size_bytes, row.modified_ns, ""), row.failed_at)
        for row in rows
    ]
