"""More rooms: the corridor in perspective, the restaurant, the library."""

from __future__ import annotations

from itertools import pairwise

from m2s_index.procedural.easel import Colour, Easel, mix


def corridor(e: Easel) -> None:
    """A long corridor towards a bright end: doors, a runner, lights that shrink with distance."""
    wall = e.pick([(150, 164, 156), (160, 150, 172), (172, 158, 136)])
    centre, horizon = 0.5 + e.uniform(-0.02, 0.02), 0.5
    steps = [0.86**i for i in range(22)]
    for index, (near, far) in enumerate(pairwise(steps)):
        _corridor_bay(e, wall, centre, near, far, lamp=bool(index % 2))
    end = steps[-1]
    bright = (240, 244, 236)
    e.box(centre - 0.55 * end, horizon - 0.6 * end, centre + 0.55 * end, horizon + 0.48 * end, bright)
    e.glow(centre, horizon, 0.3, (210, 220, 210), 0.5)


def _corridor_bay(e: Easel, wall: Colour, centre: float, near: float, far: float, *, lamp: bool) -> None:
    """One bay between two depths (1 nearest, 0 farthest), with a lamp or two doors."""
    dark = 0.62 * (1 - near) ** 0.8

    def at(x: float, y: float, depth: float) -> tuple[float, float]:
        return centre + x * depth, 0.5 + y * depth

    def strip(a: tuple[float, float], b: tuple[float, float], fill: Colour, first: float, last: float) -> None:
        e.poly([at(*a, first), at(*b, first), at(*b, last), at(*a, last)], fill)

    lit = mix(wall, (24, 26, 34), dark + (0.08 if lamp else 0))
    strip((-0.55, -0.62), (-0.55, 0.48), mix(lit, (0, 0, 0), 0.12), near, far)
    strip((0.55, -0.62), (0.55, 0.48), lit, near, far)
    strip((-0.55, -0.62), (0.55, -0.62), mix((226, 226, 214), (20, 22, 30), dark), near, far)
    strip((-0.55, 0.48), (0.55, 0.48), mix((92, 84, 80), (16, 16, 22), dark), near, far)
    carpet = mix((150, 40, 46), (20, 12, 18), dark + (0.1 if lamp else 0))
    strip((-0.2, 0.48), (0.2, 0.48), carpet, near, far)
    if lamp:
        strip((-0.1, -0.62), (0.1, -0.62), mix((255, 252, 226), (60, 60, 70), dark * 0.7), near, far)
        return
    first, last = near * 0.8 + far * 0.2, near * 0.15 + far * 0.85
    for side in (-0.55, 0.55):
        strip((side, -0.3), (side, 0.48), mix((112, 66, 44), (18, 14, 18), dark), first, last)


def restaurant(e: Easel) -> None:
    """Dark wood, a bar of bottles, pendant lamps, tables with white cloths."""
    e.bands(0, 0.76, [(44, 26, 24), (96, 54, 40), (80, 42, 34)])
    e.bands(0.76, 1, [(58, 36, 28), (96, 62, 44)])
    e.texture(0.76, 1, 8, (16, 60), 3)
    for i in range(26):
        e.box(i / 26, 0.5, i / 26 + 0.034, 0.755, (70, 38, 30), (46, 24, 20))
    for i in range(5):
        x = i / 5 + e.uniform(0.0, 0.02)
        if i % 2:
            _bar(e, x)
        else:
            for j in range(3):
                e.box(
                    x + 0.02 + j * 0.055,
                    0.22,
                    x + 0.06 + j * 0.055,
                    0.42,
                    e.pick([(60, 96, 104), (150, 110, 60), (120, 52, 48), (90, 104, 70)]),
                    (206, 168, 96),
                )
    for i in range(10):
        x = 0.05 + i * 0.1
        e.line([(x, 0), (x, 0.17)], (20, 14, 14), 0.4)
        e.glow(x, 0.24, 0.42, (210, 130, 56), 0.6)
        e.disc(x, 0.2, 0.035, (255, 226, 160))
    for i in range(8):
        _table(e, 0.06 + i * 0.125 + e.uniform(-0.015, 0.015), e.uniform(0.86, 0.93))


