"""Small films for tests: pictures painted by ``m2s_index.procedural``, files of every odd kind written by PyAV.

``write_film`` muxes what ``procedural.write_video`` has no word for: rotation, sample aspect, audio, cover
pictures, several video streams. What it is told is the truth that tests compare with.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from m2s_index.procedural import CODEC_OPTIONS, FilmSpec, ShotSpec, film_frames
from m2s_index.types import Image

SIZE = (160, 90)
LENGTHS = (20, 31, 25)
"""Frames of the three shots of the film that most tests use."""
PLACES = ("beach", "office", "snow", "desert", "city_night", "meadow", "library", "kitchen", "forest")
RATE = Fraction(24)
AUDIO_RATE = 48_000


def starts(lengths: Sequence[int]) -> list[int]:
    """The first frame of each shot."""
    return list(accumulate(lengths, initial=0))[:-1]


@lru_cache(maxsize=16)
def pictures(lengths: tuple[int, ...] = LENGTHS, size: tuple[int, int] = SIZE) -> tuple[Image, ...]:
    """Every frame of a film of hard cuts, uint8 RGB; shot i is set in place i. ``size`` is even."""
    shots = tuple(
        ShotSpec(PLACES[i % len(PLACES)], length, "cut" if i else "start", camera="slow_pan", scene=i, seed=i + 1)
        for i, length in enumerate(lengths)
    )
    frames = tuple(film_frames(FilmSpec("Small", shots, None, *size)))
    for frame in frames:
        frame.setflags(write=False)
    return frames


@dataclass(frozen=True)
class Look:
    """What a stream says of its pictures, beside their codec."""

    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    rate: Fraction = RATE
    time_base: Fraction | None = None
    pts: tuple[int, ...] | None = None
    options: dict[str, str] = field(default_factory=dict)
    sample_aspect: Fraction | None = None
    rotation_degrees: int = 0
    interlaced: bool = False
    attached: bool = False


def write_film(
    path: Path,
    frames: Iterable[Image],
    look: Look = Look(),
    *,
    audio_seconds: float = 0.0,
    audio_first: bool = False,
    others: Sequence[tuple[Look, Sequence[Image]]] = (),
    others_first: bool = False,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
    attachment: bytes = b"",
) -> Path:
    """Write ``frames`` at ``path``, with audio and with ``others``, further video streams, on either side."""
    options = {"fflags": "+bitexact", **(container_options or {})}
    with av.open(str(path), "w", format=container_format, options=options) as container:
        if attachment:
            container.add_attachment("cover.jpg", "image/jpeg", attachment)
        if audio_first and audio_seconds:
            sound = _add_audio(container)
        late, early = (others, ()) if not others_first else ((), others)
        videos = [(_add_video(container, one, p[0]), one, p) for one, p in early]
        first, *rest = frames
        videos.append((_add_video(container, look, first), look, [first, *rest]))
        videos += [(_add_video(container, one, p[0]), one, p) for one, p in late]
        if not audio_first and audio_seconds:
            sound = _add_audio(container)
        packets = [packet for video in videos for packet in _encode(*video)]
        if audio_seconds:
            packets += _tone(sound, audio_seconds)
        for packet in sorted(packets, key=_decode_seconds):
            container.mux(packet)
    return path


def write_audio(path: Path, seconds: float = 1.0, attachment: bytes = b"") -> Path:
    """A file of sound alone, or with a cover."""
    with av.open(str(path), "w") as container:
        if attachment:
            container.add_attachment("cover.jpg", "image/jpeg", attachment)
        container.mux(_tone(_add_audio(container), seconds))
    return path


def remux(source: Path, target: Path, *, shift_seconds: Fraction = Fraction(0), **options: str) -> Path:
    """The same packets in another container, every time stamp moved by ``shift_seconds``."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=options) as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        for packet in read.demux(stream):
            if packet.dts is None:
                continue
            shift = int(shift_seconds / packet.time_base)
            packet.pts, packet.dts = (packet.pts or 0) + shift, packet.dts + shift
            packet.stream = copy
            written.mux(packet)
    return target


def raw_stream(source: Path, target: Path, bitstream_filter: str) -> Path:
    """The naked elementary stream of a film, without a container and its times."""
    from av.bitstream import BitStreamFilterContext

    with av.open(str(source)) as read, target.open("wb") as written:
        stream = read.streams.video[0]
        bare = BitStreamFilterContext(bitstream_filter, stream)
        for packet in read.demux(stream):
            for out in bare.filter(packet if packet.dts is not None else None):
                written.write(bytes(out))
    return target


def truncated(source: Path, target: Path, share: float) -> Path:
    """The first ``share`` of a file."""
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        file.truncate(int(source.stat().st_size * share))
    return target


def boxed(frame: Image, top: int, bottom: int, left: int, right: int, level: int = 0) -> Image:
    """The picture squeezed in between bars of these thicknesses, the frame's size unchanged."""
    from PIL import Image as Picture

    height, width = frame.shape[:2]
    inner = Picture.fromarray(frame).resize((width - left - right, height - top - bottom))
    out = np.full_like(frame, level)
    out[top : height - bottom, left : width - right] = np.asarray(inner)
    return out


def _add_video(container: OutputContainer, look: Look, first: Image) -> VideoStream:
    options = {**CODEC_OPTIONS.get(look.codec, {}), **look.options}
    stream = container.add_stream(look.codec, rate=look.rate, options=options)
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = first.shape[:2]
    stream.pix_fmt = look.pix_fmt
    context = stream.codec_context
    context.time_base = look.time_base or 1 / look.rate
    context.thread_count = 1
    context.bit_rate_tolerance = 8_000_000
    if look.sample_aspect:
        context.sample_aspect_ratio = look.sample_aspect
    if look.interlaced:
        context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
    if look.rotation_degrees:
        stream.set_display_rotation(look.rotation_degrees)
    if look.attached:
        stream.disposition = Disposition.attached_pic
    return stream


def _encode(stream: VideoStream, look: Look, frames: Sequence[Image]) -> list[av.Packet]:
    time_base = look.time_base or 1 / look.rate
    packets: list[av.Packet] = []
    for number, picture in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = (look.pts[number] if look.pts else number), time_base
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _add_audio(container: OutputContainer) -> av.AudioStream:
    name = {"webm": "libopus", "matroska": "libopus", "avi": "pcm_s16le", "wav": "pcm_s16le"}
    stream = container.add_stream(name.get(container.format.name, "aac"), rate=AUDIO_RATE)
    assert isinstance(stream, av.AudioStream)
    return stream


def _tone(stream: av.AudioStream, seconds: float) -> list[av.Packet]:
    packets: list[av.Packet] = []
    size, samples = 960, int(seconds * AUDIO_RATE)
    wave = (np.sin(np.arange(samples) / 40) * 8000).astype(np.int16)
    for at in range(0, samples - size + 1, size):
        frame = av.AudioFrame.from_ndarray(wave[None, at : at + size], format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = at, AUDIO_RATE, Fraction(1, AUDIO_RATE)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _decode_seconds(packet: av.Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base
