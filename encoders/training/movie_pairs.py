"""Which pairs of films are trained on, which are held out, and which are in a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from m2s_index.errors import UsageError
from m2s_index.types import FilmPairs, Int64Array


@dataclass(frozen=True)
class SplitPairs:
    """Pairs of a catalogue's films in three parts, and how many films are on either side of the split.

    ``trained``: pairs that are learned from. ``held_out_pairs``: others of the same films. ``held_out_movies``:
    pairs of films of which no pair is learned from. A pair with a film on either side is in none.
    """

    trained: FilmPairs
    held_out_pairs: FilmPairs
    held_out_movies: FilmPairs
    trained_films: Int64Array
    held_out_films: Int64Array


def split_pairs(pairs: FilmPairs, *, held_out: float, seed: int) -> SplitPairs:
    """Hold out a share of the films that are in pairs, and that share of the other films' pairs of either kind."""
    generator = np.random.default_rng([seed, 0])
    films = generator.permutation(np.unique(np.concatenate([pairs.first, pairs.second])))
    count = round(held_out * len(films))
    apart, kept = np.sort(films[:count]), np.sort(films[count:])
    both_apart = np.isin(pairs.first, apart) & np.isin(pairs.second, apart)
    both_kept = np.isin(pairs.first, kept) & np.isin(pairs.second, kept)
    left = np.zeros(len(pairs), bool)
    for kind in (pairs.similar, ~pairs.similar):
        some = generator.permutation(np.flatnonzero(both_kept & kind))
        left[some[: round(held_out * len(some))]] = True
    return SplitPairs(pairs.at(both_kept & ~left), pairs.at(left), pairs.at(both_apart), kept, apart)


class PairSampler:
    """Batches by number: number n is the same whenever it is asked for, so there is no state to keep.

    A batch is half similar pairs and half not. Of either kind all pairs come before one comes again.
    """

    def __init__(self, pairs: FilmPairs, *, batch: int, seed: int) -> None:
        """Sort the pairs by kind.

        Args:
            pairs: to draw from.
            batch: pairs in a batch.
            seed: another seed, other batches.

        Raises:
            UsageError: there are fewer pairs than a batch takes, or none of a kind.
        """
        self._kinds = [np.flatnonzero(pairs.similar), np.flatnonzero(~pairs.similar)]
        similar, others = map(len, self._kinds)
        if min(similar, others) == 0 or len(pairs) < batch:
            raise UsageError(
                f"there are {similar} similar pairs of films to train on and {others} that are not, and a batch "
                f"takes {batch}, of both kinds; index more films, or set pairs or held_out lower"
            )
        self.pairs = pairs
        self._shares = [batch - batch // 2, batch // 2]
        self._seed = seed

    def batch(self, number: int) -> FilmPairs:
        """The pairs of batch ``number``, 0 or above."""
        drawn = [self._drawn(kind, number * share, share) for kind, share in zip((0, 1), self._shares, strict=True)]
        return self.pairs.at(np.concatenate(drawn))

    def _drawn(self, kind: int, start: int, count: int) -> Int64Array:
        """Places ``start`` and on of the endless row of this kind's pairs, shuffled anew each time round."""
        pairs = self._kinds[kind]
        rounds = range(start // len(pairs), (start + count - 1) // len(pairs) + 1)
        shuffled = [np.random.default_rng([self._seed, 1 + kind, turn]).permutation(pairs) for turn in rounds]
        row: Int64Array = np.concatenate(shuffled)[start - rounds[0] * len(pairs) :][:count]
        return row
