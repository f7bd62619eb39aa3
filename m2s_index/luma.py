"""Brightness straight from a decoded frame: a view of its luma plane, without a scaler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

LUMA_PREFIXES = ("yuv", "yuvj", "nv", "gray", "p01", "p21", "p41")


def luma_plane(frame: VideoFrame) -> NDArray[Any]:
    """A frame's luma: [height, width], uint8, or uint16 for more than 8 bits; a view wherever there is one.

    Formats without a luma plane (RGB, palettes, packed YUV) are converted, at the cost of a scaler.
    Values keep the stream's range (16 to 235 for most film).
    """
    component = frame.format.components[0]
    packed = frame.format.is_rgb or not frame.format.name.startswith(LUMA_PREFIXES)
    if packed or frame.format.is_big_endian:
        frame, bits = frame.reformat(format="gray8"), 8
    else:
        bits = component.bits
    plane = frame.planes[0]
    dtype: np.dtype[Any] = np.dtype(np.uint8 if bits <= 8 else "<u2")
    pixels: NDArray[Any] = np.frombuffer(memoryview(plane), dtype)
    return pixels.reshape(-1, plane.line_size // dtype.itemsize)[: frame.height, : frame.width]


def luma_8bit(frame: VideoFrame, row_step: int, column_step: int) -> NDArray[np.uint8]:
    """Every ``row_step``-th row and ``column_step``-th column of the luma, scaled to 8 bits."""
    samples = luma_plane(frame)[::row_step, ::column_step]
    if samples.dtype == np.uint8:
        return np.ascontiguousarray(samples, np.uint8)
    name = frame.format.name
    # p010 and its kin keep their bits at the top of the word, planar formats at the bottom.
    shift = 8 if name.startswith(("p01", "p21", "p41")) else frame.format.components[0].bits - 8
    return np.ascontiguousarray(samples >> shift, np.uint8)
