"""Which films there are: one from a seed, the demo's small catalogue, and the shot benchmark's sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, TypeVar

import numpy as np

from m2s_index.procedural.places import PLACES
from m2s_index.procedural.spec import (
    GRADUAL,
    CameraMove,
    EventKind,
    EventSpec,
    FilmSpec,
    Framing,
    Grade,
    ShotSpec,
    TransitionInto,
    whip_frames,
)

SHOTS_PER_SCENE = 9
NEUTRAL = Grade()
T = TypeVar("T")
Weights = tuple[tuple[T, float], ...]

_EVENT_FRAMES: dict[EventKind, tuple[int, int]] = {
    "flash": (1, 3),
    "explosion": (14, 26),
    "strobe": (10, 24),
    "pass": (8, 16),
}
_SAFE_FRAMES = 6
"""Frames between an event and its shot's boundaries, so that neither hides the other."""


@dataclass(frozen=True)
class Mix:
    """What a film is made of: weights of what is drawn, shares of shots, ranges of lengths in frames.

    ``look_alike`` is the share of cuts inside a scene that keep the framing, move the view only a
    little and so change the picture little.
    """

    shot_frames: tuple[int, int] = (24, 64)
    transitions: Weights[TransitionInto] = (
        ("cut", 0.85), ("dissolve", 0.09), ("fade_black", 0.05), ("fade_white", 0.01),
    )  # fmt: skip
    cameras: Weights[CameraMove] = (
        ("static", 0.42), ("slow_pan", 0.32), ("handheld", 0.1), ("zoom", 0.12), ("fast_pan", 0.04),
    )  # fmt: skip
    events: Weights[EventKind] = (("flash", 0.4), ("pass", 0.35), ("explosion", 0.15), ("strobe", 0.1))
    event_share: float = 0.12
    look_alike: float = 0.0
    dissolve_frames: tuple[int, int] = (10, 24)
    fade_frames: tuple[int, int] = (12, 26)


DEMO_MIX = Mix()
HARD_MIX = Mix(
    shot_frames=(20, 90),
    transitions=(("cut", 0.58), ("dissolve", 0.22), ("fade_black", 0.13), ("fade_white", 0.07)),
    cameras=(("static", 0.2), ("slow_pan", 0.2), ("handheld", 0.25), ("zoom", 0.13), ("fast_pan", 0.22)),
    events=(("flash", 0.3), ("pass", 0.25), ("explosion", 0.25), ("strobe", 0.2)),
    event_share=0.45,
    look_alike=0.3,
    dissolve_frames=(8, 40),
    fade_frames=(8, 30),
)


def make_film(
    seed: int,
    *,
    shots: int = 40,
    title: str | None = None,
    year: int | None = None,
    places: Sequence[str] | None = None,
    mix: Mix = DEMO_MIX,
    size: tuple[int, int] = (320, 180),
    frame_rate: Fraction | int = 24,
    grade: Grade = NEUTRAL,
    codec: str = "libx264",
    container: str = "mp4",
    caption: bool = False,
) -> FilmSpec:
    """A film from a seed: equal arguments, equal film.

    Args:
        seed: any number ≥ 0.
        shots: how many; every nine of them share a place.
        title: by default ``Film <seed>``.
        year: goes into the file name where it is given.
        places: the places of the scenes in order, taken round; a random order by default.
        mix: what happens how often.
        size: width and height in pixels, even.
        frame_rate: frames a second.
        grade: the film's colours.
        codec: an encoder of PyAV's wheel.
        container: the file's ending.
        caption: whether the first shot shows the title.

    Raises:
        ValueError: no shots, an odd size, or an unknown place.
    """
    rng = np.random.default_rng([seed, 11])
    order = list(places) if places else [list(PLACES)[int(i)] for i in rng.permutation(len(PLACES))]
    unknown = sorted(set(order) - set(PLACES))
    if unknown:
        raise ValueError(f"no place {', '.join(unknown)}; there are {', '.join(PLACES)}")
    title = title if title is not None else f"Film {seed}"
    made: list[ShotSpec] = []
    for index in range(shots):
        scene = index // SHOTS_PER_SCENE
        made.append(_next_shot(made, order[scene % len(order)], scene, seed, mix, rng))
    if caption and made:
        made[0] = replace(made[0], caption=title, framing="wide", camera="slow_pan", events=())
    _place_events(made, mix, rng, captioned=caption)
    return FilmSpec(
        title, tuple(made), year, *size, Fraction(frame_rate), codec, container, seed, grade
    )  # fmt: skip


def _draw(weights: Weights[T], rng: np.random.Generator) -> T:
    shares = np.array([weight for _, weight in weights])
    return weights[int(rng.choice(len(weights), p=shares / shares.sum()))][0]


def _length(bounds: tuple[int, int], rng: np.random.Generator) -> int:
    """Short lengths more often than long ones, as in films: uniform in the logarithm."""
    return round(float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1])))))


