"""A film in segments that are decoded apart from each other: where it can be divided, and reading one of them.

A film is divided only where that changes nothing: at intra frames that no later frame reaches behind, in files
whose frames each have a time of their own. Whoever reads a segment finds out if it is otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from m2s_index.detectors.luma import LumaSampler, Samples
from m2s_index.errors import DamagedVideoError
from m2s_index.types import Int64Array, VideoInfo
from m2s_index.video import CLOCKED_FORMATS, VideoReader

TO_THE_END = (1 << 63) - 1
BLOCK_FRAMES = 256
SEGMENT_FRAMES = 4096
"""A segment's samples take some 10 MB, and a few segments are in memory at a time."""
LEAST_FRAMES = 1024
"""A shorter segment costs more than it saves."""
_UNDIVIDED = CLOCKED_FORMATS | {"avi"}


@dataclass(frozen=True, eq=False)
class SampleBlock:
    """Luma samples of frames in order of presentation: ``pts`` int64 [N] and ``samples`` uint8 [N, height, width],
    and how long the last of them is shown, in pts (0 where the file does not say).
    """

    pts: Int64Array
    samples: Samples
    last_duration: int


@dataclass(frozen=True)
class SegmentRead:
    """A segment has been read. ``following`` is the digest of the frame after it; None at the film's end."""

    following: str | None


def divide(path: Path, workers: int) -> tuple[VideoInfo, list[tuple[int, int]]]:
    """What is known of a film, and its segments (start, end) in pts, end exclusive, the last ``TO_THE_END``.

    One segment alone where there is nothing to gain, or the film cannot be divided.

    Raises:
        VideoError: it cannot be read.
    """
    with VideoReader(path) as reader:
        info = reader.info
        frames = info.frames or round((info.duration_seconds or 0.0) * info.frame_rate)
        parts = min(workers * max(1, round(frames / workers / SEGMENT_FRAMES)), frames // LEAST_FRAMES)
        points: list[int] = []
        if parts > 1 and info.duration_pts and info.format not in _UNDIVIDED:
            wanted = [info.start_pts + info.duration_pts * part // parts for part in range(1, parts)]
            points = sorted({pts for pts in reader.restart_points(wanted) if pts > info.start_pts})
    return info, list(zip([info.start_pts, *points], [*points, TO_THE_END], strict=True))


def read_segment(path: Path, start: int, end: int) -> Iterator[SampleBlock | SegmentRead]:
    """Decode a segment: its frames in blocks, and what comes after it.

    Args:
        start, end: in pts; the frame at ``start`` is its first, the one at ``end`` no longer of it.

    Raises:
        VideoError: it cannot be read, or is irregular: damaged, or with frames out of their time.
    """
    with VideoReader(path) as reader:
        sampler = LumaSampler()
        # The grid is that of the film's first frame, whatever segment this is.
        block = _Block(sampler.shape(reader.first_frame))
        last, following = None, None
        for frame in _frames_from(reader, start):
            at = frame.pts
            if at is None or (at != start if last is None else at <= last):
                raise DamagedVideoError(f"{path}: its frames have no times, or not in order")
            if block.filled == BLOCK_FRAMES:
                yield block.taken()
            sampler.sample(frame, block.samples[block.filled])
            if at >= end:
                following = digest(at, block.samples[block.filled])
                break
            block.append(at, frame.duration)
            last = at
        if reader.damaged_packets or last is None:
            raise DamagedVideoError(f"{path}: is damaged")
        if block.filled:
            yield block.taken()
        yield SegmentRead(following)


class _Block:
    """A block that is being filled."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.samples: Samples = np.empty((BLOCK_FRAMES, *shape), np.uint8)
        self._pts = np.empty(BLOCK_FRAMES, np.int64)
        self._last_duration = 0
        self.filled = 0

    def append(self, pts: int, duration: int) -> None:
        """Take the frame whose samples are in place ``filled``."""
        self._pts[self.filled] = pts
        self._last_duration = duration
        self.filled += 1

    def taken(self) -> SampleBlock:
        """What is in it, which is then empty."""
        block = SampleBlock(
            self._pts[: self.filled].copy(), self.samples[: self.filled].copy(), self._last_duration
        )
        self.filled = 0
        return block


def digest(pts: int, samples: Samples) -> str:
    """By which two decoders see that they saw the same frame: SHA-256 of its time and samples."""
    return hashlib.sha256(pts.to_bytes(8, "big", signed=True) + samples.tobytes()).hexdigest()


def _frames_from(reader: VideoReader, start: int) -> Iterator[VideoFrame]:
    if reader.info.start_pts != start:
        reader.seek(start)

    def before(stated: tuple[int | None, VideoFrame]) -> bool:
        return stated[0] is not None and stated[0] < start

    return (frame for _, frame in dropwhile(before, reader.stated_frames()))
