"""Dissolves: which centre and length fits best, and what only looks like one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from m2s_index.detectors.bursts import BRIGHTER
from m2s_index.detectors.fades import distance
from m2s_index.detectors.gradual import (
    FLAT_CONTRAST,
    Floats,
    Moments,
    dissolve_strength,
    lag_products,
    mixture_extent,
)
from m2s_index.detectors.window import FrameWindow

HALVES_SECONDS = (0.125, 0.167, 0.25, 0.333, 0.5, 0.667, 0.833, 1.0, 1.25)
APART_SECONDS = 0.5
RETURN_SECONDS = 1.0
MIN_STRENGTH = 0.35
NEARLY = 0.7
"""Lengths with this share of the best one's strength are about as good."""
CUT_SHARE = 0.6
CUT_RATIO = 2.2
"""A single frame that makes up this share of the whole change, and this many times the usual one, makes it
a cut."""
RETURN_SHARE = 0.35
"""The picture before is back when it differs from one after by less than this share of the change."""


STEADY_FRAMES = 3
STEADY_DISTANCE = 0.35
"""A scroll or a whip pan goes on as it was; of the shots beside a dissolve one at least is steadier."""


@dataclass(frozen=True)
class DissolveFinder:
    """Looks for dissolves at a film's frame rate; distances in frames."""

    halves: tuple[int, ...]
    apart: int
    back: int

    @classmethod
    def at_rate(cls, rate: float) -> DissolveFinder:
        """For ``rate`` frames per second."""
        halves = sorted({max(3, round(seconds * rate)) for seconds in HALVES_SECONDS})
        return cls(tuple(halves), max(3, round(APART_SECONDS * rate)), max(3, round(RETURN_SECONDS * rate)))

    @property
    def margin(self) -> int:
        """Frames that must be known on either side of a centre."""
        return max(self.apart + self.halves[-1], 2 * self.halves[-1] + self.back)

    def find(self, window: FrameWindow, first: int, end: int) -> list[tuple[int, int]]:
        """Dissolves centred on positions ``first`` to ``end``, in order: start and end (exclusive) of each."""
        centres = np.arange(max(first - self.apart, 0), min(end + self.apart, window.filled))
        strengths = self._strengths(window, int(centres[0]), int(centres[-1]) + 1)
        best = strengths.max(axis=0)
        found: list[tuple[int, int]] = []
        for at in np.flatnonzero(best > MIN_STRENGTH):
            centre = int(centres[at])
            around = best[max(0, at - self.apart) : at + self.apart + 1]
            # The first of equals, so that a flat top gives one.
            is_peak = best[at] >= around.max() and not (best[max(0, at - self.apart) : at] == best[at]).any()
            if not first <= centre < end or not is_peak:
                continue
            # Of lengths about as good as the best, the longest has the purest pictures at its ends, unless
            # it reaches beyond the two shots.
            for number in np.flatnonzero(strengths[:, at] >= NEARLY * best[at])[::-1]:
                half = self.halves[int(number)]
                extent = mixture_extent(window.thumbs, centre, half)
                if self._is_real(window, centre, half, extent):
                    found.append(extent)
                    break
        return found

    def _strengths(self, window: FrameWindow, first: int, end: int) -> Floats:
        """Strengths of all lengths, float32 [lengths, end − first]; 0 where the window is too short."""
        low, high = max(0, first - self.halves[-1]), min(window.filled, end + self.halves[-1])
        thumbs = window.thumbs[low:high]
        all_moments = window.moments
        values = Moments(all_moments.mean[low:high], all_moments.variance[low:high], all_moments.square[low:high])
        lags = {half * times for half in self.halves for times in (1, 2)}
        products = {lag: lag_products(thumbs, lag) for lag in lags}
        strengths = np.zeros((len(self.halves), len(thumbs)), np.float32)
        for row, half in zip(strengths, self.halves, strict=True):
            if 2 * half < len(thumbs):
                row[half:-half] = dissolve_strength(values, products[half], products[2 * half], half)
        return strengths[:, first - low : end - low]

    def _is_real(self, window: FrameWindow, centre: int, half: int, extent: tuple[int, int]) -> bool:
        """Whether no flat picture, no cut and no return of a picture explains it better."""
        a, b = centre - half, centre + half
        start, end = extent
        before, after = window.thumbs[a], window.thumbs[b]
        if window.contrast[start + 1 : max(end - 1, start + 2)].min() < FLAT_CONTRAST:
            return False
        changes = window.changes.mean[max(start, 1) : end + 1]
        whole_change = float(np.abs(after - before).mean())
        if changes.max() > max(CUT_SHARE * whole_change, CUT_RATIO * float(np.median(changes))):
            return False
        if not self._is_steady(window, max(start - 1, 0), min(end, window.filled - 1)):
            return False
        return not self._is_burst(window, a, b, extent)

    def _is_burst(self, window: FrameWindow, a: int, b: int, extent: tuple[int, int]) -> bool:
        """Whether the darker of the two pictures was there before the brighter, or comes back after it."""
        thumbs, level = window.thumbs, window.moments.mean
        limit = RETURN_SHARE * min(distance(thumbs[a], thumbs[b]), 1.0)
        if level[a] > level[b] + BRIGHTER:
            others = thumbs[max(0, extent[0] - self.back) : a : 2]
            return any(distance(thumbs[b], other) < limit for other in others)
        if level[b] > level[a] + BRIGHTER:
            others = thumbs[b + 1 : extent[1] + self.back : 2]
            return any(distance(thumbs[a], other) < limit for other in others)
        return False

    def _is_steady(self, window: FrameWindow, last: int, first_after: int) -> bool:
        thumbs = window.thumbs
        earlier, later = max(0, last - STEADY_FRAMES), min(first_after + STEADY_FRAMES, window.filled - 1)
        return (
            distance(thumbs[earlier], thumbs[last]) < STEADY_DISTANCE
            or distance(thumbs[first_after], thumbs[later]) < STEADY_DISTANCE
        )
