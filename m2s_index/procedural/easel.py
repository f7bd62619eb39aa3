"""What the places are painted with: an easel in relative coordinates, gradients, noise, ridges, glows.

Nothing here knows any place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Floats = NDArray[np.float32]
Point = tuple[float, float]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour ``share`` of the way from ``a`` to ``b``."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def smooth_noise(
    rng: np.random.Generator, width: int, height: int, cells: tuple[int, int], octaves: int = 4
) -> Floats:
    """Clouds: float32 [height, width] in 0…1, of ``cells`` (across, down) bumps, halved per octave."""
    total = np.zeros((height, width), np.float32)
    weight, across, down = 1.0, *cells
    for _ in range(octaves):
        grid = Picture.fromarray(rng.random((down + 1, across + 1), dtype=np.float32))
        box = (0.0, 0.0, min(across + 1.0, width), min(down + 1.0, height))
        total += weight * np.asarray(grid.resize((width, height), Picture.Resampling.BICUBIC, box=box))
        weight, across, down = weight / 2, across * 2, down * 2
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


@dataclass
class Easel:
    """A picture under the brush. Points are (0…1 across, 0…1 down); ``unit`` is 1 % of the height."""

    picture: Picture.Image
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.draw = ImageDraw.Draw(self.picture)
        self.width, self.height = self.picture.size
        self.unit = self.height / 100
        self.aspect = self.width / self.height

    def xy(self, points: Sequence[Point]) -> list[Point]:
        """Relative points in pixels."""
        return [(x * self.width, y * self.height) for x, y in points]

    def uniform(self, low: float, high: float) -> float:
        """A random number."""
        return float(self.rng.uniform(low, high))

    def pick(self, colours: Sequence[Colour]) -> Colour:
        """One of several colours."""
        return colours[int(self.rng.integers(len(colours)))]

    def bands(self, top: float, bottom: float, stops: Sequence[Colour]) -> None:
        """A vertical gradient through ``stops`` between two heights."""
        first, last = round(top * self.height), round(bottom * self.height)
        where = np.linspace(0, len(stops) - 1, max(last - first, 1))
        ramp = np.stack([np.interp(where, range(len(stops)), [c[i] for c in stops]) for i in range(3)], axis=1)
        column = Picture.fromarray(ramp.astype(np.uint8)[:, None, :])
        self.picture.paste(column.resize((self.width, len(ramp)), Picture.Resampling.NEAREST), (0, first))

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, edge: Colour | None = None) -> None:
        """A rectangle."""
        self.draw.rectangle(self.xy([(x0, y0), (x1, y1)]), fill=fill, outline=edge)

    def poly(self, points: Sequence[Point], fill: Colour) -> None:
        """A polygon."""
        self.draw.polygon(self.xy(points), fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: Colour, squash: float = 1.0) -> None:
        """An ellipse; ``radius`` in heights, ``squash`` below 1 for a flat one."""
        px, py, r = x * self.width, y * self.height, radius * self.height
        self.draw.ellipse((px - r, py - r * squash, px + r, py + r * squash), fill=fill)

    def line(self, points: Sequence[Point], fill: Colour, units: float = 0.5) -> None:
        """A stroke, ``units`` hundredths of the height wide."""
        self.draw.line(self.xy(points), fill=fill, width=max(round(units * self.unit), 1), joint="curve")

    def ridge(self, level: float, swing: float, bumps: int, fill: Colour, octaves: int = 5) -> list[Point]:
        """Everything below a jagged line round ``level``; returns the line."""
        steps = max(self.width // 4, 8)
        row = smooth_noise(self.rng, steps, 1, (bumps, 1), octaves)[0]
        line = [(i / (steps - 1), level - swing * (float(v) - 0.5)) for i, v in enumerate(row)]
        self.poly([(0.0, 1.01), *line, (1.0, 1.01)], fill)
        return line

    def texture(self, top: float, bottom: float, depth: float, cells: tuple[int, int], octaves: int = 4) -> None:
        """Lighten and darken a band by noise of ±``depth`` levels."""
        first, last = round(top * self.height), min(round(bottom * self.height), self.height)
        noise = (smooth_noise(self.rng, self.width, last - first, cells, octaves) - 0.5) * 2 * depth
        self._add(first, last, noise[..., None])

    def veil(self, top: float, bottom: float, colour: Colour, cells: tuple[int, int], cover: float) -> None:
        """Clouds or mist of ``colour``; ``cover`` (0…1) is how much of the band they hide."""
        first, last = round(top * self.height), min(round(bottom * self.height), self.height)
        noise = smooth_noise(self.rng, self.width, last - first, cells, 5)
        edges = np.minimum(np.linspace(0, 4, last - first), np.linspace(4, 0, last - first)).clip(0, 1)
        alpha = ((noise - (1 - cover)) / 0.35).clip(0, 1) * edges[:, None].astype(np.float32)
        mask = Picture.fromarray((alpha * 235).astype(np.uint8))
        self.picture.paste(Picture.new("RGB", mask.size, colour), (0, first), mask)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float = 1.0) -> None:
        """Add light that falls off round a point; ``radius`` in heights."""
        r = max(round(radius * self.height), 2)
        cx, cy = round(x * self.width), round(y * self.height)
        box = (max(cx - r, 0), max(cy - r, 0), min(cx + r, self.width), min(cy + r, self.height))
        if box[0] >= box[2] or box[1] >= box[3]:
            return
        ys, xs = np.ogrid[box[1] : box[3], box[0] : box[2]]
        fall = (1 - np.sqrt((xs - cx) ** 2 + (ys - cy) ** 2) / r).clip(0, 1) ** 2 * strength
        patch = np.asarray(self.picture.crop(box)) + fall[..., None] * np.array(colour)
        self.picture.paste(Picture.fromarray(patch.clip(0, 255).astype(np.uint8)), box[:2])

    def soften(self, top: float, bottom: float, units: float) -> None:
        """Blur a band, for what lies far away."""
        box = (0, round(top * self.height), self.width, round(bottom * self.height))
        blurred = self.picture.crop(box).filter(ImageFilter.GaussianBlur(units * self.unit))
        self.picture.paste(blurred, box[:2])

    def _add(self, first: int, last: int, levels: Floats) -> None:
        box = (0, first, self.width, last)
        band = np.asarray(self.picture.crop(box)) + levels
        self.picture.paste(Picture.fromarray(band.clip(0, 255).astype(np.uint8)), box[:2])
