"""Clips: for encoders that see motion, the frames from the middle of each scene, at an even rate.

A second pass over a film whose scenes are known. It goes from clip to clip by seeking where the container's
times can be relied on, and checks where it landed; else it decodes the film once more from the beginning.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from m2s_index.types import ClipSpec, Crop, Image, VideoInfo
from m2s_index.video import FramePictures, VideoReader

SOUGHT_FORMATS = frozenset({"mov", "mp4", "matroska", "webm"})
"""Containers that state every frame's time and have an index. In others, a frame's time may follow from those
before it (``VideoReader.frames``)."""
SKIP_SECONDS = 2
"""Shorter ways are decoded: seeking goes back to an intra frame."""


@dataclass(frozen=True, eq=False)
class ClipFound:
    """The frames of one scene: RGB, uint8 [frames, side, side, 3]. ``scene`` is its index in the film."""

    scene: int
    frames: Image

    def __repr__(self) -> str:
        count, height, width, _ = self.frames.shape
        return f"ClipFound(scene {self.scene}, {count} frames of {width}×{height})"


@dataclass(frozen=True)
class ClipsRead:
    """What is known when all clips of a film that was indexed before have been read: how many they are."""

    clips: int


def clip_times(start_pts: int, end_pts: int, time_base: Fraction, spec: ClipSpec) -> list[int]:
    """When a scene's clip is sampled, in units of ``time_base`` seconds, in order: ``spec.frames`` times.

    The clip's middle is the scene's. A scene too short for it is sampled from its start, and then its last
    moment over and over.

    Args:
        start_pts: the scene's first frame.
        end_pts: where its last frame ends (exclusive).
    """
    step = 1 / (spec.rate * time_base)
    spare = end_pts - start_pts - spec.frames * step
    first = start_pts + max(Fraction(0), spare / 2)
    return [min(math.floor(first + number * step), end_pts - 1) for number in range(spec.frames)]


def read_clips(
    path: Path,
    spans: Sequence[tuple[int, int]],
    spec: ClipSpec,
    *,
    crop: Crop | None = None,
    keyframe_px: int,
    threads: int = 1,
    on_progress: Callable[[int, float], None] = lambda frames, seconds: None,
) -> Iterator[ClipFound]:
    """The clip of each scene of a film, in order; each sample is the frame that is shown at its time.

    Args:
        spans: (first pts, end pts) of the scenes; neither goes back from one scene to the next.
        crop: the picture inside the film's bars, as it lies in a key frame.
        keyframe_px: the longer side of the key frames.
        on_progress: called after every frame with the number of frames so far and the film's seconds.

    Raises:
        VideoError: the file is no film, or cannot be decoded.
    """
    with VideoReader(path, threads=threads) as reader:
        time_base = reader.info.time_base
        # Scenes overlap where they have shots in common, and so may their clips.
        samples = sorted(
            (pts, scene) for scene, span in enumerate(spans) for pts in clip_times(*span, time_base, spec)
        )
        film = _Film(reader, on_progress)
        squares = _Squares(reader.info, spec.side_px, crop, keyframe_px)
        unfinished: defaultdict[int, list[Image]] = defaultdict(list)
        shown, picture = None, None
        for pts, scene in samples:
            frame = film.at(pts)
            if picture is None or frame is not shown:
                shown, picture = frame, squares.cut(frame)
            unfinished[scene].append(picture)
            if len(unfinished[scene]) == spec.frames:
                yield ClipFound(scene, np.stack(unfinished.pop(scene)))


class _Film:
    """A film that is asked for the frames at given times, never going back."""

    def __init__(self, reader: VideoReader, on_progress: Callable[[int, float], None]) -> None:
        self._reader, self._on_progress = reader, on_progress
        self._decoded = 0
        self._shown: VideoFrame
        self._coming: tuple[int, VideoFrame] | None
        self._seeks = not SOUGHT_FORMATS.isdisjoint(reader.info.format.split(","))
        self._skip = SKIP_SECONDS / reader.info.time_base
        self._start(reader.frames())

    def at(self, pts: int) -> VideoFrame:
        """The frame that is shown at a time: the last one that does not begin later, else the first."""
        if self._seeks and self._coming and pts - self._coming[0] > self._skip:
            self._seek(pts)
        while self._coming and self._coming[0] <= pts:
            self._shown, self._coming = self._coming[1], self._next()
        return self._shown

    def _start(self, frames: Iterator[tuple[int, VideoFrame]]) -> int | None:
        """Go on with these frames; returns the first one's pts, or None where there is none."""
        self._frames = frames
        first = self._coming = self._next()
        if first is None:
            return None
        self._shown, self._coming = first[1], self._next()
        return first[0]

    def _next(self) -> tuple[int, VideoFrame] | None:
        found = next(self._frames, None)
        if found is not None:
            self._decoded += 1
            info = self._reader.info
            self._on_progress(self._decoded, float((found[0] - info.start_pts) * info.time_base))
        return found

    def _seek(self, pts: int) -> None:
        back, beginning = 0, self._reader.info.start_pts
        while True:
            self._reader.seek(max(beginning, pts - back))
            landed = self._start(self._reader.frames())
            if pts - back <= beginning or (landed is not None and landed <= pts):
                return
            # By decoding time, or to where nothing can be decoded any more: further back, ever further.
            back = max(2 * back, round(self._skip))


class _Squares:
    """Cuts the middle square out of frames, inside the bars, and scales it."""

    def __init__(self, info: VideoInfo, side_px: int, crop: Crop | None, keyframe_px: int) -> None:
        self._side_px = side_px
        width, height = FramePictures(info, keyframe_px).size
        crop = crop or Crop(0, 0, width, height)
        side = min(crop.width_px, crop.height_px)
        # Scaled once: the square comes out of the decoder at about the size that is wanted.
        self._pictures = FramePictures(info, math.ceil(max(width, height) * side_px / side))
        x, y = (now / then for now, then in zip(self._pictures.size, (width, height), strict=True))
        left = crop.left_px + (crop.width_px - side) / 2
        top = crop.top_px + (crop.height_px - side) / 2
        right, bottom = (left + side) * x, (top + side) * y
        self._box = left * x, top * y, min(right, self._pictures.size[0]), min(bottom, self._pictures.size[1])

    def cut(self, frame: VideoFrame) -> Image:
        """uint8 [side, side, 3]."""
        from PIL import Image as Picture

        picture = Picture.fromarray(self._pictures.rgb(frame))
        size = (self._side_px, self._side_px)
        return np.asarray(picture.resize(size, Picture.Resampling.BILINEAR, box=self._box))