def _next_shot(
    made: list[ShotSpec], place: str, scene: int, seed: int, mix: Mix, rng: np.random.Generator
) -> ShotSpec:
    """The next shot; lengthens the one before where a transition needs room in its tail."""
    before = made[-1] if made else None
    transition: TransitionInto = _draw(mix.transitions, rng) if before else "start"
    frames = 0
    if transition in GRADUAL:
        frames = _length(mix.dissolve_frames if transition == "dissolve" else mix.fade_frames, rng)
        made[-1] = replace(made[-1], length_frames=made[-1].length_frames + frames)
    framing, offset = _view(before if before and before.scene == scene else None, transition, mix, rng)
    camera = _draw(mix.cameras, rng)
    length = _length(mix.shot_frames, rng)
    return ShotSpec(
        place,
        max(length, 36) if camera == "fast_pan" else length,
        transition,
        frames,
        framing,
        camera,
        offset,
        scene,
        scene_seed=seed * 1000 + scene,
        seed=int(rng.integers(1 << 31)),
        actors=int(rng.integers(1, 5)),
    )


def _view(
    before: ShotSpec | None, transition: TransitionInto, mix: Mix, rng: np.random.Generator
) -> tuple[Framing, float]:
    """Framing and offset; inside a scene unlike the shot before, unless a look-alike is drawn."""
    drawn: Framing = _draw((("wide", 0.4), ("medium", 0.35), ("close", 0.25)), rng)
    if before is None:
        return ("wide" if rng.random() < 0.7 else drawn), float(rng.uniform(0.1, 0.9))
    if transition == "cut" and rng.random() < mix.look_alike:
        aside = float(rng.uniform(0.1, 0.25))
        return before.framing, before.offset + aside if before.offset < 0.5 else before.offset - aside
    far = (before.offset + float(rng.uniform(0.35, 0.65))) % 1.0
    return drawn, far


def _place_events(made: list[ShotSpec], mix: Mix, rng: np.random.Generator, *, captioned: bool) -> None:
    """Put events into shots that are long enough, clear of boundaries, transitions and whips."""
    for index, shot in enumerate(made):
        wanted = rng.random() < mix.event_share and not (captioned and index == 0)
        kind = _draw(mix.events, rng)
        low, high = _EVENT_FRAMES[kind]
        length = int(rng.integers(low, high + 1))
        tail = made[index + 1].transition_frames if index + 1 < len(made) else 0
        end = whip_frames(shot)[0] if shot.camera == "fast_pan" else shot.length_frames - tail
        room = end - 2 * _SAFE_FRAMES - length
        if wanted and room >= 0:
            first = _SAFE_FRAMES + int(rng.integers(room + 1))
            made[index] = replace(shot, events=(EventSpec(kind, first, length),))


def demo_films() -> tuple[FilmSpec, ...]:
    """Six films of about 40 shots that share places, so that a search across films has something to find."""
    return tuple(
        make_film(seed, shots=shots, title=title, year=year, places=places.split(), grade=grade, caption=True)
        for seed, shots, title, year, places, grade in _DEMO
    )


_DEMO: tuple[tuple[int, int, str, int, str, Grade], ...] = (
    (1, 41, "The Long Shore", 1987, "beach restaurant street underwater desert", Grade(1.04, 1.0, 0.93)),
    (
        2,
        45,
        "Night Ledger",
        1996,
        "city_night office corridor restaurant street",
        Grade(0.95, 0.98, 1.05, 1.05),
    ),
    (3, 36, "Winter Post", 2003, "snow kitchen library forest", Grade(0.95, 0.99, 1.06, 0.97, 0.9)),
    (4, 42, "Salt and Sand", 1974, "desert beach meadow desert kitchen", Grade(1.06, 1.0, 0.88, 0.95, 0.85)),
    (
        5,
        41,
        "The Quiet Archive",
        2012,
        "library corridor office city_night library",
        Grade(1.0, 1.02, 0.97, 1.0, 0.92),
    ),
    (6, 36, "Fern Hollow", 2019, "forest meadow underwater snow", Grade(0.98, 1.03, 0.98, 1.04, 1.1)),
)


def evaluation_films(split: Literal["tune", "score"]) -> tuple[FilmSpec, ...]:
    """Four films of 60 shots with every transition and distractor, for the shot benchmark.

    ``tune`` is for setting thresholds, ``score`` for the figures; no seed is in both. The films differ
    in rate, and one in each split is dark and flat.
    """
    if split not in ("tune", "score"):
        raise ValueError(f"no split {split!r}; there are tune, score")
    flat = Grade(0.8, 0.8, 0.85, contrast=0.5, saturation=0.7)
    rates = (Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001))
    first = 100 if split == "tune" else 200
    return tuple(
        make_film(
            first + index,
            shots=60,
            title=f"{split.capitalize()} {index + 1}",
            mix=HARD_MIX,
            size=(384, 216),
            frame_rate=rate,
            grade=flat if index == 3 else NEUTRAL,
        )
        for index, rate in enumerate(rates)
    )
