"""The outdoor places: each function paints one on an easel. People and weather are added elsewhere."""

from __future__ import annotations

import math

from m2s_index.procedural.easel import Colour, Easel, mix


def beach(e: Easel) -> None:
    """Blue sky, a far island, the sea with foam, sand, palms and parasols."""
    dusk = e.uniform(0, 0.35)
    e.bands(0, 0.46, [mix((66, 146, 222), (90, 96, 170), dusk), mix((196, 228, 244), (255, 196, 150), dusk)])
    e.veil(0.02, 0.36, (250, 248, 246), (9, 5), 0.45)
    e.glow(e.uniform(0.2, 0.8), 0.2, 0.5, (255, 240, 200), 0.8)
    e.ridge(0.425, 0.07, 4, (108, 140, 160))
    e.bands(0.44, 0.68, [(42, 116, 166), (30, 142, 176), (104, 198, 198)])
    e.texture(0.44, 0.68, 26, (14, 44), 3)
    e.bands(0.68, 1.0, [(206, 178, 132), (238, 214, 166), (226, 196, 146)])
    e.texture(0.68, 1.0, 14, (60, 24), 3)
    for level, colour in ((0.675, (196, 168, 122)), (0.66, (236, 246, 244))):
        wave = [(i / 60, level + 0.012 * math.sin(i * 0.7 + level * 40)) for i in range(61)]
        e.line(wave, colour, 1.6)
    for x in (0.08, 0.36, 0.62, 0.93):
        _parasol(e, x + e.uniform(-0.04, 0.04), e.uniform(0.84, 0.95))
    for x in (0.02, 0.24, 0.5, 0.78, 0.98):
        _palm(e, x + e.uniform(-0.03, 0.03), e.uniform(0.8, 0.9), e.uniform(0.42, 0.6))


def _parasol(e: Easel, x: float, y: float) -> None:
    colour = e.pick([(226, 68, 60), (250, 196, 60), (52, 120, 190), (240, 120, 60)])
    e.disc(x + 0.01, y + 0.005, 0.08, (196, 166, 118), 0.2)
    e.line([(x, y), (x, y - 0.2)], (120, 96, 70), 0.6)
    for i in range(6):
        left, right = x - 0.04 + i * 0.08 / 6, x - 0.04 + (i + 1) * 0.08 / 6
        e.poly([(x, y - 0.25), (left, y - 0.16), (right, y - 0.16)], colour if i % 2 else (248, 242, 232))
    e.poly(
        [(x + 0.012, y), (x + 0.05, y), (x + 0.056, y - 0.03), (x + 0.016, y - 0.012)],
        mix(colour, (255, 255, 255), 0.4),
    )


def _palm(e: Easel, x: float, y: float, tall: float) -> None:
    lean = e.uniform(-0.03, 0.03)
    trunk = [(x + lean * (i / 8) ** 2, y - tall * i / 8) for i in range(9)]
    e.line(trunk, (112, 84, 58), 1.8)
    e.line([(px + 0.001, py) for px, py in trunk], (146, 112, 78), 0.7)
    top_x, top_y = trunk[-1]
    for i in range(9):
        angle = math.pi * (i / 8) * 1.3 - 0.47
        reach = e.uniform(0.15, 0.2)
        dx, dy = math.cos(angle) * reach / e.aspect, -math.sin(angle) * reach * 0.6
        green = mix((26, 92, 56), (84, 150, 66), e.uniform(0, 1))
        e.poly(
            [
                (top_x, top_y - 0.01),
                (top_x + dx * 0.55, top_y + dy * 1.1 - 0.035),
                (top_x + dx, top_y + dy + 0.07),
                (top_x + dx * 0.5, top_y + dy * 0.9 + 0.005),
                (top_x, top_y + 0.012),
            ],
            green,
        )


