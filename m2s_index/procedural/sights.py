"""Single grey pictures in great variety, drawn from a seed, for encoders to learn from.

Seven kinds by turns, each with its own proportions, surfaces and light: rooms, halls, streets, open country and
woods; occluding leaves (the dead-leaves model: Lee, Mumford and Huang, IJCV 41, 2001); and noise whose spectrum is
a power law, stronger across or down, as in kinds of natural scene (Torralba and Oliva, Network 14, 2003). What is
seen in perspective is ``m2s_index.procedural.sight_view``. Nothing here is a film: the places of films are painted
by ``m2s_index.procedural.places``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from m2s_index.procedural.sight_view import SIDE_PX, Floats, View, noise, surface
from m2s_index.types import Image


def sights(seed: int, pictures: int) -> Iterator[Image]:
    """Pictures, uint8 [256, 256, 3], grey, the kinds by turns; each is the same for the same seed, however many."""
    kinds = tuple(KINDS.values())
    for number in range(pictures):
        generator = np.random.default_rng((seed, number))
        yield _finish(kinds[number % len(kinds)](generator), generator)


def _finish(light: Floats, generator: np.random.Generator) -> Image:
    """Expose: contrast, brightness, gamma and a little noise; a mirrored copy half of the time."""
    low, high = np.percentile(light, (1, 99))
    level = np.clip((light - low) / max(float(high - low), 1e-6), 0, 1) ** generator.uniform(0.6, 1.7)
    black, white = generator.uniform(0, 60), generator.uniform(150, 255)
    grey = black + (white - black) * level + generator.normal(0, generator.uniform(0, 5), level.shape)
    pixels = np.clip(grey, 0, 255).astype(np.uint8)[:, :: generator.choice((1, -1))]
    return np.ascontiguousarray(np.repeat(pixels[..., None], 3, axis=2))


def _furniture(view: View, generator: np.random.Generator, floor: float, width: float, far: float) -> None:
    """Boxes standing on the floor or hanging on the walls, in front and at the sides."""
    for _ in range(generator.integers(3, 16)):
        size = np.exp(generator.normal((-0.3, -0.4, -0.3), 0.5))
        x, z = generator.uniform(-width, width), generator.uniform(1.5, max(far, 2.0))
        base = floor if generator.random() < 0.75 else floor - generator.uniform(0.6, 1.8)
        cover = surface(generator, 0.5, (0.1, 0.6))
        view.box((x - size[0], base - 2 * size[1], z), (x + size[0], base, z + size[2]), cover)


def _room(generator: np.random.Generator) -> Floats:
    view = View(generator, generator.normal(0, 0.3))
    floor, width, far = generator.uniform(1, 1.8), generator.uniform(1.5, 4), generator.uniform(3, 8)
    view.plane(1, floor, surface(generator, 0.5, (0.1, 0.8)))
    view.plane(1, -generator.uniform(0.8, 1.6), surface(generator, 0.3, (0.4, 1.2)))
    for axis, at in ((0, -width), (0, width * generator.uniform(0.6, 1.4)), (2, far)):
        view.plane(axis, at, surface(generator, 0.4, (0.4, 2.5)))
    _furniture(view, generator, floor, width, far)
    return view.light


def _hall(generator: np.random.Generator) -> Floats:
    view = View(generator, generator.normal(0, 0.2))
    floor, width = generator.uniform(1, 2), generator.uniform(1, 6)
    for axis, at in ((1, floor), (1, -generator.uniform(1, 4)), (0, -width), (0, width)):
        view.plane(axis, at, surface(generator, 0.8, (0.3, 2.5)))
    view.plane(2, generator.uniform(8, 40), surface(generator, 0.7, (0.5, 3)))
    rows = surface(generator, 0.9, (0.1, 0.5))
    step, deep, tall = generator.uniform(1.5, 5), generator.uniform(0.3, 3), generator.uniform(0.5, 3)
    aside = generator.uniform(0.3, 0.9) * width
    for number in range(generator.integers(0, 8)):
        z = 1.5 + number * (step + deep)
        for left, right in ((-width, -aside), (aside, width)):
            view.box((left, floor - tall, z), (right, floor, z + deep), rows)
    return view.light


def _street(generator: np.random.Generator) -> Floats:
    view = View(generator, generator.uniform(-0.2, 0.7))
    floor = generator.uniform(1.2, 4)
    view.plane(1, floor, surface(generator, 0.3, (0.5, 4)))
    for side in (-1, 1):
        z = generator.uniform(1, 8)
        while z < 150:
            deep, tall = generator.uniform(4, 25), np.exp(generator.normal(2.2, 0.6))
            near = side * generator.uniform(3, 9)
            x = sorted((near, near + side * generator.uniform(5, 20)))
            facade = surface(generator, 0.85, (0.8, 4))
            view.box((x[0], floor - tall, z), (x[1], floor, z + deep), facade)
            z += deep + generator.exponential(3) * (generator.random() < 0.5)
    if generator.random() < 0.3:
        z, tall = generator.uniform(15, 60), np.exp(generator.normal(3, 0.5))
        view.box((-8, floor - tall, z), (generator.uniform(0, 8), floor, z + 10), surface(generator, 0.9, (0.8, 4)))
    _furniture(view, generator, floor, 6, 25)
    view.sky(generator)
    return view.light


def _country(generator: np.random.Generator) -> Floats:
    view = View(generator, generator.normal(0.1, 0.35))
    view.plane(1, np.exp(generator.normal(1, 0.7)), surface(generator, 0.15, (2, 20)))
    view.sky(generator)
    light, rows = view.light, np.arange(SIDE_PX)[:, None]
    horizon = int(np.clip(np.argmin(np.abs(view.y[:, 0])), 20, SIDE_PX - 20))
    height = generator.uniform(0, 0.9) * horizon
    for layer in range(generator.integers(0, 5)):
        spread = noise(generator, generator.uniform(1.2, 2.2))[layer]
        line = horizon - height * (0.6 + 0.5 * spread - 0.15 * layer) / (1 + 0.6 * layer)
        slope = noise(generator, generator.uniform(0.8, 1.6), generator.uniform(0.5, 1.5))
        shade = generator.uniform(0.1, 0.7) + generator.uniform(0.02, 0.12) * slope
        foot = horizon + layer * generator.uniform(0, 12)
        light = np.where((rows > line) & (rows < foot), shade, light)
    return np.asarray(light, np.float32)


def _wood(generator: np.random.Generator) -> Floats:
    leaves = noise(generator, generator.uniform(0.4, 1.1), generator.uniform(0.6, 1.2))
    light = 0.5 + generator.uniform(0.1, 0.3) * leaves
    ground = generator.uniform(0.5, 1) * SIDE_PX
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    soil = noise(generator, generator.uniform(0.5, 1.2), generator.uniform(1, 4))
    light = np.where(rows > ground, generator.uniform(0.2, 0.7) + 0.15 * soil, light)
    bark = noise(generator, generator.uniform(0.5, 1.2), 0.3)
    trunks = np.sort(generator.pareto(1.5, generator.integers(0, 40)) * 1.5 + 1)
    for half in np.minimum(trunks, 30):
        lean, x = generator.normal(0, 0.06), generator.uniform(0, SIDE_PX)
        off = columns - x - lean * (rows - SIDE_PX) - 2 * np.sin(rows / generator.uniform(15, 60))
        shade = generator.uniform(0, 0.7) + 0.1 * bark - 0.2 * off / half * generator.choice((-1, 1))
        light = np.where((np.abs(off) < half) & (rows < ground + 3 * half), shade, light)
    return np.asarray(light, np.float32)


def _leaves(generator: np.random.Generator) -> Floats:
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    light = np.full((SIDE_PX, SIDE_PX), 0.5, np.float32)
    grain = noise(generator, generator.uniform(0.6, 1.4))
    square, turned = generator.random(), generator.random() < 0.5
    for _ in range(generator.integers(60, 400)):
        x, y = generator.random(2) * SIDE_PX
        radius = float((4.0**-2 + (90.0**-2 - 4.0**-2) * generator.random()) ** -0.5)
        aspect, angle = np.exp(generator.normal(0, 0.4)), generator.uniform(0, np.pi) * turned
        reach = int(1.5 * radius * max(aspect, 1 / aspect)) + 2
        at = (slice(max(0, int(y) - reach), int(y) + reach), slice(max(0, int(x) - reach), int(x) + reach))
        dx, dy = columns[at] - x, rows[at] - y
        along = (np.cos(angle) * dx + np.sin(angle) * dy) / (radius * aspect)
        beside = (np.cos(angle) * dy - np.sin(angle) * dx) / (radius / aspect)
        boxy = generator.random() < square
        inside = (np.abs(along) < 1) & (np.abs(beside) < 1) if boxy else along**2 + beside**2 < 1
        shade = generator.random() + 0.2 * generator.normal() * along + generator.uniform(0, 0.15) * grain[at]
        light[at] = np.where(inside, shade, light[at])
    return light


def _spectrum(generator: np.random.Generator) -> Floats:
    near = noise(generator, generator.uniform(0.6, 1.8), float(np.exp(generator.normal(0, 0.6))))
    far = noise(generator, generator.uniform(0.6, 1.8), float(np.exp(generator.normal(0, 0.6))))
    steep = generator.uniform(-8, 8)
    share = 1 / (1 + np.exp(steep * np.linspace(-1, 1, SIDE_PX, dtype=np.float32)))[:, None]
    return np.asarray(np.tanh(generator.uniform(0.2, 3) * (share * near + (1 - share) * far)), np.float32)


KINDS: dict[str, Callable[[np.random.Generator], Floats]] = {
    "room": _room,
    "street": _street,
    "country": _country,
    "leaves": _leaves,
    "hall": _hall,
    "wood": _wood,
    "spectrum": _spectrum,
}
"""The kinds of picture, by turns."""
