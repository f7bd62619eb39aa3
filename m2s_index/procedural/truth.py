"""What is true of a procedural film: its shots, scenes and events, as data and as JSON beside the film.

The shots have the shape that ``m2s shots --json`` prints, with fields added. Shots are contiguous: one
ends where the next starts. After a gradual transition the shot starts where the transition ends, so the
transition's frames are the last of the shot before:

- dissolve: from the first frame that holds any of the incoming shot to the first without the outgoing;
- fade: from the first frame that is darker (or whiter) than the outgoing shot to the first frame at the
  full brightness of the incoming one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

from m2s_index.errors import UsageError
from m2s_index.procedural.spec import GRADUAL, FilmSpec, ShotSpec, whip_frames
from m2s_index.types import Transition

Through = Literal["black", "white"]


@dataclass(frozen=True)
class ShotTruth:
    """One shot, as ``m2s_index.types.Shot`` counts frames; ``through`` is the colour of a fade."""

    index: int
    start_frame: int
    end_frame: int
    transition: Transition
    transition_start_frame: int | None
    transition_end_frame: int | None
    through: Through | None
    place: str
    scene: int


@dataclass(frozen=True)
class SceneTruth:
    """Shots ``first_shot`` to ``end_shot`` (exclusive), all in one place; ``theme`` where they have one."""

    index: int
    first_shot: int
    end_shot: int
    place: str
    theme: str | None = None


@dataclass(frozen=True)
class EventTruth:
    """Something that is no cut: a flash, explosion, strobe, pass, fast pan, or hand-held camera.

    Frames count from the film's first; ``end_frame`` is exclusive.
    """

    kind: str
    shot: int
    start_frame: int
    end_frame: int


@dataclass(frozen=True)
class FilmTruth:
    """All that is true of one film. ``movie`` is the file's stem."""

    movie: str
    frame_rate: Fraction
    width_px: int
    height_px: int
    frames: int
    shots: tuple[ShotTruth, ...]
    scenes: tuple[SceneTruth, ...]
    events: tuple[EventTruth, ...]

    def as_dict(self) -> dict[str, Any]:
        """The shape of ``m2s shots --json`` with fields added."""
        return {
            "movie": self.movie,
            "frame_rate": f"{self.frame_rate.numerator}/{self.frame_rate.denominator}",
            "width_px": self.width_px,
            "height_px": self.height_px,
            "frames": self.frames,
            "shots": [self._shot_dict(shot) for shot in self.shots],
            "scenes": [
                {
                    **_there(scene),
                    "start_seconds": self._seconds(self.shots[scene.first_shot].start_frame),
                    "end_seconds": self._seconds(self.shots[scene.end_shot - 1].end_frame),
                }
                for scene in self.scenes
            ],
            "events": [dict(event.__dict__) for event in self.events],
        }

    def _shot_dict(self, shot: ShotTruth) -> dict[str, Any]:
        shown = _there(shot)
        shown["start_seconds"] = self._seconds(shot.start_frame)
        shown["end_seconds"] = self._seconds(shot.end_frame)
        return shown

    def _seconds(self, frame: int) -> float:
        return round(float(frame / self.frame_rate), 6)


def _there(entry: ShotTruth | SceneTruth) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in entry.__dict__.items() if value is not None}


def film_truth(spec: FilmSpec, movie: str) -> FilmTruth:
    """What a rendering of ``spec`` shows; no picture is made."""
    starts = spec.start_frames
    shots = tuple(_shot_truth(spec, index, starts) for index in range(len(spec.shots)))
    scenes: list[SceneTruth] = []
    for index, shot in enumerate(spec.shots):
        if index and shot.scene == spec.shots[index - 1].scene:
            last = scenes[-1]
            scenes[-1] = replace(last, end_shot=index + 1)
        else:
            theme = shot.direction.theme if shot.direction else None
            scenes.append(SceneTruth(len(scenes), index, index + 1, shot.place, theme))
    events = tuple(
        event
        for index, shot in enumerate(spec.shots)
        for event in _events(index, shot, starts[index], starts[index + 1])
    )
    size = (spec.width_px, spec.height_px)
    return FilmTruth(movie, spec.frame_rate, *size, spec.frames, shots, tuple(scenes), events)


def _shot_truth(spec: FilmSpec, index: int, starts: tuple[int, ...]) -> ShotTruth:
    shot, start = spec.shots[index], starts[index]
    through: Through | None = None
    if shot.transition == "fade_black":
        through = "black"
    elif shot.transition == "fade_white":
        through = "white"
    gradual = shot.transition in GRADUAL
    kind: Transition = "fade" if through else shot.transition  # type: ignore[assignment]
    return ShotTruth(
        index,
        start,
        starts[index + 1],
        kind,
        start - shot.transition_frames if gradual else None,
        start if gradual else None,
        through,
        shot.place,
        shot.scene,
    )


def _events(index: int, shot: ShotSpec, start: int, end: int) -> list[EventTruth]:
    found = [
        EventTruth(event.kind, index, start + event.start_frame, start + event.start_frame + event.length_frames)
        for event in shot.events
    ]
    if shot.camera == "fast_pan":
        first, last = whip_frames(shot)
        found.append(EventTruth("fast_pan", index, start + first, start + last))
    elif shot.camera == "handheld":
        found.append(EventTruth("handheld", index, start, end))
    return found


def truth_path(path: Path | str) -> Path:
    """Where the truth of the film at ``path`` lies: ``<stem>.truth.json`` beside it."""
    path = Path(path)
    return path.with_name(f"{path.stem}.truth.json")


def save_truth(truth: FilmTruth, path: Path | str) -> None:
    """Write the truth of the film at ``path`` beside it."""
    text = json.dumps(truth.as_dict(), indent=1, ensure_ascii=False)
    truth_path(path).write_text(text + "\n", encoding="utf-8")


def load_truth(path: Path | str) -> FilmTruth:
    """The truth of the film at ``path``, from the JSON beside it (``path`` may be that JSON itself).

    Raises:
        UsageError: there is none, or it is not one of ours.
    """
    path = Path(path)
    source = path if path.name.endswith(".truth.json") else truth_path(path)
    try:
        return _parse(json.loads(source.read_text(encoding="utf-8")))
    except FileNotFoundError as exc:
        raise UsageError(f"{source}: no truth for that film; only rendered films have one") from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise UsageError(f"{source}: not the truth of a rendered film ({exc!r}); render it again") from exc


def _parse(data: dict[str, Any]) -> FilmTruth:
    def pick(kind: type, entry: dict[str, Any]) -> Any:
        return kind(**{name: entry.get(name) for name in kind.__dataclass_fields__})  # type: ignore[attr-defined]

    shots = tuple(pick(ShotTruth, entry) for entry in data["shots"])
    unknown = {shot.transition for shot in shots} - set(get_args(Transition))
    if unknown:
        raise ValueError(f"unknown transitions {sorted(map(str, unknown))}")
    return FilmTruth(
        data["movie"],
        Fraction(data["frame_rate"]),
        data["width_px"],
        data["height_px"],
        data["frames"],
        shots,
        tuple(pick(SceneTruth, entry) for entry in data["scenes"]),
        tuple(pick(EventTruth, entry) for entry in data["events"]),
    )
