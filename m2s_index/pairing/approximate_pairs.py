"""The best pairs of a catalogue that is too large to compare every scene with every other: among the nearest scenes
that its index file finds for each.

A pair is missed where neither of its scenes is among the other's nearest by the index, as where the nearest are all
of the scene's own film. What is found has its exact score; how many of the best are found is measured in
docs/benchmarks.md.
"""

from __future__ import annotations

import numpy as np

from m2s_index.pairing.best_pairs import COMPARED_AT_ONCE, NO_PAIRS, BestPairs, Block, CatalogueRows, RowPairs
from m2s_index.pairing.film_rows import paired_scores
from m2s_index.selection import BoolArray
from m2s_index.types import Float32Array, Int64Array
from m2s_index.vectors import VectorIndex

NEIGHBOURS = 100
CANDIDATES = 8
"""So many times the pairs that are wanted are kept: some lose their scenes to better ones of the same two films."""

ERROR = 0.05
"""More than a compressed index is wrong by, as a share of a score or of 1."""


class ApproximatePairs:
    """The best pairs among the nearest neighbours of the blocks that were added; see ``BestPairs``."""

    def __init__(
        self, rows: CatalogueRows, index: VectorIndex, count: int, *, keep: float, min_score: float | None = None,
        neighbours: int = NEIGHBOURS, state: RowPairs = NO_PAIRS,
    ) -> None:  # fmt: skip
        """Args:
        rows: all scenes.
        index: the index file's, which has them all.
        count: how many pairs are wanted.
        keep: the share of a film pair's scores that can be pairs.
        min_score: only pairs of at least this score.
        neighbours: how many scenes are looked for around each.
        state: of the blocks that were added before.
        """
        self._rows, self._index, self._wanted, self._neighbours = rows, index, CANDIDATES * count, neighbours
        self._best = BestPairs(rows, count, keep=keep, min_score=min_score)
        self._least = -np.inf if min_score is None else min_score
        self._films = np.repeat(np.arange(rows.films), np.diff(rows.starts))
        self.state = state

    @property
    def found(self) -> RowPairs:
        """The best so far, best first; equal scores by their rows."""
        return self._best.best_of(self._best.take(self.state.first, self.state.second, self._least))

    def add(self, block: Block) -> None:
        """Look for the neighbours of the scenes of a block's first films among all."""
        rows = np.arange(self._rows.starts[block.first], self._rows.starts[block.first_end])
        ids, values = self._index.search(self._rows.vectors[rows], self._neighbours + 1)
        known = self._rows.scene_ids
        others = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        first = np.broadcast_to(rows[:, None], ids.shape)
        wanted = (known[others] == ids) & (self._films[first] != self._films[others]) & self._promising(values)
        self._keep(np.minimum(first, others)[wanted], np.maximum(first, others)[wanted])

    def _promising(self, values: Float32Array) -> BoolArray:
        """Which of FAISS's values may be of pairs better than the last that is kept."""
        if len(self.state) < self._wanted:
            return np.ones(values.shape, np.bool_)
        cut = float(self.state.scores[-1])
        scores = values if self._rows.metric == "cosine" else -np.sqrt(np.maximum(values, 0))
        promising: BoolArray = scores >= cut - ERROR * max(1.0, abs(cut))
        return promising

    def _keep(self, first: Int64Array, second: Int64Array) -> None:
        """Keep the best of what was found before and of pairs by their rows, int64 [P] and [P]."""
        total = len(self._films)
        keys = np.setdiff1d(first * total + second, self.state.first * total + self.state.second)
        first, second = np.divmod(keys, total)
        vectors, metric = self._rows.vectors, self._rows.metric
        parts = [slice(at, at + COMPARED_AT_ONCE) for at in range(0, len(first), COMPARED_AT_ONCE)]
        scores = [paired_scores(vectors[first[part]], vectors[second[part]], metric) for part in parts]
        both = self.state.joined(RowPairs(first, second, np.concatenate([np.empty(0, np.float32), *scores])))
        order = np.lexsort((both.second, both.first, -both.scores))[: self._wanted]
        self.state = both.only(order)


def neighbour_blocks(runs: list[Block]) -> list[Block]:
    """One block for each run of films, whose neighbours are looked for among all; of ``all_blocks``."""
    return [block for block in runs if block.first == block.second]
