"""The frames that a streaming detector can still look at: samples, and what was measured from them.

Times are in frames of the film's own rate, estimated once from its first frames, so that what a frame is
compared with never depends on how the frames arrived.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m2s_index.detectors.cuts import Changes, frame_changes
from m2s_index.detectors.gradual import Moments, contrast, moments, thumbnails
from m2s_index.detectors.luma import Samples

RATE_FRAMES = 25
"""The frame rate is the median of this many frames' distances."""
RATE_RANGE = (8.0, 120.0)
USUAL_RATE = 24.0
_MEASURES = ("mean", "quiet", "structure", "level", "variance", "square", "contrast")


class FrameWindow:
    """A sliding window of at most ``capacity`` frames; positions in it count from 0.

    ``seconds`` float64 [T], ``indices`` int64 [T] and ``samples`` uint8 [T, height, width] are filled by
    ``append``; ``thumbs`` float32 [T, cells], ``changes``, ``moments`` and ``contrast`` by ``measure``.
    """

    def __init__(self, shape: tuple[int, ...], capacity: int) -> None:
        rows, columns = shape
        self.filled = 0
        self._measured = 0
        self._samples: Samples = np.zeros((capacity, rows, columns), np.uint8)
        self._seconds: NDArray[np.float64] = np.zeros(capacity)
        self._indices: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._thumbs: NDArray[np.float32] = np.zeros((capacity, rows // 2 * (columns // 2)), np.float32)
        self._measures: NDArray[np.float32] = np.zeros((len(_MEASURES), capacity), np.float32)

    @property
    def full(self) -> bool:
        """No frame fits any more."""
        return self.filled == len(self._samples)

    @property
    def coming(self) -> Samples:
        """Where the next frame's samples are to be put, before it is appended."""
        samples: Samples = self._samples[self.filled]
        return samples

    def append(self, index: int, seconds: float) -> None:
        """Take the frame whose samples are there already."""
        self._seconds[self.filled] = seconds
        self._indices[self.filled] = index
        self.filled += 1

    def measure(self) -> None:
        """Measure the frames that came since the last time."""
        first, end = self._measured, self.filled
        if first == end:
            return
        self._thumbs[first:end] = thumbnails(self._samples[first:end])
        values = moments(self._thumbs[first:end])
        self._measures[3:6, first:end] = values.mean, values.variance, values.square
        self._measures[6, first:end] = contrast(self._samples[first:end])
        first = max(first, 1)
        if first < end:
            changes = frame_changes(self._samples[first - 1 : end])
            self._measures[:3, first:end] = changes.mean, changes.quiet, changes.structure
        self._measured = end

    def forget(self, frames: int) -> None:
        """Drop the oldest ``frames``."""
        kept = self.filled - frames
        for array in (self._samples, self._seconds, self._indices, self._thumbs):
            array[:kept] = array[frames : self.filled]
        self._measures[:, :kept] = self._measures[:, frames : self.filled]
        self.filled = self._measured = kept

    def grow(self, capacity: int) -> None:
        """Make room for ``capacity`` frames."""
        more = capacity - len(self._samples)
        self._samples = np.pad(self._samples, ((0, more), (0, 0), (0, 0)))
        self._thumbs = np.pad(self._thumbs, ((0, more), (0, 0)))
        self._seconds, self._indices = np.pad(self._seconds, (0, more)), np.pad(self._indices, (0, more))
        self._measures = np.pad(self._measures, ((0, 0), (0, more)))

    def rate(self) -> float:
        """Frames per second, within ``RATE_RANGE``."""
        distances = np.diff(self.seconds[:RATE_FRAMES])
        distance = float(np.median(distances)) if len(distances) else 0.0
        return float(np.clip(1 / distance if distance > 0 else USUAL_RATE, *RATE_RANGE))

    @property
    def seconds(self) -> NDArray[np.float64]:
        """The frames' times."""
        return self._seconds[: self.filled]

    @property
    def indices(self) -> NDArray[np.int64]:
        """The frames' numbers in the film."""
        return self._indices[: self.filled]

    @property
    def samples(self) -> Samples:
        """The frames' luma samples."""
        return self._samples[: self.filled]

    @property
    def thumbs(self) -> NDArray[np.float32]:
        """The frames' thumbnails."""
        return self._thumbs[: self.filled]

    @property
    def changes(self) -> Changes:
        """Each frame against the one before."""
        return self.changes_in(0, self.filled)

    def changes_in(self, first: int, end: int) -> Changes:
        """The changes of positions ``first`` to ``end``."""
        mean, quiet, structure = self._measures[:3, first:end]
        return Changes(mean, quiet, structure)

    @property
    def moments(self) -> Moments:
        """The thumbnails' moments."""
        mean, variance, square = self._measures[3:6, : self.filled]
        return Moments(mean, variance, square)

    @property
    def contrast(self) -> NDArray[np.float32]:
        """The standard deviation of each frame's middle."""
        values: NDArray[np.float32] = self._measures[6, : self.filled]
        return values
