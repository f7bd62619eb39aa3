"""Odd but honest files: each is written here, so its frames, times and pictures are known."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from film_factory import LENGTHS, RATE, Look, pictures, raw_stream, remux, starts, write_audio, write_film
from PIL import Image as Picture

from m2s_index.errors import NotVideoError
from m2s_index.extract import FilmRead, ShotFound, extract
from m2s_index.keyframe_store import decode_jpeg
from m2s_index.types import BuildOptions, Image
from m2s_index.video import probe

B_FRAMES = {"bf": "3", "g": "30"}
NTSC_FILM = Fraction(24000, 1001)
WRAP_SECONDS = Fraction(1 << 33, 90_000)


@dataclass(frozen=True)
class Read:
    """What ``extract`` said of a film."""

    film: FilmRead
    found: list[ShotFound]

    @property
    def starts(self) -> list[int]:
        return [found.shot.start_frame for found in self.found]

    def seconds(self, pts: int) -> float:
        return float((pts - self.film.start_pts) * self.film.info.time_base)


def read(path: Path) -> Read:
    *found, film = extract(path, BuildOptions())
    assert isinstance(film, FilmRead)
    return Read(film, [shot for shot in found if isinstance(shot, ShotFound)])


def uniform(frames: int, rate: Fraction = RATE) -> list[float]:
    """Where each frame starts, and the last one ends, in seconds from the first."""
    return [float(number / rate) for number in range(frames + 1)]


def check(
    path: Path,
    frames: Sequence[Image],
    times: Sequence[float],
    cuts: Sequence[int] = tuple(starts(LENGTHS)),
    *,
    tolerance: float = 0.0011,
    picture_error: float = 9.0,
) -> Read:
    """Frames, shots, times and key frames of the file at ``path`` against what was written."""
    got = read(path)
    assert got.film.frames == len(frames)
    assert got.starts == list(cuts)
    assert got.film.damaged_packets == 0
    shots = [found.shot for found in got.found]
    for shot in shots:
        assert got.seconds(shot.start_pts) == pytest.approx(times[shot.start_frame], abs=tolerance)
    assert all((a.end_frame, a.end_pts) == (b.start_frame, b.start_pts) for a, b in pairwise(shots))
    assert (shots[-1].end_frame, shots[-1].end_pts) == (len(frames), got.film.end_pts)
    # How long the last frame lasts is for the container to say; some do not.
    assert got.seconds(got.film.end_pts) == pytest.approx(times[-1], abs=0.045)
    assert got.seconds(got.film.end_pts) > times[-2]
    for found in got.found:
        (pts,) = found.keyframe_pts
        assert found.shot.start_pts <= pts < found.shot.end_pts
        shown = int(np.argmin([abs(got.seconds(pts) - at) for at in times[:-1]]))
        kept = decode_jpeg(found.pictures[0])
        height, width = kept.shape[:2]
        truth = np.asarray(Picture.fromarray(np.asarray(frames[shown])).resize((width, height)))
        assert np.abs(kept.astype(int) - truth).mean() < picture_error
    return got


CODECS = {
    "h264 with B-frames": ("mp4", Look(options=B_FRAMES)),
    "h264 of 10 bits": ("mp4", Look(pix_fmt="yuv420p10le")),
    "h264 4:2:2": ("mp4", Look(pix_fmt="yuv422p")),
    "h264 4:2:2 of 10 bits": ("mkv", Look(pix_fmt="yuv422p10le")),
    "h264 4:4:4": ("mkv", Look(pix_fmt="yuv444p")),
    "hevc": ("mp4", Look("libx265")),
    "hevc of 10 bits": ("mkv", Look("libx265", "yuv420p10le")),
    "av1": ("mp4", Look("libsvtav1")),
    "av1 of 10 bits": ("webm", Look("libsvtav1", "yuv420p10le")),
    "vp9": ("webm", Look("libvpx-vp9")),
    "mpeg-2": ("mpg", Look("mpeg2video", rate=Fraction(25), options={"bf": "2"})),
    "mpeg-2 4:2:2": ("ts", Look("mpeg2video", "yuv422p", rate=Fraction(25))),
    "mpeg-4": ("avi", Look("mpeg4", options={"bf": "2"})),
    "prores": ("mov", Look("prores", "yuv422p10le")),
    "motion jpeg": ("avi", Look("mjpeg", "yuvj420p", options={"qmin": "2", "qmax": "4", "b": "20M"})),
    "ffv1 rgb": ("mkv", Look("ffv1", "bgr0")),
    "ffv1 planar rgb of 10 bits": ("mkv", Look("ffv1", "gbrp10le")),
    "png": ("mov", Look("png", "rgb24")),
    "png with transparency": ("mov", Look("png", "rgba")),
    "raw rgb in mov": ("mov", Look("rawvideo", "rgb24")),
    "raw rgb in avi, upside down": ("avi", Look("rawvideo", "bgr24")),
    "raw yuv in avi": ("avi", Look("rawvideo", "yuv420p")),
    "raw yuyv in avi": ("avi", Look("rawvideo", "yuyv422")),
    "raw nv12 in nut": ("nut", Look("rawvideo", "nv12")),
    "y4m": ("y4m", Look("wrapped_avframe", "yuv420p")),
    "23.976 frames a second": ("mp4", Look(rate=NTSC_FILM)),
    "23.976 frames a second in ts": ("ts", Look(rate=NTSC_FILM, options=B_FRAMES)),
    "60 frames a second": ("mp4", Look(rate=Fraction(60))),
    "59.94 frames a second": ("mkv", Look(rate=Fraction(60000, 1001))),
    "fragmented mp4": ("frag.mp4", Look(options=B_FRAMES)),
}


@pytest.mark.parametrize("name", CODECS)
def test_codecs_formats_and_rates(name: str, tmp_path: Path) -> None:
    """Every codec of the last 30 years gives the same frames, shots, times and pictures."""
    suffix, look = CODECS[name]
    options = {"movflags": "frag_keyframe+empty_moov"} if suffix.startswith("frag") else None
    path = write_film(tmp_path / f"film.{suffix}", pictures(), look, container_options=options)
    check(path, pictures(), uniform(sum(LENGTHS), look.rate))


@pytest.mark.parametrize(("codec", "pix_fmt"), [("ffv1", "gray"), ("ffv1", "gray16le"), ("rawvideo", "gray")])
def test_grey_films(codec: str, pix_fmt: str, tmp_path: Path) -> None:
    """Film without colour is read, of 8 and of 16 bits."""
    grey = [np.repeat(frame.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2) for frame in pictures()]
    check(write_film(tmp_path / "grey.mkv", grey, Look(codec, pix_fmt)), grey, uniform(sum(LENGTHS)))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov", "nut"])
def test_variable_frame_rate(suffix: str, tmp_path: Path) -> None:
    """Where frames last from 10 to 400 ms, shots begin at their own frame's time, to the container's tick."""
    lengths_ms = [(20, 41, 33, 80, 10, 400)[i % 6] for i in range(sum(LENGTHS))]
    at = tuple(accumulate(lengths_ms, initial=0))
    look = Look(time_base=Fraction(1, 1000), pts=at[:-1], options=B_FRAMES)
    path = write_film(tmp_path / f"variable.{suffix}", pictures(), look)
    got = read(path)
    assert got.film.frames == len(pictures())
    assert got.starts == starts(LENGTHS)
    for found in got.found:
        assert got.seconds(found.shot.start_pts) == pytest.approx(at[found.shot.start_frame] / 1000, abs=0.0006)
    # B-frames are decoded in another order than they are shown: the last one may seem as long as another.
    assert at[-2] / 1000 < got.seconds(got.film.end_pts) <= at[-2] / 1000 + 0.41


@pytest.mark.parametrize(
    "shift", [Fraction(100), WRAP_SECONDS - 2, WRAP_SECONDS - 100], ids=["100 s", "wrap", "late"]
)
def test_transport_stream_clocks(shift: Fraction, tmp_path: Path) -> None:
    """A clock that starts anywhere, or passes its 33 bits within the first seconds, leaves all times right."""
    plain = write_film(tmp_path / "plain.mp4", pictures(), Look(options=B_FRAMES))
    got = check(remux(plain, tmp_path / "film.ts", shift_seconds=shift), pictures(), uniform(sum(LENGTHS)))
    assert got.film.start_pts != 0


def test_transport_stream_clock_that_wraps_later(tmp_path: Path) -> None:
    """A clock that passes its 33 bits more than a minute into the film does not throw its times back."""
    at = tuple(4 * number for number in range(sum(LENGTHS)))
    look = Look(time_base=Fraction(1, 4), pts=at, rate=Fraction(4))
    plain = write_film(tmp_path / "slow.mp4", pictures(), look)
    shifted = remux(plain, tmp_path / "film.ts", shift_seconds=WRAP_SECONDS - 65)
    with av.open(str(shifted)) as container:
        dts = [packet.dts for packet in container.demux(video=0) if packet.dts is not None]
    assert dts[0] < 1 << 33 < dts[-1]
    got = read(shifted)
    assert got.film.frames == len(at)
    assert got.seconds(got.film.end_pts) == pytest.approx(len(at), abs=1.01)
    for found in got.found:
        assert got.seconds(found.shot.start_pts) == pytest.approx(found.shot.start_frame, abs=0.001)


def test_recordings_joined_end_to_end(tmp_path: Path) -> None:
    """Where a broadcast's clock starts again, time goes on, and the shots after it are found as before it."""
    one = write_film(tmp_path / "one.ts", pictures(), Look(options=B_FRAMES))
    (tmp_path / "two.ts").write_bytes(one.read_bytes() * 2)
    got = read(tmp_path / "two.ts")
    length = sum(LENGTHS)
    assert got.film.frames == 2 * length
    assert got.starts == starts(LENGTHS) + [length + start for start in starts(LENGTHS)]
    for found in got.found:
        assert got.seconds(found.shot.start_pts) == pytest.approx(found.shot.start_frame / 24, abs=0.001)


