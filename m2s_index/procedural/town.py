"""The places of a town: streets and rooms. Each function paints one on an easel."""

from __future__ import annotations

from m2s_index.procedural.easel import Colour, Easel, mix


def city_night(e: Easel) -> None:
    """Towers with lit windows, neon, a wet road that mirrors the lamps."""
    e.bands(0, 0.72, [(8, 10, 30), (24, 22, 62), (84, 44, 92)])
    for layer in range(3):
        x, body = -0.02, mix((44, 38, 76), (14, 14, 26), layer / 2)
        while x < 1:
            wide, top = e.uniform(0.035, 0.075), e.uniform(0.08 + 0.12 * layer, 0.4 + 0.06 * layer)
            e.box(x, top, x + wide, 0.76, body)
            _lit_windows(e, x, top, wide, 0.72, layer)
            x += wide + e.uniform(0.0, 0.02)
    for _ in range(16):
        _neon(e, e.uniform(0.02, 0.96), e.uniform(0.46, 0.62))
    e.bands(0.76, 1.0, [(26, 26, 36), (38, 38, 52), (20, 20, 30)])
    e.box(0, 0.745, 1, 0.775, (58, 56, 66))
    for i in range(26):
        e.poly(
            [(i / 26, 0.885), (i / 26 + 0.02, 0.885), (i / 26 + 0.018, 0.898), (i / 26 - 0.002, 0.898)],
            (190, 180, 110),
        )
    for i in range(9):
        x = 0.05 + i * 0.112
        e.line([(x, 0.76), (x, 0.44), (x + 0.012, 0.42)], (70, 70, 80), 0.8)
        e.glow(x + 0.014, 0.43, 0.2, (255, 190, 110), 0.9)
        e.glow(x + 0.014, 0.84, 0.1, (190, 130, 70), 0.8)


def _lit_windows(e: Easel, x: float, top: float, wide: float, bottom: float, layer: int) -> None:
    columns, pitch = max(int(wide / 0.009), 2), 0.03
    warm = [(255, 214, 130), (250, 190, 96), (180, 210, 240)]
    y = top + 0.02
    while y < bottom - pitch:
        for i in range(columns):
            if e.uniform(0, 1) < 0.32 + 0.08 * layer:
                left = x + wide * (i + 0.25) / columns
                e.box(
                    left,
                    y,
                    left + wide * 0.5 / columns,
                    y + pitch * 0.5,
                    mix((40, 36, 60), e.pick(warm), 0.45 + 0.25 * layer),
                )
        y += pitch


def _neon(e: Easel, x: float, y: float) -> None:
    colour = e.pick([(255, 50, 140), (40, 220, 255), (255, 90, 40), (130, 80, 255), (60, 255, 140)])
    wide, tall = e.uniform(0.012, 0.04), e.uniform(0.03, 0.09)
    e.glow(x + wide / 2, y + tall / 2, 0.18, colour, 0.55)
    e.box(x, y, x + wide, y + tall, mix(colour, (10, 10, 20), 0.75), colour)
    for i in range(3):
        e.line(
            [
                (x + wide * 0.15, y + tall * (0.25 + 0.25 * i)),
                (x + wide * e.uniform(0.5, 0.9), y + tall * (0.25 + 0.25 * i)),
            ],
            mix(colour, (255, 255, 255), 0.5),
            0.7,
        )
    e.glow(x + wide / 2, 0.8 + (0.7 - y) * 0.3, 0.13, colour, 0.4)


