"""Procedural films: the truth beside them is what their frames show."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from m2s_index.errors import UsageError, VideoError
from m2s_index.procedural import (
    CODEC_OPTIONS,
    HARD_MIX,
    PLACES,
    EventSpec,
    FilmSpec,
    FilmTruth,
    Grade,
    ShotSpec,
    demo_films,
    evaluation_films,
    film_frames,
    film_truth,
    load_truth,
    make_film,
    render,
    truth_path,
    write_video,
)
from m2s_index.procedural.effects import blend, fade_share

SMALL = (128, 72)
ALL_KINDS = FilmSpec(
    "All Kinds",
    (
        ShotSpec("beach", 24, "start", seed=1, actors=2),
        ShotSpec("office", 40, camera="slow_pan", scene=1, seed=2),
        ShotSpec("snow", 46, "fade_black", 14, scene=2, seed=3),
        ShotSpec("city_night", 44, "fade_white", 12, scene=3, seed=4, camera="zoom"),
        ShotSpec("desert", 30, "dissolve", 16, scene=4, seed=5, camera="handheld"),
        ShotSpec("kitchen", 40, scene=5, seed=6, camera="fast_pan"),
        ShotSpec("forest", 24, framing="close", scene=6, seed=7, events=(EventSpec("flash", 8, 2),)),
        ShotSpec("street", 40, framing="medium", scene=7, seed=8, events=(EventSpec("explosion", 8, 16),)),
        ShotSpec("library", 30, scene=8, seed=9, events=(EventSpec("strobe", 8, 12),)),
        ShotSpec("meadow", 30, scene=9, seed=10, events=(EventSpec("pass", 8, 12),)),
    ),
    1999,
    *SMALL,
)


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])


def step_sizes(luma: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each frame from the one before; the first is 0."""
    return np.concatenate([[0.0], np.abs(np.diff(luma.astype(np.float32), axis=0)).mean(axis=(1, 2))])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FilmTruth, np.ndarray]:
    path = tmp_path_factory.mktemp("films") / ALL_KINDS.file_name
    truth = render(ALL_KINDS, path)
    return path, truth, decode(path)


def test_file_holds_exactly_the_frames_of_the_truth(film: tuple[Path, FilmTruth, np.ndarray]) -> None:
    path, truth, luma = film
    assert path.name == "All Kinds (1999).mp4"
    assert luma.shape == (truth.frames, truth.height_px, truth.width_px) == (348, 72, 128)
    assert truth.shots[0].start_frame == 0
    assert truth.shots[-1].end_frame == truth.frames
    assert all(a.end_frame == b.start_frame for a, b in pairwise(truth.shots))


def test_hard_cut_changes_the_picture_at_exactly_its_frame(film: tuple[Path, FilmTruth, np.ndarray]) -> None:
    _, truth, luma = film
    steps = step_sizes(luma)
    cuts = [shot.start_frame for shot in truth.shots if shot.transition == "cut"]
    assert len(cuts) == 6
    for cut in cuts:
        assert steps[cut] > 12
        assert steps[cut] > 4 * max(steps[cut - 3 : cut].max(), steps[cut + 1 : cut + 4].max())


@pytest.mark.parametrize(("through", "level"), [("black", 0.0), ("white", 255.0)])
def test_fade_reaches_its_colour_and_lasts_as_long_as_the_truth_says(
    film: tuple[Path, FilmTruth, np.ndarray], through: str, level: float
) -> None:
    _, truth, _ = film
    shot = next(s for s in truth.shots if s.through == through)
    assert shot.transition == "fade"
    assert shot.transition_start_frame is not None
    assert shot.transition_end_frame == shot.start_frame
    still = replace(ALL_KINDS, shots=tuple(replace(s, camera="static", actors=0) for s in ALL_KINDS.shots), grain=0)
    frames = list(film_frames(still))
    means = [float(f.mean()) for f in frames[shot.transition_start_frame - 1 : shot.start_frame + 1]]
    gaps = [abs(mean - level) for mean in means]
    bottom = int(np.argmin(gaps))
    assert gaps[bottom] == 0
    assert all(a > b for a, b in pairwise(gaps[: bottom + 1]))
    assert gaps[1] < gaps[0]
    assert gaps[-2] < gaps[-1]
    following = float(frames[shot.start_frame + 1].mean())
    assert abs(means[-1] - following) < 0.5