@pytest.mark.parametrize(("skipped", "kept"), [(8, 60), (10, 48), (30, 36)])
def test_edit_list_that_trims_the_film(skipped: int, kept: int, tmp_path: Path) -> None:
    """An MP4 edit list hides frames at both ends: they are not part of the film, and its time starts after them."""
    path = write_film(tmp_path / "edited.mp4", pictures(), Look(options={**B_FRAMES, "g": "250"}))
    with av.open(str(path)) as container:
        ticks_per_frame = int(Fraction(1, 24) / container.streams.video[0].time_base)
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4
    assert struct.unpack_from(">II", data, at) == (0, 1)
    _, media_time = struct.unpack_from(">Ii", data, at + 8)
    struct.pack_into(">Ii", data, at + 8, round(1000 * kept / 24), media_time + skipped * ticks_per_frame)
    path.write_bytes(data)
    cuts = [0, *(start - skipped for start in starts(LENGTHS) if 0 < start - skipped < kept)]
    check(path, pictures()[skipped : skipped + kept], uniform(kept), cuts)


@pytest.mark.parametrize("suffix", ["h264", "avi", "m2v", "hevc", "m4v"])
def test_missing_times_of_presentation(suffix: str, tmp_path: Path) -> None:
    """Streams and containers that have no time of presentation, with B-frames, still give each frame its own."""
    if suffix == "avi":
        check(write_film(tmp_path / "film.avi", pictures(), Look(options=B_FRAMES)), pictures(), uniform(76))
        return
    codec, filtered = {
        "h264": ("libx264", "h264_mp4toannexb"),
        "hevc": ("libx265", "hevc_mp4toannexb"),
        "m2v": ("mpeg2video", "null"),
        "m4v": ("mpeg4", "dump_extra"),
    }[suffix]
    look = Look(codec, rate=Fraction(25), options={"bf": "2"})
    boxed = write_film(tmp_path / "film.mp4", pictures(), look)
    check(raw_stream(boxed, tmp_path / f"film.{suffix}", filtered), pictures(), uniform(76, look.rate))


