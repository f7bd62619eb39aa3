"""The best pairs of a catalogue that is too large to compare every scene with every other: among the nearest scenes
that its index file finds for each. Only the best are wanted, so that it looks no farther than for these.

A pair is missed where neither of its scenes is among the other's nearest by the index, as where the nearest are all
of the scene's own film. What is found has its exact score; how many of the best are found is measured in
docs/benchmarks.md.
"""

from __future__ import annotations

import numpy as np

from m2s_index.pairing.best_pairs import COMPARED_AT_ONCE, NO_PAIRS, BestPairs, Block, CatalogueRows, RowPairs
from m2s_index.pairing.film_rows import paired_scores
from m2s_index.types import Float32Array, Int64Array
from m2s_index.vectors import VectorIndex

NEIGHBOURS = 63
CANDIDATES = 8
"""So many times the pairs that are wanted are kept: some lose their scenes to better ones of the same two films."""

ERROR = 0.01
"""More than a compressed index is wrong by, as a share of a score or of 1: with 512 numbers by 0.002 at most."""


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
        ids, values = self._index.search(self._rows.vectors[rows], self._neighbours + 1, near_only=True)
        known = self._rows.scene_ids
        others = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        first = np.broadcast_to(rows[:, None], ids.shape)
        wanted = (known[others] == ids) & (self._films[first] != self._films[others])
        scores = values if self._rows.metric == "cosine" else -np.sqrt(np.maximum(values, 0))
        wanted[wanted] = scores[wanted] >= self._cut(scores[wanted])
        self._keep(np.minimum(first, others)[wanted], np.maximum(first, others)[wanted])

    def _cut(self, scores: Float32Array) -> float:
        """What FAISS must give a pair at least for it to be among those that are kept.

        Args:
            scores: what it gives the pairs that were found of a block, float32 [P], each there twice at most.
        """
        cuts, twice = [-np.inf], 2 * self._wanted
        if len(scores) > twice:
            least = float(np.partition(scores, len(scores) - twice)[len(scores) - twice])
            # FAISS may be wrong by as much for these as for the pair.
            cuts.append(least - 2 * ERROR * max(1.0, abs(least)))
        if len(self.state) == self._wanted:
            least = float(self.state.scores[-1])
            cuts.append(least - ERROR * max(1.0, abs(least)))
        return max(cuts)

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
