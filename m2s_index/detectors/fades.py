"""Fades through black or white, however long the flat picture between them is held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.detectors.gradual import FLAT_CONTRAST, Floats, fade_in_end, fade_out_start
from m2s_index.detectors.window import FrameWindow

RETURN_DISTANCE = 0.5
"""1 − correlation of pictures before and after below which a flat picture with an abrupt side was an
explosion or a lamp, not a fade."""
RETURN_FRAMES = 20
ONSET_FRAMES = 6
"""Light may take so long to come, from the picture before it; a fade that takes longer was made by an editor."""
FAITHFUL = 0.6
"""Correlation that the picture half way down a fade keeps with the picture before it."""


@dataclass(frozen=True)
class _Open:
    """A flat picture that has not ended: where its fade began, how many frames that took (0 for a cut), and
    pictures before, float32 [T, cells]; none at the film's start.
    """

    start_index: int
    length: int
    before: Floats


@dataclass(frozen=True)
class Fade:
    """A fade: film frames ``start_index`` to ``end_index`` (exclusive); ``seconds`` is where it ends."""

    start_index: int
    end_index: int
    seconds: float


class FadeTracker:
    """Follows the contrast from frame to frame; remembers one open fade."""

    def __init__(self) -> None:
        self._open: _Open | None = None

    @property
    def open_since(self) -> int | None:
        """The first film frame of the fade that has not ended, if there is one."""
        return self._open.start_index if self._open else None

    def advance(self, window: FrameWindow, first: int, end: int) -> list[Fade]:
        """Look at positions ``first`` to ``end``; fades that end there, in order."""
        flat = window.contrast[first:end] < FLAT_CONTRAST
        found = []
        for offset in np.flatnonzero(np.diff(flat, prepend=[self._open is not None])):
            position = first + int(offset)
            if flat[offset]:
                self._begin(window, position)
            else:
                found += self._end(window, position)
        return found

    def _begin(self, window: FrameWindow, position: int) -> None:
        start = fade_out_start(window.contrast, position)
        if start and not _faithful(window.thumbs, start - 1, (start + position) // 2):
            start = position
        before = window.thumbs[max(0, start - RETURN_FRAMES // 2) : start : 2].copy()
        self._open = _Open(int(window.indices[start]), position - start, before)

    def _end(self, window: FrameWindow, position: int) -> list[Fade]:
        opened, self._open = self._open, None
        end = min(fade_in_end(window.contrast, position), window.filled - 1)
        if end > position and not _faithful(window.thumbs, end, (end + position) // 2):
            end = position
        if opened is None or not len(opened.before) or not (opened.length or end > position):
            return []
        if opened.length <= ONSET_FRAMES and not (opened.length and end > position):
            after = window.thumbs[end : end + RETURN_FRAMES : 2]
            if min(distance(a, b) for a in opened.before for b in after) < RETURN_DISTANCE:
                return []
        return [Fade(opened.start_index, int(window.indices[end]), float(window.seconds[end]))]


def _faithful(thumbs: Floats, full: int, faded: int) -> bool:
    """Whether the ``faded`` frame shows what the ``full`` one does: fire that covers a picture does not."""
    return distance(thumbs[full], thumbs[faded]) < 1 - FAITHFUL


def distance(first: Floats, second: Floats) -> float:
    """1 − Pearson correlation of two thumbnails, 0 to 2."""
    a: NDArray[np.float32] = first - first.mean()
    b: NDArray[np.float32] = second - second.mean()
    return float(1 - a @ b / np.sqrt(max(float((a @ a) * (b @ b)), 1.0)))