def forest(e: Easel) -> None:
    """Misty light between trunks, from pale far ones to dark near ones, ferns below."""
    e.bands(0, 1, [(150, 186, 120), (206, 222, 160), (120, 150, 90), (58, 84, 44)])
    e.glow(e.uniform(0.3, 0.7), 0.3, 0.7, (255, 250, 190), 0.5)
    for layer in range(5):
        share = layer / 4
        colour = mix((140, 168, 122), (34, 38, 26), share)
        ground = 0.6 + 0.09 * layer
        for _ in range(26 - 3 * layer):
            x, half = e.uniform(-0.02, 1.02), e.uniform(0.0016, 0.003) * (1 + 1.6 * layer)
            lean = e.uniform(-0.012, 0.012)
            e.poly(
                [
                    (x - half, ground),
                    (x + lean - half * 0.7, -0.01),
                    (x + lean + half * 0.7, -0.01),
                    (x + half, ground),
                ],
                colour,
            )
        e.ridge(ground, 0.05, 14 + 6 * layer, mix((126, 158, 96), (40, 62, 30), share), 4)
        e.veil(0, 0.34 - 0.03 * layer, mix((120, 164, 86), (28, 66, 30), share), (26 - 2 * layer, 7), 0.42)
    for _ in range(90):
        _fern(e, e.uniform(0, 1), e.uniform(0.86, 1.02))
    for _ in range(5):
        x = e.uniform(0, 0.9)
        for step in range(3):
            e.glow(x + 0.02 * step, 0.16 + 0.16 * step, 0.3, (70, 70, 40), 0.35)


def _fern(e: Easel, x: float, y: float) -> None:
    green = mix((36, 84, 34), (110, 160, 62), e.uniform(0, 1))
    for i in range(5):
        bend = (i - 2) * 0.012
        e.line([(x, y), (x + bend * 0.6, y - 0.05), (x + bend * 1.5, y - 0.06 + abs(i - 2) * 0.012)], green, 0.6)


def desert(e: Easel) -> None:
    """Mesas under a glowing sky, dunes with a lit and a shaded side, cacti."""
    e.bands(0, 0.64, [(70, 130, 186), (244, 196, 140), (252, 160, 84)])
    sun = e.uniform(0.15, 0.85)
    e.glow(sun, 0.4, 0.6, (255, 190, 90), 0.8)
    e.disc(sun, 0.38, 0.055, (255, 244, 206))
    for x in (0.1, 0.45, 0.85):
        _mesa(e, x + e.uniform(-0.1, 0.1), 0.53, e.uniform(0.05, 0.1), e.uniform(0.1, 0.2))
    for layer in range(4):
        colour = mix((222, 140, 84), (206, 120, 58), layer / 3)
        crest = e.ridge(0.54 + 0.1 * layer, 0.11, 4 + layer, colour, 2)
        for (x0, y0), (x1, y1) in zip(crest[::6], crest[6::6], strict=False):
            if y1 > y0:
                e.poly(
                    [(x0, y0), (x1, y1), (x1 + 0.02, y1 + 0.06), (x0 + 0.02, y0 + 0.07)],
                    mix(colour, (110, 50, 50), 0.3),
                )
    e.texture(0.62, 1, 12, (30, 60), 4)
    for _ in range(9):
        _cactus(e, e.uniform(0, 1), e.uniform(0.74, 0.98))


def _mesa(e: Easel, x: float, y: float, half: float, tall: float) -> None:
    e.poly([(x - half, y), (x - half * 0.7, y - tall), (x + half * 0.65, y - tall), (x + half, y)], (170, 88, 66))
    e.poly(
        [(x + half * 0.2, y), (x + half * 0.25, y - tall), (x + half * 0.65, y - tall), (x + half, y)],
        (132, 64, 58),
    )
    e.line([(x - half * 0.78, y - tall * 0.7), (x + half * 0.75, y - tall * 0.68)], (196, 116, 84), 0.7)


