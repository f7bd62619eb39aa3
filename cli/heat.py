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

TOP, CLEAR = 252, 253
"""Levels of a colour: from 0 for the lowest score to ``TOP``; ``CLEAR`` for what has none."""


def colours(scores: Float32Array) -> Image:
    """Each finite score's colour, others black: uint8 [M, N, 3]. The lowest and highest have the ends' colours."""
    picture: Image = _palette()[_levels(scores)]
    return picture


def extremes(scores: Float32Array) -> tuple[float, float]:
    """The lowest and highest finite score; zeros where there is none."""
    import numpy as np

    finite = scores[np.isfinite(scores)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)


def heat_uri(scores: Float32Array) -> str:
    """A matrix as a picture of one pixel an entry, as an address that holds it; entries not finite are clear."""
    from PIL import Image as PillowImage

    picture, data = PillowImage.fromarray(_levels(scores)), io.BytesIO()
    picture.putpalette(_palette().tobytes())
    picture.save(data, "PNG", transparency=CLEAR)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def _levels(scores: Float32Array) -> Image:
    """Each score's level: uint8 [M, N]."""
    import numpy as np

    finite = np.isfinite(scores)
    low, high = extremes(scores)
    share = (np.where(finite, scores, low) - low) / max(high - low, 1e-9)
    return np.where(finite, (share * TOP).round(), CLEAR).astype(np.uint8)


def _palette() -> Image:
    """The levels' colours, black for ``CLEAR``: uint8 [254, 3]."""
    import numpy as np

    at, steps = np.linspace(0, 1, TOP + 1), np.linspace(0, 1, len(STEPS))
    channels = [np.interp(at, steps, channel).round() for channel in zip(*STEPS, strict=True)]
    shades: Image = np.append(np.stack(channels, axis=1), [[0, 0, 0]], axis=0).astype(np.uint8)
    return shades
