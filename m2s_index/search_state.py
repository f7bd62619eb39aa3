"""What a searcher knows of one state of the catalogue, and how it notices that there is another."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.db import NETWORK_FILE_SYSTEMS, file_system_type
from m2s_index.errors import CatalogDamagedError, IndexFileError
from m2s_index.gpu_search import gpu_index
from m2s_index.index_file import Entries, OpenedIndex, embedding_entries, index_file, open_index, stored_vectors
from m2s_index.index_kinds import available_memory_bytes, index_bytes
from m2s_index.matrices import DTYPES, StoredEncoder
from m2s_index.reading import Reader
from m2s_index.scene_columns import SceneRanges
from m2s_index.selection import BoolArray, Selection, of_ranges
from m2s_index.types import Float32Array, Int64Array
from m2s_index.vectors import VectorIndex, build_index

MAPPED_BYTES = 1 << 40
"""More than any catalogue has; SQLite maps what it was built for, 2 GB by default."""

Version = tuple[int, int, int]
"""How many embedding matrices, the highest id among them, the index file's generation."""


@dataclass(frozen=True, eq=False)
class SearchState:
    """One state of the catalogue, as one encoder sees it.

    ``commits`` is SQLite's count, as ``connection`` sees it, of what others have committed.
    ``itemsizes`` (int64 [M]) are the bytes that each embedding matrix has for a number. ``parts`` are the
    indexes to search: the file's, and one in memory of the embeddings that it lacks. ``kept`` leaves
    out scenes of the file whose movie is gone; None where there are none. ``opened`` is None where the
    file cannot be used; ``notes`` then says why.
    """

    connection: sqlite3.Connection
    commits: int
    version: Version
    encoder: StoredEncoder
    embeddings: Entries
    itemsizes: Int64Array
    ranges: SceneRanges
    opened: OpenedIndex | None
    parts: tuple[VectorIndex, ...]
    gpu: VectorIndex | None
    device_note: str
    kept: Selection | None
    notes: tuple[str, ...]

    @property
    def limit(self) -> int:
        """One more than the highest scene id that is searched or kept out."""
        return max([self.ranges.limit, *(int(part.ids[-1]) + 1 for part in self.parts if len(part))])

    def vectors(self, reader: Reader, ids: Int64Array) -> Float32Array:
        """Stored vectors of scenes (int64 [N], any order): float32 [M, D]; those without one are left out."""
        entries, columns = self.embeddings, self.encoder.identity.dimension
        at, rows, kept = self._places(ids)
        found = np.empty((np.count_nonzero(kept), columns), np.float32)
        wanted = zip(entries.embedding_ids[at[kept]].tolist(), at[kept].tolist(), rows[kept].tolist(), strict=True)
        for i, (embedding_id, entry, row) in enumerate(wanted):
            # Incremental reading: SQL's substr() would copy the whole film's matrix for each vector.
            with reader.connection.blobopen("embeddings", "data", embedding_id, readonly=True) as data:
                itemsize = int(self.itemsizes[entry])
                if len(data) != int(entries.rows[entry]) * columns * itemsize:
                    raise CatalogDamagedError(
                        f"the embeddings of movie {entries.movie_ids[entry]} by '{self.encoder.name}' are damaged "
                        f"({len(data):,} bytes for {entries.rows[entry]}×{columns}): run 'm2s index repair'"
                    )
                data.seek(row * columns * itemsize)
                found[i] = np.frombuffer(data.read(columns * itemsize), f"<f{itemsize}")
        return found

    def check_movies(self, ids: Int64Array, movie_ids: Sequence[int | None]) -> None:
        """Scenes (int64 [N], any order) are of the movies whose embeddings they were found by.

        Args:
            ids: the scenes.
            movie_ids: the movie that each belongs to by its own row; None for a scene that has none.

        Raises:
            CatalogDamagedError: one is not.
        """
        at, _, kept = self._places(ids)
        if not kept.all() or self.embeddings.movie_ids[at].tolist() != list(movie_ids):
            raise CatalogDamagedError(
                f"the catalogue's embeddings by '{self.encoder.name}' are not those of its scenes: "
                "run 'm2s index repair', then 'm2s index build'"
            )

    def _places(self, ids: Int64Array) -> tuple[Int64Array, Int64Array, BoolArray]:
        """For each scene (int64 [N], any order) the matrix and the row of its vector, and whether it has one."""
        entries = self.embeddings
        if not len(entries):
            return ids, ids, np.zeros(len(ids), np.bool_)
        at = np.searchsorted(entries.first_scene_ids, ids, side="right") - 1
        rows = ids - entries.first_scene_ids[at]
        return at, rows, (at >= 0) & (rows < entries.rows[at])