@pytest.mark.parametrize(
    "look",
    [
        Look(options={"x264-params": "tff=1"}, interlaced=True),
        Look("mpeg2video", rate=Fraction(25), interlaced=True),
    ],
    ids=["h264", "mpeg-2"],
)
def test_interlaced(look: Look, tmp_path: Path) -> None:
    """Two fields of different moments make one frame; cuts between fields of two frames are at that frame."""
    moments = pictures(tuple(2 * length for length in LENGTHS), (160, 96))
    woven = []
    for first, second in zip(moments[::2], moments[1::2], strict=True):
        frame = first.copy()
        frame[1::2] = second[1::2]
        woven.append(frame)
    path = write_film(tmp_path / "interlaced.mkv", woven, look)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    check(path, woven, uniform(sum(LENGTHS), look.rate))


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotated(degrees: int, tmp_path: Path) -> None:
    """A film that the container turns is kept upright."""
    lying = [np.rot90(frame, -degrees // 90) for frame in pictures()]
    path = write_film(tmp_path / "turned.mp4", lying, Look(rotation_degrees=degrees))
    got = check(path, pictures(), uniform(sum(LENGTHS)))
    assert (got.film.info.rotation_degrees - degrees) % 360 == 0
    assert decode_jpeg(got.found[0].pictures[0]).shape == (90, 160, 3)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("mpg", "mpeg2video")])
