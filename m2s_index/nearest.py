"""The nearest vectors of one index with exact distances: candidates from FAISS, then double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.gpu_search import MAX_GPU_NEIGHBOURS
from m2s_index.selection import Selection
from m2s_index.types import Float32Array, Int64Array, Metric
from m2s_index.vectors import VectorIndex

MARGIN = 16
"""Candidates fetched beyond k, so that ties at the end rarely need a second search."""

MAX_CANDIDATES = 20_000
"""A compressed index is asked for no more than this, however many vectors look alike to it."""

ROWS_AT_ONCE = 4096
QUERIES_COMPARED_AT_ONCE = 32
QUERIES_AT_ONCE = 4096
"""FAISS's matrix products take as many queries at a time; fewer make each one dearer."""

Float64Array = NDArray[np.float64]
Rows = Callable[[Int64Array], Float32Array]
"""Gives the stored vectors of scene ids: float32 [N, D]."""
Found = tuple[Int64Array, Float64Array]
"""Scene ids and exact squared distances of one query."""


def nearest(
    index: VectorIndex,
    query: Float32Array,
    k: int,
    selection: Selection | None,
    rows: Rows,
    gpu: VectorIndex | None = None,
) -> Found:
    """At least the k nearest of one query, float32 [D]; see ``nearest_of_each``."""
    return next(nearest_of_each(index, query[None], k, selection, rows, gpu))


def nearest_of_each(
    index: VectorIndex,
    queries: Float32Array,
    k: int,
    selection: Selection | None,
    rows: Rows,
    gpu: VectorIndex | None = None,
) -> Iterator[Found]:
    """At least the k nearest of each query, in no order. FAISS searches many queries at once.

    FAISS's single precision can put equal vectors in any order, and a compressed index compares
    approximations. So more than k are fetched, until the last one is further away than the k-th can be,
    by the errors seen. That makes the exact kind exact, ties included, and filtered searches of a graph
    that ``VectorIndex.search`` answers exactly.

    Args:
        index: searched, but for what ``gpu`` can do.
        queries: float32 [Q, D], normalised for cosine.
        k: how many, at least 1.
        selection: only these scenes; None is all.
        rows: gives stored vectors, for indexes that do not keep them.
        gpu: the same index on a GPU.

    Returns:
        For each query scene ids int64 [N] and exact *squared* Euclidean distances float64 [N].
    """
    search = _Search(index, selection, index.rows if index.keeps_rows else rows, gpu)
    fetch = k + max(2 * MARGIN, k) if index.kind == "compressed" else k + max(MARGIN, k // 8)
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        part = queries[start : start + QUERIES_AT_ONCE]
        found, values = search.fetched(part, fetch)
        for first in range(0, len(part), QUERIES_COMPARED_AT_ONCE):
            some = slice(first, first + QUERIES_COMPARED_AT_ONCE)
            yield from search.settled_together(part[some], k, fetch, found[some], values[some])


@dataclass(frozen=True, eq=False)
class _Search:
    """What is searched, and how stored vectors are had."""

    index: VectorIndex
    selection: Selection | None
    rows: Rows
    gpu: VectorIndex | None

    def fetched(self, queries: Float32Array, fetch: int) -> tuple[Int64Array, Float32Array]:
        """FAISS's answer, from the GPU where it can give it."""
        on_gpu = self.gpu is not None and self.selection is None and fetch <= MAX_GPU_NEIGHBOURS
        return (self.gpu if self.gpu is not None and on_gpu else self.index).search(queries, fetch, self.selection)

    def settled_together(
        self, queries: Float32Array, k: int, fetch: int, found: Int64Array, values: Float32Array
    ) -> Iterator[Found]:
        """``settled`` for each of a few queries. Most need no more than what was fetched: they are compared in
        one go.
        """
        settled = np.zeros(len(queries), np.bool_)
        if found.shape[1] == fetch and (found >= 0).all():
            stored = self.rows(found.ravel()).reshape(*found.shape, -1)
            exact = _squared_differences(stored, queries[:, None], self.index.metric)
            approximate = _squared(values, self.index.metric)
            settled = approximate[:, -1] > _reach(exact, approximate, k, self.index.metric)
        for number, query in enumerate(queries):
            if settled[number]:
                yield found[number], exact[number]
            else:
                yield self.settled(query, k, fetch, found[number], values[number])

    def settled(self, query: Float32Array, k: int, fetch: int, found: Int64Array, values: Float32Array) -> Found:
        """The k nearest of a query for sure: from what was fetched, or from more."""
        index, metric = self.index, self.index.metric
        while True:
            ids, approximate = found[found >= 0], _squared(values[found >= 0], metric)
            exact = squared_distances(self.rows, ids, query, metric)
            if len(ids) < fetch:
                return ids, exact
            reach = float(_reach(exact, approximate, k, metric))
            if not approximate[-1] <= reach:
                return ids, exact
            if index.is_exact(self.selection):
                ids = index.within(query, 1 - reach / 2 if metric == "cosine" else reach, self.selection)
                return ids, squared_distances(self.rows, ids, query, metric)
            if index.kind == "graph" or fetch >= MAX_CANDIDATES:
                return ids, exact
            fetch = min(4 * fetch, MAX_CANDIDATES)
            (found,), (values,) = self.fetched(query[None], fetch)


def squared_distances(rows: Rows, ids: Int64Array, query: Float32Array, metric: Metric) -> Float64Array:
    """Squared Euclidean distances of scenes to a query, from stored vectors, in double precision: [N].

    Equal rows give equal bits wherever they stand: every row is summed alone, in the same order. For
    cosine a row of zeros, which cannot be normalised, counts as orthogonal to everything: 2.
    """
    squared = np.empty(len(ids))
    for start in range(0, len(ids), ROWS_AT_ONCE):
        part = rows(ids[start : start + ROWS_AT_ONCE])
        squared[start : start + ROWS_AT_ONCE] = _squared_differences(part, query, metric)
    return squared


def _squared_differences(rows: Float32Array, query: Float32Array, metric: Metric) -> Float64Array:
    """Of float32 [..., D] and one that fits it: float64 [...]."""
    difference = rows - query.astype(np.float64)
    squared: Float64Array = np.square(difference, out=difference).sum(axis=-1)
    if metric == "cosine":
        squared[~rows.any(axis=-1)] = 2.0
    return squared


def _reach(exact: Float64Array, approximate: Float64Array, k: int, metric: Metric) -> Float64Array:
    """How far FAISS may have put one of the k nearest: the k-th distance and twice the largest error seen.

    float64 [...] for float64 [..., N].
    """
    kth = np.partition(exact, k - 1, axis=-1)[..., k - 1]
    errors = np.abs(exact - approximate)
    seen = np.max(errors, axis=-1, where=np.isfinite(errors), initial=0.0)
    reach: Float64Array = kth + 2 * seen + 4e-6 * np.maximum(kth, 1.0 if metric == "cosine" else 0.0)
    return reach


def _squared(values: Float32Array, metric: Metric) -> Float64Array:
    wide = values.astype(np.float64)
    return 2 - 2 * wide if metric == "cosine" else wide
