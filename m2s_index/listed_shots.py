"""A shot as a cut list has it, and what a list must be to make sense: the reading is in ``cut_lists`` and
``timelines``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast, get_args

from m2s_index.errors import UsageError
from m2s_index.shots import Boundary
from m2s_index.types import Transition, VideoInfo

RATE_TOLERANCE = 5e-4
"""Rates that differ by less are the same: 29.97 for 30000/1001. 24 and 23.976 differ by twice this."""


@dataclass(frozen=True)
class ListedShot:
    """A shot of a list; ``where`` says which one, in a complaint. ``end`` is exclusive."""

    where: str
    begins: Boundary
    end: int


def listed_boundary(where: str, frame: int, transition: str, extent: tuple[int, int] | None) -> Boundary:
    """What a list says that the shot from ``frame`` on begins with.

    Raises:
        UsageError: there is no such transition, or its ``extent`` is missing or is not one that ends where the
            shot starts.
    """
    if transition not in get_args(Transition):
        known = ", ".join(get_args(Transition))
        raise UsageError(f"{where}: {transition!r:.40} is no transition; there are {known}")
    if (transition in ("fade", "dissolve")) != (extent is not None):
        wrong = "without its extent in frames" if extent is None else "that takes frames"
        raise UsageError(f"{where}: a {transition} {wrong}")
    if extent is None:
        return Boundary(frame, cast("Transition", transition))
    start, end = extent
    if not start < end == frame:
        raise UsageError(
            f"{where}: a {transition} from frame {start} to {end}; it must end where the shot starts ({frame})"
        )
    return Boundary(frame, cast("Transition", transition), start, end)


def check_shots(path: Path, shots: Sequence[ListedShot], info: VideoInfo) -> None:
    """Whether the shots follow each other, within the film that ``info`` describes.

    Raises:
        UsageError: there are none, or they or their transitions overlap, are empty or lie beyond its end.
    """
    if not shots:
        raise UsageError(f"{path}: no shots in it")
    start_before = end_before = 0
    for shot in shots:
        where, start, first = shot.where, shot.begins.frame, shot.begins.first_frame
        if shot.end <= start:
            raise UsageError(f"{where}: the shot ends at frame {shot.end}, where or before it starts ({start})")
        if start < end_before:
            raise UsageError(f"{where}: the shot starts at frame {start} and overlaps the one before")
        if first < start_before:
            raise UsageError(
                f"{where}: the {shot.begins.transition} starts at frame {first}, before the shot that it ends "
                f"({start_before})"
            )
        if shot.begins.transition == "start" and shot is not shots[0]:
            raise UsageError(f"{where}: 'start' is what the first shot begins with, no other")
        start_before, end_before = start, shot.end
    seconds = info.duration_seconds
    # What a container says of its length is no more exact than this.
    if seconds and end_before > (seconds + 1) * info.frame_rate + 1:
        film = round(seconds * info.frame_rate)
        raise UsageError(
            f"{path}: its last shot ends at frame {end_before}, but the film has about {film}: "
            "a list of another film?"
        )


def check_rate(path: Path, rate: float, film: Fraction, tolerance: float = RATE_TOLERANCE) -> None:
    """Raises UsageError where a list's rate is not the film's."""
    if not abs(rate / film - 1) <= tolerance:  # also what is no number
        raise UsageError(f"{path}: made at {rate:.3f} frames a second, but the film has {float(film):.3f}")
