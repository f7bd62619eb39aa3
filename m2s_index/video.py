"""Reading film: opening a file, choosing its stream, decoding it once from beginning to end with exact times.

The only module that opens files with PyAV for reading.
"""

from __future__ import annotations

import contextlib
import heapq
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.logging
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from m2s_index.errors import DamagedVideoError, NotVideoError, VideoError
from m2s_index.files import check_regular
from m2s_index.types import Image, VideoInfo

# FFmpeg writes its complaints to the terminal; what matters of them reaches us as exceptions.
av.logging.set_level(av.logging.PANIC)

PLAYLISTS = frozenset(
    {"hls", "concat", "dash", "webm_dash_manifest", "imf", "rtp", "rtsp", "sap", "sdp", "vobsub", "lavfi"}
)
"""Formats that open further files or addresses: an untrusted file must not choose what is read."""

PICTURES = frozenset(
    "image2 image2pipe ico gif apng webp jpegxl_anim tty bin xbin adf idf webvtt".split()  # noqa: SIM905
)
"""Pictures, moving or not, and texts, which FFmpeg would draw."""

PICTURE_BRANDS = frozenset({"avif", "avis", "heic", "heix", "heim", "heis", "mif1", "msf1"})
"""Pictures in an MP4 container say so in its brand."""

DEMUX_ERRORS_ALLOWED = 100
ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC
_TAGGED_TIME = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)")
RESTART_SECONDS = 1.0
"""A clock that goes back by more has started again; one that goes back by less is only unsteady."""
CLOCKED_FORMATS = frozenset({"mpegts", "mpeg"})
"""Broadcasts and discs: their time stamps are a clock's, which starts again where recordings are joined."""
RESTARTING_CODECS = frozenset({"hevc", "vp8", "vp9", "av1", "libdav1d", "libaom-av1"})
"""What follows an intra frame that a container marks is decoded without what came before it."""
H264_IDR = 5
MOST_REORDERED_FRAMES = 16
"""No codec lets a frame be shown more frames later than it is decoded."""


