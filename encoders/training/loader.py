"""Batches of pictures from a source, read and scaled ahead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from PIL import Image as PILImage
from PIL import ImageOps
from torch import Tensor

from m2s_index.encoders.timm_image import picture
from m2s_index.encoders.training.processes import ALONE, Processes
from m2s_index.encoders.training.read_ahead import ReadAhead
from m2s_index.encoders.training.sampler import Run, RunSampler
from m2s_index.encoders.training.source import TrainingSource
from m2s_index.types import Image

_BASE_SHARE = 8 / 7
_THREADS = 4


class BatchLoader(ReadAhead[Run, Tensor]):
    """Reads a sampler's batches."""

    def __init__(
        self,
        source: TrainingSource,
        sampler: RunSampler,
        run_shots: int,
        side_px: int,
        processes: Processes = ALONE,
    ) -> None:
        super().__init__(self._runs, self._read, threads=_THREADS)
        self._source = source
        self._sampler = sampler
        self._run_shots = run_shots
        self._side_px = side_px
        self._processes = processes
        self._first_of_film = [0, *accumulate(source.shots)]

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Pictures uint8 [N, 3, side, side] and their shots int64 [N], which number all films' shots through; of
        several processes each has its share.

        Raises:
            KeyFrameError: a film's key frames are missing or damaged.
        """
        runs = self._runs(number)
        shots = [self._first_of_film[r.film] + r.first_shot + i for r in runs for i in range(self._run_shots)]
        return torch.cat(self.read(number)), torch.tensor(shots)

    def _runs(self, number: int) -> Sequence[Run]:
        return self._processes.share(self._sampler.batch(number))

    def _read(self, run: Run) -> Tensor:
        frames = self._source.frames(run.film, run.first_shot, self._run_shots)
        return square_pictures(frames, self._side_px)


def base_px(image_px: int) -> int:
    """The side of the squares that views are cut from: larger than is seen, so that crops are scaled up less."""
    return round(image_px * _BASE_SHARE)


def square_pictures(frames: Sequence[Image], side_px: int) -> Tensor:
    """The middle squares of frames at one size: uint8 [N, 3, side, side]."""
    size = (side_px, side_px)
    squares = [ImageOps.fit(picture(frame), size, PILImage.Resampling.BICUBIC) for frame in frames]
    return torch.from_numpy(np.stack([np.asarray(square) for square in squares])).permute(0, 3, 1, 2)
