"""Luma samples: the same few thousand brightness values of each decoded frame.

Which frames are compared, and how, lives in the other modules of this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from m2s_index.luma import LumaLayout, luma_layout, luma_view

if TYPE_CHECKING:
    import av

Samples = NDArray[np.uint8]

TARGET_SAMPLES = 2500
"""About as many samples a frame, whatever its size, so that thresholds mean the same for all films."""
TILES = 4
"""Sides of the sample grid are multiples of this, so that it divides into TILES × TILES equal tiles."""


class LumaSampler:
    """Takes the same grid of luma samples, uint8 [height, width], from every frame of a film.

    The grid is chosen from the first frame. Frames of another size or format, and formats without a luma
    plane, go through a scaler.
    """

    def __init__(self, target_samples: int = TARGET_SAMPLES) -> None:
        self._target = target_samples
        self._key: tuple[str, int, int] | None = None
        self._shape = (0, 0)
        self._stride = 1
        self._layout: LumaLayout | None = None
        self._scaler: Any = None

    def shape(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Height and width of the grid; settled by the first frame."""
        if self._key is None:
            self._settle(frame)
        return self._shape

    def sample(self, frame: av.VideoFrame, out: Samples) -> None:
        """Write the frame's samples into ``out``, uint8 [height, width]."""
        if self._key is None:
            self._settle(frame)
        if self._layout is None or (frame.format.name, frame.width, frame.height) != self._key:
            out[...] = self._scaled(frame)
            return
        rows = luma_view(frame, self._layout)
        stride, (height, width) = self._stride, self._shape
        # From the middle of each stride × stride square, so that the grid has no bias to a corner.
        first = stride // 2
        view = rows[first : first + height * stride : stride, first : first + width * stride : stride]
        out[...] = view >> self._layout.shift if self._layout.shift else view

    def _settle(self, frame: av.VideoFrame) -> None:
        width, height = frame.width, frame.height
        self._key = (frame.format.name, width, height)
        self._stride = max(1, round((width * height / self._target) ** 0.5))
        # The last sample of a row lies half a stride from the edge, so a partial stride may count.
        count = [max(1, (side - self._stride // 2 + self._stride - 1) // self._stride) for side in (height, width)]
        rows, columns = (max(TILES, side // TILES * TILES) for side in count)
        self._shape = (rows, columns)
        if rows <= count[0] and columns <= count[1]:
            self._layout = luma_layout(frame.format.name)

    def _scaled(self, frame: av.VideoFrame) -> Samples:
        if self._scaler is None:
            from av.video.reformatter import VideoReformatter

            self._scaler = VideoReformatter()
        rows, columns = self._shape
        small = self._scaler.reformat(frame, width=columns, height=rows, format="gray")
        grey: Samples = small.to_ndarray()
        return grey
