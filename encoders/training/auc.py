"""AUC: how often what is similar scores above what is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def auc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    """The share of pairs of a positive and a negative in which the positive scores higher; a tie counts half.

    By ranks: (sum of the positives' mean ranks − p(p + 1)/2) / (p·n), Mann and Whitney's statistic.

    Args:
        scores: [N], finite.
        positive: bool [N].

    Returns:
        In [0, 1]; None where there is no positive or no negative.
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    above = mean_ranks[place][positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))