def street(e: Easel) -> None:
    """Brick and plaster houses by day, shops with awnings, pavement and road."""
    e.bands(0, 0.3, [(140, 190, 232), (214, 230, 240)])
    e.veil(0, 0.25, (255, 255, 255), (10, 3), 0.4)
    x = -0.01
    while x < 1:
        wide = e.uniform(0.085, 0.13)
        _house(e, x, e.uniform(0.06, 0.22), wide)
        x += wide
    e.bands(0.745, 0.8, [(188, 182, 174), (206, 200, 192)])
    e.bands(0.8, 1.0, [(104, 104, 110), (86, 86, 92)])
    e.texture(0.8, 1, 8, (120, 40), 2)
    e.box(0, 0.798, 1, 0.81, (150, 146, 142))
    for i in range(20):
        e.box(i / 20, 0.9, i / 20 + 0.025, 0.908, (226, 222, 206))
    for i in range(7):
        x = 0.07 + i * 0.15 + e.uniform(-0.01, 0.01)
        e.line([(x, 0.78), (x, 0.5)], (92, 72, 54), 1.4)
        for _ in range(9):
            leaf = mix((64, 120, 50), (140, 180, 80), e.uniform(0, 1))
            e.disc(x + e.uniform(-0.02, 0.02), 0.43 + e.uniform(-0.09, 0.07), 0.055, leaf)


def _house(e: Easel, x: float, top: float, wide: float) -> None:
    wall = e.pick(
        [(182, 96, 76), (226, 206, 170), (204, 160, 110), (168, 178, 184), (214, 184, 176), (150, 84, 66)]
    )
    e.box(x, top, x + wide, 0.75, wall)
    e.box(x, top, x + wide, top + 0.02, mix(wall, (255, 255, 255), 0.35))
    e.box(x + wide - 0.003, top, x + wide, 0.75, mix(wall, (0, 0, 0), 0.3))
    columns = 3 if wide < 0.11 else 4
    y = top + 0.05
    while y < 0.48:
        for i in range(columns):
            left = x + wide * (i + 0.28) / columns
            right = left + wide * 0.45 / columns
            e.box(
                left,
                y,
                right,
                y + 0.075,
                mix((70, 92, 116), (180, 206, 224), e.uniform(0, 0.8)),
                (244, 240, 232),
            )
            e.box(left - 0.002, y + 0.075, right + 0.002, y + 0.084, mix(wall, (255, 255, 255), 0.5))
        y += 0.125
    shade = e.pick([(190, 50, 48), (36, 108, 84), (40, 84, 140), (230, 160, 40)])
    e.box(x + wide * 0.06, 0.6, x + wide * 0.94, 0.745, (62, 68, 76))
    e.box(x + wide * 0.1, 0.62, x + wide * 0.6, 0.73, mix((250, 226, 170), (160, 190, 210), e.uniform(0, 1)))
    e.box(x + wide * 0.68, 0.62, x + wide * 0.86, 0.745, mix(shade, (0, 0, 0), 0.3))
    for i in range(8):
        a, b = x + wide * (0.04 + 0.115 * i), x + wide * (0.04 + 0.115 * (i + 1))
        e.poly([(a, 0.55), (b, 0.55), (b, 0.61), (a, 0.61)], shade if i % 2 else (246, 240, 230))


def _room(e: Easel, wall: Colour, floor: Colour, ceiling: Colour, skirting: float) -> None:
    """A back wall between ceiling and floor; ``skirting`` is where wall meets floor."""
    e.bands(0, 0.12, [mix(ceiling, (0, 0, 0), 0.12), ceiling])
    e.bands(0.12, skirting, [mix(wall, (255, 255, 255), 0.1), mix(wall, (0, 0, 0), 0.1)])
    e.bands(skirting, 1.0, [mix(floor, (0, 0, 0), 0.25), floor])