class VideoReader:
    """One film file, open for one pass. Use it as a context manager.

    ``info`` is complete once the file is open: the first frame has been decoded by then.
    """

    def __init__(self, path: Path, *, threads: int = 1, intra_only: bool = False) -> None:
        """Open ``path`` and decode its first frame.

        Args:
            threads: decoder threads; 0 lets the decoder choose.
            intra_only: skip all frames but intra-coded ones.

        Raises:
            NotVideoError: it holds no film.
            DamagedVideoError: it does, but nothing of it can be decoded.
            VideoError: it cannot be read.
        """
        self.path = path
        self.damaged_packets = 0
        self._intra_only = intra_only
        self._container = _open(path)
        try:
            self._stream = _film_stream(path, self._container)
            context = self._stream.codec_context
            if context is None:
                raise NotVideoError(f"{path}: no decoder for its video; convert it with another tool first")
            context.thread_type = "SLICE" if threads == 1 else "AUTO"
            context.thread_count = threads
            if intra_only:
                context.skip_frame = "NONKEY"
            self.info = _container_info(self._container, self._stream)
            self._decoded = self._decode()
            self._first = next(self._decoded, None)
            if self._first is None:
                raise DamagedVideoError(f"{path}: not one frame can be decoded; copy or convert it again")
            self.info = _with_first_frame(self.info, self._first)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def first_frame(self) -> VideoFrame:
        """The film's first frame, before the first call of ``frames`` or ``seek``."""
        assert self._first is not None
        return self._first

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """(pts, frame) of every frame in order of presentation, once; pts in ``info.time_base``.

        Frames without a time, or with one that the next frame belies, are placed one frame's length after
        the one before, and so are those after which a clock starts again (recordings joined end to end);
        a time that does not move on is made to.
        """
        step = max(1, round(1 / (self.info.frame_rate * self.info.time_base)))
        clocked = self.info.format in CLOCKED_FORMATS
        restart = RESTART_SECONDS / self.info.time_base
        last: int | None = None
        shift = 0
        timed = self.stated_frames()
        coming = next(timed, None)
        while coming is not None:
            (stated, frame), coming = coming, next(timed, None)
            following = None if coming is None or coming[0] is None else coming[0] + shift
            if last is None:
                pts = stated or 0
            elif stated is None:
                pts = last + step
            elif following is not None and last < following and not last < stated + shift <= following:
                pts = last + max(1, min(step, (following - last) // 2))
            elif stated + shift > last:
                pts = stated + shift
            elif clocked and last - stated - shift > restart:
                pts = last + step
                shift = pts - stated
            else:
                pts = last + 1
            last = pts
            yield pts, frame

    def seek(self, pts: int) -> None:
        """Have the next ``frames`` begin with an intra frame, at ``pts`` or before where the container knows.

        Raises:
            DamagedVideoError: the container cannot be sought in.
        """
        try:
            self._container.seek(pts, stream=self._stream)
        except (av.error.FFmpegError, OSError) as exc:
            raise DamagedVideoError(
                f"{self.path}: its index is damaged ({exc.strerror}); copy or convert it again"
            ) from exc
        self._decoded = self._decode()
        self._first = next(self._decoded, None)

    def stated_frames(self) -> Iterator[tuple[int | None, VideoFrame]]:
        """``frames`` with their times as the file states them, or None."""
        if self.info.format != "avi":
            while self._first is not None:
                frame, self._first = self._first, None
                yield frame.pts, frame
                self._first = next(self._decoded, None)
            return
        # AVI knows no times of presentation: B-frames come out in order, each with another one's time.
        frames: deque[VideoFrame] = deque()
        times: list[int] = []
        while self._first is not None or frames:
            if self._first is not None:
                frames.append(self._first)
                if self._first.pts is not None:
                    heapq.heappush(times, self._first.pts)
                self._first = next(self._decoded, None)
            if len(frames) > MOST_REORDERED_FRAMES or self._first is None:
                yield heapq.heappop(times) if times else None, frames.popleft()

    def restart_points(self, wanted: Sequence[int]) -> list[int]:
        """Times in pts at which decoding can begin anew: intra frames which nothing that is shown later goes back
        behind, of the wanted times the last ones before. None where the codec does not tell. The reader is of
        no use for frames afterwards.
        """
        found = []
        with contextlib.suppress(av.error.FFmpegError, OSError):
            for pts in wanted:
                self._container.seek(pts, stream=self._stream)
                packet = next(self._container.demux(self._stream))
                if packet.pts is not None and packet.is_keyframe and self._restarts(bytes(packet)):
                    found.append(packet.pts)
        return found

    def _restarts(self, packet: bytes) -> bool:
        codec = self._stream.codec_context
        if codec.name != "h264":
            return self.info.codec in RESTARTING_CODECS
        # An intra frame of H.264 need not end references; of five bits that say what a unit is, 5 is one that does.
        configuration = codec.extradata or b""
        if configuration[:1] != b"\x01" or len(configuration) < 5:
            return False
        size, at = (configuration[4] & 3) + 1, 0
        while at + size < len(packet):
            if packet[at + size] & 0x1F == H264_IDR:
                return True
            at += size + int.from_bytes(packet[at : at + size], "big")
        return False

    def _decode(self) -> Iterator[VideoFrame]:
        errors = 0
        while errors < DEMUX_ERRORS_ALLOWED:
            try:
                for packet in self._container.demux(self._stream):
                    self.damaged_packets += packet.is_corrupt
                    # Skipping alone, a decoder looks at each of the others, or decodes them (VP9's). The empty
                    # packet at the end makes it give all.
                    if self._intra_only and packet.size and not packet.is_keyframe:
                        continue
                    try:
                        for frame in packet.decode():
                            assert isinstance(frame, VideoFrame)
                            # Concealed by the decoder: a picture, but not the one that was filmed.
                            self.damaged_packets += frame.is_corrupt
                            yield frame
                    except av.error.FFmpegError:
                        self.damaged_packets += 1
                return
            except IndexError:
                # PyAV stumbles at the end, over streams that came up on the way, after flushing ours.
                return
            except (av.error.FFmpegError, OSError):
                # A damaged stretch of the container: the demuxer may find its way after it.
                errors += 1
                self.damaged_packets += 1


def probe(path: Path) -> VideoInfo:
    """What the container says of a film; its frames are left to the one pass that reads it.

    Raises:
        NotVideoError: it holds no film.
        VideoError: it cannot be read.
    """
    with _open(path) as container:
        return _container_info(container, _film_stream(path, container))


class FramePictures:
    """Turns decoded frames into upright RGB pictures with square pixels, with one scaler for a whole film.

    ``quarter_turns`` (counter-clockwise) is how far they are turned from the coded frames.
    """

    def __init__(self, info: VideoInfo, longer_side_px: int) -> None:
        self.quarter_turns = round(info.rotation_degrees / 90) % 4
        self._scaler = VideoReformatter()
        width, height = info.width_px * float(info.sample_aspect), float(info.height_px)
        scale = min(1.0, longer_side_px / max(width, height))
        self._scaled = max(2, round(width * scale)), max(2, round(height * scale))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of every picture, also where the frames' size changes; never enlarged."""
        width, height = self._scaled
        return (height, width) if self.quarter_turns % 2 else (width, height)

    def rgb(self, frame: VideoFrame) -> Image:
        """uint8 [height, width, 3]: the longer side at most ``longer_side_px``."""
        width, height = self._scaled
        interpolation = Interpolation.AREA if 2 * height < frame.height else Interpolation.BILINEAR
        scaled = self._scaler.reformat(frame, width, height, "rgb24", interpolation=interpolation)
        picture = scaled.to_ndarray()
        return np.ascontiguousarray(np.rot90(picture, self.quarter_turns))


def _open(path: Path) -> av.container.InputContainer:
    check_regular(path)
    formats = ",".join(sorted(av.formats_available - PLAYLISTS))
    try:
        # "file:" keeps a name such as "http:x" or "concat:a|b" from being read as a protocol.
        return av.open(
            f"file:{path.absolute()}",
            options={"protocol_whitelist": "file", "format_whitelist": formats},
            metadata_errors="replace",
        )
    except av.error.ArgumentError as exc:
        raise NotVideoError(
            f"{path}: a playlist or something else that is not a film itself ({exc.strerror}); "
            "name the films themselves"
        ) from exc
    except av.error.FFmpegError as exc:
        # Not every error here is about the file's contents; those that are share one remedy.
        if isinstance(exc, av.error.PermissionError):
            raise VideoError(f"{path}: cannot be read ({exc.strerror}); check its permissions") from exc
        raise NotVideoError(
            f"{path}: not a film, or its beginning or index is damaged ({exc.strerror}); "
            "play it to check, then copy or convert it again"
        ) from exc


def _film_stream(path: Path, container: av.container.InputContainer) -> av.video.stream.VideoStream:
    """The video stream that is the film: no attached picture; the largest, of equals the default one."""
    names = set(container.format.name.split(","))
    brand = container.metadata.get("major_brand", "").strip()
    if names & PICTURES or brand in PICTURE_BRANDS or any(name.endswith("_pipe") for name in names):
        raise NotVideoError(f"{path}: a picture or text ({container.format.name}), not a film; name a film file")
    streams = [s for s in container.streams.video if not int(s.disposition) & ATTACHED_PICTURE]
    if streams and not any(s.codec_context for s in streams):
        raise NotVideoError(f"{path}: no decoder for its video; convert it with another tool first")
    streams = [s for s in streams if s.codec_context]
    if not streams:
        kind = "audio only" if container.streams.audio else "no video stream"
        raise NotVideoError(f"{path}: {kind}; there is no film in it, name a film file")
    return max(streams, key=lambda s: (s.width * s.height, int(s.disposition) & 1, -s.index))


def _container_info(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> VideoInfo:
    time_base = Fraction(stream.time_base or Fraction(1, 1000))
    duration = stream.duration
    tagged = _tagged_seconds(stream)
    if tagged is not None:
        duration = round(tagged / time_base)
    elif duration is None and container.duration is not None:
        duration = round(Fraction(container.duration, 1_000_000) / time_base)
    rate = stream.guessed_rate or stream.average_rate or Fraction(25)
    return VideoInfo(
        format=container.format.name,
        codec=stream.codec_context.name,
        width_px=stream.width,
        height_px=stream.height,
        sample_aspect=Fraction(stream.sample_aspect_ratio or 1),
        rotation_degrees=0,
        time_base=time_base,
        frame_rate=Fraction(rate),
        start_pts=stream.start_time or 0,
        duration_pts=duration if duration and duration > 0 else None,
        frames=stream.frames or None,
        stream_index=stream.index,
    )


def _tagged_seconds(stream: av.video.stream.VideoStream) -> Fraction | None:
    """Matroska has one length for all streams, but a tag with each stream's own: sound may be longer."""
    for name, text in stream.metadata.items():
        if name.upper().startswith("DURATION") and (match := _TAGGED_TIME.fullmatch(text)):
            hours, minutes, seconds = match.groups()
            return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    return None


def _with_first_frame(info: VideoInfo, frame: VideoFrame) -> VideoInfo:
    """What only a decoded frame tells: its true size, its rotation, where time starts."""
    rotation = 0
    with contextlib.suppress(ValueError):
        rotation = round(frame.rotation)
    start = info.start_pts if frame.pts is None else frame.pts
    return replace(info, width_px=frame.width, height_px=frame.height, rotation_degrees=rotation, start_pts=start)
