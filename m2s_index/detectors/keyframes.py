"""The intra-frame detector: for a first pass over a huge catalogue, where only key frames are decoded.

Encoders set a key frame at most cuts, and others at fixed distances: a cut is reported at the first key
frame that shows a new picture. Its frame is therefore approximate, late by up to one key-frame distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from m2s_index.detectors.cuts import frame_changes
from m2s_index.detectors.luma import LumaSampler, Samples
from m2s_index.detectors.timeline import Timeline
from m2s_index.shots import MIN_SHOT_SECONDS, Boundary

if TYPE_CHECKING:
    import av

# Chosen, not tuned. Between key frames seconds may pass, so that only another structure tells another shot.
MIN_STRUCTURE = 0.5
MIN_CHANGE = 10.0


class KeyframesDetector:
    """Reports a cut wherever two successive intra frames show different pictures."""

    name = "keyframes"
    intra_only = True

    def __init__(self, *, min_shot_seconds: float = MIN_SHOT_SECONDS) -> None:
        self._timeline = Timeline(min_shot_seconds)
        self._sampler = LumaSampler()
        self._pair: Samples = np.empty((0, 0, 0), np.uint8)
        self._index = 0

    def push(self, frame: av.VideoFrame, index: int, seconds: float) -> Sequence[Boundary]:
        """See ``ShotDetector.push``."""
        self._index = index
        if not self._pair.size:
            self._pair = np.zeros((2, *self._sampler.shape(frame)), np.uint8)
            self._sampler.sample(frame, self._pair[1])
            self._timeline.start(seconds)
            return ()
        self._pair[0] = self._pair[1]
        self._sampler.sample(frame, self._pair[1])
        changes = frame_changes(self._pair)
        if changes.structure[0] > MIN_STRUCTURE and changes.mean[0] > MIN_CHANGE:
            self._timeline.add(Boundary(index, "cut"), seconds)
        return self._timeline.release(index + 1, seconds)

    def finish(self) -> Sequence[Boundary]:
        """See ``ShotDetector.finish``."""
        return self._timeline.release(self._index + 1, float("inf"))
