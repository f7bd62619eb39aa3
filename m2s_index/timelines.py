"""Time lines: shots to and from EDL (CMX 3600) and OTIO, through OpenTimelineIO (extra ``[exports]``).

But OTIO is read here: OpenTimelineIO's parser crashes on deep nesting and on values of other types, which ends the
process, and a list may come from anyone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from m2s_index.errors import M2SError, MissingExtraError, UsageError, first_line
from m2s_index.listed_shots import ListedShot, check_rate, listed_boundary
from m2s_index.names import printable
from m2s_index.types import Shot, VideoInfo

_COMMENT = re.compile(r"BEGINS WITH (FADE|DISSOLVE), (\d+) FRAMES")
"""What we write into an EDL, where there is no other place for it."""


def opentimelineio() -> Any:
    """The library.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import opentimelineio
    except ImportError as exc:
        raise MissingExtraError(
            "EDL and OTIO need OpenTimelineIO: install the extra 'exports' (pip install 'm2s[exports]')"
        ) from exc
    return opentimelineio


def read_timeline(path: Path, text: str, kind: str, film_rate: Fraction) -> list[ListedShot]:
    """The shots of an EDL (``kind`` ".edl") or OTIO (".otio") text; ``path`` is only named in complaints.

    Raises:
        UsageError: it cannot be read, or is at another rate than the film.
        MissingExtraError: it is an EDL, and OpenTimelineIO is not installed.
    """
    try:
        listed = _otio_clips(text) if kind == ".otio" else _edl_clips(path, text, film_rate)
    except M2SError:
        raise
    except Exception as exc:  # an adapter raises whatever its parser meets, and JSON may hold anything
        raise UsageError(f"{path}: cannot be read as {kind[1:].upper()}: {first_line(exc)}") from exc
    for clip in listed[:1]:
        check_rate(path, clip.rate, film_rate)
    # Timecode may start at an hour: the first shot then says where the film starts.
    zero = listed[0].start if listed and listed[0].start >= 600 * film_rate else 0
    return [clip.shot(f"{path}, shot {number}", zero) for number, clip in enumerate(listed, start=1)]


def _edl_clips(path: Path, text: str, film_rate: Fraction) -> list[_ListedClip]:
    otio = opentimelineio()
    drop_frame = re.search(r"^\s*FCM:\s*DROP FRAME", text, re.M | re.I) or re.search(r"\d\d:\d\d:\d\d;\d\d", text)
    if drop_frame and film_rate.denominator != 1001:
        raise UsageError(f"{path}: drop-frame timecodes, but the film has {float(film_rate):.3f} frames a second")
    found = otio.adapters.read_from_string(text, "cmx_3600", rate=float(film_rate))
    # From here on an EDL is what it would be as OTIO.
    return _otio_clips(str(otio.adapters.write_to_string(found, "otio_json")))


def _otio_clips(text: str) -> list[_ListedClip]:
    """The clips of the first video track of an OTIO text; any exception where it is none."""
    tracks = json.loads(text)["tracks"]["children"]
    items: list[Any] = next((track["children"] for track in tracks if track["kind"] == "Video"), [])
    pairs = pairwise([{"OTIO_SCHEMA": "none"}, *items])
    return [_listed_clip(clip, before) for before, clip in pairs if clip["OTIO_SCHEMA"].startswith("Clip.")]


@dataclass(frozen=True)
class _ListedClip:
    """A clip of a time line: the frames ``start`` to ``end`` (exclusive) of its source, and the transition
    that it begins with: its kind, ``lead`` frames before the clip and ``length`` frames long.
    """

    rate: float
    start: int
    end: int
    transition: str
    lead: int
    length: int

    def shot(self, where: str, zero: int) -> ListedShot:
        """The shot, in a film whose first frame is ``zero``; it starts where its transition ends."""
        first = self.start - zero - self.lead
        extent = (first, first + self.length) if self.length else None
        start = first + self.length
        return ListedShot(where, listed_boundary(where, start, self.transition, extent), self.end - zero)


