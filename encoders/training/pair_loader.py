"""Batches of scene pairs, read in threads one batch ahead."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from m2s_index.encoders.training.processes import ALONE, Processes
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


class PairLoader:
    """Reads a sampler's batches. Use it as a context manager, from one thread."""

    def __init__(
        self, sampler: ScenePairSampler, read: Callable[[int], Tensor], processes: Processes = ALONE
    ) -> None:
        """Args: which pairs; what reads a scene by its number, in several threads at once; who shares a batch."""
        self._sampler = sampler
        self._processes = processes
        self._read = read
        self._threads = ThreadPoolExecutor(_THREADS, "m2s-pairs")
        self._ahead: dict[int, list[Future[Tensor]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def batch(self, number: int) -> PairBatch:
        """Batch ``number``, of which each of several processes has its share; the next one is begun.

        Raises:
            CatalogError: what is stored of a film is missing or damaged.
        """
        reading = self._ahead.pop(number, None) or self._start(number)
        self._ahead = {number + 1: self._start(number + 1)}
        scenes = torch.from_numpy(self._pairs(number))
        read = torch.stack([scene.result() for scene in reading])
        half = len(scenes)
        return PairBatch(read[:half], read[half:], scenes[:, 0], scenes[:, 1])

    def _start(self, number: int) -> list[Future[Tensor]]:
        # Queries first, then positives.
        return [self._threads.submit(self._read, scene) for scene in self._pairs(number).T.ravel().tolist()]

    def _pairs(self, number: int) -> Int64Array:
        return np.stack(self._processes.share(list(self._sampler.batch(number))))
