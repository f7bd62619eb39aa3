"""Batches of scene pairs, read ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from m2s_index.encoders.training.processes import ALONE, Processes
from m2s_index.encoders.training.read_ahead import ReadAhead
from m2s_index.encoders.training.scene_pairs import ScenePairSampler
from m2s_index.types import Int64Array

_THREADS = 4


@dataclass(frozen=True)
class PairBatch:
    """What is seen of N queries and of their positives, [N, S, …] each, and which scenes they are, int64 [N]."""

    queries: Tensor
    positives: Tensor
    query_scenes: Tensor
    positive_scenes: Tensor


class PairLoader(ReadAhead[int, Tensor]):
    """Reads a sampler's batches."""

    def __init__(
        self, sampler: ScenePairSampler, read: Callable[[int], Tensor], processes: Processes = ALONE
    ) -> None:
        """Args: which pairs; what reads a scene by its number, in several threads at once; who shares a batch."""
        super().__init__(self._scenes, read, threads=_THREADS)
        self._sampler = sampler
        self._processes = processes

    def batch(self, number: int) -> PairBatch:
        """Batch ``number``, of which each of several processes has its share; the next one is begun.

        Raises:
            CatalogError: what is stored of a film is missing or damaged.
        """
        scenes = torch.from_numpy(self._pairs(number))
        read = torch.stack(self.read(number))
        half = len(scenes)
        return PairBatch(read[:half], read[half:], scenes[:, 0], scenes[:, 1])

    def _scenes(self, number: int) -> list[int]:
        """Queries first, then positives."""
        scenes: list[int] = self._pairs(number).T.ravel().tolist()
        return scenes

    def _pairs(self, number: int) -> Int64Array:
        return np.stack(self._processes.share(list(self._sampler.batch(number))))
