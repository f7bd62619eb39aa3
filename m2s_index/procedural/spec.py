"""What a procedural film consists of: frozen specifications, no pictures.

A shot's ``length_frames`` runs from its first frame to the next shot's first frame, so shots are
contiguous. A gradual transition *into* a shot lies in the tail of the shot before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Literal

TransitionInto = Literal["start", "cut", "fade_black", "fade_white", "dissolve"]
CameraMove = Literal["static", "slow_pan", "fast_pan", "handheld", "zoom"]
Framing = Literal["wide", "medium", "close"]
EventKind = Literal["flash", "explosion", "strobe", "pass"]

GRADUAL: frozenset[TransitionInto] = frozenset(("fade_black", "fade_white", "dissolve"))


@dataclass(frozen=True)
class EventSpec:
    """Something bright or large inside a shot which is not a cut.

    ``flash`` is 1 to 3 white frames, ``explosion`` a burst that fills the frame and dies away,
    ``strobe`` alternates light and dark, ``pass`` is a large object close to the lens.
    ``start_frame`` counts from the shot's first frame.
    """

    kind: EventKind
    start_frame: int
    length_frames: int


@dataclass(frozen=True)
class Grade:
    """A film's colours: what its pictures are multiplied with, and how far they lie from grey."""

    red: float = 1.0
    green: float = 1.0
    blue: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


@dataclass(frozen=True)
class Mark:
    """Where one of the film's people stands, in the frame and not in the place.

    ``x`` goes from 0 (left) to 1 (right), ``height`` is in heights of the frame: from 1 on, head and shoulders
    are seen. ``right`` is the way they face and walk.
    """

    person: int
    x: float
    height: float
    right: bool = True


@dataclass(frozen=True)
class Direction:
    """What is asked of a shot's pictures for the sake of a theme.

    ``light`` comes from −1 (the left) to 1 (the right). ``colour`` is the mean of the shot's pictures, red, green
    and blue from 0 to 255, whatever is in them.
    """

    theme: str
    marks: tuple[Mark, ...]
    light: float
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class ShotSpec:
    """One shot: where, how it is filmed, how it begins and what happens in it.

    Shots of one ``scene`` number are a scene; its place is painted once from ``scene_seed``, and
    ``seed`` chooses the shot's view of it. ``actors`` is how many people or things move in it.
    ``offset`` places the view from 0 (left) to 1 (right). A ``direction`` says who is there instead of ``actors``.
    """

    place: str
    length_frames: int
    transition: TransitionInto = "cut"
    transition_frames: int = 0
    framing: Framing = "wide"
    camera: CameraMove = "static"
    offset: float = 0.5
    scene: int = 0
    scene_seed: int = 0
    seed: int = 0
    actors: int = 2
    events: tuple[EventSpec, ...] = ()
    caption: str = ""
    direction: Direction | None = None


@dataclass(frozen=True)
class FilmSpec:
    """A whole film. ``seed`` chooses its people and its grain; ``grain`` is the grain's depth in levels.

    Raises:
        ValueError: shots that cannot be rendered, with the shot and the reason.
    """

    title: str
    shots: tuple[ShotSpec, ...]
    year: int | None = None
    width_px: int = 320
    height_px: int = 180
    frame_rate: Fraction = Fraction(24)
    codec: str = "libx264"
    container: str = "mp4"
    seed: int = 0
    grade: Grade = Grade()
    grain: int = 5

    def __post_init__(self) -> None:
        if not self.shots:
            raise ValueError(f"{self.title}: a film needs at least one shot")
        if self.width_px % 2 or self.height_px % 2:
            raise ValueError(f"{self.title}: {self.width_px}×{self.height_px} is not even, as 4:2:0 video must be")
        for index, shot in enumerate(self.shots):
            _check_shot(f"{self.title}, shot {index}", shot, first=index == 0)
        for index, (before, shot) in enumerate(pairwise(self.shots), start=1):
            if shot.transition_frames >= before.length_frames:
                raise ValueError(
                    f"{self.title}, shot {index}: its {shot.transition_frames} frames of {shot.transition} "
                    f"do not fit in the {before.length_frames} frames of the shot before"
                )

    @property
    def frames(self) -> int:
        """Length in frames."""
        return sum(shot.length_frames for shot in self.shots)

    @property
    def start_frames(self) -> tuple[int, ...]:
        """Each shot's first frame, and the film's end."""
        return tuple(accumulate((shot.length_frames for shot in self.shots), initial=0))

    @property
    def file_name(self) -> str:
        """``Title (year).ending``, as media servers name films."""
        return f"{self.title}{'' if self.year is None else f' ({self.year})'}.{self.container}"


def _check_shot(where: str, shot: ShotSpec, *, first: bool) -> None:
    if (shot.transition == "start") != first:
        raise ValueError(
            f"{where}: the first shot, and only that one, begins with 'start', not {shot.transition!r}"
        )
    if shot.length_frames < 1:
        raise ValueError(f"{where}: {shot.length_frames} frames; a shot has at least 1")
    gradual = shot.transition in GRADUAL
    if gradual != (shot.transition_frames > 0) or (gradual and shot.transition_frames < 4):
        raise ValueError(f"{where}: {shot.transition!r} cannot last {shot.transition_frames} frames")
    for event in shot.events:
        if event.start_frame < 0 or event.start_frame + event.length_frames > shot.length_frames:
            raise ValueError(f"{where}: the {event.kind} at {event.start_frame} is not inside its shot")


def whip_frames(shot: ShotSpec) -> tuple[int, int]:
    """First and last (exclusive) frame of a fast pan's whip, from the shot's first frame.

    It comes early, so that it is over before a transition out of a shot of 36 frames or more.
    """
    length = max(min(shot.length_frames // 3, 10), 1)
    first = min(shot.length_frames // 3, 14)
    return first, first + length