def office(e: Easel) -> None:
    """Daylight through wide windows, ceiling panels, desks with screens, plants."""
    _room(e, (206, 212, 216), (104, 118, 134), (232, 236, 236), 0.74)
    e.texture(0.74, 1, 7, (160, 60), 2)
    for i in range(12):
        e.poly(
            [(i / 12 + 0.01, 0.02), (i / 12 + 0.06, 0.02), (i / 12 + 0.058, 0.085), (i / 12 + 0.012, 0.085)],
            (255, 255, 250),
        )
    for i in range(8):
        x = i / 8 + 0.012
        e.box(x, 0.2, x + 0.1, 0.56, (176, 208, 232), (240, 242, 242))
        for j in range(6):
            top = e.uniform(0.3, 0.48)
            e.box(
                x + 0.002 + j * 0.016,
                top,
                x + 0.016 + j * 0.016,
                0.555,
                mix((120, 146, 172), (150, 172, 192), e.uniform(0, 1)),
            )
        e.line([(x + 0.05, 0.2), (x + 0.05, 0.56)], (240, 242, 242), 0.8)
        e.box(x, 0.2, x + 0.1, 0.2 + e.uniform(0.02, 0.09), (224, 226, 222))
    for i in range(9):
        _desk(e, i / 9 + e.uniform(0, 0.012), 0.83)
    for x in (0.11, 0.43, 0.77):
        _plant(e, x + e.uniform(-0.02, 0.02), 0.9)


def _desk(e: Easel, x: float, y: float) -> None:
    e.box(x, y - 0.14, x + 0.085, y - 0.12, (196, 160, 116))
    e.box(x + 0.003, y - 0.12, x + 0.008, y + 0.03, (120, 124, 130))
    e.box(x + 0.062, y - 0.12, x + 0.082, y + 0.03, (170, 174, 178), (130, 134, 140))
    screen = e.pick([(60, 130, 190), (40, 60, 84), (80, 170, 150), (230, 234, 236)])
    e.box(x + 0.02, y - 0.26, x + 0.055, y - 0.16, screen, (30, 34, 40))
    for i in range(4):
        e.line(
            [(x + 0.023, y - 0.245 + 0.02 * i), (x + 0.023 + e.uniform(0.008, 0.028), y - 0.245 + 0.02 * i)],
            mix(screen, (255, 255, 255), 0.6),
            0.5,
        )
    e.box(x + 0.035, y - 0.16, x + 0.04, y - 0.14, (40, 44, 50))
    chair = e.pick([(40, 44, 52), (180, 70, 50), (60, 90, 120)])
    e.box(x + 0.026, y - 0.1, x + 0.052, y + 0.02, chair)
    e.line([(x + 0.039, y + 0.02), (x + 0.039, y + 0.08)], (60, 62, 66), 0.8)
    e.line([(x + 0.027, y + 0.085), (x + 0.051, y + 0.085)], (60, 62, 66), 0.9)


def _plant(e: Easel, x: float, y: float) -> None:
    for _ in range(16):
        dx, up = e.uniform(-0.02, 0.02), e.uniform(0.12, 0.28)
        e.line(
            [(x, y - 0.06), (x + dx * 0.4, y - up * 0.8), (x + dx, y - up)],
            mix((30, 96, 50), (90, 160, 80), e.uniform(0, 1)),
            1.3,
        )
    e.poly([(x - 0.012, y - 0.08), (x + 0.012, y - 0.08), (x + 0.009, y), (x - 0.009, y)], (226, 226, 220))


