"""Clips against a naive look at every frame: films whose frames carry their numbers, in containers of all kinds."""

from fractions import Fraction

import numpy as np
import pytest
from film_factory import Look, boxed, raw_stream, remux, truncated, write_film
from PIL import Image as Picture

from m2s_index import clips
from m2s_index.clips import ClipFound, clip_times, read_clips
from m2s_index.errors import DamagedVideoError
from m2s_index.extract import FilmRead, ShotFound, extract
from m2s_index.shots import Boundary
from m2s_index.types import BuildOptions, ClipSpec, Crop
from m2s_index.video import FramePictures, VideoReader

SPEC = ClipSpec(frames=16, rate=Fraction(30), side_px=48)
SLOWFAST = ClipSpec(frames=64, rate=Fraction(30), side_px=256)


def numbered(number, width=64):
    """A picture of 48 rows that carries its number: nine squares in its middle, black or white, a bit each."""
    picture = np.full((48, width, 3), 128, np.uint8)
    left = (width - 48) // 2
    for bit in range(9):
        row, column = divmod(bit, 3)
        picture[16 * row : 16 * row + 16, left + 16 * column : left + 16 * column + 16] = 255 * (number >> bit & 1)
    return picture


def number_in(picture):
    """The number that a square picture carries."""
    cells = picture.reshape(3, 16, 3, 16, 3).mean(axis=(1, 3, 4)).ravel()
    assert (np.abs(cells - 128) > 60).all(), cells
    return sum(1 << bit for bit, level in enumerate(cells) if level > 128)


def numbers(found):
    return [number_in(picture) for picture in found.frames]


def naive(path, spans, spec=SPEC):
    """The numbers that clips should show: every frame is decoded, and each sample's looked up among all."""
    with VideoReader(path) as reader:
        shown = [pts for pts, _ in reader.frames()]
        tick = reader.info.time_base
    clips = []
    for start, end in spans:
        length, spacing = (end - start) * tick, 1 / spec.rate
        begin = start * tick + max(0, (length - spec.frames * spacing) / 2)
        times = [begin + i * spacing for i in range(spec.frames)]
        within = [(i, pts) for i, pts in enumerate(shown) if start <= pts < end]
        clips.append([max(i for i, pts in within if pts * tick <= max(t, start * tick)) for t in times])
    return shown, clips


def spans_of(shown, cuts):
    """Scenes that begin at these frames, the last one ending with the film."""
    ends = [*cuts[1:], None]
    return [(shown[a], shown[-1] + 1 if b is None else shown[b]) for a, b in zip(cuts, ends, strict=True)]


# --- when ---------------------------------------------------------------------------------------------


def test_a_long_scenes_clip_is_its_middle():
    """64 frames of a scene of 300 at 30 a second leave 118 on either side."""
    assert clip_times(0, 300, Fraction(1, 30), SLOWFAST) == list(range(118, 182))
    assert clip_times(1000, 1300, Fraction(1, 30), SLOWFAST) == list(range(1118, 1182))


def test_a_short_scene_repeats_its_last_moment():
    """Ten frames are seen once each, then the last one 54 times more; nothing of the next scene."""
    assert clip_times(50, 60, Fraction(1, 30), SLOWFAST) == [*range(50, 60), *[59] * 54]
    assert clip_times(7, 8, Fraction(1, 24), SLOWFAST) == [7] * 64
    assert clip_times(0, 64, Fraction(1, 30), SLOWFAST) == list(range(64))


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(60)])
def test_other_rates_are_sampled_at_exact_times(rate):
    """At 60 frames a second every second one; at 24, five samples of four frames, without drift in an hour."""
    times = clip_times(0, 3600 * 90_000, Fraction(1, 90_000), SLOWFAST)
    assert times[0] == 1800 * 90_000 - 32 * 3000
    assert set(np.diff(times)) == {3000}
    seen = [int(Fraction(pts, 90_000) * rate) for pts in times]
    assert len(set(seen)) == pytest.approx(min(64, 64 * rate / 30), abs=1)


# --- which frames -------------------------------------------------------------------------------------

