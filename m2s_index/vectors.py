"""The seam to FAISS: nothing else imports it. Building, loading and searching an index with a selection.

The FAISS ids are scene ids. Files, checksums and what belongs in an index are in ``index_file``; ties,
exact distances and metadata in ``search``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2s_index.errors import IndexFileError, MissingExtraError, first_line
from m2s_index.index_kinds import GRAPH_LINKS, TRAINING_VECTORS, Kind, list_count
from m2s_index.selection import Selection
from m2s_index.types import Float32Array, Int64Array, Metric, SceneEmbeddings

GRAPH_BUILD_BREADTH = 80
GRAPH_SEARCH_BREADTH = 128

NEAR_BREADTH, NEAR_LISTS = 64, 16
"""How far a graph or inverted lists are looked through where only the very nearest matter."""

EXACT_UNDER_GRAPH_BYTES = 700_000_000
"""A filtered search of a graph index is exact while the vectors left are no more than this: about 70 ms."""

GATHER_VECTORS = 1_000
"""Up to here the selected rows are copied together and multiplied, which beats asking FAISS."""

COPIED_BYTES = 1 << 22
"""An index file goes through Python in pieces of this size."""

_READING = threading.Lock()
"""FAISS has one limit for all that is read, and each file its own."""


@cache
def faiss_module() -> Any:
    """FAISS, imported when it is first needed and told how many threads to use.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import faiss
    except ImportError as exc:
        raise MissingExtraError(
            "searching needs FAISS, which is not installed: pip install 'm2s[cpu]', "
            "or 'm2s[gpu]' where there is an NVIDIA GPU"
        ) from exc
    # torch brings an OpenMP of its own and may have changed the count; a container may allow fewer cores.
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    return faiss


