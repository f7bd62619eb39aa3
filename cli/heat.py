"""Scores as colours: dark for low, bright for high, on light pages and dark ones."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m2s_index.types import Float32Array, Image

STEPS = ((48, 18, 92), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Equally spaced between the lowest and the highest score, sRGB."""
GRADIENT = "linear-gradient(90deg, {})".format(", ".join(f"rgb({r} {g} {b})" for r, g, b in STEPS))


def colours(scores: Float32Array) -> Image:
    """Each finite score's colour, others black: uint8 [M, N, 3]. The lowest and highest have the ends' colours."""
    import numpy as np

    finite = np.isfinite(scores)
    low, high = extremes(scores)
    share = np.where(finite, (np.where(finite, scores, low) - low) / max(high - low, 1e-9), 0.0)
    at = np.linspace(0, 1, len(STEPS))
    channels = [np.interp(share, at, channel) for channel in zip(*STEPS, strict=True)]
    picture: Image = np.where(finite[..., None], np.stack(channels, axis=-1).round(), 0).astype(np.uint8)
    return picture


def extremes(scores: Float32Array) -> tuple[float, float]:
    """The lowest and highest finite score; zeros where there is none."""
    import numpy as np

    finite = scores[np.isfinite(scores)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)


def heat_uri(scores: Float32Array) -> str:
    """A matrix as a picture of one pixel an entry, as an address that holds it; entries not finite are clear."""
    import numpy as np
    from PIL import Image as PillowImage

    alpha = np.where(np.isfinite(scores), 255, 0).astype(np.uint8)
    data = io.BytesIO()
    PillowImage.fromarray(np.dstack([colours(scores), alpha])).save(data, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
