"""The FAISS file of an encoder: a cache beside the database, checked before it is opened.

``index_writer`` writes it. What was added to or taken from the catalogue since then shows in the difference
between the file's entries and the embeddings.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m2s_index.catalog import Catalog
from m2s_index.errors import IndexFileError
from m2s_index.index_kinds import KINDS, Kind
from m2s_index.matrices import StoredEncoder, decode_matrix
from m2s_index.reading import Reader
from m2s_index.selection import BoolArray
from m2s_index.types import Int64Array, SceneEmbeddings
from m2s_index.vectors import VectorIndex, load_index

FILE_NAME = re.compile(r"[0-9]+-[0-9]+\.faiss", re.ASCII)
ASKED_FOR = "asked for"
MAX_INTEGER = (1 << 63) - 1
"""SQLite's: a generation cannot be counted on from it."""
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
        return self.only(~np.isin(self.embedding_ids, others.embedding_ids))

    def only(self, kept: BoolArray) -> Entries:
        """Those that a mask, bool [M], keeps."""
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


def open_index(catalog: Catalog, encoder: StoredEncoder) -> OpenedIndex:
    """Load an encoder's index file, after it has been checked against its record.

    Raises:
        IndexFileError: there is none, or it is not what was recorded; the message says which.
    """
    with catalog.reader() as reader:
        file, entries = _recorded(reader, encoder)
    while True:
        try:
            return _load(catalog, encoder, file, entries)
        except IndexFileError:
            # A writer may have replaced the file between our look at the record and at the folder.
            with catalog.reader() as reader:
                again, entries = _recorded(reader, encoder)
            if again.generation == file.generation:
                raise
            file = again


def index_file(reader: Reader, encoder: StoredEncoder) -> IndexFile | None:
    """What is recorded of an encoder's index file; None where nothing is, or nothing that makes sense."""
    row = reader.first(
        "SELECT id, encoder_id, generation, file, kind, reason, size_bytes, sha256, vectors, columns, created_at "
        "FROM index_files WHERE encoder_id = ?",
        (encoder.encoder_id,),
    )
    if row is None or any(type(row[at]) is not int for at in (2, 6, 8, 9)) or row[2] >= MAX_INTEGER:
        return None
    return IndexFile(*row)


def index_state(reader: Reader, encoder: StoredEncoder) -> IndexState:
    """How an encoder's index file stands to the database, by the records: the file is not looked at."""
    embeddings = embedding_entries(reader, encoder)
    file = index_file(reader, encoder)
    filed = file_entries(reader, file)
    return IndexState(file, embeddings, embeddings.less(filed), filed.less(embeddings))


def embedding_entries(reader: Reader, encoder: StoredEncoder) -> Entries:
    """An encoder's embedding matrices."""
    return _entries(
        reader.columns(
            "SELECT id, movie_id, first_scene_id, rows FROM embeddings WHERE encoder_id = ?",
            (encoder.encoder_id,),
            "i8,i8,i8,i8",
        )
    )


def file_entries(reader: Reader, file: IndexFile | None) -> Entries:
    """The matrices that went into an index file."""
    return _entries(
        reader.columns(
            "SELECT embedding_id, movie_id, first_scene_id, rows FROM index_entries WHERE index_file_id = ?",
            (file.index_file_id if file else -1,),
            "i8,i8,i8,i8",
        )
    )


def stored_vectors(reader: Reader, entries: Entries) -> Iterator[SceneEmbeddings]:
    """Their matrices from the database, in order of scene id, one at a time.

    Raises:
        CatalogDamagedError: one does not fit its shape.
    """
    for embedding_id in entries.embedding_ids.tolist():
        row = reader.first(
            "SELECT movie_id, first_scene_id, rows, columns, dtype, data FROM embeddings WHERE id = ?",
            (embedding_id,),
        )
        assert row is not None  # entries are of the reader's own state
        movie_id, first_scene_id, rows, columns, dtype, data = row
        matrix = decode_matrix(data, rows, columns, dtype, f"movie {movie_id}")
        yield SceneEmbeddings(np.arange(first_scene_id, first_scene_id + rows, dtype=np.int64), matrix)


def _recorded(reader: Reader, encoder: StoredEncoder) -> tuple[IndexFile, Entries]:
    file = index_file(reader, encoder)
    if file is None:
        raise IndexFileError(f"there is no index file for encoder '{encoder.name}' yet: {REMEDY}")
    return file, file_entries(reader, file)


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
    if not FILE_NAME.fullmatch(file.file) or file.kind not in KINDS:
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


def _entries(rows: NDArray[np.void]) -> Entries:
    rows = rows[np.argsort(rows["f2"], kind="stable")]
    return Entries(rows["f0"].copy(), rows["f1"].copy(), rows["f2"].copy(), rows["f3"].copy())