def _bar(e: Easel, x: float) -> None:
    e.box(x, 0.14, x + 0.18, 0.52, (52, 30, 26), (120, 80, 44))
    for y in (0.25, 0.37, 0.49):
        e.box(x + 0.004, y, x + 0.176, y + 0.014, (168, 116, 62))
        for i in range(20):
            colour = e.pick([(60, 130, 80), (200, 130, 40), (160, 50, 44), (200, 210, 210), (80, 60, 120)])
            left, tall = x + 0.008 + i * 0.0085, e.uniform(0.05, 0.085)
            e.box(left, y - tall, left + 0.005, y, colour)
    e.box(x - 0.006, 0.6, x + 0.186, 0.8, (86, 46, 34), (40, 22, 18))
    e.box(x - 0.01, 0.575, x + 0.19, 0.605, (150, 92, 54))


def _table(e: Easel, x: float, y: float) -> None:
    cloth = (236, 226, 208)
    e.poly(
        [(x - 0.042, y - 0.13), (x + 0.042, y - 0.13), (x + 0.048, y + 0.02), (x - 0.048, y + 0.02)],
        mix(cloth, (90, 60, 50), 0.25),
    )
    e.disc(x, y - 0.13, 0.13, cloth, 0.22)
    for side in (-0.02, 0.02):
        e.disc(x + side, y - 0.13, 0.03, (252, 250, 246), 0.3)
    e.box(x - 0.002, y - 0.2, x + 0.002, y - 0.14, (200, 60, 56))
    e.glow(x, y - 0.21, 0.14, (255, 180, 80), 0.7)
    for side in (-1, 1):
        e.box(x + side * 0.058 - 0.006, y - 0.22, x + side * 0.058 + 0.006, y + 0.06, (54, 28, 24))


def library(e: Easel) -> None:
    """Shelves of books to the ceiling, arched windows, green reading lamps."""
    e.bands(0, 0.8, [(120, 84, 52), (150, 104, 62)])
    e.bands(0.8, 1, [(96, 66, 46), (136, 94, 62)])
    for bay in range(12):
        x = bay / 12
        if bay % 4 == 2:
            e.box(x + 0.014, 0.24, x + 0.07, 0.66, (206, 224, 236), (90, 60, 40))
            e.disc(x + 0.042, 0.24, 0.088, (206, 224, 236))
            e.line([(x + 0.042, 0.15), (x + 0.042, 0.66)], (110, 78, 54), 0.9)
            e.line([(x + 0.014, 0.42), (x + 0.07, 0.42)], (110, 78, 54), 0.9)
            e.glow(x + 0.042, 0.42, 0.4, (120, 120, 100), 0.5)
        else:
            _shelf(e, x)
    for i in range(7):
        x = 0.05 + i * 0.145 + e.uniform(-0.01, 0.01)
        e.box(x, 0.8, x + 0.1, 0.825, (122, 72, 44))
        for leg in (0.006, 0.09):
            e.box(x + leg, 0.825, x + leg + 0.006, 0.95, (84, 48, 30))
        e.glow(x + 0.05, 0.77, 0.2, (220, 200, 110), 0.5)
        e.line([(x + 0.05, 0.8), (x + 0.05, 0.73)], (190, 160, 80), 0.7)
        e.poly([(x + 0.034, 0.745), (x + 0.04, 0.71), (x + 0.06, 0.71), (x + 0.066, 0.745)], (30, 130, 84))
        e.poly([(x + 0.014, 0.798), (x + 0.02, 0.782), (x + 0.034, 0.798)], (240, 234, 220))


def _shelf(e: Easel, x: float) -> None:
    wide = 1 / 12
    e.box(x, 0.06, x + wide, 0.8, (72, 46, 30), (46, 28, 20))
    for row in range(7):
        floor, left = 0.165 + row * 0.103, x + 0.004
        while left < x + wide - 0.007:
            thick, tall = e.uniform(0.0022, 0.005), e.uniform(0.055, 0.088)
            e.box(
                left,
                floor - tall,
                left + thick,
                floor,
                e.pick([(140, 40, 40), (44, 74, 110), (60, 96, 66), (190, 150, 80), (96, 56, 90), (214, 200, 172)]),
            )
            left += thick + 0.0007
        e.box(x, floor, x + wide, floor + 0.012, (110, 72, 44))
