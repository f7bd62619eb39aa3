"""Writing an encoder's FAISS file, and finding files that none of our records names.

It is written to a temporary file, synced, renamed and recorded in one transaction; ``index_file`` opens it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Literal

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.errors import IndexFileError, UsageError
from m2s_index.files import sync_folder
from m2s_index.index_file import (
    ASKED_FOR,
    FILE_NAME,
    Entries,
    IndexFile,
    embedding_entries,
    index_file,
    stored_vectors,
)
from m2s_index.index_kinds import KINDS, Kind, available_memory_bytes, choose_kind
from m2s_index.matrices import StoredEncoder
from m2s_index.schema import IndexEntryRow, IndexFileRow
from m2s_index.sessions import reader_of
from m2s_index.vectors import VectorIndex, build_index


def write_index(
    catalog: Catalog,
    encoder: StoredEncoder,
    *,
    kind: Kind | Literal["auto"] | None = None,
    memory_bytes: int | None = None,
) -> IndexFile:
    """Build an encoder's index from its embeddings, put it in place and record it.

    Args:
        catalog: a writable one.
        encoder: whose embeddings.
        kind: of index; "auto" chooses by number and memory; None keeps to what was asked for before, if
            anything was, else chooses.
        memory_bytes: free memory to choose by; None asks the system.

    Raises:
        IndexFileError: FAISS or the file system failed. The old file and its record then still stand.
    """
    if kind not in (None, "auto", *KINDS):
        raise UsageError(f"there is no index kind '{kind}': use one of {', '.join(KINDS)}")
    identity = encoder.identity
    with catalog.reader() as reader:
        entries = embedding_entries(reader, encoder)
        chosen, reason = choose_kind(entries.scenes, identity.dimension, memory_bytes or available_memory_bytes())
        earlier = index_file(reader, encoder)
        if kind is None and earlier and earlier.reason == ASKED_FOR:
            kind = earlier.kind
        if kind is not None and kind != "auto":
            chosen, reason = kind, ASKED_FOR
        if chosen == "compressed" and entries.scenes < 256:
            chosen, reason = "exact", f"{entries.scenes:,} scenes are too few to learn a compression from"
        index = build_index(
            chosen, identity.metric, identity.dimension, entries.scenes,
            lambda: stored_vectors(reader, entries),
        )  # fmt: skip
    try:
        return _put_in_place(catalog, encoder, index, reason, entries)
    except OSError as exc:
        raise IndexFileError(f"cannot write the index file in {catalog.index_folder}: {exc.strerror}") from exc


def stray_files(catalog: Catalog) -> list[Path]:
    """Files in the index folder that no record names: left by writers that died, safe to delete."""
    with catalog.reader() as reader:
        known = set(reader.texts("SELECT file FROM index_files"))
    if not catalog.index_folder.is_dir():
        return []
    return sorted(path for path in catalog.index_folder.iterdir() if path.is_file() and path.name not in known)


def _put_in_place(
    catalog: Catalog, encoder: StoredEncoder, index: VectorIndex, reason: str, entries: Entries
) -> IndexFile:
    folder = catalog.index_folder
    folder.mkdir(exist_ok=True)
    temporary = folder / f"{encoder.encoder_id}-{secrets.token_hex(8)}.tmp"
    try:
        index.save(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            size = os.fstat(stream.fileno()).st_size
        # The write transaction lets one writer at a time choose the next generation's name.
        with catalog.write() as session:
            old = index_file(reader_of(session), encoder)
            generation = old.generation + 1 if old else 1
            final = folder / f"{encoder.encoder_id}-{generation}.faiss"
            temporary.replace(final)
            sync_folder(folder)
            row = IndexFileRow(
                encoder_id=encoder.encoder_id, generation=generation, file=final.name, kind=index.kind,
                reason=reason, size_bytes=size, sha256=sha256, vectors=len(index), columns=index.dimension,
            )  # fmt: skip
            _record(session, row, entries)
            written = index_file(reader_of(session), encoder)
            assert written is not None
    finally:
        temporary.unlink(missing_ok=True)
    if old and old.file != written.file and FILE_NAME.fullmatch(old.file):
        (folder / old.file).unlink(missing_ok=True)
    return written


def _record(session: Session, row: IndexFileRow, entries: Entries) -> None:
    session.execute(delete(IndexFileRow).where(IndexFileRow.encoder_id == row.encoder_id))
    session.add(row)
    session.flush()
    columns = (entries.embedding_ids, entries.movie_ids, entries.first_scene_ids, entries.rows)
    names = ("embedding_id", "movie_id", "first_scene_id", "rows")
    values = [
        {"index_file_id": row.id, **dict(zip(names, entry, strict=True))}
        for entry in zip(*(column.tolist() for column in columns), strict=True)
    ]
    if values:
        session.execute(insert(IndexEntryRow), values)