def test_anamorphic(suffix: str, codec: str, tmp_path: Path) -> None:
    """Pixels that are not square are made square: 16:9 squeezed into 4:3 comes out as 16:9."""
    squeezed = [np.asarray(Picture.fromarray(np.asarray(f)).resize((120, 90))) for f in pictures()]
    look = Look(codec, rate=Fraction(25), sample_aspect=Fraction(4, 3))
    got = check(write_film(tmp_path / f"film.{suffix}", squeezed, look), pictures(), uniform(76, look.rate))
    assert decode_jpeg(got.found[0].pictures[0]).shape == (90, 160, 3)


def test_aspect_that_cannot_be_meant_stays_bounded(tmp_path: Path) -> None:
    """An absurd sample aspect gives a flat picture, not one that fills the memory."""
    path = write_film(tmp_path / "wide.mp4", pictures(), Look(sample_aspect=Fraction(80, 1)))
    height, width = decode_jpeg(read(path).found[0].pictures[0]).shape[:2]
    assert (width, height) == (544, 4)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "webm", "mpg"])
def test_one_frame(suffix: str, tmp_path: Path) -> None:
    """A film of one frame is one shot with one key frame."""
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4", "mpg": "mpeg2video"}.get(suffix, "libx264")
    look = Look(codec, rate=Fraction(25))
    check(write_film(tmp_path / f"one.{suffix}", pictures()[:1], look), pictures()[:1], [0.0, 1 / 25], [0])


def test_still_picture_under_an_hour_of_sound(tmp_path: Path) -> None:
    """A stream much shorter than the sound beside it is not damaged."""
    path = write_film(tmp_path / "still.mkv", pictures()[:1], audio_seconds=20)
    check(path, pictures()[:1], [0.0, 1 / 24], [0])


