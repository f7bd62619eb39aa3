"""Which pairs of scenes are taken from a matrix of their similarities: best first, no scene twice
(seed, 1.1c for windows, 3a for scenes).
"""

from __future__ import annotations

import numpy as np

from m2s_index.types import Float32Array, Int64Array


def select_pairs(scores: Float32Array, span: int, share: float = 0.5) -> Int64Array:
    """Pairs (i, j) in the order they are taken: int64 [P, 2].

    Candidates are the highest ``share`` of all entries, rounded up. The best is taken, and with it go all
    candidates that overlap it in either film; then the best of the rest. Equal scores go by (i, j).

    Args:
        scores: [M, N], higher for closer.
        span: how many rows (columns) a scene reaches over: two overlap where they are fewer apart. 9 for
            windows of nine shots at stride 1, and 1 for whole scenes.
        share: above 0, at most 1.
    """
    count = int(np.ceil(scores.size * share))
    best_first = np.argsort(-scores, axis=None, kind="stable")[:count]
    left = np.stack(np.unravel_index(best_first, scores.shape), axis=1).astype(np.int64)
    taken = []
    while len(left):
        taken.append(left[0])
        left = left[(np.abs(left - left[0]) >= span).all(axis=1)]
    return np.array(taken, np.int64).reshape(-1, 2)
