"""The FAISS file of an encoder: a cache beside the database, written whole, and checked before it is opened.

Written to a temporary file, synced, renamed and recorded in one transaction. What was added to or taken
from the catalogue since then shows in the difference between the file's entries and the embeddings.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.errors import IndexFileError, UsageError
from m2s_index.files import sync_folder
from m2s_index.index_kinds import KINDS, Kind, available_memory_bytes, choose_kind
from m2s_index.matrices import StoredEncoder, iter_embeddings
from m2s_index.scene_columns import read_columns
from m2s_index.schema import EmbeddingRow, IndexEntryRow, IndexFileRow
from m2s_index.types import Int64Array, SceneEmbeddings
from m2s_index.vectors import VectorIndex, build_index, load_index

MOVIES_AT_ONCE = 16
_FILE_NAME = re.compile(r"[0-9]+-[0-9]+\.faiss", re.ASCII)
ASKED_FOR = "asked for"
REMEDY = "rebuild it with 'm2s index repair'"


@dataclass(frozen=True)
class IndexFile:
    """What the catalogue records of an index file; ``columns`` is the vectors' dimension."""

    index_file_id: int
    encoder_id: int
    generation: int
    file: str
    kind: Kind
    reason: str
    size_bytes: int
    sha256: str
    vectors: int
    columns: int
    created_at: str


@dataclass(frozen=True, eq=False)
class Entries:
    """Embedding matrices, one a movie, by first scene id: int64 [M] each."""

    embedding_ids: Int64Array
    movie_ids: Int64Array
    first_scene_ids: Int64Array
    rows: Int64Array

    def __len__(self) -> int:
        return len(self.embedding_ids)

    @property
    def scenes(self) -> int:
        """How many scenes they hold."""
        return int(self.rows.sum())

    @property
    def scene_ids(self) -> Int64Array:
        """All their scenes: int64 [N], increasing."""
        if not len(self):
            return np.empty(0, np.int64)
        before = np.cumsum(self.rows) - self.rows
        return np.repeat(self.first_scene_ids - before, self.rows) + np.arange(self.scenes)

    def less(self, others: Entries) -> Entries:
        """Those whose embedding is not among ``others``."""
        kept = ~np.isin(self.embedding_ids, others.embedding_ids)
        return Entries(self.embedding_ids[kept], self.movie_ids[kept], self.first_scene_ids[kept], self.rows[kept])


@dataclass(frozen=True, eq=False)
class IndexState:
    """How an encoder's index file stands to the database.

    ``file`` is None where there is none. ``fresh`` are embeddings that it lacks, ``gone`` its entries whose
    movie is no longer there; both empty where it is up to date.
    """

    file: IndexFile | None
    embeddings: Entries
    fresh: Entries
    gone: Entries


@dataclass(frozen=True, eq=False)
class OpenedIndex:
    """An index file that was checked and loaded."""

    file: IndexFile
    entries: Entries
    index: VectorIndex


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
    # Through a connection of its own that only reads: a writer's would lock others out until it is built.
    with Catalog(catalog.folder, writable=False) as reader, reader.read() as session:
        entries = embedding_entries(session, encoder)
        chosen, reason = choose_kind(entries.scenes, identity.dimension, memory_bytes or available_memory_bytes())
        earlier = index_file(session, encoder)
        if kind is None and earlier and earlier.reason == ASKED_FOR:
            kind = earlier.kind
        if kind is not None and kind != "auto":
            chosen, reason = kind, ASKED_FOR
        if chosen == "compressed" and entries.scenes < 256:
            chosen, reason = "exact", f"{entries.scenes:,} scenes are too few to learn a compression from"
        index = build_index(
            chosen, identity.metric, identity.dimension, entries.scenes,
            lambda: stored_vectors(session, encoder, entries),
        )  # fmt: skip
    try:
        return _put_in_place(catalog, encoder, index, reason, entries)
    except OSError as exc:
        raise IndexFileError(f"cannot write the index file in {catalog.index_folder}: {exc.strerror}") from exc


def open_index(catalog: Catalog, encoder: StoredEncoder) -> OpenedIndex:
    """Load an encoder's index file, after it has been checked against its record.

    Raises:
        IndexFileError: there is none, or it is not what was recorded; the message says which.
    """
    with catalog.read() as session:
        file, entries = _recorded(session, encoder)
    while True:
        try:
            return _load(catalog, encoder, file, entries)
        except IndexFileError:
            # A writer may have replaced the file between our look at the record and at the folder.
            with catalog.read() as session:
                again, entries = _recorded(session, encoder)
            if again.generation == file.generation:
                raise
            file = again


def index_file(session: Session, encoder: StoredEncoder) -> IndexFile | None:
    """What is recorded of an encoder's index file, or None."""
    row = session.scalar(select(IndexFileRow).where(IndexFileRow.encoder_id == encoder.encoder_id))
    return None if row is None else _as_file(row)


def index_state(session: Session, encoder: StoredEncoder) -> IndexState:
    """How an encoder's index file stands to the database, by the records: the file is not looked at."""
    embeddings = embedding_entries(session, encoder)
    file = index_file(session, encoder)
    filed = file_entries(session, file)
    return IndexState(file, embeddings, embeddings.less(filed), filed.less(embeddings))


