"""What is laid over finished frames: events that are no cuts, fades, dissolves, weather, grain.

Frames are uint8 RGB [height, width, 3]; ``white`` is the brightest level before grain is added.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFilter

from m2s_index.procedural.spec import EventSpec
from m2s_index.types import Image


def blend(a: Image, b: Image | int, share: float) -> Image:
    """``share`` (0…1) of ``b`` over ``a``; ``b`` may be one level for the whole frame."""
    weight = round(share * 256)
    mixed = a.astype(np.uint16) * np.uint16(256 - weight)
    mixed += np.uint16(b * weight) if isinstance(b, int) else b.astype(np.uint16) * np.uint16(weight)
    return (mixed >> 8).astype(np.uint8)


def side_light(frame: Image, light: float, white: int) -> Image:
    """The frame lit from one side: ``light`` from −1 (left) to 1 (right), 0 for evenly."""
    gains = 1 + 0.7 * light * np.linspace(-1, 1, frame.shape[1], dtype=np.float32)
    lit: Image = (frame * gains[:, None]).clip(0, white).astype(np.uint8)
    return lit


def levels_for_mean(frame: Image, colour: Sequence[float], white: int) -> Image:
    """For each channel and level another level, uint8 [3, 256], so that the frame's mean becomes ``colour``.

    They are powers, as of a laboratory's gamma: black stays black, ``white`` stays white, nothing is clipped.
    """
    shares = np.arange(256).clip(0, white) / white
    counts = np.stack([np.bincount(frame[..., channel].ravel(), minlength=256) for channel in range(3)])
    goal = np.asarray(colour) / white
    low, high = np.full((3, 1), -6.0), np.full((3, 1), 6.0)
    for _ in range(24):
        exponents = (low + high) / 2
        means = (counts * shares ** np.exp(exponents)).sum(axis=1) / counts.sum(axis=1)
        bright = (means > goal)[:, None]
        low, high = np.where(bright, exponents, low), np.where(bright, high, exponents)
    levels: Image = (white * shares ** np.exp(low)).round().astype(np.uint8)
    return levels


def fade_share(step: int, length: int) -> float:
    """How much of the colour covers frame ``step`` (0 … length−1) of a fade through it.

    It rises from above 0 in the first frame to 1, stays for a sixth of the fade, and falls so that it
    would be 0 at ``length``, the incoming shot's first frame.
    """
    out = max((length * 5) // 12, 1)
    hold = length // 6
    back = length - out - hold
    if step < out:
        return (step + 1) / out
    return 1.0 if step < out + hold else 1 - (step - out - hold) / back


class Event:
    """One event of a shot, ready to be laid over its frames."""

    def __init__(self, spec: EventSpec, size: tuple[int, int], white: int, rng: np.random.Generator) -> None:
        self.spec = spec
        self._white = white
        self._width, self._height = size
        if spec.kind == "explosion":
            x, y = rng.uniform(0.3, 0.7) * self._width, rng.uniform(0.4, 0.7) * self._height
            ys, xs = np.ogrid[: self._height, : self._width]
            self._distance = (np.hypot(xs - x, ys - y) / self._width).astype(np.float32)
            self._rough = rng.normal(0, 0.012, self._distance.shape).astype(np.float32)
        elif spec.kind == "pass":
            self._slab, self._mask = _slab(size, rng)
            self._right = bool(rng.integers(2))

    def over(self, frame: Image, number: int) -> Image:
        """The frame of that number (from the shot's first) with the event on it, if it is on then."""
        step = number - self.spec.start_frame
        if not 0 <= step < self.spec.length_frames:
            return frame
        if self.spec.kind == "flash":
            return blend(frame, self._white, 0.94)
        if self.spec.kind == "strobe":
            return blend(frame, self._white, 0.6) if step // 2 % 2 else blend(frame, 0, 0.65)
        if self.spec.kind == "explosion":
            return self._explosion(frame, step)
        return self._pass(frame, step)

    def _explosion(self, frame: Image, step: int) -> Image:
        share = (step + 1) / self.spec.length_frames
        reach = 1.25 * min(share / 0.35, 1.0)
        heat = 1.0 if share < 0.4 else max(1 - (share - 0.4) / 0.6, 0.0)
        inside = ((reach - self._distance) / 0.25 + self._rough).clip(0, 1) * heat
        fire = np.array([self._white, 190, 90], np.float32) + inside[..., None] * np.array([0, 60, 130], np.float32)
        mixed = frame + inside[..., None] * (fire.clip(0, self._white) - frame)
        return mixed.astype(np.uint8)

    def _pass(self, frame: Image, step: int) -> Image:
        share = (step + 0.5) / self.spec.length_frames
        span = self._width + self._slab.width
        left = round(share * span) - self._slab.width if self._right else self._width - round(share * span)
        picture = Picture.fromarray(frame)
        picture.paste(self._slab, (left, 0), self._mask)
        return np.array(picture)


def _slab(size: tuple[int, int], rng: np.random.Generator) -> tuple[Picture.Image, Picture.Image]:
    """A large dark out-of-focus body and its mask, as wide as the frame."""
    width, height = round(size[0] * 1.1), size[1]
    mask = Picture.new("L", (width, height), 0)
    lean = width * float(rng.uniform(-0.12, 0.12))
    draw = ImageDraw.Draw(mask)
    draw.polygon(
        [(width * 0.15 + lean, 0), (width * 0.85 + lean, 0), (width * 0.88, height), (width * 0.12, height)],
        fill=255,
    )
    tone = rng.integers(18, 60, 3)
    slab = Picture.new("RGB", (width, height), tuple(int(v) for v in tone))
    stripes = ImageDraw.Draw(slab)
    for _ in range(5):
        x = float(rng.uniform(0.15, 0.8)) * width
        stripes.rectangle((x, 0, x + width * 0.06, height), fill=tuple(int(v * 1.5) for v in tone))
    blur = ImageFilter.GaussianBlur(size[0] / 60)
    return slab.filter(blur), mask.filter(blur)


def weather_tile(kind: str, size: tuple[int, int], rng: np.random.Generator) -> Image:
    """Falling things on black, twice as high as the frame and repeating: laid over by the brighter of two."""
    width, height = size
    tile = Picture.new("RGB", (width, height), (0, 0, 0))
    draw = ImageDraw.Draw(tile)
    unit = height / 180
    count = {"snow": 130, "rain": 90, "bubbles": 26, "dust": 40}[kind]
    for _ in range(count):
        x, y, r = rng.uniform(0, width), rng.uniform(4, height - 16 * unit), rng.uniform(0.5, 1.6) * unit
        if kind == "rain":
            draw.line((x, y, x - 2 * unit, y + 12 * unit), fill=(96, 100, 124), width=max(round(unit * 0.7), 1))
        elif kind == "bubbles":
            draw.ellipse((x - 2 * r, y - 2 * r, x + 2 * r, y + 2 * r), outline=(170, 226, 236))
        else:
            level = int(rng.integers(200, 246)) if kind == "snow" else 190
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(level, level, level if kind == "snow" else 130))
    single = np.asarray(tile)
    return np.concatenate([single, single])


def grain_fields(size: tuple[int, int], depth: int, seed: int, count: int = 12) -> list[Image]:
    """Film grain to be added: grey, 0…``depth`` levels, mostly in the middle."""
    width, height = size
    rng = np.random.default_rng([seed, 77])
    fields = []
    for _ in range(count if depth else 0):
        grey = (
            rng.integers(0, depth + 1, (height, width, 1), np.uint8)
            + rng.integers(0, depth + 1, (height, width, 1), np.uint8)
        ) // 2
        fields.append(np.repeat(grey, 3, axis=2))
    return fields
