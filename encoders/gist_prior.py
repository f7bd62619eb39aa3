"""What GIST looks like where nothing is known: the constant that the encoder subtracts.

All pictures share most of their descriptor, whatever they show: the middle bands are stronger than the
outer ones, upright and level edges stronger than slanted ones. Subtracting that share makes cosines tell
scenes apart. It is a literal, shipped here and part of the encoder's identity: never a mean over the user's
catalogue, which would change with every film added, and never fitted to an evaluation set.

The literal comes from ``procedural_prior``: synthetic pictures of occluding rectangles and ellipses with
power-law sizes (the dead-leaves model: Lee, Mumford and Huang, "Occlusion models for natural images", IJCV
41, 2001), which have the edge statistics of photographs. A test generates it again and compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from m2s_index.types import Float32Array, Image

SEED = 20230618
PICTURES = 64
LEAVES = 400
_RENDER_PX = 256

# Per scale (finest first) and orientation: mean of the square-rooted amplitudes, as printed by
# `python -m m2s_index.encoders.gist_prior`. One number a channel, not one a cell: a constant that favours
# places in the picture would have to be learnt from photographs.
PRIOR: tuple[tuple[float, ...], ...] = (
    (0.3751, 0.3111, 0.2736, 0.3092, 0.3737, 0.3094, 0.2743, 0.3107),
    (0.4153, 0.3734, 0.3475, 0.3751, 0.4156, 0.3754, 0.3505, 0.3744),
    (0.3965, 0.3726, 0.3546, 0.3717, 0.4003, 0.3717, 0.3540, 0.3724),
    (0.2853, 0.2753, 0.2613, 0.2688, 0.2835, 0.2703, 0.2673, 0.2786),
)


def prior_sha256() -> str:
    """SHA-256 of the literal, for the encoder's identity."""
    return hashlib.sha256(np.asarray(PRIOR, np.dtype("<f4")).tobytes()).hexdigest()


def procedural_prior(seed: int = SEED, pictures: int = PICTURES) -> Float32Array:
    """Mean square-rooted amplitude of each channel over dead-leaves pictures: float32 [4, 8]."""
    from m2s_index.encoders.gist import amplitudes  # gist imports this module for the literal

    total = sum(np.sqrt(amplitudes(picture)).mean((2, 3)) for picture in dead_leaves(seed, pictures))
    return np.asarray(total / pictures, np.float32)


def dead_leaves(seed: int, pictures: int) -> Iterator[Image]:
    """Pictures of occluding shapes: uint8 [256, 256, 3], grey, the same for the same seed.

    Only ``Generator.random`` is drawn from, whose stream NumPy has kept since 1.17.
    """
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:_RENDER_PX, :_RENDER_PX]
    for _ in range(pictures):
        canvas = np.full((_RENDER_PX, _RENDER_PX), 10 + 236 * generator.random())
        for shape, cx, cy, radius, aspect, grey in _leaves(generator):
            w, h = radius * aspect, radius / aspect
            at = (slice(max(0, int(cy - h)), int(cy + h) + 2), slice(max(0, int(cx - w)), int(cx + w) + 2))
            dx, dy = np.abs(x[at] - cx) / w, np.abs(y[at] - cy) / h
            inside = (dx < 1) & (dy < 1) if shape < 0.5 else dx**2 + dy**2 < 1
            canvas[at][inside] = grey
        yield np.repeat(canvas.astype(np.uint8)[..., None], 3, axis=2)


def _leaves(generator: np.random.Generator) -> Iterator[tuple[float, float, float, float, float, float]]:
    """Shape, centre, radius (density ∝ r⁻³ from 4 to 80 px), aspect (1/2 to 2) and grey of each leaf."""
    for shape, cx, cy, size, aspect, grey in generator.random((LEAVES, 6)):
        radius = (4.0**-2 + (80.0**-2 - 4.0**-2) * size) ** -0.5
        yield shape, cx * _RENDER_PX, cy * _RENDER_PX, radius, 2 ** (2 * aspect - 1), 10 + 236 * grey


if __name__ == "__main__":
    for row in procedural_prior():
        print("    (" + ", ".join(f"{value:.4f}" for value in row) + "),")