def test_film_without_a_cut(tmp_path: Path) -> None:
    """A film that is one take is one shot."""
    frames = pictures((70,))
    check(write_film(tmp_path / "take.mp4", frames), frames, uniform(70), [0])


def test_black_leader_and_end_credits(tmp_path: Path) -> None:
    """Black at the beginning and credits rolling over black at the end neither hide nor add cuts."""
    from PIL import ImageDraw

    black = np.zeros_like(pictures()[0])
    roll = []
    for number in range(120):
        sheet = Picture.fromarray(black)
        for line in range(24):
            ImageDraw.Draw(sheet).text((50, 95 + 14 * line - number), f"Credit {line}", fill=(230, 230, 230))
        roll.append(np.asarray(sheet))
    frames = [black] * 40 + list(pictures()) + roll
    got = read(write_film(tmp_path / "whole.mp4", frames))
    assert got.film.frames == len(frames)
    inside = [start for start in got.starts if 40 < start < 40 + 76]
    assert inside == [60, 91]
    assert [s for s in got.starts if 0 < s < 38] == []
    # The credits begin where they are first seen, within their first second and a half, and once.
    assert len([start for start in got.starts if start >= 40 + 76]) <= 1
    assert max(got.starts) < 40 + 76 + 36
    for found in got.found:
        if 40 <= found.shot.start_frame < 40 + 70:
            assert decode_jpeg(found.pictures[0]).mean() > 40


@pytest.mark.parametrize("others_first", [True, False])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_of_two_video_streams_the_larger_is_the_film(suffix: str, others_first: bool, tmp_path: Path) -> None:
    """A small second picture, before or after the film, is passed over."""
    small = [np.asarray(Picture.fromarray(np.asarray(f)).resize((64, 36))) for f in pictures((30, 46))]
    path = write_film(
        tmp_path / f"two.{suffix}", pictures(), others=[(Look(), small)], others_first=others_first
    )  # fmt: skip
    got = check(path, pictures(), uniform(sum(LENGTHS)))
    assert got.film.info.stream_index == int(others_first)


@pytest.mark.parametrize("cover_first", [True, False])
def test_cover_picture_is_not_the_film(cover_first: bool, tmp_path: Path) -> None:
    """A poster attached to the file is passed over, however large, be it the first stream or the last."""
    poster = [np.asarray(Picture.fromarray(np.asarray(pictures()[0])).resize((640, 360)))]
    path = write_film(
        tmp_path / "film.mp4", pictures(), others=[(Look("mjpeg", "yuvj444p", attached=True), poster)]
    )  # fmt: skip
    if cover_first:
        _put_user_data_first(path)
    with av.open(str(path)) as container:
        widths = [stream.width for stream in container.streams.video]
    assert widths == ([640, 160] if cover_first else [160, 640])
    check(path, pictures(), uniform(sum(LENGTHS)))


def _put_user_data_first(path: Path) -> None:
    """Move the box that holds an MP4's cover in front of its tracks."""
    data = path.read_bytes()
    start = data.index(b"moov") - 4
    end, at, boxes = start + int.from_bytes(data[start : start + 4]), start + 8, {}
    while at < end:
        size = int.from_bytes(data[at : at + 4])
        boxes[data[at + 4 : at + 8]] = data[at : at + size]
        at += size
    assert list(boxes) == [b"mvhd", b"trak", b"udta"]
    moved = boxes[b"mvhd"] + boxes[b"udta"] + boxes[b"trak"]
    path.write_bytes(data[: start + 8] + moved + data[end:])


def test_cover_attached_to_matroska_is_not_the_film(tmp_path: Path) -> None:
    """Matroska's attachments are no film either; sound with a cover is sound."""
    import io

    poster = io.BytesIO()
    Picture.fromarray(np.asarray(pictures()[0])).resize((640, 360)).save(poster, "JPEG")
    path = write_film(tmp_path / "film.mkv", pictures(), attachment=poster.getvalue())
    check(path, pictures(), uniform(sum(LENGTHS)))
    song = write_audio(tmp_path / "song.mka", attachment=poster.getvalue())
    with av.open(str(song)) as container:
        assert container.streams.video
    with pytest.raises(NotVideoError, match="audio only"):
        read(song)


