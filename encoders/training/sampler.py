"""Which shots are in a batch: runs of neighbouring shots, each of another film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from m2s_index.errors import UsageError


@dataclass(frozen=True)
class Run:
    """Neighbouring shots of one film, from ``first_shot`` on."""

    film: int
    first_shot: int


class RunSampler:
    """Batches by number: number n is the same whenever it is asked for, so there is no state to keep.

    Films are drawn without repetition, in proportion to their shots; in a film every run is as likely.
    """

    def __init__(self, shots: Sequence[int], *, run_shots: int, films: int, seed: int) -> None:
        """Count the films that are long enough.

        Args:
            shots: how many shots each film has.
            run_shots: shots in a run.
            films: runs in a batch.
            seed: another seed, other batches.

        Raises:
            UsageError: too few films have a run's shots.
        """
        self._starts = np.array([max(0, count - run_shots + 1) for count in shots], np.int64)
        self.films = int((self._starts > 0).sum())
        if self.films < films:
            raise UsageError(
                f"{self.films} of {len(shots)} films have the {run_shots} shots of a run, and a batch takes runs "
                f"of {films} films; index more films, or set run_shots or films_per_batch lower"
            )
        counted = np.where(self._starts > 0, shots, 0)
        self.shots = int(counted.sum())
        self._share = counted / self.shots
        self._batch_films = films
        self._seed = seed

    def batch(self, number: int) -> list[Run]:
        """The runs of batch ``number``, 0 or above."""
        generator = np.random.default_rng([self._seed, number])
        films = generator.choice(len(self._share), self._batch_films, replace=False, p=self._share)
        return [Run(int(film), int(generator.integers(self._starts[film]))) for film in films]
