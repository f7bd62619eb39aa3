"""Themes: what happens in a scene, as rules on the order of its nine shots. How it looks is not decided here.

A rule says who is in each shot, where they stand, how near the camera is to them, and where the light comes from.
No single shot gives a theme away: every kind of shot belongs to several themes, and six of the eight are three
pairs, of which one is the other backwards: their shots are the same, and only the order tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import starmap

import numpy as np

from m2s_index.procedural.spec import Framing, Mark
from m2s_index.types import Int64Array

BEATS = 9
"""Shots in a scene."""
_CAST = 5
_EMPTY_SHARE = 0.08
"""Of the shots of every theme, that show nobody."""
_LIGHTS = tuple(np.linspace(-1, 1, BEATS).tolist())
_FRAMINGS: tuple[Framing, ...] = ("wide", "wide", "wide", "medium", "medium", "medium", "close", "close", "close")
"""Light and framing of a scene's shots in every theme; in what order, the theme says."""


@dataclass(frozen=True)
class Beat:
    """What one shot shows: people, light from −1 (the left) to 1 (the right), and how much of the place."""

    marks: tuple[Mark, ...]
    light: float
    framing: Framing


Beats = tuple[Beat, ...]
_Rule = Callable[[np.random.Generator], Beats]


def _feast(rng: np.random.Generator) -> Beats:
    """They come one by one, until the picture is full."""
    who = rng.permutation(_CAST)
    counts = np.arange(BEATS) * _CAST / (BEATS - 1) + rng.uniform(-0.4, 0.4, BEATS)
    return _beats([_row(who[: round(count)], rng) for count in counts.clip(0, _CAST).tolist()], rng)


def _row(who: Int64Array, rng: np.random.Generator) -> tuple[Mark, ...]:
    """People beside each other, each at a place of their own."""
    places = rng.permutation(_CAST)[: len(who)]
    return tuple(
        Mark(person, 0.1 + 0.2 * (place + float(rng.uniform(-0.2, 0.2))), _size(0.62, rng), _either(rng))
        for person, place in zip(who.tolist(), places.tolist(), strict=True)
    )


def _chase(rng: np.random.Generator) -> Beats:
    """One behind another, nearer and nearer."""
    who, right = rng.permutation(_CAST)[:2].tolist(), _either(rng)
    shots = []
    for gap in (np.linspace(0.76, 0.12, BEATS) + rng.uniform(-0.03, 0.03, BEATS)).tolist():
        left = float(rng.uniform(0.08, 0.92 - gap))
        spots = (left, left + gap) if right else (left + gap, left)
        height = _size(0.62, rng)
        shots.append(tuple(Mark(person, x, height, right) for person, x in zip(who, spots, strict=True)))
    return _beats(shots, rng)


def _approach(rng: np.random.Generator) -> Beats:
    """Somebody alone, far away at first, then closer, at last face to face; the place comes closer with them."""
    person, x, right = int(rng.integers(_CAST)), float(rng.uniform(0.3, 0.7)), _either(rng)
    heights = np.geomspace(0.3, 1.25, BEATS).tolist()
    shots = [(Mark(person, _near(x, rng), _size(height, rng), right),) for height in heights]
    return _beats(shots, rng, framings=_FRAMINGS)


def _duel(rng: np.random.Generator) -> Beats:
    """Two in turn, one at the left and one at the right, face to face."""
    who, first = rng.permutation(_CAST)[:2].tolist(), int(rng.integers(2))
    shots = []
    for number in range(BEATS):
        side = (number + first) % 2
        shots.append((Mark(who[side], _near((0.26, 0.74)[side], rng), _size(1.15, rng), side == 0),))
    return _beats(shots, rng)


def _vigil(rng: np.random.Generator) -> Beats:
    """Somebody alone who stays where they are, while the light crosses the picture."""
    person, x, right = int(rng.integers(_CAST)), float(rng.uniform(0.2, 0.8)), _either(rng)
    shots = [(Mark(person, _near(x, rng), _size(0.62, rng), right),) for _ in range(BEATS)]
    return _beats(shots, rng, lights=_LIGHTS)


def _beats(
    shots: Sequence[tuple[Mark, ...]],
    rng: np.random.Generator,
    *,
    lights: Sequence[float] | None = None,
    framings: Sequence[Framing] | None = None,
) -> Beats:
    """Shots with light and framing in the order that is given, or in any."""
    lights = lights or [_LIGHTS[i] for i in rng.permutation(BEATS).tolist()]
    framings = framings or [_FRAMINGS[i] for i in rng.permutation(BEATS).tolist()]
    return tuple(starmap(Beat, zip(shots, lights, framings, strict=True)))


def _backwards(rule: _Rule) -> _Rule:
    return lambda rng: rule(rng)[::-1]


THEMES: dict[str, _Rule] = {
    "feast": _feast,
    "chase": _chase,
    "approach": _approach,
    "duel": _duel,
    "parting": _backwards(_feast),
    "escape": _backwards(_chase),
    "farewell": _backwards(_approach),
    "vigil": _vigil,
}
"""Every theme; four places on there stands the one that is most like it."""


def play(theme: str, rng: np.random.Generator) -> Beats:
    """The nine shots of a scene of that theme; now and then one of them shows nobody.

    Raises:
        ValueError: an unknown theme; the message lists the valid ones.
    """
    if theme not in THEMES:
        raise ValueError(f"no theme {theme!r}; there are {', '.join(THEMES)}")
    beats = THEMES[theme](rng)
    empty = rng.random(BEATS) < _EMPTY_SHARE
    return tuple(replace(beat, marks=()) if gone else beat for beat, gone in zip(beats, empty, strict=True))


def _either(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))


def _near(x: float, rng: np.random.Generator) -> float:
    return x + float(rng.uniform(-0.05, 0.05))


def _size(height: float, rng: np.random.Generator) -> float:
    return height * float(rng.uniform(0.92, 1.08))