@dataclass(frozen=True, eq=False)
class VectorIndex:
    """A FAISS index over scenes.

    ``ids`` (int64 [N], increasing) are the scenes; in the exact and graph kinds FAISS's own position i
    holds ``ids[i]``. ``faiss_index`` is what is saved; ``inner`` is it without its id map.
    """

    kind: Kind
    metric: Metric
    dimension: int
    ids: Int64Array
    faiss_index: Any
    inner: Any
    on_gpu: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"VectorIndex({self.kind}, {self.metric}, {len(self.ids)} × {self.dimension})"

    @property
    def keeps_rows(self) -> bool:
        """Whether ``rows`` gives back the very vectors that were added."""
        return self.kind != "compressed" and not self.on_gpu

    def is_exact(self, selection: Selection | None) -> bool:
        """Whether a search with this selection compares the very vectors, all of them."""
        if self.kind == "graph":
            left = len(self) if selection is None else selection.count(self.ids)
            return self._exact_is_cheap(selection, left)
        return self.kind == "exact"

    def rows(self, ids: Int64Array) -> Float32Array:
        """The vectors of scenes that are in the index: float32 [N, D]. Only where ``keeps_rows``."""
        return self._storage()[np.searchsorted(self.ids, ids)]

    def search(
        self, queries: Float32Array, k: int, selection: Selection | None = None, *, near_only: bool = False
    ) -> tuple[Int64Array, Float32Array]:
        """The nearest scenes of each query, best first.

        Args:
            queries: float32 [Q, D]; normalised for the cosine metric.
            k: how many, at least 1; more than there are is no error.
            selection: only these scenes; None is all.
            near_only: look less far: the very nearest are found all the same, of the others fewer, perhaps not k.

        Returns:
            Scene ids int64 [Q, k'], k' ≤ k, -1 where there are fewer; and FAISS's values float32 [Q, k']:
            inner products for cosine, *squared* distances for l2.
        """
        left = len(self) if selection is None else selection.count(self.ids)
        k = min(k, left)
        if k == 0:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        queries = np.ascontiguousarray(queries, np.float32)
        with _wrapped(f"searching {self!r}"):
            if self.kind == "compressed":
                return self._search_lists(queries, k, selection, left, near_only=near_only)
            if self.kind == "graph" and not self._exact_is_cheap(selection, left):
                ids, values = self._search_positions(self.inner, queries, k, selection, left, near_only=near_only)
                if near_only or (ids >= 0).all():
                    return ids, values
            if selection is not None and left <= GATHER_VECTORS and len(queries) == 1 and self.keeps_rows:
                return self._search_gathered(queries, k, selection)
            return self._search_positions(self._flat(), queries, k, selection, left)

    def within(self, query: Float32Array, value: float, selection: Selection | None) -> Int64Array:
        """All selected scenes that FAISS puts at ``value`` or nearer, for the kinds that keep rows: int64 [N].

        Args:
            query: float32 [D].
            value: an inner product (cosine) or a squared distance (l2).
            selection: only these scenes; None is all.
        """
        parameters = self._parameters(None, selection)
        # FAISS leaves out what is at the limit itself.
        limit = float(np.nextafter(np.float32(value), np.float32(-np.inf if self.metric == "cosine" else np.inf)))
        with _wrapped(f"searching {self!r}"):
            _, _, positions = self._flat().range_search(
                np.ascontiguousarray(query[None], np.float32), limit, params=parameters
            )
        found: Int64Array = self.ids[positions]
        return found

    def save(self, path: Path) -> None:
        """Write it with FAISS. Nothing is synced."""
        faiss = faiss_module()
        # Through our own file: FAISS opens no folder whose name is not UTF-8.
        with _wrapped(f"writing the index file {path}"), path.open("wb") as file:
            faiss.write_index(self.faiss_index, faiss.PyCallbackIOWriter(file.write, COPIED_BYTES))

    def _flat(self) -> Any:
        """FAISS's index that compares with every vector: itself, or what a graph keeps its vectors in."""
        return faiss_module().downcast_index(self.inner.storage) if self.kind == "graph" else self.inner

    def _storage(self) -> Float32Array:
        if not len(self):
            return np.empty((0, self.dimension), np.float32)
        view: Float32Array = faiss_module().rev_swig_ptr(self._flat().get_xb(), len(self) * self.dimension)
        return view.reshape(len(self), self.dimension)

    def _exact_is_cheap(self, selection: Selection | None, left: int) -> bool:
        return selection is not None and left * self.dimension * 4 <= EXACT_UNDER_GRAPH_BYTES

    def _search_gathered(
        self, queries: Float32Array, k: int, selection: Selection
    ) -> tuple[Int64Array, Float32Array]:
        positions = np.flatnonzero(selection.contains(self.ids))
        rows = self._storage()[positions]
        if self.metric == "cosine":
            values = rows @ queries[0]
            order = np.argsort(-values)[:k]
        else:
            values = np.square(rows - queries[0]).sum(axis=1, dtype=np.float32)
            order = np.argsort(values)[:k]
        return self.ids[positions[order]][None], values[order][None]

    def _search_positions(
        self, index: Any, queries: Float32Array, k: int, selection: Selection | None, left: int, *,
        near_only: bool = False,
    ) -> tuple[Int64Array, Float32Array]:  # fmt: skip
        """Search below the id map: one look-up per vector less, which for sparse selections is most of it."""
        breadth = None
        if self.kind == "graph" and index is self.inner:
            # A selection thins the neighbours out: look at as many more.
            breadth = max(GRAPH_SEARCH_BREADTH, 2 * k) * min(4, max(1, len(self) // left))
            if near_only:
                breadth = max(NEAR_BREADTH, k)
        values, positions = index.search(queries, k, params=self._parameters(breadth, selection))
        ids = np.where(positions >= 0, self.ids[positions], -1)
        return ids, values

    def _parameters(self, breadth: int | None, selection: Selection | None) -> Any:
        if breadth is None and selection is None:
            return None
        faiss = faiss_module()
        selector = None if selection is None else _selector(selection.at(self.ids))
        if breadth is None:
            return faiss.SearchParameters(sel=selector)
        return faiss.SearchParametersHNSW(sel=selector, efSearch=breadth)

    def _search_lists(
        self, queries: Float32Array, k: int, selection: Selection | None, left: int, *, near_only: bool
    ) -> tuple[Int64Array, Float32Array]:
        faiss, lists = faiss_module(), self.inner.nlist
        probes = min(lists, NEAR_LISTS) if near_only else probe_count(lists)
        if selection is not None:
            # Where few are left a wide search costs little more than asking the selector.
            probes = min(lists, probes * max(1, len(self) // left))
        selector = None if selection is None else _selector(selection)
        parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
        values, ids = self.inner.search(queries, k, params=parameters)
        if probes < lists and not near_only and (ids < 0).any():
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=lists)
            values, ids = self.inner.search(queries, k, params=parameters)
        return ids, values


def build_index(
    kind: Kind,
    metric: Metric,
    dimension: int,
    count: int,
    batches: Callable[[], Iterable[SceneEmbeddings]],
) -> VectorIndex:
    """An index over ``count`` vectors.

    Args:
        kind: which kind; a compressed one needs some 256 vectors to learn from.
        metric: of the encoder.
        dimension: of the encoder.
        count: how many vectors ``batches`` gives in all.
        batches: gives the vectors in order of increasing scene id; called a second time for the kind that
            learns from a sample first. Only one batch (and the sample) is held besides the index.

    Raises:
        IndexFileError: FAISS failed, or the batches are not in order.
    """
    with _wrapped(f"building the {kind} index"):
        index = _empty_index(kind, metric, dimension, count, batches)
        parts: list[Int64Array] = []
        for batch in batches():
            if len(batch.scene_ids):
                index.add_with_ids(np.ascontiguousarray(batch.vectors, np.float32), batch.scene_ids)
                parts.append(batch.scene_ids)
    ids = np.concatenate(parts) if parts else np.empty(0, np.int64)
    if (np.diff(ids) <= 0).any():
        raise IndexFileError("building the index failed: scene ids do not increase")
    return _wrap(index, kind, metric, ids)


def load_index(path: Path, kind: Kind, metric: Metric, ids: Int64Array) -> VectorIndex:
    """Read a file that ``VectorIndex.save`` wrote.

    Args:
        path: the file, whose checksum the caller has checked.
        kind: what it must hold.
        metric: what it must compare by.
        ids: int64 [N], increasing: the scenes that it must hold.

    Raises:
        IndexFileError: FAISS cannot read it, or it holds something else.
    """
    faiss = faiss_module()
    with _wrapped(f"reading the index file {path}"), path.open("rb") as file, _READING:
        if hasattr(faiss, "set_deserialization_vector_byte_limit"):
            # A file may claim to hold more than it is long: memory for that would be filled first.
            faiss.set_deserialization_vector_byte_limit(os.fstat(file.fileno()).st_size)
        index = faiss.read_index(faiss.PyCallbackIOReader(file.read, COPIED_BYTES))
    outer = {
        "exact": faiss.IndexIDMap,
        "graph": faiss.IndexIDMap,
        "compressed": faiss.IndexIVFScalarQuantizer,
    }
    wanted = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
    if not isinstance(index, outer[kind]) or index.metric_type != wanted:
        raise IndexFileError(f"the index file {path} holds another kind of index than the {kind} one recorded")
    if kind != "compressed":
        inner = faiss.downcast_index(index.index)
        if not isinstance(inner, faiss.IndexFlat if kind == "exact" else faiss.IndexHNSWFlat):
            raise IndexFileError(f"the index file {path} does not hold the {kind} index recorded")
    held = _listed_ids(index) if kind == "compressed" else faiss.vector_to_array(index.id_map)
    if index.ntotal != len(ids):
        raise IndexFileError(f"the index file {path} holds {index.ntotal} vectors, not {len(ids)} as recorded")
    if not np.array_equal(held, ids):
        raise IndexFileError(f"the index file {path} holds other scenes than recorded")
    return _wrap(index, kind, metric, ids)


def _listed_ids(index: Any) -> Int64Array:
    """The ids in a compressed index's lists: int64 [N], increasing."""
    faiss, lists = faiss_module(), index.invlists
    held = [np.empty(0, np.int64)]
    held += [faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)) for i in range(lists.nlist)]
    return np.sort(np.concatenate(held))


def _wrap(index: Any, kind: Kind, metric: Metric, ids: Int64Array) -> VectorIndex:
    inner = index if kind == "compressed" else faiss_module().downcast_index(index.index)
    return VectorIndex(kind, metric, index.d, ids, index, inner)


def flat_index(metric: Metric, dimension: int) -> Any:
    """An empty FAISS index that compares with every vector."""
    faiss = faiss_module()
    return faiss.IndexFlatIP(dimension) if metric == "cosine" else faiss.IndexFlatL2(dimension)


def probe_count(lists: int) -> int:
    """How many inverted lists an unfiltered search looks into."""
    return max(min(lists, 16), lists // 16)


def _empty_index(
    kind: Kind, metric: Metric, dimension: int, count: int, batches: Callable[[], Iterable[SceneEmbeddings]]
) -> Any:
    faiss = faiss_module()
    if kind == "exact":
        return faiss.IndexIDMap(flat_index(metric, dimension))
    faiss_metric = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
    if kind == "graph":
        graph = faiss.IndexHNSWFlat(dimension, GRAPH_LINKS, faiss_metric)
        graph.hnsw.efConstruction = GRAPH_BUILD_BREADTH
        return faiss.IndexIDMap(graph)
    quantizer = flat_index(metric, dimension)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, dimension, list_count(count), faiss.ScalarQuantizer.QT_8bit, faiss_metric
    )
    index.own_fields = True
    quantizer.this.disown()
    index.cp.min_points_per_centroid = 1  # the sample is what there is; the warning would go to stderr
    index.train(_sample(batches(), count, dimension))
    return index


def _sample(batches: Iterable[SceneEmbeddings], count: int, dimension: int) -> Float32Array:
    """Up to ``TRAINING_VECTORS`` rows, drawn evenly over all batches with a fixed seed."""
    random = np.random.default_rng(0)
    share = min(1.0, TRAINING_VECTORS / max(1, count))
    kept = [np.empty((0, dimension), np.float32)]
    for batch in batches:
        chosen = random.random(len(batch.scene_ids)) < share
        chosen &= np.isfinite(batch.vectors).all(axis=1)
        kept.append(batch.vectors[chosen])
    return np.concatenate(kept)


def _selector(selection: Selection) -> Any:
    """The cheapest FAISS selector: a range, its negation, or a bitmap; never a list of ids."""
    faiss = faiss_module()
    if selection.mask is None:
        chosen = faiss.IDSelectorRange(selection.start, selection.end)
        return faiss.IDSelectorNot(chosen) if selection.negated else chosen
    bits: NDArray[np.uint8] = np.packbits(selection.mask, bitorder="little")
    return faiss.IDSelectorBitmap(bits)


class _wrapped:
    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (RuntimeError, AssertionError, MemoryError, OSError)):
            raise IndexFileError(f"{self.what} failed: {first_line(error)}") from error