def test_black_and_white_survive_encoding(film: tuple[Path, FilmTruth, np.ndarray]) -> None:
    _, truth, luma = film
    for shot in truth.shots:
        if shot.through:
            extent = luma[shot.transition_start_frame : shot.transition_end_frame].mean(axis=(1, 2))
            assert extent.min() < 3 if shot.through == "black" else extent.max() > 252


def test_dissolve_is_a_monotone_mixture_of_both_shots(film: tuple[Path, FilmTruth, np.ndarray]) -> None:
    _, truth, _ = film
    shots = (
        ShotSpec("beach", 30, "start", actors=0),
        ShotSpec("library", 20, "dissolve", 10, scene=1, actors=0),
    )
    spec = FilmSpec("Still", shots, None, *SMALL, grain=0)
    frames = [frame.astype(np.float64) for frame in film_frames(spec)]
    old, new = frames[0], frames[-1]
    shares = [float(((f - old) * (new - old)).sum() / ((new - old) ** 2).sum()) for f in frames[19:31]]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert np.allclose(shares, np.arange(12) / 11, atol=0.01)
    for share, frame in zip(shares, frames[19:31], strict=True):
        assert np.abs(frame - (old + share * (new - old))).max() <= 2
    dissolve = next(shot for shot in truth.shots if shot.transition == "dissolve")
    assert dissolve.transition_end_frame == dissolve.start_frame
    assert dissolve.transition_start_frame == dissolve.start_frame - 16


def test_events_lie_where_the_truth_says_and_are_no_cuts(film: tuple[Path, FilmTruth, np.ndarray]) -> None:
    _, truth, luma = film
    assert {event.kind for event in truth.events} == {
        "flash", "explosion", "strobe", "pass", "fast_pan", "handheld",
    }  # fmt: skip
    means = luma.mean(axis=(1, 2))
    steps = step_sizes(luma)
    for event in truth.events:
        shot = truth.shots[event.shot]
        assert shot.start_frame <= event.start_frame < event.end_frame <= shot.end_frame
        inside = slice(event.start_frame, event.end_frame)
        if event.kind == "flash":
            assert means[inside].min() > 200 > means[event.start_frame - 1]
            assert abs(means[event.end_frame] - means[event.start_frame - 1]) < 5
        elif event.kind == "explosion":
            assert means[inside].max() > 200
        elif event.kind in ("strobe", "pass", "fast_pan"):
            assert steps[inside].max() > 3 * steps[event.start_frame - 4 : event.start_frame - 1].max()


def test_camera_and_actors_move(film: tuple[Path, FilmTruth, np.ndarray]) -> None:
    _, truth, luma = film
    for shot in truth.shots[:2]:
        first, later = luma[shot.start_frame + 1].astype(int), luma[shot.start_frame + 9].astype(int)
        assert np.abs(first - later).max() > 40


def test_same_specification_gives_the_same_bytes(tmp_path: Path) -> None:
    spec = make_film(7, shots=4, size=SMALL)
    assert spec == make_film(7, shots=4, size=SMALL) != make_film(8, shots=4, size=SMALL)
    for ending in ("mp4", "mkv"):
        one, two = tmp_path / f"one.{ending}", tmp_path / f"two.{ending}"
        render(spec, one)
        render(spec, two)
        assert one.read_bytes() == two.read_bytes()


def test_truth_comes_back_from_json_in_the_shape_of_m2s_shots(film: tuple[Path, FilmTruth, np.ndarray]) -> None:
    path, truth, _ = film
    assert truth_path(path) == path.with_name("All Kinds (1999).truth.json")
    assert load_truth(path) == load_truth(truth_path(path)) == truth == film_truth(ALL_KINDS, path.stem)
    data = json.loads(truth_path(path).read_text())
    assert data["movie"] == "All Kinds (1999)"
    assert data["frame_rate"] == "24/1"
    assert data["shots"][0] == {
        "index": 0, "start_frame": 0, "end_frame": 24, "start_seconds": 0.0, "end_seconds": 1.0,
        "transition": "start", "place": "beach", "scene": 0,
    }  # fmt: skip
    fade = data["shots"][2]
    assert (fade["transition"], fade["through"]) == ("fade", "black")
    assert (fade["transition_start_frame"], fade["transition_end_frame"], fade["start_frame"]) == (50, 64, 64)


