"""A thin PyAV writer: pictures in, a video file out, frame by frame. It knows nothing of films' specs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import chain, count
from pathlib import Path

import av
import numpy as np

from m2s_index.errors import VideoError
from m2s_index.types import Image

CODEC_OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "superfast", "crf": "22", "x264-params": "trellis=0:me=dia:subme=0"},
    "libx265": {
        "preset": "ultrafast",
        "crf": "22",
        "x265-params": "pools=none:frame-threads=1:log-level=error",
    },
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0"},
    "libsvtav1": {"preset": "12", "crf": "35", "svtav1-params": "lp=1"},
    "mpeg2video": {"qmin": "2", "qmax": "6", "b": "4M"},
    "mpeg4": {"qmin": "2", "qmax": "6", "b": "4M"},
}
"""What each codec is given by default: quick, good enough to look at, and the same bytes every time."""


def write_video(
    path: Path | str,
    frames: Iterable[Image],
    *,
    rate: Fraction | int,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    time_base: Fraction | None = None,
    pts: Iterable[int] | None = None,
) -> int:
    """Encode ``frames`` into ``path`` and return how many there were.

    Args:
        path: the container follows its ending (mp4, mkv, mov, ts, webm, avi, mpg …).
        frames: uint8 RGB [height, width, 3], all of one size, taken one at a time.
        rate: nominal frames per second.
        codec: an encoder that PyAV's wheel has; its options default to ``CODEC_OPTIONS``.
        options: options of the encoder, over those defaults.
        pix_fmt: what is encoded, for instance ``yuv420p10le`` or ``yuv422p``.
        time_base: the unit of ``pts`` in seconds; 1/``rate`` by default.
        pts: the presentation time of each frame, rising; 0, 1, 2 … by default. Irregular ones make
            a film of variable frame rate, a first one above 0 a film that does not start at 0.

    Raises:
        VideoError: no frames, or an encoder, format or size that FFmpeg refuses.
    """
    rate = Fraction(rate)
    time_base = 1 / rate if time_base is None else time_base
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise VideoError(f"{path}: no frames to write; a film needs at least one")
    written = 0
    try:
        # bitexact: no random segment id, date or library version, so equal frames make equal files.
        with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
            settings = {**CODEC_OPTIONS.get(codec, {}), **(options or {})}
            stream = container.add_stream(codec, rate=rate, options=settings)
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = pix_fmt
            stream.codec_context.time_base = time_base
            stream.codec_context.thread_count = 1
            stream.codec_context.bit_rate_tolerance = 8_000_000
            stream.codec_context.flags |= av.codec.context.Flags.bitexact
            for image, when in zip(chain([first], rest), count() if pts is None else pts, strict=False):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame.pts, frame.time_base = when, time_base
                container.mux(stream.encode(frame))
                written += 1
            container.mux(stream.encode(None))
    except (av.FFmpegError, ValueError) as exc:
        raise VideoError(f"{path}: cannot write it with {codec} ({exc}); try another codec or ending") from exc
    return written
