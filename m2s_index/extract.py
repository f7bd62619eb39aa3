"""One pass over one film: decode, find the shots, keep key frames. Runs in a worker, knows no database."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from m2s_index.bars import BarFinder
from m2s_index.clips import ClipFound, read_clips
from m2s_index.errors import DamagedVideoError
from m2s_index.keyframe_picker import KeyFramePicker
from m2s_index.keyframe_store import encode_jpeg
from m2s_index.scenes import film_scenes
from m2s_index.segments import SampleBlock
from m2s_index.shots import Boundary, SampleDetector, ShotDetector, make_detector
from m2s_index.types import BuildOptions, ClipSpec, Crop, Shot, Transition, VideoInfo
from m2s_index.video import CLOCKED_FORMATS, FramePictures, VideoReader

WHOLE_SHARE = 0.95
LEAST_SHARE = 0.5
"""A film of which less than this can be decoded, where the container says how long it is, fails."""


@dataclass(frozen=True)
class ShotFound:
    """A shot whose end is known, with its key frames as JPEG, and the bars as far as they are known.

    The pictures are stored with their bars; ``crop`` is what an encoder should see of them.
    """

    shot: Shot
    keyframe_pts: tuple[int, ...]
    pictures: tuple[bytes, ...]
    crop: Crop | None


@dataclass(frozen=True)
class FilmRead:
    """What is known when the last frame has been decoded."""

    info: VideoInfo
    crop: Crop | None
    start_pts: int
    end_pts: int
    frames: int
    damaged_packets: int


def find_shots(
    path: Path, detector: ShotDetector | str = "adaptive", *, threads: int = 1
) -> tuple[FilmRead, list[Shot]]:
    """A film's shots, without keeping pictures.

    Raises:
        VideoError: the file is no film, or too little of it can be decoded.
        UsageError: there is no detector of that name.
    """
    if isinstance(detector, str):
        detector = make_detector(detector)
    pass_ = _Pass(path, BuildOptions(), detector, threads=threads, keep_pictures=False)
    shots = [found.shot for found in pass_.run()]
    return pass_.result(), shots


def shots_of_samples(
    path: Path, info: VideoInfo, detector: SampleDetector, blocks: Iterable[SampleBlock]
) -> tuple[FilmRead, list[Shot]]:
    """``find_shots`` of a film whose frames were decoded elsewhere, all of them and undamaged.

    Args:
        info: as ``VideoReader`` has it.
        blocks: samples of every frame, in order of presentation.

    Raises:
        DamagedVideoError: the film is much shorter than it says.
    """
    pass_ = _Pass(path, BuildOptions(), detector, threads=1, keep_pictures=False)
    shots = [found.shot for found in pass_.run_samples(info, detector, blocks)]
    return pass_.result(), shots


def extract(
    path: Path,
    options: BuildOptions,
    *,
    cuts: Sequence[Boundary] | None = None,
    clip: ClipSpec | None = None,
    threads: int = 1,
    on_progress: Callable[[int, float], None] | None = None,
) -> Iterator[ShotFound | ClipFound | FilmRead]:
    """A film's shots as they are found, then its scenes' clips, and at the end what is known of the whole.

    Args:
        cuts: where shots begin, and with what, where that is known; else the options' detector finds them.
        clip: which frames of each scene are wanted; None for none, and no second pass.
        on_progress: called after every frame with the number of frames so far and the film's seconds.

    Raises:
        VideoError: the file is no film, or too little of it can be decoded.
        UsageError: there is no such detector, or the cuts go on after the film's end.
    """
    detector: ShotDetector
    if cuts is None:
        detector = make_detector(options.detector, min_shot_seconds=options.min_shot_seconds)
    else:
        from m2s_index.cut_lists import CutListDetector

        detector = CutListDetector(options.detector, cuts, f"the cut list of {path}")
    pass_ = _Pass(path, options, detector, threads=threads, keep_pictures=True)
    shots = []
    for found in pass_.run(on_progress):
        shots.append(found.shot)
        yield found
    read = pass_.result()
    if clip is not None:
        yield from _clips(path, shots, read, options, clip, threads, on_progress)
    yield read


def _clips(
    path: Path,
    shots: Sequence[Shot],
    read: FilmRead,
    options: BuildOptions,
    clip: ClipSpec,
    threads: int,
    on_progress: Callable[[int, float], None] | None,
) -> Iterator[ClipFound]:
    seconds = float((read.end_pts - read.start_pts) * read.info.time_base)

    def still_at_the_end(frames: int, _: float) -> None:
        if on_progress:
            on_progress(read.frames + frames, seconds)

    yield from read_clips(
        path,
        [(shots[first].start_pts, shots[end - 1].end_pts) for first, end in film_scenes(len(shots), options)],
        clip,
        crop=read.crop,
        keyframe_px=options.keyframe_px,
        threads=threads,
        on_progress=still_at_the_end,
    )


class _FrameTimes:
    """The pts of the open shot's frames, by frame number: 16 bytes a frame."""

    def __init__(self) -> None:
        self._numbers, self._pts = array("q"), array("q")
        self.first_pts = 0

    def append(self, number: int, pts: int) -> None:
        if not self._pts:
            self.first_pts = pts
        self._numbers.append(number)
        self._pts.append(pts)

    def at(self, number: int) -> int:
        return self._pts[self._position(number)]

    def forget_before(self, number: int) -> None:
        """Drop the frames of shots that are closed; the last frame stays."""
        gone = self._position(number)
        del self._numbers[:gone], self._pts[:gone]

    def _position(self, number: int) -> int:
        return min(bisect_left(self._numbers, number), len(self._pts) - 1)

    @property
    def last_pts(self) -> int:
        return self._pts[-1]

    def __len__(self) -> int:
        return len(self._pts)

    @property
    def frames(self) -> int:
        """One more than the last frame's number: all frames, also where only some were decoded."""
        return self._numbers[-1] + 1


