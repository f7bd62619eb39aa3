"""Brightness straight from a decoded frame: a view of its luma plane, without a scaler.

A decoder's luma plane is already there; a strided view of it costs microseconds where a scaler costs as
much as decoding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# Group 1: bits beyond 8; group 2: Microsoft's P01x, which keep the picture in the high bits.
_LUMA_FIRST = re.compile(
    r"(?:yuvj?4\d\dp|yuva4\d\dp|gray|nv12|nv16|nv21|nv24)(9|1[0246])?(?:le)?$|p[024](1[026])le$"
)


@dataclass(frozen=True)
class LumaLayout:
    """How a first plane of luma lies in memory: bytes a value, and bits to shift it down to 8."""

    bytes: int
    shift: int


def luma_layout(format_name: str) -> LumaLayout | None:
    """The layout of a pixel format whose first plane is luma, one value a pixel; None for all others."""
    match = _LUMA_FIRST.match(format_name)
    if match is None:
        return None
    planar, packed = match.groups()
    return LumaLayout(2 if planar or packed else 1, 8 if packed else int(planar or 8) - 8)


def luma_view(frame: VideoFrame, layout: LumaLayout) -> NDArray[Any]:
    """The luma plane as it lies in memory: [height, at least width], uint8 or uint16, not shifted."""
    plane: Any = frame.planes[0]
    pixels: NDArray[Any] = np.frombuffer(plane, np.uint8 if layout.bytes == 1 else np.dtype("<u2"))
    return pixels.reshape(-1, plane.line_size // layout.bytes)


def luma_8bit(frame: VideoFrame, row_step: int, column_step: int) -> NDArray[np.uint8]:
    """Every ``row_step``-th row and ``column_step``-th column of the luma: uint8, the stream's own range.

    Formats without a luma plane (RGB, palettes, packed YUV) are converted, at the cost of a scaler.
    """
    layout = luma_layout(frame.format.name)
    if layout is None:
        frame, layout = frame.reformat(format="gray8"), LumaLayout(1, 0)
    samples = luma_view(frame, layout)[: frame.height : row_step, : frame.width : column_step]
    return np.ascontiguousarray(samples >> layout.shift if layout.shift else samples, np.uint8)