def _cactus(e: Easel, x: float, y: float) -> None:
    tall = e.uniform(0.12, 0.26) * (y - 0.3)
    green, arm = mix((52, 92, 56), (86, 120, 62), e.uniform(0, 1)), 0.014
    e.disc(x + 0.02, y, 0.06, (176, 96, 56), 0.18)
    e.line([(x, y), (x, y - tall)], green, 2.4)
    e.line([(x, y - tall * 0.4), (x + arm, y - tall * 0.45), (x + arm, y - tall * 0.8)], green, 1.6)
    e.line([(x, y - tall * 0.55), (x - arm, y - tall * 0.6), (x - arm, y - tall * 0.9)], green, 1.6)


def snow(e: Easel) -> None:
    """White mountains, snow-laden firs and a cabin with a lit window."""
    e.bands(0, 0.6, [(126, 156, 190), (196, 212, 226), (232, 236, 242)])
    for layer in range(3):
        colour = mix((150, 172, 200), (206, 220, 236), layer / 2)
        crest = e.ridge(0.36 + 0.1 * layer, 0.34 - 0.08 * layer, 7 + 2 * layer, colour)
        for (x0, y0), (x1, y1) in zip(crest[::5], crest[5::5], strict=False):
            if y1 > y0:
                e.poly([(x0, y0), (x1, y1), (x1 + 0.006, y1 + 0.1)], mix(colour, (84, 112, 152), 0.45))
    e.ridge(0.62, 0.05, 5, (228, 236, 246), 2)
    for _ in range(34):
        _fir(e, e.uniform(0, 1), e.uniform(0.6, 0.68), e.uniform(0.1, 0.17))
    e.bands(0.69, 1, [(232, 238, 248), (214, 226, 242), (240, 244, 250)])
    e.ridge(0.7, 0.04, 6, (238, 243, 250), 2)
    e.texture(0.72, 1, 9, (20, 16), 4)
    _cabin(e, e.uniform(0.25, 0.75), 0.78)
    for _ in range(9):
        _fir(e, e.uniform(0, 1), e.uniform(0.78, 1.0), e.uniform(0.3, 0.46))


def _fir(e: Easel, x: float, y: float, tall: float) -> None:
    dark = mix((34, 62, 62), (58, 88, 84), e.uniform(0, 1))
    e.line([(x, y), (x, y - tall * 0.2)], (70, 54, 44), 1.0)
    for i in range(4):
        base, half = y - tall * (0.12 + 0.2 * i), tall * (0.3 - 0.06 * i) / e.aspect
        e.poly([(x - half, base), (x, base - tall * 0.34), (x + half, base)], dark)
        e.poly(
            [
                (x - half * 0.75, base - tall * 0.05),
                (x, base - tall * 0.34),
                (x + half * 0.2, base - tall * 0.14),
            ],
            (226, 234, 244),
        )


def _cabin(e: Easel, x: float, y: float) -> None:
    e.box(x - 0.05, y - 0.15, x + 0.05, y, (110, 74, 50))
    for i in range(5):
        e.line([(x - 0.05, y - 0.03 * i), (x + 0.05, y - 0.03 * i)], (84, 54, 38), 0.4)
    e.box(x + 0.025, y - 0.33, x + 0.036, y - 0.2, (98, 84, 80))
    e.poly([(x - 0.062, y - 0.14), (x, y - 0.29), (x + 0.062, y - 0.14)], (240, 244, 250))
    for side in (-0.028, 0.016):
        e.glow(x + side + 0.006, y - 0.08, 0.1, (255, 190, 80), 0.6)
        e.box(x + side, y - 0.11, x + side + 0.014, y - 0.06, (255, 214, 120), (70, 44, 30))


