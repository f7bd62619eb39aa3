"""Dissolves: which centre and length fits best, and what only looks like one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.detectors_fades import distance
from m2s_index.detectors_gradual import FLAT_CONTRAST, Floats, dissolve_strength, mixture_extent
from m2s_index.detectors_window import FrameWindow

HALVES_SECONDS = (0.125, 0.167, 0.25, 0.333, 0.5, 0.667, 0.833, 1.0, 1.25)
APART_SECONDS = 0.5
RETURN_SECONDS = 1.0
MIN_STRENGTH = 0.35
NEARLY = 0.85
"""Of lengths about as strong as the best, the longest: its ends are the purest pictures."""
CUT_SHARE = 0.6
CUT_RATIO = 2.2
"""A single frame that makes up this share of the whole change, and this many times the usual one, makes it
a cut."""
RETURN_SHARE = 0.35
"""The picture before is back when it differs from one after by less than this share of the change."""


VANISHING_SHARE = 0.5
STEADY_SHARE = 0.7


@dataclass(frozen=True)
class Dissolve:
    """Positions ``start`` to ``end`` (exclusive). ``vanishing``: the second picture has much less contrast."""

    start: int
    end: int
    vanishing: bool


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

    def find(self, window: FrameWindow, first: int, end: int) -> list[Dissolve]:
        """Dissolves centred on positions ``first`` to ``end``, in order."""
        centres = np.arange(max(first - self.apart, 0), min(end + self.apart, window.filled))
        strengths = np.stack([self._strengths(window, half, centres) for half in self.halves])
        best = strengths.max(axis=0)
        found: list[Dissolve] = []
        for at in np.flatnonzero(best > MIN_STRENGTH):
            centre = int(centres[at])
            around = best[max(0, at - self.apart) : at + self.apart + 1]
            # The first of equals, so that a flat top gives one.
            is_peak = best[at] >= around.max() and not (best[max(0, at - self.apart) : at] == best[at]).any()
            if not first <= centre < end or not is_peak:
                continue
            half = self.halves[int(np.flatnonzero(strengths[:, at] >= NEARLY * best[at])[-1])]
            extent = mixture_extent(window.thumbs, centre, half)
            if self._is_real(window, centre, half, extent):
                variance = window.moments.variance
                vanishing = variance[centre + half] < VANISHING_SHARE * variance[centre - half]
                found.append(Dissolve(*extent, bool(vanishing)))
        return found

    def _strengths(self, window: FrameWindow, half: int, centres: NDArray[np.intp]) -> Floats:
        fits = (centres >= half) & (centres + half < window.filled)
        strengths = np.zeros(len(centres), np.float32)
        if fits.any():
            strengths[fits] = dissolve_strength(window.thumbs, window.moments, half, centres[fits])
        return strengths

    def _is_real(self, window: FrameWindow, centre: int, half: int, extent: tuple[int, int]) -> bool:
        """Whether no flat picture, no cut and no return of a picture explains it better."""
        a, b = centre - half, centre + half
        start, end = extent
        before, after = window.thumbs[a], window.thumbs[b]
        if window.contrast[max(start - 1, 0) : end + 2].min() < FLAT_CONTRAST:
            return False
        changes = window.changes.mean[max(start, 1) : end + 1]
        whole_change = float(np.abs(after - before).mean())
        if changes.max() > max(CUT_SHARE * whole_change, CUT_RATIO * float(np.median(changes))):
            return False
        # A scroll or a pan goes on as it was; shots on either side of a dissolve are steadier than it.
        length = end - start
        whole_distance = distance(before, after)
        last, first_after = max(start - 1, 0), min(end, window.filled - 1)
        drift = min(
            distance(window.thumbs[last], window.thumbs[max(0, last - length)]) if last >= length else 2.0,
            distance(window.thumbs[first_after], window.thumbs[min(first_after + length, window.filled - 1)])
        )
        if drift > STEADY_SHARE * whole_distance:
            return False
        limit = RETURN_SHARE * min(distance(before, after), 1.0)
        earlier = window.thumbs[max(0, start - self.back) : a : 2]
        later = window.thumbs[b + 1 : end + self.back : 2]
        return not any(distance(after, other) < limit for other in earlier) and not any(
            distance(before, other) < limit for other in later
        )