def test_missing_or_foreign_truth_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holiday\.truth\.json: no truth"):
        load_truth(tmp_path / "holiday.mp4")
    for text in ("not JSON", "[]", '{"movie": "x"}', '{"shots": 3}'):
        (tmp_path / "odd.truth.json").write_text(text)
        with pytest.raises(UsageError, match="not the truth of a rendered film"):
            load_truth(tmp_path / "odd.mp4")


def test_demo_films_share_places_and_hold_every_kind_of_transition() -> None:
    films = demo_films()
    truths = [film_truth(film, film.title) for film in films]
    assert len({film.file_name for film in films}) == len(films) == 6
    assert films[0].file_name == "The Long Shore (1987).mp4"
    assert all(36 <= len(film.shots) <= 45 for film in films)
    where: dict[str, set[str]] = {}
    for truth in truths:
        for scene in truth.scenes:
            assert scene.end_shot - scene.first_shot >= 5
            where.setdefault(scene.place, set()).add(truth.movie)
    assert all(len(movies) >= 2 for movies in where.values()), where
    kinds = {shot.transition for truth in truths for shot in truth.shots}
    assert kinds == {"start", "cut", "fade", "dissolve"}
    assert {"flash", "pass", "fast_pan", "handheld"} <= {e.kind for truth in truths for e in truth.events}


def test_evaluation_splits_are_disjoint_and_hold_everything() -> None:
    tune, score = evaluation_films("tune"), evaluation_films("score")
    assert not {film.seed for film in tune} & {film.seed for film in score}
    for films in (tune, score):
        truths = [film_truth(film, film.title) for film in films]
        shots = [shot for truth in truths for shot in truth.shots]
        assert len(shots) == 240
        assert {shot.through for shot in shots} == {None, "black", "white"}
        extents = [s.start_frame - s.transition_start_frame for s in shots if s.transition_start_frame is not None]
        assert min(extents) >= 8
        assert max(extents) > 30
        kinds = {event.kind for truth in truths for event in truth.events}
        assert kinds == {"flash", "explosion", "strobe", "pass", "fast_pan", "handheld"}
    with pytest.raises(ValueError, match="tune, score"):
        evaluation_films("test")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_events_keep_clear_of_boundaries_and_transitions(seed: int) -> None:
    truth = film_truth(make_film(seed, shots=80, mix=HARD_MIX, size=SMALL), "x")
    for event in truth.events:
        if event.kind == "handheld":
            continue
        shot = truth.shots[event.shot]
        after = truth.shots[event.shot + 1] if event.shot + 1 < len(truth.shots) else None
        clear = shot.end_frame if after is None else after.transition_start_frame or shot.end_frame
        assert shot.start_frame + 5 <= event.start_frame
        assert event.end_frame <= clear


@pytest.mark.parametrize("place", PLACES)
def test_every_place_renders_at_every_framing(place: str) -> None:
    shots = (
        ShotSpec(place, 2, "start", framing="wide", actors=4),
        ShotSpec(place, 2, framing="medium", seed=1, actors=4, offset=1.0),
        ShotSpec(place, 2, framing="close", seed=2, actors=4, offset=0.0),
    )
    frames = list(film_frames(FilmSpec(place, shots, None, *SMALL, grade=Grade(contrast=0.8, saturation=0.5))))
    assert len(frames) == 6
    assert all(frame.shape == (72, 128, 3) and frame.dtype == np.uint8 for frame in frames)
    assert all(frame.std() > 8 for frame in frames)


