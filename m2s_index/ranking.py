"""Whole rankings of a gallery for many queries: exact Euclidean distances, ties by scene id, memory bounded.

This is for measuring, where every item's rank counts; ``nearest`` finds the few nearest of an index.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from m2s_index.metrics import BoolArray, Float64Array
from m2s_index.types import Float32Array, Int64Array, Metric

DISTANCES_AT_ONCE = 1 << 22
"""Distances in memory at once: 32 MiB of them, and as much again for their order."""


@dataclass(frozen=True, eq=False)
class RankedBatch:
    """Queries ``first`` to ``first + len(order)``. ``order`` (int64 [Q, G]) are gallery positions, nearest
    first and what a query must not find last; ``gallery`` (int64 [Q]) is how many it may find.
    """

    first: int
    order: Int64Array
    gallery: Int64Array


class Gallery:
    """The vectors that queries are compared with, in the order of their scene ids."""

    def __init__(self, vectors: Float32Array, metric: Metric) -> None:
        """``vectors`` is float32 [G, D], normalised for cosine."""
        self._metric = metric
        # Matrix products may give equal rows unequal bits: each distinct vector is multiplied once.
        distinct, self._place = _distinct(vectors)
        self._columns = np.ascontiguousarray(distinct.T, np.float64)
        self._squared_norms = np.einsum("dg,dg->g", self._columns, self._columns)

    def __len__(self) -> int:
        return len(self._place)

    def squared_distances(self, queries: Float32Array) -> Float64Array:
        """Squared Euclidean distances in double precision: float64 [Q, G].

        For cosine a vector of zeros, which cannot be normalised, is orthogonal to everything: 2.
        """
        wide = queries.astype(np.float64)
        squared = np.einsum("qd,qd->q", wide, wide)[:, None] + self._squared_norms - 2 * (wide @ self._columns)
        if self._metric == "cosine":
            squared[:, self._squared_norms == 0] = 2.0
        everything: Float64Array = squared[:, self._place]
        return everything

    def ranked(self, queries: Float32Array, hidden: Callable[[int, int], BoolArray]) -> Iterator[RankedBatch]:
        """The whole gallery in order for each of float32 [Q, D], some queries at a time.

        Args:
            queries: normalised for cosine.
            hidden: given the first query and the end (exclusive) of a batch, which items its queries must not
                find: bool [q, G].
        """
        at_once = max(1, DISTANCES_AT_ONCE // max(1, len(self)))
        for first in range(0, len(queries), at_once):
            distances = self.squared_distances(queries[first : first + at_once])
            away = hidden(first, first + len(distances))
            distances[away] = np.inf
            yield RankedBatch(first, _order(distances), len(self) - np.count_nonzero(away, axis=1))


def _order(distances: Float64Array) -> Int64Array:
    """Positions by distance, ties by position, in each row. A sort that is not stable is several times faster:
    rows in which it met a tie are sorted again; those at infinity may stand in any order.
    """
    order = np.argsort(distances, axis=1)
    ranked = np.take_along_axis(distances, order, axis=1)
    tied = ((ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] < np.inf)).any(axis=1)
    order[tied] = np.argsort(distances[tied], axis=1, kind="stable")
    return order


def _distinct(vectors: Float32Array) -> tuple[Float32Array, Int64Array]:
    """The distinct rows in order of appearance, and for each row which of them it is: int64 [G]."""
    seen: dict[bytes, int] = {}
    place = np.empty(len(vectors), np.int64)
    for i, row in enumerate(vectors + np.float32(0)):  # −0 becomes 0
        place[i] = seen.setdefault(hashlib.blake2b(row.tobytes(), digest_size=16).digest(), len(seen))
    first = np.unique(place, return_index=True)[1]
    return vectors[first], place