def meadow(e: Easel) -> None:
    """Rolling green hills under big clouds, flowers, a fence and a red barn."""
    e.bands(0, 0.55, [(58, 128, 214), (128, 186, 236), (206, 230, 244)])
    e.veil(0.0, 0.46, (252, 252, 252), (8, 4), 0.55)
    for layer, colour in enumerate(((116, 158, 120), (98, 168, 84), (112, 184, 70), (86, 160, 52))):
        e.ridge(0.5 + 0.09 * layer, 0.12, 3 + layer, colour, 2)
        if layer == 1:
            _barn(e, e.uniform(0.2, 0.8), 0.63)
        for _ in range(10 - 2 * layer):
            _bush(e, e.uniform(0, 1), 0.52 + 0.09 * layer, 0.02 + 0.014 * layer)
    e.texture(0.66, 1, 16, (60, 30), 4)
    for i in range(50):
        x = i / 49
        e.line([(x, 0.79), (x, 0.7)], (222, 214, 200), 0.9)
    for y in (0.72, 0.755):
        e.line([(0, y), (1, y)], (232, 226, 214), 0.8)
    for _ in range(420):
        y = e.uniform(0.8, 1.0)
        e.disc(
            e.uniform(0, 1),
            y,
            0.005 * (y - 0.3) * 2,
            e.pick([(250, 236, 90), (240, 90, 90), (250, 250, 250), (190, 110, 210)]),
        )


def _barn(e: Easel, x: float, y: float) -> None:
    e.box(x - 0.035, y - 0.1, x + 0.035, y, (176, 52, 44))
    e.poly([(x - 0.04, y - 0.1), (x - 0.02, y - 0.17), (x + 0.02, y - 0.17), (x + 0.04, y - 0.1)], (92, 70, 66))
    e.box(x - 0.012, y - 0.065, x + 0.012, y, (236, 226, 214), (120, 40, 36))


def _bush(e: Easel, x: float, y: float, size: float) -> None:
    green = mix((44, 104, 48), (92, 148, 62), e.uniform(0, 1))
    for dx, up in ((-0.5, 0.5), (0.5, 0.55), (0.0, 1.1)):
        e.disc(x + dx * size / e.aspect, y - size * up, size * 0.8, green)
    e.disc(x - 0.2 * size / e.aspect, y - size * 1.4, size * 0.45, mix(green, (220, 236, 140), 0.3))


def underwater(e: Easel) -> None:
    """Teal water with shafts of light, coral, weed and sand."""
    deep: Colour = (8, 52, 92)
    e.bands(0, 1, [(96, 206, 214), (28, 134, 170), (12, 84, 128), deep])
    for _ in range(12):
        x, wide = e.uniform(0, 1), e.uniform(0.01, 0.03)
        shaft = mix((36, 146, 180), (80, 190, 206), e.uniform(0, 0.7))
        e.poly([(x, 0), (x + wide, 0), (x + wide * 3 - 0.1, 0.7), (x - 0.12, 0.7)], shaft)
    e.soften(0, 0.75, 3.0)
    e.ridge(0.74, 0.22, 6, (18, 74, 104))
    e.ridge(0.84, 0.1, 5, (150, 160, 130), 2)
    e.texture(0.8, 1, 18, (50, 20), 4)
    for _ in range(44):
        x, y = e.uniform(0, 1), e.uniform(0.84, 1.02)
        colour = e.pick([(226, 92, 110), (240, 140, 70), (170, 90, 180), (236, 190, 90), (210, 70, 90)])
        for _ in range(7):
            lean = e.uniform(-0.02, 0.02)
            e.line([(x, y), (x + lean * 0.5, y - 0.05), (x + lean, y - e.uniform(0.08, 0.13))], colour, 1.5)
    for _ in range(26):
        x, y, tall = e.uniform(0, 1), e.uniform(0.84, 1.0), e.uniform(0.2, 0.45)
        weed = [(x + 0.006 * math.sin(i * 1.1), y - tall * i / 10) for i in range(11)]
        e.line(weed, mix((16, 84, 62), (60, 140, 76), e.uniform(0, 1)), 1.3)
