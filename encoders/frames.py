"""What all image encoders ask of a frame, and how they pool frames into a scene."""

from __future__ import annotations

from typing import Any

import numpy as np

from m2s_index.errors import EncoderError
from m2s_index.types import Float32Array


def check_frame(frame: Any) -> None:
    """Accept RGB pictures, uint8 [height, width, 3], of at least one pixel.

    Raises:
        EncoderError: anything else; the message shows what came.
    """
    if not isinstance(frame, np.ndarray):
        raise EncoderError(f"a frame is a {type(frame).__name__}; expected a uint8 array [height, width, 3]")
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise EncoderError(
            f"a frame is {frame.dtype} {list(frame.shape)}; expected uint8 [height, width, 3], not empty"
        )


def mean_feature(features: Float32Array) -> Float32Array:
    """The mean over a scene's key frames: float32 [N, D] to float32 [D], not normalised.

    Raises:
        EncoderError: there are no frames, or the array is not two-dimensional.
    """
    if features.ndim != 2 or len(features) == 0:
        raise EncoderError(f"features of shape {list(features.shape)}; expected [frames, dimension], N ≥ 1")
    return np.ascontiguousarray(features.mean(axis=0, dtype=np.float64), dtype=np.float32)
