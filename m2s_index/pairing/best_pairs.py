"""The best pairs of scenes of all films against all: exact, in blocks, with bounded memory.

The rule of two films (seed, 3a) holds for each pair of films: its scores are walked down from the highest, as far
as the highest half; a pair is taken unless one of its scenes is taken already. Wanted are the N best of all that
are taken. Why it is enough to look at scores of at least some cut:

- Whether an entry is taken depends only on entries that come before it. The entries of a film pair that score at
  least the cut are a beginning of its order, so that among them the very same are taken as among all, and whether
  one is within the highest half shows from its place among them.
- If N pairs were taken so far, the N best of all score at least as much as the N-th of these. So that score is a
  cut for all film pairs still to come. Nothing is lost to ties: what equals the cut is looked at.

The scores themselves are those of ``film_rows.paired_scores``, in double precision. Matrix products in single
precision only say which entries may reach the cut: they err by no more than a bound that is added to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.pairing.film_rows import paired_scores
from m2s_index.types import Float32Array, Int64Array, Metric

BLOCK_ROWS = 4096
"""Scenes on either side of a block: its scores take 64 MiB."""
COMPARED_AT_ONCE = 1 << 14
"""Pairs that are compared in double precision together."""
FIRST_GUESS = 4
"""Of the first block so many times N scores are looked at to find N pairs; if need be, so many times more."""
LOWEST = float(np.finfo(np.float32).min)
"""Above −∞, which stands where there is no pair."""


@dataclass(frozen=True, eq=False)
class CatalogueRows:
    """Scenes of many films: ``vectors`` float32 [N, D], row i for ``scene_ids[i]`` (int64 [N], increasing).

    Film f has the rows ``starts[f]`` to ``starts[f + 1]``, at least one; ``starts`` is int64 [F + 1].
    """

    scene_ids: Int64Array
    vectors: Float32Array
    starts: Int64Array
    metric: Metric

    @property
    def films(self) -> int:
        """How many films there are."""
        return len(self.starts) - 1


@dataclass(frozen=True)
class Block:
    """Films ``first`` to ``first_end`` (exclusive) against ``second`` to ``second_end``."""

    first: int
    first_end: int
    second: int
    second_end: int


@dataclass(frozen=True, eq=False)
class RowPairs:
    """Pairs by their rows: int64 [P] and [P], with the float32 score [P] of each."""

    first: Int64Array
    second: Int64Array
    scores: Float32Array

    def __len__(self) -> int:
        return len(self.first)

    def only(self, places: NDArray[np.bool_] | Int64Array) -> RowPairs:
        """Those of a mask, or at some places in their order."""
        return RowPairs(self.first[places], self.second[places], self.scores[places])

    def joined(self, other: RowPairs) -> RowPairs:
        """These and then those."""
        return RowPairs(
            np.concatenate([self.first, other.first]),
            np.concatenate([self.second, other.second]),
            np.concatenate([self.scores, other.scores]),
        )


NO_PAIRS = RowPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def all_blocks(starts: Int64Array, rows: int = BLOCK_ROWS) -> list[Block]:
    """Every film against every other, once: runs of films of at most so many rows, or of one film, crossed."""
    runs = list(_runs(starts, rows))
    return [Block(*a, *b) for at, a in enumerate(runs) for b in runs[at:]]


def blocks_of(films: Int64Array) -> list[Block]:
    """One block for each of some film pairs, int64 [P, 2], first < second in each."""
    return [Block(a, a + 1, b, b + 1) for a, b in films.tolist()]


class BestPairs:
    """The best pairs of the blocks that were added. ``state`` can be kept, and be gone on from."""

    def __init__(
        self,
        rows: CatalogueRows,
        count: int,
        *,
        keep: float,
        min_score: float | None = None,
        state: RowPairs = NO_PAIRS,
    ) -> None:
        """Args:
        rows: all scenes.
        count: how many pairs are wanted.
        keep: the share of a film pair's scores that can be pairs.
        min_score: only pairs of at least this score.
        state: of the blocks that were added before.
        """
        self._rows, self._count, self._keep = rows, count, keep
        self._least = -np.inf if min_score is None else min_score
        self._films = np.repeat(np.arange(rows.films), np.diff(rows.starts))
        squares = np.square(rows.vectors, dtype=np.float64).sum(axis=1) if rows.metric == "l2" else None
        self._half_squares = None if squares is None else (squares / 2).astype(np.float32)
        largest = 1.0 if squares is None else float(squares.max(initial=0))
        # γ_n of Higham, "Accuracy and Stability of Numerical Algorithms", 3.1, twice: products and squares.
        self._error: float = (rows.vectors.shape[1] + 8) * 2.0**-23 * largest
        self._tile = np.empty(0, np.float32)
        self._found = state

    @property
    def found(self) -> RowPairs:
        """The best so far, best first; equal scores by their rows."""
        return self.best_of(self._found)

    @property
    def state(self) -> RowPairs:
        """What another one needs to go on."""
        return self.found

    def best_of(self, pairs: RowPairs) -> RowPairs:
        """As many of some pairs as are wanted, best first."""
        return pairs.only(np.lexsort((pairs.second, pairs.first, -pairs.scores))[: self._count])

    def add(self, block: Block) -> None:
        """Look at all film pairs of a block."""
        tile = self._products(block)
        cut, share = self._cut(), FIRST_GUESS * self._count
        while True:
            if cut == -np.inf and share < tile.size:
                # Not enough pairs yet for a cut: one that so many scores reach, to begin with.
                guess = self._score(float(np.partition(tile, tile.size - share, axis=None)[tile.size - share]))
            else:
                guess = cut
            taken = self._taken(block, tile, guess)
            if guess == cut or len(self._found) + len(taken) >= self._count:
                break
            share *= FIRST_GUESS
        self._found = self._found.joined(taken)
        if len(self._found) > 2 * self._count:
            self._found = self.found

    def _cut(self) -> float:
        """What a pair must score at least."""
        scores = self._found.scores
        if len(scores) < self._count:
            return float(self._least)
        return max(self._least, float(np.partition(scores, len(scores) - self._count)[len(scores) - self._count]))

    def _products(self, block: Block) -> Float32Array:
        """About what each pair of rows scores (see ``_score``): float32 [M, N], −∞ where there is no pair."""
        starts, vectors = self._rows.starts, self._rows.vectors
        rows = slice(int(starts[block.first]), int(starts[block.first_end]))
        columns = slice(int(starts[block.second]), int(starts[block.second_end]))
        shape = rows.stop - rows.start, columns.stop - columns.start
        if self._tile.size < shape[0] * shape[1]:
            self._tile = np.empty(shape[0] * shape[1], np.float32)
        tile = self._tile[: shape[0] * shape[1]].reshape(shape)
        np.matmul(vectors[rows], vectors[columns].T, out=tile)
        if self._half_squares is not None:
            tile -= self._half_squares[rows, None]
            tile -= self._half_squares[columns]
        if block.first == block.second:
            for film in range(block.first, block.first_end):
                own = slice(int(starts[film]) - rows.start, int(starts[film + 1]) - rows.start)
                tile[own, : own.stop] = -np.inf
        return tile

    def _score(self, product: float) -> float:
        """A score that pairs of at least this product have for sure: the product itself, or minus the distance."""
        if self._rows.metric == "cosine":
            return product - self._error
        return -float(np.sqrt(max(0.0, -2 * (product - self._error))))

    def _least_product(self, score: float) -> float:
        """What a pair of at least this score has as its product at least."""
        return (score if self._rows.metric == "cosine" else -score * score / 2) - self._error

    def _taken(self, block: Block, tile: Float32Array, cut: float) -> RowPairs:
        """The pairs of at least ``cut`` that are taken in a block."""
        least = max(self._least_product(cut), LOWEST)
        first, second = np.divmod(np.flatnonzero(tile >= least), tile.shape[1])
        first += self._rows.starts[block.first]
        second += self._rows.starts[block.second]
        return self.take(first, second, cut)

    def take(self, first: Int64Array, second: Int64Array, cut: float) -> RowPairs:
        """The pairs that are taken of candidates by rows, int64 [P] and [P], which are all that reach ``cut``."""
        vectors, metric = self._rows.vectors, self._rows.metric
        parts = [slice(at, at + COMPARED_AT_ONCE) for at in range(0, len(first), COMPARED_AT_ONCE)]
        exact = [paired_scores(vectors[first[part]], vectors[second[part]], metric) for part in parts]
        candidates = RowPairs(first, second, np.concatenate([np.empty(0, np.float32), *exact]))
        candidates = candidates.only((candidates.scores >= cut) & (candidates.scores > -np.inf))
        film_pairs = self._films[candidates.first] * self._rows.films + self._films[candidates.second]
        order = np.lexsort((candidates.second, candidates.first, -candidates.scores, film_pairs))
        candidates, film_pairs = candidates.only(order), film_pairs[order]
        places = np.arange(len(film_pairs)) - np.searchsorted(film_pairs, film_pairs)
        lengths = np.diff(self._rows.starts)
        sizes = lengths[film_pairs // self._rows.films] * lengths[film_pairs % self._rows.films]
        allowed = places < np.ceil(sizes * self._keep)
        return candidates.only(allowed).only(_greedy(candidates.only(allowed), film_pairs[allowed]))


def _greedy(candidates: RowPairs, film_pairs: Int64Array) -> NDArray[np.bool_]:
    """Which candidates, in order, share no scene with one taken before of their film pair: bool [P]."""
    alone = np.ones(len(film_pairs), np.bool_)
    same = film_pairs[1:] == film_pairs[:-1]
    alone[1:] &= ~same
    alone[:-1] &= ~same
    taken = alone.copy()
    now, used_rows, used_columns = -1, set[int](), set[int]()
    places = np.flatnonzero(~alone)
    columns = (film_pairs[places], candidates.first[places], candidates.second[places])
    for place, film_pair, row, column in zip(places.tolist(), *(c.tolist() for c in columns), strict=True):
        if film_pair != now:
            now, used_rows, used_columns = film_pair, set(), set()
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            taken[place] = True
    return taken


def _runs(starts: Int64Array, rows: int) -> Iterator[tuple[int, int]]:
    """Runs of films, first to end (exclusive), of at most so many rows each, or of one film."""
    first, films = 0, len(starts) - 1
    while first < films:
        end = max(first + 1, int(np.searchsorted(starts, starts[first] + rows, "right")) - 1)
        yield first, end
        first = end