def _listed_clip(clip: dict[str, Any], before: dict[str, Any]) -> _ListedClip:
    """A clip, and what it begins with: ``before``, where that is a transition, else what we wrote there."""
    span = clip["source_range"]
    if span is None:
        raise ValueError("a clip without a source range")
    rate = _number(span["start_time"]["rate"])
    first = _frames(span["start_time"], rate)
    start, end = int(first), int(first + _frames(span["duration"], rate))
    if before["OTIO_SCHEMA"].startswith("Transition."):
        # Wipes too: every gradual transition that is no fade counts as a dissolve.
        lead, rest = (round(_frames(before[side], rate)) for side in ("in_offset", "out_offset"))
        return _ListedClip(rate, start, end, "dissolve" if lead + rest else "cut", lead, lead + rest)
    metadata = clip.get("metadata") or {}
    said = metadata.get("m2s", {})
    transition, length = str(said.get("transition", "cut")), int(said.get("transition_frames", 0))
    for comment in metadata.get("cmx_3600", {}).get("comments", []):
        if match := _COMMENT.fullmatch(comment):
            transition, length = match[1].lower(), int(match[2])
    return _ListedClip(rate, start, end, transition, length, length)


def _frames(time: dict[str, Any], rate: float) -> float:
    """A time of OTIO in frames at ``rate``."""
    value, own = _number(time["value"]), _number(time["rate"])
    return value if own == rate else value * rate / own


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r:.40} is no number")
    return float(value)


def write_timeline(shots: Iterable[Shot], name: str, path: Path, info: VideoInfo, kind: str) -> str:
    """Shots as an EDL ("edl") or OpenTimelineIO ("otio") text: one clip a shot, cut where the shots meet.

    What a shot begins with stands in the clip's metadata (OTIO) or in a comment (EDL): a dissolve is in the
    picture already, and must not be made again by an editor.

    Raises:
        UsageError: the rate has no timecode (EDL).
        MissingExtraError: OpenTimelineIO is not installed.
    """
    otio = opentimelineio()
    time, rate = otio.opentime, float(info.frame_rate)
    timeline = otio.schema.Timeline(printable(name))
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
        first = shot.transition_start_frame
        frames = 0 if first is None else shot.start_frame - first
        clip.metadata["m2s"] = {"transition": shot.transition, "transition_frames": frames}
        if kind == "edl" and frames:
            clip.metadata["cmx_3600"] = {"comments": [f"BEGINS WITH {shot.transition.upper()}, {frames} FRAMES"]}
        track.append(clip)
    return timeline_text(timeline, kind, info.frame_rate, str(path))


def timeline_text(timeline: Any, kind: str, rate: Fraction, where: str) -> str:
    """A time line of OpenTimelineIO as text.

    Args:
        timeline: an ``opentimelineio.schema.Timeline``; an EDL has one track.
        kind: "edl" or "otio".
        rate: frames a second of an EDL's timecodes.
        where: what complaints name.

    Raises:
        UsageError: the rate has no timecode (EDL).
    """
    otio = opentimelineio()
    if kind == "otio":
        return str(otio.adapters.write_to_string(timeline, "otio_json")) + "\n"
    try:
        text = str(otio.adapters.write_to_string(timeline, "cmx_3600", rate=float(rate)))
    except Exception as exc:  # the adapter raises its own and the library's errors alike
        raise UsageError(
            f"{where}: {float(rate):.3f} frames a second cannot be written as EDL ({exc}); use otio"
        ) from exc
    drop = "DROP FRAME" if ";" in text.partition("\n001")[2].partition("\n")[0] else "NON-DROP FRAME"
    title, _, rest = text.partition("\n")
    return f"{title}\nFCM: {drop}\n{rest}"
