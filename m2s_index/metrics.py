"""Retrieval metrics of ranked lists: pure NumPy, one row a query. What is searched, and averaged how, is
elsewhere (``ranking``, ``intervals``, ``evaluate``).

A gallery item is right for a query, or it is not. Two rules hold everywhere: precision at k divides by k
also where fewer than k items could be ranked (what is not there is not right), and a query for which nothing
in the gallery is right scores 0 in everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.types import Int64Array

BoolArray = NDArray[np.bool_]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class QueryScores:
    """Scores of Q queries, all between 0 and 1.

    ``precision`` is float64 [Q, K]: column k−1 is precision at k. ``r_precision`` and ``average_precision``
    are float64 [Q], NaN where the ranking was cut off before all that is right. ``relevant`` (int64 [Q]) is how
    many gallery items are right, ``gallery`` (int64 [Q]) how many were there to be ranked.
    """

    precision: Float64Array
    r_precision: Float64Array
    average_precision: Float64Array
    relevant: Int64Array
    gallery: Int64Array

    def __len__(self) -> int:
        return len(self.precision)

    @property
    def chance(self) -> Float64Array:
        """What precision a random order has on average: float64 [Q], the share of the gallery that is right."""
        return self.relevant / np.maximum(self.gallery, 1)


def score_ranked(ranked: BoolArray, relevant: Int64Array, gallery: Int64Array, depth: int) -> QueryScores:
    """Scores of ranked lists.

    Args:
        ranked: bool [Q, D], whether the item at each rank is right, nearest first. Ranks that a query has no
            item for are False.
        relevant: int64 [Q], how many items of the gallery are right, ranked or not.
        gallery: int64 [Q], how many items the gallery has for each query.
        depth: precision is given at 1 to ``depth``.
    """
    queries, ranks = np.nonzero(ranked)
    found = np.bincount(queries, minlength=len(ranked))
    # The how-manieth right item of its query each of them is, from 1.
    nth = np.arange(len(queries)) - (np.cumsum(found) - found)[queries] + 1
    within_r = np.bincount(queries, ranks < relevant[queries], minlength=len(ranked))
    precisions = np.bincount(queries, nth / (ranks + 1), minlength=len(ranked))
    cut_off = found < relevant
    return QueryScores(
        precision=_precision(ranked, depth),
        r_precision=np.where(cut_off, np.nan, within_r / np.maximum(relevant, 1)),
        average_precision=np.where(cut_off, np.nan, precisions / np.maximum(relevant, 1)),
        relevant=relevant,
        gallery=gallery,
    )


def joined(parts: list[QueryScores]) -> QueryScores:
    """The scores of several batches of queries as one; at least one batch."""
    return QueryScores(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("precision", "r_precision", "average_precision", "relevant", "gallery")
        )
    )


def _precision(ranked: BoolArray, depth: int) -> Float64Array:
    first = np.zeros((len(ranked), depth), np.int64)
    kept = min(depth, ranked.shape[1])
    first[:, :kept] = ranked[:, :kept]
    return np.cumsum(first, axis=1) / np.arange(1, depth + 1)
