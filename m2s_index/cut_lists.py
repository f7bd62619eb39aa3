"""Cut lists: shots to and from other tools, as PySceneDetect's CSV, our own CSV, EDL (CMX 3600) and OTIO.

EDL and OTIO go through OpenTimelineIO (extra ``[exports]``). Frames are what is exchanged: a list made of
another film, or at another rate, is refused and not rounded into place.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2s_index.errors import MissingExtraError, UsageError
from m2s_index.shots import Boundary
from m2s_index.types import Shot, VideoInfo

if TYPE_CHECKING:
    import av

LARGEST_LIST_BYTES = 64 << 20
LIST_PREFIX = "list:"
SUFFIXES = (".csv", ".edl", ".otio")
RATE_TOLERANCE = 5e-4
"""Rates that differ by less are the same: 29.97 for 30000/1001. 24 and 23.976 differ by twice this."""


@dataclass(frozen=True)
class CutList:
    """Where a film is cut, by frame, from 0. ``starts`` is the first frame of each shot, in order; ``end``
    is the last shot's end, exclusive. ``name`` tells this list from all others: "list:" and a hash.
    """

    path: str
    name: str
    starts: tuple[int, ...]
    end: int

    @property
    def cuts(self) -> tuple[int, ...]:
        """The frames at which a new shot begins."""
        return tuple(frame for frame in self.starts if frame > 0)


class CutListDetector:
    """A "detector" that reports the cuts of a list; it satisfies ``ShotDetector``."""

    intra_only = False

    def __init__(self, name: str, cuts: Sequence[int], source: str) -> None:
        self.name = name
        self._waiting = list(reversed(cuts))
        self._source = source

    def push(self, frame: av.VideoFrame, index: int, seconds: float) -> Sequence[Boundary]:
        """The boundary at this frame, if the list has one."""
        if self._waiting and self._waiting[-1] == index:
            return [Boundary(self._waiting.pop(), "cut")]
        return []

    def finish(self) -> Sequence[Boundary]:
        """Nothing more.

        Raises:
            UsageError: the list goes on where the film has ended.
        """
        if self._waiting:
            raise UsageError(f"{self._source}: a cut at frame {self._waiting[-1]}, where the film has ended")
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
        UsageError: the list cannot be read, or is not of this film (its rate differs, shots overlap, are
            empty or lie beyond the end).
        MissingExtraError: it is an EDL or OTIO file, and OpenTimelineIO is not installed.
    """
    try:
        text = _read(path).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path}: not a cut list (it is no UTF-8 text)") from exc
    kind = path.suffix.lower()
    if kind == ".csv":
        spans = _read_csv(path, text, info.frame_rate)
    elif kind in (".edl", ".otio"):
        spans = _read_timeline(path, text, kind, info.frame_rate)
    else:
        raise UsageError(f"{path}: a cut list ends in {', '.join(SUFFIXES)}")
    _check(path, spans, info)
    return CutList(str(path), list_name(path), tuple(start for start, _ in spans), spans[-1][1])


def _check(path: Path, spans: list[tuple[int, int]], info: VideoInfo) -> None:
    if not spans:
        raise UsageError(f"{path}: no shots in it")
    before = 0
    for number, (start, end) in enumerate(spans, start=1):
        if end <= start:
            raise UsageError(f"{path}: shot {number} ends at frame {end}, where or before it starts ({start})")
        if start < before:
            raise UsageError(f"{path}: shot {number} starts at frame {start} and overlaps the one before")
        before = end
    seconds = info.duration_seconds
    # What a container says of its length is no more exact than this.
    if seconds and spans[-1][1] > (seconds + 1) * info.frame_rate + 1:
        film = round(seconds * info.frame_rate)
        raise UsageError(
            f"{path}: its last shot ends at frame {spans[-1][1]}, but the film has about {film}: "
            "a list of another film?"
        )


def _same_rate(path: Path, rate: float, film: Fraction, tolerance: float = RATE_TOLERANCE) -> None:
    if abs(rate / film - 1) > tolerance:
        raise UsageError(f"{path}: made at {rate:.3f} frames a second, but the film has {float(film):.3f}")


# --- CSV ----------------------------------------------------------------------------------------------


