"""How alike two films are, window by window: means over the shot adjacency matrix (seed, 1.1c)."""

from __future__ import annotations

import numpy as np

from m2s_index.types import Float32Array

WINDOW_SHOTS = 9


def window_means(features: Float32Array, size: int = WINDOW_SHOTS) -> Float32Array:
    """The mean of every run of ``size`` rows at stride 1: float32 [max(0, M − size + 1), D].

    Rows are not normalised again: that would change how windows rank.

    Args:
        features: float32 [M, D], a film's shots.
        size: rows in a window.
    """
    if len(features) < size:
        return np.empty((0, features.shape[1]), np.float32)
    count = len(features) - size + 1
    # Whole matrices added up: a fifth of the time that a mean over each window takes.
    means = features[:count].astype(np.float32)
    for shift in range(1, size):
        means += features[shift : shift + count]
    means /= size
    return means


def window_scores(first: Float32Array, second: Float32Array, size: int = WINDOW_SHOTS) -> Float32Array:
    """The mean of every ``size`` × ``size`` window of A = first · secondᵀ: float32 [M − size + 1, N − size + 1].

    The mean of a window of A is the product of the two windows' mean rows, so A itself is never made.

    Args:
        first, second: float32 [M, D] and [N, D], two films' shots, rows normalised.
        size: shots in a window.
    """
    scores: Float32Array = window_means(first, size) @ window_means(second, size).T
    return scores
