"""Pairs of scenes by number: which films are held out, and which pairs are in a batch.

A scene's number is that of its first shot, counted through all shots of all films in order. All scenes are windows
of ``WINDOW_SHOTS`` shots, so two overlap exactly where their numbers are fewer apart: the last window of a film
begins that many shots before the next film does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from m2s_index.errors import UsageError
from m2s_index.types import Int64Array


class Scenes:
    """Which film and shot a scene's number stands for."""

    def __init__(self, shots: Sequence[int]) -> None:
        """Args: how many shots each film has."""
        self._first_of_film = np.cumsum([0, *shots])

    def number(self, film: int, first_shot: int) -> int:
        """The scene of a film that begins with that shot."""
        return int(self._first_of_film[film]) + first_shot

    def films(self, scenes: Int64Array) -> Int64Array:
        """The film of each scene, of the same shape."""
        found: Int64Array = np.searchsorted(self._first_of_film, scenes, side="right") - 1
        return found

    def place(self, scene: int) -> tuple[int, int]:
        """A scene's film and first shot."""
        film = int(np.searchsorted(self._first_of_film, scene, side="right")) - 1
        return film, scene - int(self._first_of_film[film])


@dataclass(frozen=True)
class PairSplit:
    """Pairs int64 [P, 2] of the films that are trained on, and [H, 2] of those held out; ``crossing`` pairs of one
    film of each are in neither.
    """

    trained: Int64Array
    held_out: Int64Array
    trained_films: int
    held_out_films: int
    crossing: int

    @property
    def scenes(self) -> int:
        """How many scenes are trained on."""
        return len(np.unique(self.trained))


def split_pairs(pairs: Int64Array, scenes: Scenes, *, share: float, seed: int) -> PairSplit:
    """Hold films out.

    Args:
        pairs: int64 [P, 2], scenes by number.
        scenes: whose numbers they are.
        share: of the films that pairs are of, rounded; two at least, where it is above 0, since one has no pairs.
        seed: another seed, other films.
    """
    films = scenes.films(pairs)
    known = np.unique(films)
    count = max(2, round(share * len(known))) if share else 0
    chosen = np.random.default_rng(seed).permutation(known)[:count]
    out = np.isin(films, chosen)
    none, both = ~out.any(axis=1), out.all(axis=1)
    crossing = int((~none & ~both).sum())
    return PairSplit(pairs[none], pairs[both], max(0, len(known) - count), count, crossing)


class ScenePairSampler:
    """Batches by number: number n is the same whenever it is asked for, so there is no state to keep.

    Each epoch goes through the pairs in an order of its own; those left over at its end are passed by.
    """

    def __init__(self, pairs: Int64Array, *, batch_pairs: int, seed: int) -> None:
        """Args: int64 [P, 2]; pairs in a batch; another seed, other batches.

        Raises:
            UsageError: there are too few pairs for a batch.
        """
        if len(pairs) < batch_pairs:
            raise UsageError(
                f"{len(pairs)} pairs of scenes are there to train on, and a batch takes {batch_pairs}; mine more, "
                "hold out fewer films, or set batch_pairs lower"
            )
        self.pairs = pairs
        self._batch_pairs = batch_pairs
        self._seed = seed

    def batch(self, number: int) -> Int64Array:
        """The queries and positives of batch ``number``: int64 [N, 2]. Which side is the query is drawn."""
        size = self._batch_pairs
        epoch, place = divmod(number, len(self.pairs) // size)
        order = np.random.default_rng([self._seed, 0, epoch]).permutation(len(self.pairs))
        chosen = self.pairs[order[place * size : (place + 1) * size]]
        turned = np.random.default_rng([self._seed, 1, number]).random(size) < 0.5
        return np.where(turned[:, None], chosen[:, ::-1], chosen)
