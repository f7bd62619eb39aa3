"""Letterbox and pillarbox bars: found from frames as they pass, one answer a film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from m2s_index.luma import luma_8bit
from m2s_index.types import Crop

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

BLACK_LUMA = 30
"""At or below this a sample may be part of a bar: video black is 16, and coding noise is about ±8."""
BLACK_MEAN = 19.0
"""A line this dark on average is black too: the coding of a bright edge leaves specks on the bar beside it."""
EVERY_SECONDS = 0.75
LIT_SHARE = 0.05
"""A frame tells something of the bars when at least this share of its rows and columns is lit."""
BAR_SHARE = 0.98
"""A row or column is in a bar when it is black in at least this share of the telling frames."""
SUBTITLED_SHARE = 0.2
"""… or in this share, opposite a clean bar of equal thickness: subtitles lie in it now and then."""
SMALLEST_BAR = 0.02
"""Thinner bars, as a share of the side, are left: they may be the edge of a scan."""
LARGEST_BAR = 0.35
"""Thicker ones are left too: a picture that is mostly black is dark, not boxed."""
SMALLEST_PICTURE = 0.35
"""… and so is one of which bars would leave less; 2.39:1 inside 4:3 inside 16:9 leaves 0.42."""


class BarFinder:
    """Counts, over the frames it is shown, how often each row and column is black from end to end."""

    def __init__(self) -> None:
        self._frames = 0
        self._next_seconds = float("-inf")
        self._dark_rows: NDArray[np.int64] | None = None
        self._dark_columns: NDArray[np.int64] | None = None

    def wants(self, seconds: float) -> bool:
        """Whether the frame shown then should be added: bars stay, some frames are enough."""
        return seconds >= self._next_seconds

    def add(self, frame: VideoFrame, seconds: float) -> None:
        """Take one frame into account; frames that are dark all over, or of another size, are not."""
        self._next_seconds = seconds + EVERY_SECONDS
        rows = _black(luma_8bit(frame, 1, max(1, frame.width // 64)), axis=1)
        columns = _black(luma_8bit(frame, max(1, frame.height // 64), 1), axis=0)
        if min(1 - rows.mean(), 1 - columns.mean()) < LIT_SHARE:
            return
        if self._dark_rows is None or self._dark_columns is None:
            self._dark_rows = np.zeros(len(rows), np.int64)
            self._dark_columns = np.zeros(len(columns), np.int64)
        if len(rows) != len(self._dark_rows) or len(columns) != len(self._dark_columns):
            return
        self._frames += 1
        self._dark_rows += rows
        self._dark_columns += columns

    def crop(self, width_px: int, height_px: int, quarter_turns: int) -> Crop | None:
        """The picture inside the bars, in pixels of a stored picture of this size; None without bars.

        ``quarter_turns`` (counter-clockwise) is how far the stored picture is turned from the coded one.
        """
        if self._dark_rows is None or self._dark_columns is None:
            return None
        rows, columns = self._dark_rows, self._dark_columns
        for _ in range(quarter_turns % 4):
            rows, columns = columns[::-1], rows
        top, bottom = self._margins(rows)
        left, right = self._margins(columns)
        share = (1 - (top + bottom) / len(rows)) * (1 - (left + right) / len(columns))
        if not SMALLEST_PICTURE <= share < 1:
            return None
        x0, x1 = (round(edge * width_px / len(columns)) for edge in (left, len(columns) - right))
        y0, y1 = (round(edge * height_px / len(rows)) for edge in (top, len(rows) - bottom))
        return Crop(x0, y0, x1 - x0, y1 - y0)

    def _margins(self, dark: NDArray[np.int64]) -> tuple[int, int]:
        """The bars at both ends of one side. Bars come in pairs of about equal thickness."""
        clean, subtitled = (_ends(dark, share * self._frames) for share in (BAR_SHARE, SUBTITLED_SHARE))
        for bars in (clean, (clean[0], subtitled[1]), (subtitled[0], clean[1])):
            thin, thick = sorted(bars)
            boxed = SMALLEST_BAR * len(dark) <= thin and thick <= LARGEST_BAR * len(dark)
            if boxed and thick - thin <= 0.04 * len(dark):
                return bars
        return 0, 0


def _black(samples: NDArray[np.uint8], axis: int) -> NDArray[np.bool_]:
    """Which lines are black from end to end; ``axis`` runs along them."""
    black: NDArray[np.bool_] = samples.max(axis=axis) <= BLACK_LUMA
    black |= samples.mean(axis=axis, dtype=np.float32) <= BLACK_MEAN
    return black


def _ends(dark: NDArray[np.int64], least: float) -> tuple[int, int]:
    """How many lines at both ends are black in at least that many frames."""
    lit = np.flatnonzero(dark < least)
    return (int(lit[0]), len(dark) - 1 - int(lit[-1])) if len(lit) else (0, 0)
