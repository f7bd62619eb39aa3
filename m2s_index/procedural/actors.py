"""Who and what moves: people walking and close up, cars, birds, boats and fish, as small cut-out pictures.

A sprite is an RGBA picture; several of them are the phases of a movement. Paths are straight lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw

from m2s_index.procedural.easel import Colour, mix

Sprites = tuple[Picture.Image, ...]
_FINE = 3
"""Sprites are drawn this many times larger and shrunk, which smooths their edges."""


@dataclass(frozen=True)
class Person:
    """What one looks like."""

    skin: Colour
    hair: Colour
    top: Colour
    legs: Colour
    long_hair: bool


@dataclass(frozen=True)
class Actor:
    """Sprites on a line: ``x_px``, ``y_px`` is the middle of the foot of the sprite at frame 0."""

    sprites: Sprites
    x_px: float
    y_px: float
    speed_px: float = 0.0
    bob_px: float = 0.0
    frames_per_phase: float = 3.0
    first_phase: int = 0

    def at(self, frame: int) -> tuple[Picture.Image, tuple[int, int]]:
        """The sprite of a frame and where its top left corner goes."""
        phase = self.first_phase + math.floor(frame / self.frames_per_phase)
        sprite = self.sprites[phase % len(self.sprites)]
        bob = self.bob_px * math.sin(0.21 * frame + self.first_phase)
        left = self.x_px + self.speed_px * frame - sprite.width / 2
        return sprite, (round(left), round(self.y_px + bob - sprite.height))


def cast_people(rng: np.random.Generator, count: int = 5) -> tuple[Person, ...]:
    """The people of one film, told apart by their clothes and hair."""
    skins = ((244, 206, 172), (224, 172, 130), (176, 118, 80), (120, 78, 54), (92, 60, 44))
    hairs = ((40, 28, 24), (96, 58, 34), (206, 162, 84), (150, 62, 34), (130, 128, 126), (22, 20, 24))
    tops = (
        (206, 54, 50),
        (44, 92, 160),
        (238, 190, 66),
        (60, 130, 92),
        (236, 232, 226),
        (140, 76, 150),
        (48, 52, 62),
    )
    legs = ((48, 58, 88), (60, 54, 50), (120, 104, 84), (34, 36, 42))

    def order(length: int) -> list[int]:
        return [int(i) for i in rng.permutation(length)]

    skin, hair, top, leg = order(len(skins)), order(len(hairs)), order(len(tops)), order(len(legs))
    return tuple(
        Person(skins[skin[i % 5]], hairs[hair[i % 6]], tops[top[i % 7]], legs[leg[i % 4]], i % 2 == 0)
        for i in range(count)
    )


def _sprite(width: int, height: int, paint: Callable[[ImageDraw.ImageDraw, float, float], None]) -> Picture.Image:
    """Paint on a large transparent sheet and shrink it to ``width`` × ``height`` pixels."""
    sheet = Picture.new("RGBA", (width * _FINE, height * _FINE), (0, 0, 0, 0))
    paint(ImageDraw.Draw(sheet), width * _FINE, height * _FINE)
    return sheet.reduce(_FINE)


@lru_cache(maxsize=64)
def walker(person: Person, height: int, right: bool) -> Sprites:
    """Six phases of a stride, seen from the side; ``height`` in pixels."""
    sprites = tuple(
        _sprite(max(height * 5 // 9, 4), height, partial(_walk, who=person, phase=phase)) for phase in range(6)
    )
    return sprites if right else tuple(s.transpose(Picture.Transpose.FLIP_LEFT_RIGHT) for s in sprites)


def _walk(draw: ImageDraw.ImageDraw, w: float, h: float, who: Person, phase: int) -> None:
    swing = math.sin(phase / 6 * 2 * math.pi)
    hip, neck, limb = (w * 0.5, h * 0.54), (w * 0.52, h * 0.22), round(h * 0.075)
    for side, shade in ((-1, 0.3), (1, 0.0)):
        lift = max(0.0, -side * math.cos(phase / 6 * 2 * math.pi)) * 0.05 * h
        foot = (hip[0] + side * swing * w * 0.36, h * 0.955 - lift)
        knee = ((hip[0] + foot[0]) / 2 + w * 0.06, h * 0.74 - lift)
        draw.line([hip, knee, foot], fill=mix(who.legs, (0, 0, 0), shade), width=round(limb * 1.15), joint="curve")
        draw.ellipse((foot[0] - limb * 0.7, foot[1] - limb * 0.4, foot[0] + limb * 1.3, h), fill=(38, 32, 30))
        if side < 0:
            draw.rounded_rectangle((w * 0.34, h * 0.2, w * 0.68, h * 0.58), h * 0.08, fill=who.top)
        hand = (neck[0] - side * swing * w * 0.36, h * 0.5)
        elbow = ((neck[0] + hand[0]) / 2 - w * 0.05, h * 0.39)
        draw.line(
            [(neck[0], h * 0.26), elbow, hand],
            fill=mix(who.top, (0, 0, 0), 0.22 + shade),
            width=round(limb * 0.9),
            joint="curve",
        )
        draw.ellipse(
            (hand[0] - limb * 0.5, hand[1] - limb * 0.5, hand[0] + limb * 0.5, hand[1] + limb * 0.5),
            fill=who.skin,
        )
    draw.rectangle((w * 0.46, h * 0.15, w * 0.58, h * 0.22), fill=mix(who.skin, (0, 0, 0), 0.15))
    radius = h * 0.085
    if who.long_hair:
        draw.ellipse((w * 0.5 - radius * 1.25, h * 0.01, w * 0.5 + radius * 0.4, h * 0.26), fill=who.hair)
    draw.ellipse((w * 0.54 - radius, h * 0.02, w * 0.54 + radius, h * 0.19), fill=who.skin)
    draw.pieslice((w * 0.52 - radius * 1.15, 0, w * 0.52 + radius * 1.05, h * 0.19), 150, 345, fill=who.hair)


@lru_cache(maxsize=32)
def bust(person: Person, height: int) -> Sprites:
    """Head and shoulders facing the lens, talking: mouth shut, open, shut, open, blinking …"""
    return tuple(
        _sprite(height, height, partial(_bust, who=person, mouth=mouth, eyes=eyes))
        for mouth, eyes in ((0.0, True), (1.0, True), (0.4, True), (1.0, True), (0.2, False))
    )


def _bust(draw: ImageDraw.ImageDraw, w: float, h: float, who: Person, mouth: float, eyes: bool) -> None:
    def oval(x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        draw.ellipse(((x - rx) * w, (y - ry) * h, (x + rx) * w, (y + ry) * h), fill=fill)

    shade = mix(who.skin, (70, 20, 10), 0.22)
    if who.long_hair:
        draw.rounded_rectangle(
            (w * 0.27, h * 0.14, w * 0.73, h * 0.74), w * 0.18, fill=mix(who.hair, (0, 0, 0), 0.2)
        )
    draw.rounded_rectangle((w * 0.42, h * 0.5, w * 0.58, h * 0.78), w * 0.05, fill=shade)
    draw.rounded_rectangle((w * 0.08, h * 0.7, w * 0.92, h * 1.5), w * 0.2, fill=who.top)
    draw.polygon([(w * 0.4, h * 0.7), (w * 0.6, h * 0.7), (w * 0.5, h * 0.84)], fill=shade)
    draw.line(
        [(w * 0.4, h * 0.7), (w * 0.5, h * 0.86), (w * 0.6, h * 0.7)],
        fill=mix(who.top, (0, 0, 0), 0.3),
        width=round(w * 0.02),
    )
    for x in (0.29, 0.71):
        oval(x, 0.4, 0.035, 0.06, shade)
    oval(0.5, 0.37, 0.2, 0.26, who.skin)
    draw.pieslice((w * 0.28, h * 0.06, w * 0.72, h * 0.6), 178, 362, fill=who.hair)
    oval(0.5, 0.39, 0.17, 0.13, who.skin)
    for x in (0.42, 0.58):
        draw.line(
            [((x - 0.045) * w, 0.315 * h), ((x + 0.045) * w, 0.31 * h)], fill=who.hair, width=round(h * 0.018)
        )
        if eyes:
            oval(x, 0.37, 0.034, 0.022, (250, 250, 248))
            oval(x + 0.004, 0.37, 0.016, 0.02, (44, 36, 40))
        else:
            draw.line(
                [((x - 0.03) * w, 0.375 * h), ((x + 0.03) * w, 0.375 * h)], fill=shade, width=round(h * 0.012)
            )
    draw.line(
        [(w * 0.5, h * 0.39), (w * 0.515, h * 0.45), (w * 0.49, h * 0.455)], fill=shade, width=round(h * 0.012)
    )
    oval(0.5, 0.53, 0.055, 0.008 + 0.028 * mouth, (132, 48, 52))


@lru_cache(maxsize=32)
def car(colour: Colour, height: int, right: bool, lamps: bool) -> Sprites:
    """A car from the side, with its lamps on at night."""

    def paint(d: ImageDraw.ImageDraw, w: float, h: float) -> None:
        if lamps:
            d.polygon(
                [(w * 0.84, h * 0.55), (w, h * 0.4), (w, h * 0.98), (w * 0.84, h * 0.66)],
                fill=(255, 240, 180, 110),
            )
        d.rounded_rectangle((w * 0.04, h * 0.4, w * 0.86, h * 0.82), h * 0.14, fill=colour)
        d.polygon(
            [(w * 0.16, h * 0.44), (w * 0.27, h * 0.08), (w * 0.57, h * 0.08), (w * 0.7, h * 0.44)], fill=colour
        )
        glass = (150, 190, 214)
        d.polygon(
            [(w * 0.2, h * 0.42), (w * 0.29, h * 0.15), (w * 0.41, h * 0.15), (w * 0.41, h * 0.42)], fill=glass
        )
        d.polygon(
            [(w * 0.44, h * 0.42), (w * 0.44, h * 0.15), (w * 0.55, h * 0.15), (w * 0.64, h * 0.42)], fill=glass
        )
        d.rectangle((w * 0.82, h * 0.52, w * 0.86, h * 0.64), fill=(255, 246, 200))
        d.rectangle((w * 0.04, h * 0.52, w * 0.07, h * 0.64), fill=(230, 40, 30))
        for x in (0.22, 0.68):
            d.ellipse((w * x - h * 0.2, h * 0.6, w * x + h * 0.2, h), fill=(24, 24, 28))
            d.ellipse((w * x - h * 0.09, h * 0.71, w * x + h * 0.09, h * 0.89), fill=(170, 172, 178))

    sprite = _sprite(height * 3, height, paint)
    return (sprite if right else sprite.transpose(Picture.Transpose.FLIP_LEFT_RIGHT),)


@lru_cache(maxsize=32)
def bird(colour: Colour, size: int) -> Sprites:
    """Four phases of a wing beat."""

    def flap(d: ImageDraw.ImageDraw, w: float, h: float, lift: float) -> None:
        tip = h * (0.5 - 0.42 * lift)
        d.line(
            [
                (w * 0.04, tip),
                (w * 0.3, h * (0.5 - 0.2 * lift)),
                (w * 0.5, h * 0.55),
                (w * 0.7, h * (0.5 - 0.2 * lift)),
                (w * 0.96, tip),
            ],
            fill=colour,
            width=max(round(h * 0.13), 2),
            joint="curve",
        )
        d.ellipse((w * 0.42, h * 0.46, w * 0.6, h * 0.66), fill=colour)

    return tuple(_sprite(size, max(size * 2 // 3, 4), partial(flap, lift=lift)) for lift in (1.0, 0.3, -0.7, 0.2))


@lru_cache(maxsize=8)
def boat(height: int) -> Sprites:
    """A sailing boat."""

    def paint(d: ImageDraw.ImageDraw, w: float, h: float) -> None:
        d.polygon([(w * 0.05, h * 0.78), (w * 0.95, h * 0.78), (w * 0.8, h), (w * 0.2, h)], fill=(150, 60, 48))
        d.polygon([(w * 0.5, h * 0.02), (w * 0.5, h * 0.72), (w * 0.9, h * 0.72)], fill=(250, 248, 240))
        d.polygon([(w * 0.46, h * 0.1), (w * 0.46, h * 0.72), (w * 0.16, h * 0.72)], fill=(232, 226, 214))

    return (_sprite(height, height, paint),)


@lru_cache(maxsize=32)
def fish(colour: Colour, size: int, right: bool) -> Sprites:
    """Three phases of a tail."""

    def paint(d: ImageDraw.ImageDraw, w: float, h: float, bend: float) -> None:
        d.polygon(
            [
                (w * 0.28, h * 0.5),
                (w * 0.02, h * (0.2 + bend)),
                (w * 0.08, h * 0.5),
                (w * 0.02, h * (0.8 + bend)),
            ],
            fill=mix(colour, (0, 0, 0), 0.2),
        )
        d.polygon([(w * 0.4, h * 0.3), (w * 0.6, h * 0.02), (w * 0.72, h * 0.3)], fill=mix(colour, (0, 0, 0), 0.2))
        d.ellipse((w * 0.2, h * 0.16, w * 0.98, h * 0.84), fill=colour)
        for x in (0.45, 0.63):
            d.line([(w * x, h * 0.2), (w * (x - 0.02), h * 0.8)], fill=(250, 246, 236), width=round(w * 0.055))
        d.ellipse((w * 0.8, h * 0.34, w * 0.88, h * 0.5), fill=(24, 24, 28))

    sprites = tuple(_sprite(size, size * 5 // 8, partial(paint, bend=bend)) for bend in (-0.12, 0.0, 0.12, 0.0))
    return sprites if right else tuple(s.transpose(Picture.Transpose.FLIP_LEFT_RIGHT) for s in sprites)