def kitchen(e: Easel) -> None:
    """Cream tiles, coloured cupboards, a stove with pots, hanging lamps, a chequered floor."""
    front = e.pick([(58, 132, 128), (76, 120, 92), (214, 120, 70)])
    _room(e, (240, 226, 196), (214, 196, 170), (250, 244, 230), 0.78)
    for i in range(70):
        e.line([(i / 70, 0.3), (i / 70, 0.56)], (222, 204, 170), 0.3)
    for j in range(7):
        e.line([(0, 0.3 + j * 0.042), (1, 0.3 + j * 0.042)], (222, 204, 170), 0.3)
    for j in range(5):
        for i in range(-2, 32):
            if (i + j) % 2:
                skew, y = (j - 2) * 0.006, 0.78 + j * 0.05
                e.poly(
                    [
                        (i / 30 + skew, y),
                        ((i + 1) / 30 + skew, y),
                        ((i + 1) / 30 + skew + 0.006, y + 0.05),
                        (i / 30 + skew + 0.006, y + 0.05),
                    ],
                    (120, 74, 60),
                )
    for i in range(16):
        x = i / 16
        if i % 4 == 2:
            _window(e, x + 0.004, 0.14, 0.054, 0.32)
        else:
            e.box(x + 0.002, 0.13, x + 0.06, 0.36, front, mix(front, (0, 0, 0), 0.35))
            e.box(x + 0.008, 0.155, x + 0.054, 0.335, mix(front, (255, 255, 255), 0.12))
        e.box(x + 0.002, 0.6, x + 0.06, 0.8, front, mix(front, (0, 0, 0), 0.35))
        e.line([(x + 0.02, 0.635), (x + 0.042, 0.635)], (236, 220, 170), 0.8)
    e.box(0, 0.56, 1, 0.595, (150, 104, 66))
    for i in range(4):
        _stove(e, 0.1 + i * 0.25 + e.uniform(-0.01, 0.01))
        _fridge(e, 0.205 + i * 0.25)
    for i in range(9):
        x = 0.06 + i * 0.11
        e.line([(x, 0), (x, 0.12)], (60, 54, 50), 0.4)
        e.poly([(x - 0.014, 0.16), (x - 0.005, 0.11), (x + 0.005, 0.11), (x + 0.014, 0.16)], (206, 70, 52))
        e.glow(x, 0.17, 0.2, (255, 226, 160), 0.35)
    for _ in range(44):
        x, tall = e.uniform(0, 1), e.uniform(0.03, 0.08)
        e.box(
            x,
            0.56 - tall,
            x + e.uniform(0.004, 0.009),
            0.56,
            e.pick([(200, 60, 50), (240, 190, 60), (90, 140, 70), (230, 230, 226), (90, 60, 50)]),
        )


def _window(e: Easel, x: float, y: float, wide: float, tall: float) -> None:
    e.box(x, y, x + wide, y + tall, (178, 220, 244), (255, 255, 255))
    e.box(x, y + tall * 0.65, x + wide, y + tall, (126, 178, 96), (255, 255, 255))
    e.line([(x + wide / 2, y), (x + wide / 2, y + tall)], (255, 255, 255), 1.0)
    e.line([(x, y + tall * 0.5), (x + wide, y + tall * 0.5)], (255, 255, 255), 1.0)


def _stove(e: Easel, x: float) -> None:
    e.box(x, 0.555, x + 0.07, 0.81, (206, 208, 210), (120, 122, 126))
    e.box(x + 0.01, 0.65, x + 0.06, 0.77, (44, 46, 52), (160, 162, 166))
    for i in range(4):
        e.disc(x + 0.014 + i * 0.014, 0.605, 0.011, (50, 52, 58))
    e.box(x + 0.012, 0.48, x + 0.032, 0.55, e.pick([(190, 60, 50), (70, 90, 130), (160, 164, 168)]), (60, 50, 50))
    e.box(x + 0.042, 0.51, x + 0.062, 0.55, (60, 62, 68))
    e.poly([(x + 0.005, 0.3), (x + 0.02, 0.2), (x + 0.05, 0.2), (x + 0.065, 0.3)], (170, 174, 178))


def _fridge(e: Easel, x: float) -> None:
    e.box(x, 0.24, x + 0.045, 0.81, (236, 238, 238), (170, 172, 176))
    e.line([(x, 0.44), (x + 0.045, 0.44)], (170, 172, 176), 0.6)
    e.line([(x + 0.006, 0.3), (x + 0.006, 0.4)], (130, 132, 138), 0.9)
    e.line([(x + 0.006, 0.48), (x + 0.006, 0.6)], (130, 132, 138), 0.9)
    for _ in range(5):
        left, top = x + e.uniform(0.014, 0.034), e.uniform(0.28, 0.6)
        e.box(left, top, left + 0.006, top + 0.02, e.pick([(230, 80, 70), (250, 210, 80), (90, 150, 210)]))