class _Pass:
    """The state of one pass."""

    def __init__(
        self, path: Path, options: BuildOptions, detector: ShotDetector, *, threads: int, keep_pictures: bool
    ) -> None:
        self._path, self._options, self._threads = path, options, threads
        self._keep_pictures = keep_pictures
        self._detector = detector
        self._times = _FrameTimes()
        self._shots = 0
        self._open: Boundary | None = None
        self._bars = BarFinder()
        self._picker = KeyFramePicker(options.frames_per_shot)

    def run(self, on_progress: Callable[[int, float], None] | None = None) -> Iterator[ShotFound]:
        with VideoReader(self._path, threads=self._threads, intra_only=self._detector.intra_only) as reader:
            self._begin(reader.info)
            for count, (pts, frame) in enumerate(reader.frames(), start=1):
                number, seconds = self._append(pts, frame.duration)
                if self._keep_pictures and self._picker.wants(seconds):
                    self._picker.offer(number, pts, seconds, frame)
                    if self._bars.wants(seconds):
                        self._bars.add(frame, seconds)
                for boundary in self._detector.push(frame, number, seconds):
                    yield self._close_shot(boundary)
                if on_progress:
                    on_progress(count, seconds)
            self._damaged_packets = reader.damaged_packets
            yield from self._finish()

    def run_samples(
        self, info: VideoInfo, detector: SampleDetector, blocks: Iterable[SampleBlock]
    ) -> Iterator[ShotFound]:
        """The same from samples of frames that were decoded elsewhere, undamaged."""
        self._begin(info)
        for block in blocks:
            for pts, samples in zip(block.pts.tolist(), block.samples, strict=True):
                number, seconds = self._append(pts, block.last_duration)
                for boundary in detector.push_samples(samples, number, seconds):
                    yield self._close_shot(boundary)
        yield from self._finish()

    def _begin(self, info: VideoInfo) -> None:
        self._info = info
        self._damaged_packets = 0
        self._pictures = FramePictures(info, self._options.keyframe_px)
        self._seconds_per_pts = float(info.time_base)

    def _append(self, pts: int, duration: int) -> tuple[int, float]:
        """Take the next frame's time; returns its number, and its seconds from the first."""
        number = self._number(pts)
        self._times.append(number, pts)
        self._last_duration = duration
        return number, (pts - self._times.first_pts) * self._seconds_per_pts

    def _finish(self) -> Iterator[ShotFound]:
        for boundary in self._detector.finish():
            yield self._close_shot(boundary)
        yield self._close_shot(None)
        self._check_length()

    def result(self) -> FilmRead:
        first_pts, frames = self._times.first_pts, self._frames()
        return FilmRead(self._info, self._crop(), first_pts, self._end_pts(), frames, self._damaged_packets)

    def _number(self, pts: int) -> int:
        """The frame's number: counted, or, where frames are skipped, from its time."""
        if not self._times:
            return 0
        if not self._detector.intra_only:
            return self._times.frames
        seconds = (pts - self._times.first_pts) * self._seconds_per_pts
        return max(self._times.frames, round(seconds * self._info.frame_rate))

    def _close_shot(self, boundary: Boundary | None) -> ShotFound:
        """The shot that ends at ``boundary``, or with the film."""
        started, self._open = self._open, boundary
        start = started.frame if started else 0
        end = boundary.frame if boundary else self._frames()
        transition: Transition = started.transition if started else "start"
        shot = Shot(
            self._shots,
            start,
            end,
            self._times.at(start),
            self._times.at(end) if boundary else self._end_pts(),
            transition,
            started.transition_start_frame if started else None,
            started.transition_end_frame if started else None,
        )
        self._shots += 1
        self._times.forget_before(end)
        if not self._keep_pictures:
            return ShotFound(shot, (), (), None)
        tail_start = boundary.transition_start_frame if boundary else None
        chosen = self._picker.pick(shot, tail_start)
        pictures = tuple(encode_jpeg(self._pictures.rgb(c.frame)) for c in chosen)
        return ShotFound(shot, tuple(c.pts for c in chosen), pictures, self._crop())

    def _crop(self) -> Crop | None:
        return self._bars.crop(*self._pictures.size, self._pictures.quarter_turns)

    def _end_pts(self) -> int:
        """Where the last frame ends: by its own duration, else by the frame rate.

        Where only intra frames are decoded, the film goes on after the last of them: as long as stated.
        """
        info = self._info
        step = self._last_duration or round(1 / (info.frame_rate * info.time_base))
        end = self._times.last_pts + max(1, step)
        if self._detector.intra_only and info.duration_pts:
            return max(end, self._times.first_pts + info.duration_pts)
        return end

    def _frames(self) -> int:
        """All frames of the film; reckoned from its length where only intra frames are decoded."""
        if not self._detector.intra_only:
            return self._times.frames
        seconds = (self._end_pts() - self._times.first_pts) * self._seconds_per_pts
        return max(self._times.frames, round(seconds * self._info.frame_rate))

    def _check_length(self) -> None:
        """Refuse what is mostly missing; count a missing end as damage where nothing else was found."""
        info = self._info
        decoded = float((self._end_pts() - self._times.first_pts) * info.time_base)
        # A clock's length is only guessed from its first and last time stamp.
        stated = None if info.format in CLOCKED_FORMATS else info.duration_seconds
        if stated and decoded < LEAST_SHARE * stated:
            raise DamagedVideoError(
                f"{self._path}: only {decoded:.0f} of {stated:.0f} seconds can be decoded; "
                "the file is truncated or damaged, copy or convert it again"
            )
        if stated and decoded < WHOLE_SHARE * stated - 1:
            self._damaged_packets = max(1, self._damaged_packets)