@pytest.mark.parametrize("audio_first", [True, False])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_sound_beside_the_film(suffix: str, audio_first: bool, tmp_path: Path) -> None:
    """Sound before or after the picture, and longer than it, changes nothing."""
    codec = "mpeg4" if suffix == "avi" else "libx264"
    path = write_film(
        tmp_path / f"film.{suffix}", pictures(), Look(codec), audio_seconds=5, audio_first=audio_first
    )  # fmt: skip
    check(path, pictures(), uniform(sum(LENGTHS)))


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    """A file of sound alone is refused, whatever its ending."""
    for name in ("song.mp4", "song.mkv", "song.wav"):
        with pytest.raises(NotVideoError, match=rf"{name}: audio only"):
            probe(write_audio(tmp_path / name))


@pytest.mark.parametrize(
    ("size", "suffix", "look"),
    [
        ((16, 16), "mp4", Look()),
        ((16, 16), "mkv", Look("ffv1", "bgr0")),
        ((161, 91), "mkv", Look(pix_fmt="yuv444p")),
        ((161, 91), "avi", Look("rawvideo", "bgr24")),
        ((97, 33), "mkv", Look("ffv1", "yuv420p")),
        ((33, 97), "avi", Look("mpeg4")),
    ],
    ids=str,
)
def test_tiny_and_odd_sizes(size: tuple[int, int], suffix: str, look: Look, tmp_path: Path) -> None:
    """Frames of 16 pixels and of odd sides are read like any others."""
    frames = [np.asarray(Picture.fromarray(np.asarray(f)).resize(size)) for f in pictures()]
    got = check(write_film(tmp_path / f"film.{suffix}", frames, look), frames, uniform(76), picture_error=16)
    assert decode_jpeg(got.found[0].pictures[0]).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("change", [35, 51], ids=["inside a shot", "at a cut"])
@pytest.mark.parametrize("sizes", [((160, 90), (320, 180)), ((320, 180), (96, 54))], ids=str)
def test_frame_size_that_changes_midway(
    sizes: tuple[tuple[int, int], tuple[int, int]], change: int, tmp_path: Path
) -> None:
    """Where the picture's size changes, reading goes on, and all key frames have the first one's size."""
    data = b""
    shown: list[Image] = []
    for size, part in zip(sizes, (pictures()[:change], pictures()[change:]), strict=True):
        frames = [np.asarray(Picture.fromarray(np.asarray(f)).resize(size)) for f in part]
        whole = write_film(tmp_path / "part.mp4", frames, Look(rate=Fraction(25)))
        data += raw_stream(whole, tmp_path / "part.h264", "h264_mp4toannexb").read_bytes()
        shown += frames
    (tmp_path / "film.h264").write_bytes(data)
    got = check(tmp_path / "film.h264", shown, uniform(len(shown), Fraction(25)))
    width, height = sizes[0]
    assert {decode_jpeg(found.pictures[0]).shape for found in got.found} == {(height, width, 3)}


@pytest.mark.parametrize("suffix", ["png", "gif", "webp", "avif"])
def test_pictures_are_no_film(suffix: str, tmp_path: Path) -> None:
    """A picture is refused by what it is, also an animated one and one that hides behind a film's ending."""
    stills = [Picture.fromarray(np.asarray(frame)) for frame in pictures()[::6]]
    path = tmp_path / f"picture.{suffix}"
    stills[0].save(path, save_all=suffix != "avif", append_images=stills[1:])
    for name in (path, path.rename(tmp_path / "picture.mp4")):
        if name.exists():
            with pytest.raises(NotVideoError, match="not a film"):
                probe(name)
