"""Batches of films from a source: matrices of shot features, read ahead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from m2s_index.encoders.training.movie_pairs import PairSampler
from m2s_index.encoders.training.processes import ALONE, Processes
from m2s_index.encoders.training.read_ahead import ReadAhead
from m2s_index.encoders.training.source import MovieSource
from m2s_index.types import Float32Array


@dataclass(frozen=True, eq=False)
class MovieBatch:
    """U films and the P pairs among them that a batch is of.

    ``features`` float32 [U, S, D], S being the longest film's shots; ``real`` bool [U, S], False where a row pads;
    ``first`` and ``second`` int64 [P], films by place; ``similar`` float32 [P], 1 for similar pairs, else 0.
    """

    features: Tensor
    real: Tensor
    first: Tensor
    second: Tensor
    similar: Tensor


class MovieBatches(ReadAhead[int, MovieBatch]):
    """Reads a sampler's batches, each as a whole."""

    def __init__(
        self,
        source: MovieSource,
        sampler: PairSampler,
        *,
        shots: int,
        seed: int,
        processes: Processes = ALONE,
    ) -> None:
        """Prepare to read.

        Args:
            source: of the films.
            sampler: of the pairs.
            shots: of a film, at most: of a longer one as many are drawn.
            seed: which are drawn.
            processes: each reads its share of a batch alone.
        """
        super().__init__(lambda number: [number], self._read, threads=1)
        self._source = source
        self._sampler = sampler
        self._shots = shots
        self._seed = seed
        self._processes = processes

    def batch(self, number: int) -> MovieBatch:
        """Batch ``number``; each film is in it once, however many pairs it is in.

        Raises:
            CatalogError: a film's features are damaged, or no longer there.
        """
        (batch,) = self.read(number)
        return batch

    def _read(self, number: int) -> MovieBatch:
        whole = self._sampler.batch(number)
        # By turns: both kinds of pairs are in every share.
        pairs = whole.at(np.arange(self._processes.rank, len(whole), self._processes.count))
        films, places = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
        first, second = np.split(places, 2)
        matrices = [self._drawn(number, film) for film in films.tolist()]
        lengths = torch.tensor([len(matrix) for matrix in matrices])
        return MovieBatch(
            torch.nn.utils.rnn.pad_sequence([torch.from_numpy(matrix) for matrix in matrices], batch_first=True),
            torch.arange(int(lengths.max())) < lengths[:, None],
            torch.from_numpy(first),
            torch.from_numpy(second),
            torch.from_numpy(pairs.similar.astype(np.float32)),
        )

    def _drawn(self, number: int, film: int) -> Float32Array:
        """A film's shots, or some of them in order: the same for one batch's number wherever it is asked for."""
        features = self._source.features(film)
        if len(features) <= self._shots:
            return features
        generator = np.random.default_rng([self._seed, number, film])
        return features[np.sort(generator.choice(len(features), self._shots, replace=False))]
