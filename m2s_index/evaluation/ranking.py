"""Rankings of a gallery for many queries: exact Euclidean distances, ties by scene id, memory bounded.

``WholeRanking`` gives every item's rank, which mean average precision needs. ``NearestRanking`` gives the nearest
alone, at about the cost of FAISS's own batch search. Where both say something they say the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from m2s_index.metrics import Float64Array
from m2s_index.nearest import QUERIES_AT_ONCE, Found, nearest_of_each
from m2s_index.types import Float32Array, Int64Array, Metric, SceneEmbeddings
from m2s_index.vectors import build_index

DISTANCES_AT_ONCE = 1 << 22
"""Distances in memory at once: 32 MiB of them, and as much again for their order."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """What some queries must not find: query ``queries[i]`` of them not gallery position ``positions[i]``. In the
    order of the queries.
    """

    queries: Int64Array
    positions: Int64Array


Hide = Callable[[int, int], Hidden]
"""Given the first query and the end (exclusive) of a batch, what its queries must not find."""


@dataclass(frozen=True, eq=False)
class RankedBatch:
    """Queries ``first`` to ``first + len(order)``.

    ``order`` (int64 [Q, D]) are gallery positions, nearest first; ``gallery`` (int64 [Q]) is how many items a
    query may find: beyond so many ranks, ``order`` means nothing. ``hidden`` is what it may not.
    """

    first: int
    order: Int64Array
    gallery: Int64Array
    hidden: Hidden


class Ranking(Protocol):
    """Ranks a gallery."""

    def ranked(self, queries: Float32Array, hide: Hide) -> Iterator[RankedBatch]:
        """The gallery in order for each of float32 [Q, D] (normalised for cosine), some queries at a time."""
        ...


class WholeRanking:
    """Ranks every item."""

    def __init__(self, vectors: Float32Array, metric: Metric) -> None:
        """``vectors`` is float32 [G, D], normalised for cosine, in the order of their scenes' ids."""
        self._metric = metric
        # Matrix products may give equal rows unequal bits: each distinct vector is multiplied once.
        distinct, self._place = _distinct(vectors)
        self._columns = np.ascontiguousarray(distinct.T, np.float64)
        self._squared_norms = np.einsum("dg,dg->g", self._columns, self._columns)

    def ranked(self, queries: Float32Array, hide: Hide) -> Iterator[RankedBatch]:
        """See ``Ranking``."""
        size = len(self._place)
        at_once = max(1, DISTANCES_AT_ONCE // max(1, size))
        for first in range(0, len(queries), at_once):
            distances = self.squared_distances(queries[first : first + at_once])
            hidden = hide(first, first + len(distances))
            distances[hidden.queries, hidden.positions] = np.inf
            left = size - np.bincount(hidden.queries, minlength=len(distances))
            yield RankedBatch(first, _order(distances), left, hidden)

    def squared_distances(self, queries: Float32Array) -> Float64Array:
        """Squared Euclidean distances in double precision: float64 [Q, G].

        For cosine a vector of zeros, which cannot be normalised, is orthogonal to everything: 2.
        """
        wide = queries.astype(np.float64)
        squared = wide @ self._columns
        squared *= -2
        squared += np.einsum("qd,qd->q", wide, wide)[:, None]
        squared += self._squared_norms
        if self._metric == "cosine":
            squared[:, self._squared_norms == 0] = 2.0
        every: Float64Array = squared if squared.shape[1] == len(self._place) else squared[:, self._place]
        return every


class NearestRanking:
    """Ranks no more than the ``depth`` nearest."""

    def __init__(self, vectors: Float32Array, metric: Metric, depth: int) -> None:
        """``vectors`` is float32 [G, D], normalised for cosine, in the order of their scenes' ids."""
        positions = np.arange(len(vectors))
        batch = SceneEmbeddings(positions, vectors)
        self._index = build_index("exact", metric, vectors.shape[1], len(vectors), lambda: [batch])
        self._depth = depth

    def ranked(self, queries: Float32Array, hide: Hide) -> Iterator[RankedBatch]:
        """See ``Ranking``."""
        for first in range(0, len(queries), QUERIES_AT_ONCE):
            batch = queries[first : first + QUERIES_AT_ONCE]
            hidden = hide(first, first + len(batch))
            away = np.bincount(hidden.queries, minlength=len(batch))
            found = nearest_of_each(self._index, batch, self._depth + int(away.max()), None, self._index.rows)
            order = np.full((len(batch), min(self._depth, len(self._index))), -1, np.int64)
            ends = np.cumsum(away)
            for number, one in enumerate(found):
                own = hidden.positions[ends[number] - away[number] : ends[number]]
                positions = _in_order(one, own)[: order.shape[1]]
                order[number, : len(positions)] = positions
            yield RankedBatch(first, order, len(self._index) - away, hidden)


def _in_order(found: Found, hidden: Int64Array) -> Int64Array:
    positions, squared = found
    order = np.lexsort((positions, squared))
    return positions[order][~np.isin(positions[order], hidden)] if len(hidden) else positions[order]


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
