"""Cut lists: shots from other tools, as PySceneDetect's CSV, our own CSV, EDL and OTIO (see ``timelines``).

Frames are what is exchanged: a list made of another film, or at another rate, is refused and not rounded into
place. What a shot begins with comes along; PySceneDetect's lists know cuts only.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from m2s_index.errors import UsageError
from m2s_index.listed_shots import RATE_TOLERANCE, ListedShot, check_rate, check_shots, listed_boundary
from m2s_index.shots import Boundary
from m2s_index.timelines import read_timeline
from m2s_index.types import VideoInfo

if TYPE_CHECKING:
    import av

LARGEST_LIST_BYTES = 64 << 20
LIST_PREFIX = "list:"
SUFFIXES = (".csv", ".edl", ".otio")
_STRANGE = "not a cut list m2s or PySceneDetect wrote"


@dataclass(frozen=True)
class CutList:
    """Where a film's shots begin, and with what: ``boundaries`` in order, none at frame 0. ``end`` is the
    last shot's end, exclusive. ``name`` tells this list from all others: "list:" and a hash.
    """

    path: str
    name: str
    boundaries: tuple[Boundary, ...]
    end: int


class CutListDetector:
    """A "detector" that reports the boundaries of a list; it satisfies ``ShotDetector``."""

    intra_only = False

    def __init__(self, name: str, boundaries: Sequence[Boundary], source: str) -> None:
        self.name = name
        self._waiting = list(reversed(boundaries))
        self._source = source

    def push(self, frame: av.VideoFrame, index: int, seconds: float) -> Sequence[Boundary]:
        """The boundary at this frame, if the list has one."""
        if self._waiting and self._waiting[-1].frame == index:
            return [self._waiting.pop()]
        return []

    def finish(self) -> Sequence[Boundary]:
        """Nothing more.

        Raises:
            UsageError: the list goes on where the film has ended.
        """
        if self._waiting:
            late = self._waiting[-1]
            raise UsageError(f"{self._source}: a shot begins at frame {late.frame}, where the film has ended")
        return []


def find_list(source: Path, film: Path) -> Path | None:
    """The cut list for a film: ``source`` itself, or the file in that folder with the film's stem.

    PySceneDetect's ``STEM-Scenes.csv`` counts as having the stem.
    """
    if source.is_file():
        return source
    names = [*(film.stem + suffix for suffix in SUFFIXES), f"{film.stem}-Scenes.csv"]
    return next((source / name for name in names if (source / name).is_file()), None)


def list_name(path: Path) -> str:
    """What stands for a detector's name where shots came from this list.

    Raises:
        UsageError: it cannot be read.
    """
    return LIST_PREFIX + hashlib.sha256(_read(path)).hexdigest()[:12]


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_LIST_BYTES:
            raise UsageError(f"{path}: too large for a cut list")
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc


def read_cut_list(path: Path, info: VideoInfo) -> CutList:
    """Read a cut list for the film that ``info`` describes.

    Raises:
        UsageError: the list cannot be read, or is not of this film (its rate differs, shots or transitions
            overlap, are empty or lie beyond the end).
        MissingExtraError: it is an EDL or OTIO file, and OpenTimelineIO is not installed.
    """
    try:
        text = _read(path).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path}: not a cut list (it is no UTF-8 text)") from exc
    kind = path.suffix.lower()
    if kind == ".csv":
        shots = _read_csv(path, text, info.frame_rate)
    elif kind in (".edl", ".otio"):
        shots = read_timeline(path, text, kind, info.frame_rate)
    else:
        raise UsageError(f"{path}: a cut list ends in {', '.join(SUFFIXES)}")
    check_shots(path, shots, info)
    begins = [shot.begins for shot in shots if shot.begins.frame > 0]
    # Where the list leaves out the film's beginning, its first shot is not the film's.
    boundaries = tuple(Boundary(b.frame, "cut") if b.transition == "start" else b for b in begins)
    return CutList(str(path), list_name(path), boundaries, shots[-1].end)


def _read_csv(path: Path, text: str, film_rate: Fraction) -> list[ListedShot]:
    reader = csv.reader(io.StringIO(text))
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as exc:
        raise UsageError(f"{path}, line {reader.line_num}: {_STRANGE} ({exc})") from exc
    # PySceneDetect may put a line of all timecodes before the header.
    header_at = next((i for i, (_, row) in enumerate(rows[:2]) if {"start_frame", "Start Frame"} & set(row)), None)
    if header_at is None:
        raise UsageError(f"{path}: no cut list: no column 'start_frame' (m2s) or 'Start Frame' (PySceneDetect)")
    header = rows[header_at][1]
    own = "start_frame" in header
    shots, end_seconds = [], 0.0
    for line, row in rows[header_at + 1 :]:
        where, cells = f"{path}, line {line}", dict(zip(header, row, strict=False))
        try:
            shots.append(_own_shot(where, cells) if own else _scenedetect_shot(where, cells))
            end_seconds = float(cells["end_seconds" if own else "End Time (seconds)"])
        except KeyError as exc:
            raise UsageError(f"{where}: {_STRANGE} (no {exc})") from exc
        except ValueError as exc:
            raise UsageError(f"{where}: {_STRANGE} ({exc})") from exc
    if end_seconds > 0:
        # Our own seconds are the film's: where its rate varies, their mean is not quite the stated rate.
        check_rate(path, shots[-1].end / end_seconds, film_rate, 0.02 if own else RATE_TOLERANCE)
    return shots


def _own_shot(where: str, cells: dict[str, str]) -> ListedShot:
    first, after = cells.get("transition_start_frame", ""), cells.get("transition_end_frame", "")
    extent = (int(first), int(after)) if first or after else None
    begins = listed_boundary(where, int(cells["start_frame"]), cells.get("transition") or "cut", extent)
    return ListedShot(where, begins, int(cells["end_frame"]))


def _scenedetect_shot(where: str, cells: dict[str, str]) -> ListedShot:
    """PySceneDetect counts frames from 1, its last frame included."""
    return ListedShot(where, Boundary(int(cells["Start Frame"]) - 1, "cut"), int(cells["End Frame"]))
