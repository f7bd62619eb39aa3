"""Which pairs of scenes are taken from a matrix of their similarities: best first, no scene twice
(seed, 1.1c for windows, 3a for scenes).
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from m2s_index.types import Float32Array, Int64Array


def select_pairs(scores: Float32Array, span: int, share: float = 0.5) -> Int64Array:
    """Pairs (i, j) in the order they are taken: int64 [P, 2].

    Candidates are the highest ``share`` of all entries, rounded up. The best is taken, and with it go all
    candidates that overlap it in either film; then the best of the rest. Equal scores go by (i, j).

    Args:
        scores: [M, N], higher for closer, none infinite or not a number.
        span: how many rows (columns) a scene reaches over: two overlap where they are fewer apart. 9 for
            windows of nine shots at stride 1, and 1 for whole scenes.
        share: above 0, at most 1.
    """
    count = int(np.ceil(scores.size * share))
    pairs = _best_first(scores, span)

    def rank(pair: tuple[int, int]) -> int:
        """How many entries come before it, best first; of more than ``count``, only that there are."""
        i, j = pair
        score = scores[i, j]
        before = int(np.count_nonzero(scores > score))
        if before < count:
            before += int(np.count_nonzero(scores[:i] == score) + np.count_nonzero(scores[i, :j] == score))
        return before

    # Which of the pairs are candidates is asked of a few, in place of sorting all entries.
    return np.array(pairs[: bisect_left(pairs, count, key=rank)], np.int64).reshape(-1, 2)


def _best_first(scores: Float32Array, span: int) -> list[tuple[int, int]]:
    """Pairs as they would be taken if all entries were candidates.

    Each row's best entry is kept. When its column is taken it stays as a bound, and the row is looked through
    again only once no other row's best is higher: a pair costs a few rows, not the whole matrix.
    """
    if not scores.size:
        return []
    columns = scores.argmax(axis=1)
    best = np.take_along_axis(scores, columns[:, None], axis=1)[:, 0]
    taken = np.zeros(scores.shape[1], bool)
    pairs = []
    # The first of equal rows, and the first of equal columns in it: ties go by (i, j).
    while best[i := int(best.argmax())] > -np.inf:
        j = int(columns[i])
        if taken[j]:
            left = np.where(taken, np.float32(-np.inf), scores[i])
            columns[i] = left.argmax()
            best[i] = left[columns[i]]
            continue
        pairs.append((i, j))
        best[max(0, i - span + 1) : i + span] = -np.inf
        taken[max(0, j - span + 1) : j + span] = True
    return pairs
