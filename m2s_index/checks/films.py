"""Whether what the catalogue records of its films makes sense: their facts, shots and scenes.

Values are of the right kind (``checks.values``); apart from that nothing that is read here is trusted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any, get_args

from m2s_index.names import display_name
from m2s_index.reading import Reader
from m2s_index.types import BuildOptions, Transition

TOLERANCE_SECONDS = 1e-6
_TRANSITIONS = get_args(Transition)
_FILMS = (
    "SELECT id, name, path, fingerprint, size_bytes, modified_ns, width_px, height_px, rotation_degrees, frames, "
    "damaged_packets, start_pts, end_pts, sample_aspect, frame_rate, time_base, options, "
    "crop_left_px, crop_top_px, crop_width_px, crop_height_px FROM movies ORDER BY id"
)
_SHOTS = (
    'SELECT movie_id, "index", start_frame, end_frame, start_pts, end_pts, transition, transition_start_frame, '
    'transition_end_frame, keyframe_pts FROM shots ORDER BY movie_id, "index"'
)
_SCENES = (
    'SELECT movie_id, id, "index", first_shot, end_shot, start_pts, end_pts, start_seconds, end_seconds, '
    'duration_seconds FROM scenes ORDER BY movie_id, "index"'
)
MARKED = ""
"""The fingerprint of a film that the next build shall read anew: no file has it."""


@dataclass(frozen=True)
class Fault:
    """Something recorded of a film that cannot be: where in the film, and what."""

    movie_id: int
    where: str
    what: str


def film_faults(reader: Reader) -> Iterator[Fault]:
    """All of them, film by film."""
    shots_of, scenes_of = _by_film(reader, _SHOTS), _by_film(reader, _SCENES)
    for movie_id, *facts in reader.rows(_FILMS):
        name, shots, scenes = str(facts[0]), shots_of(movie_id), scenes_of(movie_id)
        try:
            if what := _facts_fault(*facts):
                yield Fault(movie_id, name, what)
            frames, start_pts, end_pts, time_base = facts[8], facts[10], facts[11], Fraction(facts[14])
            if what := _shots_fault(shots, frames, start_pts, end_pts):
                yield Fault(movie_id, name, what)
                continue
            for index, what in _scene_faults(scenes, shots, start_pts, time_base):
                yield Fault(movie_id, name if index is None else f"{name}#{index}", what)
        except (TypeError, ValueError, ArithmeticError, KeyError, AttributeError):
            yield Fault(movie_id, name, "records that make no sense")


def marked_films(reader: Reader) -> list[str]:
    """Films that a repair has marked, and that no build has read since, by name."""
    return reader.texts("SELECT name FROM movies WHERE fingerprint = ? ORDER BY id", (MARKED,))


def _by_film(reader: Reader, query: str) -> Callable[[int], list[tuple[Any, ...]]]:
    """Gives the rows of one film after the other, by increasing movie id, without that id."""
    groups = groupby(reader.rows(query), key=lambda row: row[0])
    coming = next(groups, None)

    def of(movie_id: int) -> list[tuple[Any, ...]]:
        nonlocal coming
        while coming and coming[0] < movie_id:
            coming = next(groups, None)
        return [row[1:] for row in coming[1]] if coming and coming[0] == movie_id else []

    return of


def _facts_fault(
    name: str, path: bytes, fingerprint: str, size: int, modified_ns: int, width: int, height: int, rotation: int,
    frames: int, damaged: int, start_pts: int, end_pts: int, sample_aspect: str, frame_rate: str, time_base: str,
    options: str, *crop: Any,
) -> str | None:  # fmt: skip
    if not path or name != display_name(os.fsdecode(path)):
        return "a path that is none, or not that of its name"
    if fingerprint != MARKED and (len(fingerprint) != 64 or int(fingerprint, 16) < 0):
        return "a fingerprint that is none"
    if min(width, height, frames) < 1 or min(size, damaged) < 0 or abs(rotation) > 360:
        return "stream facts that cannot be"
    if start_pts >= end_pts or any(Fraction(rate) <= 0 for rate in (sample_aspect, frame_rate, time_base)):
        return "times or rates that cannot be"
    if crop != (None,) * 4 and not (None not in crop and min(crop[:2]) >= 0 and min(crop[2:]) > 0):
        return "bars that cannot be"
    BuildOptions(**json.loads(options))
    return None


def _shots_fault(shots: list[tuple[Any, ...]], frames: int, start_pts: int, end_pts: int) -> str | None:
    """Shots follow each other without a gap, from the film's first frame to its last."""
    frame, pts = 0, start_pts
    for number, shot in enumerate(shots):
        index, first, end, shot_start, shot_end, transition, fades_from, fades_to, keyframes = shot
        if (index, first, shot_start) != (number, frame, pts) or not (first < end and shot_start < shot_end):
            return "shots that are not in order or leave the film"
        if transition not in _TRANSITIONS or (transition == "start") != (number == 0):
            return f"shot {number} with a transition that cannot be"
        if (fades_from, fades_to) != (None, None) and not 0 <= fades_from <= fades_to <= end:
            return f"shot {number} with a transition that cannot be"
        kept = json.loads(keyframes)
        if not kept or not all(type(at) is int and shot_start <= at < shot_end for at in kept):
            return f"shot {number} with key frames that are not in it"
        frame, pts = end, shot_end
    if not shots or (frame, pts) != (frames, end_pts):
        return "shots that are not in order or leave the film"
    return None


def _scene_faults(
    scenes: list[tuple[Any, ...]], shots: list[tuple[Any, ...]], start_pts: int, time_base: Fraction
) -> Iterator[tuple[int | None, str]]:
    """(index of the scene, or None for all; what). They lie on the shots, from the first to the last, and
    their ids follow each other.
    """
    beyond = [scene[1] for scene in scenes if not 0 <= scene[2] < scene[3] <= len(shots)]
    yield from ((index, "a scene of shots that are not there") for index in beyond)
    in_order = all((scene[0] - scenes[0][0], scene[1]) == (number, number) for number, scene in enumerate(scenes))
    covers = not scenes or beyond or (scenes[0][2], scenes[-1][3]) == (0, len(shots))
    if not scenes or not in_order or not covers:
        yield None, "scenes that are missing or not in order"
        return
    for _, index, first, end, *times in scenes:
        if index in beyond:
            continue
        begins, ends = shots[first][3], shots[end - 1][4]
        seconds = [float((pts - start_pts) * time_base) for pts in (begins, ends)]
        wanted = [begins, ends, *seconds, seconds[1] - seconds[0]]
        if any(abs(time - right) > TOLERANCE_SECONDS for time, right in zip(times, wanted, strict=True)):
            yield index, "a scene whose times are not those of its shots"
