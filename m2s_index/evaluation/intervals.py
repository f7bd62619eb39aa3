"""Bootstrap intervals over films: how far a mean over queries would move, had the films been others.

Queries of one film are not independent, so films are drawn, with replacement, and each drawn film brings all
its queries. The intervals are percentiles of the means over the draws.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from m2s_index.metrics import Float64Array
from m2s_index.types import Int64Array

PERCENTILES = (2.5, 97.5)
DRAWS_AT_ONCE_NUMBERS = 1 << 22


def mean_intervals(values: Float64Array, films: Int64Array, *, draws: int, seed: int) -> Float64Array | None:
    """95 % intervals of the means over queries.

    Args:
        values: float64 [Q, M], M measures of each query.
        films: int64 [Q], which film each query is of; any numbers.
        draws: how many times films are drawn.
        seed: of the generator; equal films and seeds give the same draws, whatever the values are.

    Returns:
        float64 [2, M], low and high; None for fewer than two films, which say nothing of others.
    """
    return grouped_intervals([values], [films], draws=draws, seed=seed)


def grouped_intervals(
    values: list[Float64Array], films: list[Int64Array], *, draws: int, seed: int
) -> Float64Array | None:
    """95 % intervals of the mean over groups of each group's mean over its queries.

    Each draw is of the films of all groups together; a group that a draw leaves without queries does not
    count in it.

    Args:
        values: for each group float64 [Q, M].
        films: for each group int64 [Q].
        draws: how many times films are drawn.
        seed: of the generator.

    Returns:
        float64 [2, M], or None for fewer than two films.
    """
    known = np.unique(np.concatenate(films))
    if len(known) < 2:
        return None
    sums, counts = [], []
    for group, owners in zip(values, films, strict=True):
        at = np.searchsorted(known, owners)
        total = np.zeros((len(known), group.shape[1]))
        np.add.at(total, at, group)
        sums.append(total)
        counts.append(np.bincount(at, minlength=len(known)).astype(np.float64))
    means = np.concatenate([_drawn_means(drawn, sums, counts) for drawn in _draws(len(known), draws, seed)])
    intervals: Float64Array = np.percentile(means, PERCENTILES, axis=0)
    return intervals


def _draws(films: int, draws: int, seed: int) -> Iterator[Float64Array]:
    """How often each film was drawn: float64 [some draws, films], until there are ``draws``."""
    random = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE_NUMBERS // films)
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        yield random.multinomial(films, np.full(films, 1 / films), count).astype(np.float64)


def _drawn_means(drawn: Float64Array, sums: list[Float64Array], counts: list[Float64Array]) -> Float64Array:
    total = np.zeros((len(drawn), sums[0].shape[1]))
    groups = np.zeros((len(drawn), 1))
    for group_sums, group_counts in zip(sums, counts, strict=True):
        queries = (drawn @ group_counts)[:, None]
        total += np.divide(drawn @ group_sums, queries, out=np.zeros_like(total), where=queries > 0)
        groups += queries > 0
    means: Float64Array = total / groups
    return means