def current_state(
    catalog: Catalog, reader: Reader, encoder: StoredEncoder, last: SearchState | None, *, use_gpu: bool
) -> SearchState:
    """The catalogue's present state: ``last`` itself while nothing at all was committed since.

    Raises:
        IndexFileError: the index file cannot be used, or lacks much, and memory is too small to do without.
    """
    if last and last.connection is not reader.connection:
        _map_file(catalog, reader, last.opened)
    commits = reader.value("PRAGMA data_version")
    if last and last.connection is reader.connection and last.commits == commits:
        return last
    version = _version(reader, encoder)
    if last is None or last.version != version:
        return _look(catalog, reader, encoder, version, last, use_gpu=use_gpu)
    return replace(last, connection=reader.connection, commits=commits)


def _version(reader: Reader, encoder: StoredEncoder) -> Version:
    """Equal for two states of the catalogue only where the same vectors are in them.

    Embedding ids never come back, so that their count and the highest tell any two sets apart.
    """
    count, last = next(
        reader.rows("SELECT count(*), max(id) FROM embeddings WHERE encoder_id = ?", (encoder.encoder_id,))
    )
    file = index_file(reader, encoder)
    return count, last or 0, file.generation if file else 0


def _look(
    catalog: Catalog, reader: Reader, encoder: StoredEncoder, version: Version, last: SearchState | None,
    *, use_gpu: bool,
) -> SearchState:  # fmt: skip
    embeddings = embedding_entries(reader, encoder)
    first = embeddings.first_scene_ids
    ranges = SceneRanges(embeddings.movie_ids, first, first + embeddings.rows)
    opened: OpenedIndex | None = None
    gpu: VectorIndex | None = None
    device_note, notes = "", tuple[str, ...]()
    if last and last.opened and last.opened.file.generation == version[-1]:
        opened, gpu, device_note = last.opened, last.gpu, last.device_note
    else:
        try:
            opened = open_index(catalog, encoder)
        except IndexFileError as exc:
            notes = (f"{exc}; until then the catalogue itself is searched",) if len(embeddings) else ()
        _map_file(catalog, reader, opened)
        if opened and use_gpu:
            gpu, device_note = gpu_index(opened.index)
    parts: tuple[VectorIndex, ...] = (opened.index,) if opened else ()
    fresh = embeddings.less(opened.entries) if opened else embeddings
    if len(fresh):
        parts += (_in_memory(reader, encoder, fresh, *notes),)
    kept = _kept(opened.entries.less(embeddings), ranges) if opened else None
    return SearchState(
        reader.connection,
        reader.value("PRAGMA data_version"),
        version,
        encoder,
        embeddings,
        _itemsizes(reader, encoder),
        ranges,
        opened,
        parts,
        gpu,
        device_note,
        kept,
        notes,
    )


def _itemsizes(reader: Reader, encoder: StoredEncoder) -> Int64Array:
    names = reader.texts(
        "SELECT dtype FROM embeddings WHERE encoder_id = ? ORDER BY first_scene_id", (encoder.encoder_id,)
    )
    # An unknown one has no size that would fit, and is found damaged when it is read.
    return np.array([DTYPES[name].itemsize if name in DTYPES else 1 for name in names], np.int64)


def _map_file(catalog: Catalog, reader: Reader, opened: OpenedIndex | None) -> None:
    """Read the database through memory, which makes the single vectors that a compressed index needs
    several times cheaper. A network folder that goes away would end the process: not there.
    """
    compressed = opened is not None and opened.index.kind == "compressed"
    if compressed and file_system_type(catalog.folder) not in NETWORK_FILE_SYSTEMS:
        reader.connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")


def _kept(gone: Entries, ranges: SceneRanges) -> Selection | None:
    """All scenes but those of removed movies; None where none was removed."""
    if not len(gone):
        return None
    ends = gone.first_scene_ids + gone.rows
    if len(gone) == 1:
        return Selection(int(gone.first_scene_ids[0]), int(ends[0]), negated=True)
    limit = max(ranges.limit, int(ends.max()))
    mask = of_ranges(gone.first_scene_ids, ends, limit).mask
    assert mask is not None
    return Selection(mask=~mask)


def _in_memory(reader: Reader, encoder: StoredEncoder, entries: Entries, problem: str = "") -> VectorIndex:
    identity = encoder.identity
    need, free = index_bytes("exact", entries.scenes, identity.dimension), available_memory_bytes()
    if need > free // 2:
        raise IndexFileError(
            f"{problem or 'the index file lacks many scenes'}, but {entries.scenes:,} scenes need "
            f"{need / 1e9:.1f} GB and {free / 1e9:.1f} GB is free: run 'm2s index repair'"
        )
    return build_index(
        "exact", identity.metric, identity.dimension, entries.scenes,
        lambda: stored_vectors(reader, entries),
    )  # fmt: skip
