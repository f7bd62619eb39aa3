"""Explosions and lamps: light that covers the picture longer than a flash, and dies away from it again."""

from __future__ import annotations

import numpy as np

from m2s_index.detectors.fades import ONSET_FRAMES, distance
from m2s_index.detectors.gradual import Floats

BRIGHTER = 30.0
"""Grey levels by which the light exceeds the picture before it, and the one after it."""
RETURN_DISTANCE = 0.4
LEAD_FRAMES = 3
"""The picture before is taken from so far back that the light has not yet touched it."""
JUMP_SHARE = 0.5
"""After its onset the light fades, and nothing jumps by this share of it."""


def is_burst(thumbs: Floats, changes: Floats) -> bool:
    """Whether what looks like a cut is a burst of light.

    Args:
        thumbs: float32 [T, cells], from ``LEAD_FRAMES`` before the apparent cut on.
        changes: each frame's mean absolute change from the one before, float32 [T].
    """
    levels = thumbs.mean(axis=1)
    if len(thumbs) <= ONSET_FRAMES or levels.max() - levels[0] < BRIGHTER:
        return False
    brightest = int(levels.argmax())
    for later in range(max(brightest, ONSET_FRAMES) + 1, len(thumbs)):
        if levels[brightest] - levels[later] < BRIGHTER or distance(thumbs[0], thumbs[later]) > RETURN_DISTANCE:
            continue
        whole = float(np.abs(thumbs[brightest] - thumbs[later]).mean())
        return float(changes[max(ONSET_FRAMES, brightest) + 1 : later + 1].max()) < JUMP_SHARE * whole
    return False