def embedding_entries(session: Session, encoder: StoredEncoder) -> Entries:
    """An encoder's embedding matrices."""
    query = select(EmbeddingRow.id, EmbeddingRow.movie_id, EmbeddingRow.first_scene_id, EmbeddingRow.rows).where(
        EmbeddingRow.encoder_id == encoder.encoder_id
    )
    return _entries(read_columns(session, query, "i8,i8,i8,i8"))


def file_entries(session: Session, file: IndexFile | None) -> Entries:
    """The matrices that went into an index file."""
    query = select(
        IndexEntryRow.embedding_id, IndexEntryRow.movie_id, IndexEntryRow.first_scene_id, IndexEntryRow.rows
    ).where(IndexEntryRow.index_file_id == (file.index_file_id if file else -1))
    return _entries(read_columns(session, query, "i8,i8,i8,i8"))


def stored_vectors(session: Session, encoder: StoredEncoder, entries: Entries) -> Iterator[SceneEmbeddings]:
    """Their matrices from the database, in order of scene id, a few in memory at once."""
    for start in range(0, len(entries), MOVIES_AT_ONCE):
        part = entries.embedding_ids[start : start + MOVIES_AT_ONCE].tolist()
        found = dict(iter_embeddings(session, encoder, part))
        yield from (found[embedding_id] for embedding_id in part)


def stray_files(catalog: Catalog) -> list[Path]:
    """Files in the index folder that no record names: left by writers that died, safe to delete."""
    with catalog.read() as session:
        known = set(session.scalars(select(IndexFileRow.file)))
    if not catalog.index_folder.is_dir():
        return []
    return sorted(path for path in catalog.index_folder.iterdir() if path.is_file() and path.name not in known)


def _recorded(session: Session, encoder: StoredEncoder) -> tuple[IndexFile, Entries]:
    file = index_file(session, encoder)
    if file is None:
        raise IndexFileError(f"there is no index file for encoder '{encoder.name}' yet: {REMEDY}")
    return file, file_entries(session, file)


def _load(catalog: Catalog, encoder: StoredEncoder, file: IndexFile, entries: Entries) -> OpenedIndex:
    path = checked_path(catalog, file)
    if file.columns != encoder.identity.dimension or file.vectors != entries.scenes:
        raise IndexFileError(f"the record of the index file {path} does not fit its encoder: {REMEDY}")
    index = load_index(path, file.kind, encoder.identity.metric, entries.scene_ids)
    if index.dimension != file.columns:
        raise IndexFileError(f"{path} holds vectors of {index.dimension} numbers, not {file.columns}: {REMEDY}")
    return OpenedIndex(file, entries, index)


def checked_path(catalog: Catalog, file: IndexFile) -> Path:
    """Where an index file is, after its size and checksum were found to be those recorded.

    Raises:
        IndexFileError: it is missing, or has changed since it was written.
    """
    # The record may come from someone else's catalogue: it must not lead out of the folder.
    if not _FILE_NAME.fullmatch(file.file) or file.kind not in KINDS:
        raise IndexFileError(f"the record of the index file names {file.file!r} ({file.kind}): {REMEDY}")
    path = catalog.index_folder / file.file
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size != file.size_bytes:
                raise IndexFileError(
                    f"the index file {path} is damaged ({size:,} bytes, not {file.size_bytes:,}): {REMEDY}"
                )
            if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                raise IndexFileError(f"the index file {path} is damaged (its checksum differs): {REMEDY}")
    except FileNotFoundError as exc:
        raise IndexFileError(f"the index file {path} is missing: {REMEDY}") from exc
    except OSError as exc:
        raise IndexFileError(f"cannot read the index file {path} ({exc.strerror}): {REMEDY}") from exc
    return path


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
            old = index_file(session, encoder)
            generation = old.generation + 1 if old else 1
            final = folder / f"{encoder.encoder_id}-{generation}.faiss"
            temporary.replace(final)
            sync_folder(folder)
            row = IndexFileRow(
                encoder_id=encoder.encoder_id, generation=generation, file=final.name, kind=index.kind,
                reason=reason, size_bytes=size, sha256=sha256, vectors=len(index), columns=index.dimension,
            )  # fmt: skip
            _record(session, row, entries)
            written = _as_file(row)
    finally:
        temporary.unlink(missing_ok=True)
    if old and old.file != written.file and _FILE_NAME.fullmatch(old.file):
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


def _entries(rows: NDArray[np.void]) -> Entries:
    rows = rows[np.argsort(rows["f2"], kind="stable")]
    return Entries(rows["f0"].copy(), rows["f1"].copy(), rows["f2"].copy(), rows["f3"].copy())


def _as_file(row: IndexFileRow) -> IndexFile:
    kind: Kind = row.kind  # type: ignore[assignment]  # checked against KINDS before the file is opened
    return IndexFile(
        row.id, row.encoder_id, row.generation, row.file, kind, row.reason, row.size_bytes, row.sha256,
        row.vectors, row.columns, row.created_at,
    )  # fmt: skip