def test_failed_rendering_leaves_no_truth_behind(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    render(make_film(3, shots=1, size=SMALL), path)
    assert truth_path(path).exists()
    with pytest.raises(VideoError):
        render(make_film(3, shots=1, size=SMALL, codec="no-such-codec"), path)
    assert not truth_path(path).exists()
    with pytest.raises(ValueError, match="no place 'moon'"):
        render(FilmSpec("Moon", (ShotSpec("moon", 4, "start"),)), path)


def test_specifications_that_cannot_be_rendered_are_refused() -> None:
    start = ShotSpec("beach", 10, "start")
    for shots, message in (
        ((), "at least one shot"),
        ((ShotSpec("beach", 10),), "begins with 'start'"),
        ((start, start), "begins with 'start'"),
        ((start, ShotSpec("snow", 0)), "at least 1"),
        ((start, ShotSpec("snow", 9, "dissolve")), "cannot last 0"),
        ((start, ShotSpec("snow", 9, "cut", 5)), "cannot last 5"),
        ((start, ShotSpec("snow", 9, "dissolve", 10)), "do not fit"),
        ((replace(start, events=(EventSpec("flash", 9, 2),)),), "not inside its shot"),
    ):
        with pytest.raises(ValueError, match=message):
            FilmSpec("Bad", shots)
    with pytest.raises(ValueError, match="not even"):
        FilmSpec("Bad", (start,), None, 321, 180)
    with pytest.raises(ValueError, match="no place moon; there are beach"):
        make_film(1, places=["moon"])


@pytest.mark.parametrize("length", range(4, 41))
def test_fade_of_any_length_covers_all_and_begins_and_ends_inside(length: int) -> None:
    shares = [fade_share(step, length) for step in range(length)]
    assert 0 < shares[0] <= 1
    assert 0 < shares[-1] <= 1
    assert max(shares) == 1.0
    turn = shares.index(1.0)
    assert all(a <= b for a, b in pairwise(shares[: turn + 1]))
    assert all(a >= b for a, b in pairwise(shares[turn:]))


def test_blend_is_the_weighted_mean() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    for share in (0.0, 0.25, 0.5, 1.0):
        expected = (1 - share) * a.astype(float) + share * b.astype(float)
        assert np.abs(blend(a, b, share) - expected).max() <= 1
    assert (blend(a, 255, 1.0) == 255).all()


def frames_of_squares(count: int) -> list[np.ndarray]:
    frames = np.full((count, 64, 96, 3), 60, np.uint8)
    for index in range(count):
        frames[index, 8:40, 8 + index : 40 + index] = 220
    return list(frames)


@pytest.mark.parametrize(
    ("codec", "ending", "name"),
    [
        ("libx264", "mp4", "h264"),
        ("libx264", "ts", "h264"),
        ("libx265", "mkv", "hevc"),
        ("libvpx-vp9", "webm", "vp9"),
        ("libsvtav1", "mp4", "av1"),
        ("mpeg2video", "mpg", "mpeg2video"),
        ("mpeg4", "avi", "mpeg4"),
    ],
)
def test_every_codec_writes_all_frames(tmp_path: Path, codec: str, ending: str, name: str) -> None:
    path = tmp_path / f"film.{ending}"
    assert codec in CODEC_OPTIONS
    assert write_video(path, frames_of_squares(12), rate=25, codec=codec) == 12
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name.replace("libdav1d", "av1").startswith(name)
    luma = decode(path)
    assert luma.shape == (12, 64, 96)
    assert abs(float(luma[5, 20, 20]) - 220) < 12


def test_own_times_make_a_film_of_variable_rate(tmp_path: Path) -> None:
    times = [100, 140, 150, 230, 231, 300]
    path = tmp_path / "vfr.mkv"
    write_video(path, frames_of_squares(6), rate=25, time_base=Fraction(1, 1000), pts=times)
    with av.open(str(path)) as container:
        seen = [frame.pts * frame.time_base * 1000 for frame in container.decode(video=0)]
    assert seen == times


def test_ten_bit_and_422_are_written(tmp_path: Path) -> None:
    for pix_fmt in ("yuv420p10le", "yuv422p"):
        path = tmp_path / f"{pix_fmt}.mp4"
        write_video(path, frames_of_squares(3), rate=24, pix_fmt=pix_fmt)
        with av.open(str(path)) as container:
            assert container.streams.video[0].format.name == pix_fmt


def test_writer_refuses_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frames to write"):
        write_video(tmp_path / "empty.mp4", [], rate=24)
    for codec, name in (("no-such-codec", "a.mp4"), ("libx264", "a.no-such-ending")):
        with pytest.raises(VideoError, match="cannot write it"):
            write_video(tmp_path / name, frames_of_squares(2), rate=24, codec=codec)


def test_library_stays_light_without_the_renderer() -> None:
    code = "import m2s_index, sys; assert not {'av', 'PIL', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
