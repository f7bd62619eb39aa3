"""A camera among planes and boxes: rays that meet textured surfaces, for ``m2s_index.procedural.sights``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE_PX = 256
GRAIN_PX = 128
"""Side of a surface's noise, which repeats."""
_FAR_METRES = 200.0
"""Where the air has taken over, also on the clearest day."""
_HORIZON_METRES = np.float32(1e4)

Floats = NDArray[np.float32]


def noise(generator: np.random.Generator, slope: float, flat: float = 1.0, side_px: int = SIDE_PX) -> Floats:
    """Tileable noise whose amplitude falls as frequency to ``-slope``, float32 [side, side], mean 0, deviation 1;
    ``flat`` above 1 lays its forms down, below 1 stands them up.
    """
    fy, fx = np.fft.fftfreq(side_px)[:, None], np.fft.rfftfreq(side_px)[None, :]
    radius = np.hypot(fx * flat, fy / flat).astype(np.float32)
    radius[0, 0] = np.inf
    white = np.fft.rfft2(generator.standard_normal((side_px, side_px), dtype=np.float32))
    white *= radius ** np.float32(-slope)
    field = np.asarray(np.fft.irfft2(white, s=(side_px, side_px)), np.float32)
    return field / np.float32(field.std())


@dataclass(frozen=True)
class Surface:
    """Noise at a scale, over which tiles (bricks, windows, shelves) may lie; lengths are metres.

    ``noise`` float32 [128, 128] repeats every ``metres``; ``depth`` is its share beside ``grey``; ``tile`` is a
    tile's width and height, ``gap`` the share of them on each side that stays bare, ``shades`` [64, 64] what tiles
    add.
    """

    noise: Floats
    metres: float
    depth: float
    grey: float
    tile: tuple[float, float] | None
    gap: float
    shades: Floats

    def at(self, u: Floats, v: Floats) -> Floats:
        """The reflectance at points of the surface."""
        step = np.float32(GRAIN_PX / self.metres)
        value = self.grey + self.depth * self.noise[_wrap(v * step), _wrap(u * step)]
        if self.tile is None:
            return value
        across, down = u / self.tile[0], v / self.tile[1]
        inside = (np.abs(across % 1 - 0.5) < 0.5 - self.gap) & (np.abs(down % 1 - 0.5) < 0.5 - self.gap)
        shade = self.shades[np.floor(down).astype(np.int64) % 64, np.floor(across).astype(np.int64) % 64]
        return np.where(inside, 0.4 * value + shade, value)


def _wrap(steps: Floats) -> NDArray[np.int64]:
    return np.floor(steps).astype(np.int64) % GRAIN_PX


def surface(generator: np.random.Generator, tiles: float, size: tuple[float, float]) -> Surface:
    """A random surface, tiled with probability ``tiles``, a tile's sides between the two sizes."""
    sides = generator.uniform(*size, 2) * np.exp(generator.normal(0, 0.3, 2))
    return Surface(
        noise=noise(generator, generator.uniform(0.9, 2.0), float(np.exp(generator.normal(0, 0.5))), GRAIN_PX),
        metres=float(generator.uniform(1, 8)),
        depth=float(generator.uniform(0.02, 0.12)),
        grey=float(generator.uniform(0.2, 0.9)),
        tile=(float(sides[0]), float(sides[1])) if generator.random() < tiles else None,
        gap=float(generator.uniform(0.03, 0.3)),
        shades=np.asarray(generator.uniform(0, 0.6) * generator.random((64, 64)), np.float32),
    )


class View:
    """A camera at the origin and what it has met so far: light float32 [256, 256] and depth along the ray."""

    def __init__(self, generator: np.random.Generator, horizon: float) -> None:
        field = generator.uniform(0.5, 1.1)
        across, down = np.meshgrid(*(np.linspace(-1, 1, SIDE_PX, dtype=np.float32),) * 2)
        turn = generator.normal(0, 0.25)
        x, z = field * across, np.ones_like(across)
        self.x = np.asarray(np.cos(turn) * x + np.sin(turn) * z, np.float32)
        self.y = np.asarray(field * (down - horizon), np.float32)
        self.z = np.asarray(np.cos(turn) * z - np.sin(turn) * x, np.float32)
        with np.errstate(divide="ignore"):
            self.inverse = tuple(np.asarray(1 / ray, np.float32) for ray in (self.x, self.y, self.z))
        self.light = np.zeros_like(across)
        self.depth = np.full_like(across, np.inf)
        self.haze = generator.uniform(0, 1) * generator.random()
        self.sun = generator.uniform(0.3, 1, 6).astype(np.float32)

    def plane(self, axis: int, at: float, surface: Surface) -> None:
        """An endless plane across axis 0 (a wall beside), 1 (floor, ceiling) or 2 (a wall ahead), at a distance."""
        ray = (self.x, self.y, self.z)
        depth = np.asarray(np.float32(at) * self.inverse[axis], np.float32)
        depth[depth <= 0] = np.inf
        u, v = (part for number, part in enumerate(ray) if number != axis)
        if axis == 0:
            u, v = v, u
        self._put(depth, u, v, surface, float(self.sun[2 * axis + (at < 0)]))

    def box(self, low: tuple[float, float, float], high: tuple[float, float, float], surface: Surface) -> None:
        """A box with its sides along the axes."""
        enter, leave = np.zeros_like(self.x), np.full_like(self.x, np.inf)
        side = np.zeros(self.x.shape, np.int8)
        for axis in range(3):
            a, b = np.float32(low[axis]) * self.inverse[axis], np.float32(high[axis]) * self.inverse[axis]
            near, far = np.minimum(a, b), np.maximum(a, b)
            side = np.where(near > enter, axis, side)
            enter, leave = np.maximum(enter, near), np.minimum(leave, far)
        depth = np.asarray(np.where((enter < leave) & (enter > 0), enter, np.inf), np.float32)
        u = np.where(side == 0, self.z, self.x)
        v = np.where(side == 1, self.z, self.y)
        self._put(depth, u, v, surface, self.sun[2 * side])

    def _put(self, depth: Floats, u: Floats, v: Floats, surface: Surface, light: Floats | float) -> None:
        """Paint what is nearer than what was there."""
        seen = (depth < self.depth) & (depth < _HORIZON_METRES)
        reach = depth[seen]
        value = surface.at(u[seen] * reach, v[seen] * reach)
        value *= light[seen] if isinstance(light, np.ndarray) else light
        air = np.exp(-reach * np.float32(self.haze / 20 + 1 / _FAR_METRES))
        self.light[seen] = value * air + np.float32(0.8) * (1 - air)
        self.depth[seen] = reach

    def sky(self, generator: np.random.Generator) -> None:
        """Behind everything: a gradient and clouds."""
        clouds = noise(generator, generator.uniform(1.2, 2), generator.uniform(1, 3))
        up = np.linspace(generator.uniform(0.4, 1), generator.uniform(0.6, 1), SIDE_PX, dtype=np.float32)[:, None]
        self.light = np.where(np.isinf(self.depth), up + generator.uniform(0, 0.15) * clouds, self.light)
