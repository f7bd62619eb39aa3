"""How well vectors of scenes tell pairs of films that were never trained on from pairs drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from m2s_index.pairing.windows import WINDOW_SHOTS
from m2s_index.types import Float32Array, Int64Array


@dataclass(frozen=True)
class PositiveRanks:
    """Where positives rank by cosine among other films' scenes, over ``queries`` queries.

    ``auc`` is the chance that a query is closer to its positive than to a scene drawn at random, ties counted half:
    0.5 where nothing is known. ``mean_rank`` counts from 1, ``mean_candidates`` is how many were ranked.
    """

    queries: int
    auc: float
    mean_rank: float
    mean_candidates: float


def rank_positives(
    vectors: Float32Array, scenes: Int64Array, films: Int64Array, pairs: Int64Array
) -> PositiveRanks | None:
    """Rank each pair's scenes from both sides; None where there is nothing to rank against.

    A query's candidates are its positive and the scenes of other films that overlap none of its positives.

    Args:
        vectors: float32 [N, D], rows normalised.
        scenes: int64 [N], the scenes by number, each once.
        films: int64 [N], their films.
        pairs: int64 [P, 2], positive pairs as rows of ``vectors``.
    """
    both = np.concatenate([pairs, pairs[:, ::-1]])
    ranks, candidates = [], []
    for query in np.unique(both[:, 0]):
        positives = both[both[:, 0] == query, 1]
        near = (np.abs(scenes[:, None] - scenes[positives]) < WINDOW_SHOTS).any(axis=1)
        others = vectors[(films != films[query]) & ~near] @ vectors[query]
        for score in vectors[positives] @ vectors[query] if len(others) else ():
            ranks.append(1 + (others > score).sum() + (others == score).sum() / 2)
            candidates.append(1 + len(others))
    if not ranks:
        return None
    rank, count = np.array(ranks), np.array(candidates)
    auc = (1 - (rank - 1) / (count - 1)).mean()
    return PositiveRanks(len(rank), float(auc), float(rank.mean()), float(count.mean()))