H264 = {"g": "250", "bf": "3", "crf": "12", "b_strategy": "0"}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Films of 400 numbered frames, written once, by what is odd about them."""
    folder = tmp_path_factory.mktemp("numbered")
    frames = [numbered(i) for i in range(400)]
    rough = np.cumsum(1 + np.random.default_rng(0).integers(0, 90, 400)).tolist()
    made = {
        "b-frames": write_film(folder / "b.mp4", frames, Look(options=H264)),
        "short GOPs": write_film(folder / "g.mkv", frames, Look(options=H264 | {"g": "12"})),
        "unsteady": write_film(
            folder / "vfr.mkv", frames, Look(options=H264, time_base=Fraction(1, 1000), pts=tuple(rough))
        ),
        "fragments": write_film(
            folder / "f.mp4",
            frames,
            Look(options=H264 | {"g": "50"}),
            container_options={"movflags": "frag_keyframe"},
        ),
        "fast": write_film(folder / "fast.mp4", frames, Look(options=H264, rate=Fraction(60000, 1001))),
    }
    made["late"] = remux(made["b-frames"], folder / "late.mp4", shift_seconds=Fraction(7))
    steady = tuple(100_000 + 41 * i for i in range(400))
    look = Look(options=H264 | {"g": "12"}, time_base=Fraction(1, 1000), pts=steady)
    made["late, in Matroska"] = write_film(folder / "late.mkv", frames, look)
    made["transport stream"] = remux(made["b-frames"], folder / "t.ts", shift_seconds=Fraction(900))
    made["AVI"] = write_film(folder / "a.avi", frames, Look("mpeg4", options={"g": "30", "bf": "2", "q": "2"}))
    made["bare stream"] = raw_stream(made["b-frames"], folder / "b.h264", "h264_mp4toannexb")
    return made


KINDS = [
    "b-frames", "short GOPs", "unsteady", "fragments", "fast", "late", "late, in Matroska", "transport stream",
    "AVI", "bare stream",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_clips_show_the_frames_of_their_times(films, kind):
    """Scenes long and short, one after the other, in every kind of file: each sample is the frame then shown."""
    shown, _ = naive(films[kind], [])
    spans = spans_of(shown, [0, 1, 5, 100, 103, 120, 350, 390])
    found = list(read_clips(films[kind], spans, SPEC, keyframe_px=544))
    assert [clip.scene for clip in found] == list(range(8))
    assert all(clip.frames.shape == (16, 48, 48, 3) and clip.frames.dtype == np.uint8 for clip in found)
    assert [numbers(clip) for clip in found] == naive(films[kind], spans)[1]


def test_scenes_that_overlap(films):
    """Windows of shots with a smaller stride: their clips run side by side, and come in order."""
    shown, _ = naive(films["b-frames"], [])
    cuts = [*range(0, 60, 4), *range(60, 380, 40), 399]
    spans = [(shown[a], shown[b]) for a, b in zip(cuts, cuts[5:], strict=False)]
    found = list(read_clips(films["b-frames"], spans, SPEC, keyframe_px=544))
    assert [clip.scene for clip in found] == list(range(len(spans)))
    assert [numbers(clip) for clip in found] == naive(films["b-frames"], spans)[1]


@pytest.mark.parametrize(("kind", "whole"), [("short GOPs", False), ("late, in Matroska", False), ("AVI", True)])
def test_what_lies_between_is_sought_over_where_times_are_stated(films, kind, whole):
    """One clip at the end: its GOP is decoded; where there are no sure times, all before it."""
    shown, _ = naive(films[kind], [])
    decoded = []
    list(
        read_clips(
            films[kind],
            spans_of(shown, [370]),
            SPEC,
            keyframe_px=544,
            on_progress=lambda frames, seconds: decoded.append((frames, seconds)),
        )
    )
    assert (decoded[-1][0] > 380) == whole
    assert decoded[-1][0] < 40 or whole
    assert decoded[-1][1] == pytest.approx(385 / 24, abs=0.5)


@pytest.mark.parametrize("late_seconds", [3, 60])
def test_a_seek_that_lands_too_late_is_tried_again_from_further_back(films, monkeypatch, late_seconds):
    """Containers may go by decoding times, or have a wrong index: the frames shown are the right ones anyway."""
    seek = VideoReader.seek

    def seek_late(self, pts):
        beginning = self.info.start_pts
        late = round(late_seconds / self.info.time_base) if pts > beginning else 0
        seek(self, pts + late)

    monkeypatch.setattr(VideoReader, "seek", seek_late)
    shown, _ = naive(films["short GOPs"], [])
    spans = spans_of(shown, [180, 200, 300])
    found = list(read_clips(films["short GOPs"], spans, SPEC, keyframe_px=544))
    assert [numbers(clip) for clip in found] == naive(films["short GOPs"], spans)[1]


CUTS = [Boundary(frame, "cut") for frame in (100, 150, 300)]


def test_a_pass_that_is_asked_for_clips_reads_them_before_it_ends(films):
    """Shots first, then a clip a scene, then the film as a whole; its progress never goes back."""
    told = []
    options = BuildOptions(scene_shots=2, scene_stride=2)
    said = list(
        extract(films["b-frames"], options, cuts=CUTS, clip=SPEC, on_progress=lambda *now: told.append(now))
    )
    assert [type(one) for one in said] == [*[ShotFound] * 4, *[ClipFound] * 2, FilmRead]
    shown, _ = naive(films["b-frames"], [])
    spans = [(shown[0], shown[150]), (shown[150], said[-1].end_pts)]
    assert [numbers(clip) for clip in said[4:6]] == naive(films["b-frames"], spans)[1]
    assert told == sorted(told)
    assert told[-1][1] == pytest.approx(400 / 24, abs=0.1)
    plain = list(extract(films["b-frames"], options, cuts=CUTS))
    assert plain == [*said[:4], said[-1]]


def test_a_film_that_ends_early_shows_its_last_frame(films, tmp_path):
    """A scene of which the file has lost the end."""
    cut = truncated(films["short GOPs"], tmp_path / "cut.mkv", 0.5)
    with VideoReader(cut) as reader:
        *_, (last_pts, frame) = reader.frames()
        last = number_in(FramePictures(reader.info, 64).rgb(frame)[:, 8:56])
    assert 100 < last < 300
    for span in ((last_pts - 100, last_pts + 1000), (last_pts + 5000, last_pts + 9000)):
        (found,) = read_clips(cut, [span], SPEC, keyframe_px=544)
        assert numbers(found)[-1] == last


def test_an_index_that_cannot_be_sought_in_is_an_error_that_names_the_film(films, monkeypatch):
    """And says what to do."""
    with VideoReader(films["bare stream"]) as reader, pytest.raises(DamagedVideoError, match=r"b\.h264: .*again"):
        reader.seek(1 << 62)


# --- how they look ------------------------------------------------------------------------------------


def pattern(width, height):
    """Gradients and edges that no two places share."""
    y, x = np.mgrid[0:height, 0:width]
    checks = 40 * ((x // 40 + y // 40) % 2)
    return np.stack([x * 200 / width + checks, y * 200 / height + checks, 100 + checks], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (320, 180), (200, 200), (1280, 544)])
def test_the_middle_square_is_scaled_to_the_side(tmp_path, size):
    """Larger and smaller pictures, wide and tall: as Pillow would cut and scale the whole frame."""
    path = write_film(tmp_path / "p.mp4", [pattern(*size)] * 3, Look(options={"crf": "8"}))
    (found,) = read_clips(path, [(0, 3 * 512)], ClipSpec(2, Fraction(30), 256), keyframe_px=544)
    with VideoReader(path) as reader:
        whole = FramePictures(reader.info, max(size)).rgb(next(reader.frames())[1])
    left, top = (size[0] - min(size)) // 2, (size[1] - min(size)) // 2
    square = Picture.fromarray(whole).crop((left, top, left + min(size), top + min(size)))
    expected = np.asarray(square.resize((256, 256), Picture.Resampling.BILINEAR), np.float32)
    assert np.abs(found.frames[0] - expected).mean() < 3


def test_bars_are_cut_off_wherever_key_frames_are_smaller(tmp_path):
    """The crop lies in a key frame's pixels; the clip has the film's own resolution."""
    frame = boxed(pattern(640, 360), top=60, bottom=60, left=0, right=0)
    path = write_film(tmp_path / "p.mp4", [frame] * 3, Look(options={"crf": "8"}))
    crop = Crop(0, 30, 320, 120)
    (found,) = read_clips(path, [(0, 1)], ClipSpec(1, Fraction(30), 240), crop=crop, keyframe_px=320)
    expected = np.asarray(Picture.fromarray(frame).crop((200, 60, 440, 300)), np.float32)
    assert np.abs(found.frames[0] - expected).mean() < 3


def test_turned_and_squeezed_films_are_upright(tmp_path):
    """As their key frames are."""
    look = Look(options={"crf": "8"}, rotation_degrees=90, sample_aspect=Fraction(2))
    path = write_film(tmp_path / "p.mp4", [pattern(320, 360)] * 3, look)
    (found,) = read_clips(path, [(0, 1)], ClipSpec(1, Fraction(30), 256), keyframe_px=544)
    with VideoReader(path) as reader:
        assert reader.info.rotation_degrees == 90
        upright = Picture.fromarray(FramePictures(reader.info, 640).rgb(next(reader.frames())[1]))
    assert upright.size == (360, 640)
    expected = np.asarray(upright.crop((0, 140, 360, 500)).resize((256, 256)), np.float32)
    assert np.abs(found.frames[0] - expected).mean() < 3


def test_a_repr_for_logs_holds_no_pixels():
    """A clip is megabytes."""
    assert repr(ClipFound(3, np.zeros((2, 4, 4, 3), np.uint8))) == "ClipFound(scene 3, 2 frames of 4×4)"


# --- real films ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["sintel_2010_trailer_204p.mp4", "bbb_first30s_720p_vp8.webm", "nasa_13013_180p.mp4"]
)
def test_real_films_give_the_same_pixels_wherever_it_sought(shared_data, name, monkeypatch):
    """Fragmented MP4 from HLS, VP8 and others: by seeking, and by decoding all that lies between."""
    path = shared_data / "video" / name
    shown, _ = naive(path, [])
    cuts = sorted({0, *np.random.default_rng(0).integers(0, len(shown) - 1, 8).tolist()})
    sought = list(read_clips(path, spans_of(shown, cuts), SPEC, keyframe_px=544))
    monkeypatch.setattr(clips, "SOUGHT_FORMATS", frozenset())
    for got, expected in zip(sought, read_clips(path, spans_of(shown, cuts), SPEC, keyframe_px=544), strict=True):
        np.testing.assert_array_equal(got.frames, expected.frames)
