"""Who appears in a shot and where: actors for its place, framing and number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from m2s_index.procedural.actors import Actor, Person, bird, boat, bust, car, fish, walker
from m2s_index.procedural.easel import Colour
from m2s_index.procedural.places import Place
from m2s_index.procedural.spec import Mark, ShotSpec

_CARS: tuple[Colour, ...] = ((190, 44, 42), (52, 92, 150), (226, 224, 218), (240, 188, 50), (44, 48, 54))
_FISH: tuple[Colour, ...] = ((246, 130, 50), (250, 206, 70), (90, 120, 220), (230, 80, 110))


@dataclass(frozen=True)
class Floor:
    """The part of a place that a shot sees, in output pixels: actors stand between its sides."""

    left_px: float
    right_px: float
    frame_height_px: int
    ground_px: float
    horizon_px: float
    person_px: int
    frames: int


def cast_shot(
    shot: ShotSpec, place: Place, people: tuple[Person, ...], floor: Floor, rng: np.random.Generator
) -> list[Actor]:
    """The actors of a shot that move through its place, as painted, not yet lit."""
    found: list[Actor] = []
    walking = [people[int(who)] for who in rng.permutation(len(people))]
    for index in range(shot.actors):
        kind = place.cast[int(rng.integers(len(place.cast)))] if place.cast and index != 1 else "person"
        if kind == "person" and not place.people:
            kind = "fish"
        if kind == "person":
            found.append(_walker(walking[index % len(walking)], floor, rng))
        else:
            found += _extras(kind, floor, rng, night=place.weather == "rain")
    return found


def talking_heads(
    shot: ShotSpec, place: Place, people: tuple[Person, ...], size: tuple[int, int], rng: np.random.Generator
) -> list[Actor]:
    """The one or two people of a close-up, in pixels of the frame."""
    if not place.people or not shot.actors:
        return []
    width, height = size
    chosen = rng.permutation(len(people))[: 1 if shot.actors < 3 else 2]
    spots = [rng.uniform(0.32, 0.68)] if len(chosen) == 1 else [0.27, 0.74]
    return [
        Actor(
            bust(people[int(who)], round(height * float(rng.choice((0.8, 0.87, 0.94))))),
            width * float(spot),
            height * 1.04,
            speed_px=float(rng.uniform(-0.05, 0.05)) * height / 180,
            bob_px=height / 90,
            frames_per_phase=4.0,
            first_phase=int(rng.integers(5)),
        )
        for who, spot in zip(chosen, spots, strict=True)
    ]


def marked_people(
    marks: Sequence[Mark], people: tuple[Person, ...], size: tuple[int, int], frames: int, rng: np.random.Generator
) -> list[Actor]:
    """People where a direction wants them in the middle of a shot of so many frames, in pixels of the frame."""
    width, height = size
    found = []
    for mark in sorted(marks, key=lambda mark: mark.height):
        person, tall = people[mark.person], round(mark.height * height)
        if mark.height >= 1:
            found.append(Actor(bust(person, round(0.8 * tall)), width * mark.x, height * 1.04))
            continue
        speed = (1 if mark.right else -1) * tall * 0.006
        walking = Actor(walker(person, tall, mark.right), width * mark.x - speed * frames / 2, height * 0.96, speed)
        found.append(replace(walking, first_phase=int(rng.integers(6))))
    return found


def _crossing(floor: Floor, rng: np.random.Generator, speed: float, right: bool) -> tuple[float, float]:
    """Where to start, and the signed speed, to be in view in the middle of the shot."""
    middle = rng.uniform(floor.left_px, floor.right_px) if floor.right_px > floor.left_px else floor.left_px
    signed = speed if right else -speed
    return float(middle - signed * floor.frames / 2), signed


def _walker(person: Person, floor: Floor, rng: np.random.Generator) -> Actor:
    depth = float(rng.integers(4)) / 3  # few sizes, so that their sprites are drawn once
    height, right = max(round(floor.person_px * (0.9 + 0.2 * depth)), 8), bool(rng.integers(2))
    x, speed = _crossing(floor, rng, height * float(rng.uniform(0.008, 0.022)), right)
    ground = floor.ground_px + depth * 0.12 * floor.person_px
    phase = int(rng.integers(6))
    return Actor(walker(person, height, right), x, ground, speed, frames_per_phase=2.6, first_phase=phase)


def _extras(kind: str, floor: Floor, rng: np.random.Generator, *, night: bool) -> list[Actor]:
    right, size = bool(rng.integers(2)), floor.frame_height_px
    sky = floor.horizon_px
    if kind == "car":
        height = max(round(floor.person_px * 0.85), 8)
        x, speed = _crossing(floor, rng, height * float(rng.uniform(0.06, 0.14)), right)
        colour = _CARS[int(rng.integers(len(_CARS)))]
        lane = floor.ground_px + floor.person_px * (0.42 if right else 0.2)
        return [Actor(car(colour, height, right, night), x, lane, speed)]
    if kind == "boat":
        height = max(round(floor.person_px * 0.5), 8)
        x, speed = _crossing(floor, rng, height * 0.012, right)
        return [Actor(boat(height), x, sky + height * 0.3, speed, bob_px=1.0)]
    if kind == "fish":
        length = max(round(size * float(rng.uniform(0.1, 0.3))), 10)
        x, speed = _crossing(floor, rng, length * float(rng.uniform(0.02, 0.05)), right)
        sprites = fish(_FISH[int(rng.integers(len(_FISH)))], length, right)
        y = float(rng.uniform(0.2, 0.8)) * size
        return [Actor(sprites, x, y, speed, bob_px=size / 60, first_phase=int(rng.integers(4)))]
    return _flock((70, 62, 60) if kind == "bird" else (246, 246, 246), floor, rng, right)


def _flock(colour: Colour, floor: Floor, rng: np.random.Generator, right: bool) -> list[Actor]:
    span = max(floor.person_px // 4, 8)
    x, speed = _crossing(floor, rng, span * 0.07, right)
    top = float(rng.uniform(0.12, 0.35)) * floor.frame_height_px
    return [
        Actor(bird(colour, span), x + i * span * 1.3, top + abs(i - 1) * span * 0.7, speed, 1.5, 2.0, i)
        for i in range(3)
    ]