def _read_csv(path: Path, text: str, film_rate: Fraction) -> list[tuple[int, int]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error as exc:
        raise UsageError(f"{path}: not a cut list m2s or PySceneDetect wrote ({exc})") from exc
    # PySceneDetect may put a line of all timecodes before the header.
    header_at = next((i for i, row in enumerate(rows[:2]) if {"start_frame", "Start Frame"} & set(row)), None)
    if header_at is None:
        raise UsageError(f"{path}: no cut list: no column 'start_frame' (m2s) or 'Start Frame' (PySceneDetect)")
    header = rows[header_at]
    own = "start_frame" in header
    names = ("start_frame", "end_frame", "start_seconds", "end_seconds")
    if not own:
        names = ("Start Frame", "End Frame", "Start Time (seconds)", "End Time (seconds)")
    try:
        columns = [header.index(name) for name in names]
        values = [[float(row[column]) for column in columns] for row in rows[header_at + 1 :]]
        # PySceneDetect counts frames from 1, its last frame included.
        spans = [(int(start) - (not own), int(end)) for start, end, _, _ in values]
    except (ValueError, OverflowError, IndexError) as exc:
        raise UsageError(f"{path}: not a cut list m2s or PySceneDetect wrote ({exc})") from exc
    if values and values[-1][3] > 0:
        # Our own seconds are the film's: where its rate varies, their mean is not quite the stated rate.
        _same_rate(path, spans[-1][1] / values[-1][3], film_rate, 0.02 if own else RATE_TOLERANCE)
    return spans


# --- EDL and OTIO -------------------------------------------------------------------------------------


def _opentimelineio() -> Any:
    try:
        import opentimelineio
    except ImportError as exc:
        raise MissingExtraError(
            "EDL and OTIO need OpenTimelineIO: install the extra 'exports' (pip install 'm2s[exports]')"
        ) from exc
    return opentimelineio


def _read_timeline(path: Path, text: str, kind: str, film_rate: Fraction) -> list[tuple[int, int]]:
    otio = _opentimelineio()
    drop_frame = re.search(r"^\s*FCM:\s*DROP FRAME", text, re.M | re.I) or re.search(r"\d\d:\d\d:\d\d;\d\d", text)
    if kind == ".edl" and drop_frame and film_rate.denominator != 1001:
        raise UsageError(f"{path}: drop-frame timecodes, but the film has {float(film_rate):.3f} frames a second")
    try:
        if kind == ".edl":
            found = otio.adapters.read_from_string(text, "cmx_3600", rate=float(film_rate))
        else:
            found = otio.adapters.read_from_string(text, "otio_json")
        tracks = [track for track in found.tracks if track.kind == otio.schema.TrackKind.Video]
        clips = [clip for track in tracks[:1] for clip in track if isinstance(clip, otio.schema.Clip)]
        ranges = [clip.source_range for clip in clips]
    except Exception as exc:  # an adapter raises whatever its parser meets
        raise UsageError(f"{path}: cannot be read as {kind[1:].upper()}: {exc}") from exc
    if any(part is None for part in ranges):
        raise UsageError(f"{path}: a clip without a source range")
    for part in ranges[:1]:
        _same_rate(path, part.start_time.rate, film_rate)
    spans = [(part.start_time.to_frames(), part.end_time_exclusive().to_frames()) for part in ranges]
    # Timecode may start at an hour: the first shot then says where the film starts.
    first = spans[0][0] if spans and spans[0][0] >= 600 * film_rate else 0
    return [(start - first, end - first) for start, end in spans]


def write_timeline(shots: Iterable[Shot], name: str, path: Path, info: VideoInfo, kind: str) -> str:
    """Shots as an EDL ("edl") or OpenTimelineIO ("otio") text: one clip a shot, cut where the shots meet.

    What a shot begins with stands in the clip's metadata: a dissolve is in the picture already, and must
    not be made again by an editor.

    Raises:
        UsageError: the rate has no timecode (EDL).
        MissingExtraError: OpenTimelineIO is not installed.
    """
    otio = _opentimelineio()
    time, rate = otio.opentime, float(info.frame_rate)
    timeline = otio.schema.Timeline(name)
    timeline.global_start_time = time.RationalTime(0, rate)
    track = otio.schema.Track("V", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    listed = list(shots)
    media = otio.schema.ExternalReference(
        path.resolve().as_uri(),
        time.TimeRange(time.RationalTime(0, rate), time.RationalTime(listed[-1].end_frame, rate)),
    )
    for shot in listed:
        length = time.RationalTime(shot.end_frame - shot.start_frame, rate)
        span = time.TimeRange(time.RationalTime(shot.start_frame, rate), length)
        clip = otio.schema.Clip(f"shot {shot.index}", media.clone(), span)
        clip.metadata["m2s"] = {"transition": shot.transition}
        track.append(clip)
    if kind == "otio":
        return str(otio.adapters.write_to_string(timeline, "otio_json")) + "\n"
    try:
        text = str(otio.adapters.write_to_string(timeline, "cmx_3600", rate=rate))
    except Exception as exc:  # the adapter raises its own and the library's errors alike
        raise UsageError(f"{path}: {rate:.3f} frames a second cannot be written as EDL ({exc}); use otio") from exc
    drop = "DROP FRAME" if ";" in text.partition("\n001")[2].partition("\n")[0] else "NON-DROP FRAME"
    title, _, rest = text.partition("\n")
    return f"{title}\nFCM: {drop}\n{rest}"
