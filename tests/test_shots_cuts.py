"""The measures behind hard cuts, against naive loops; and what must not be taken for a cut."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2s_index.detectors.cuts import (
    MOVING,
    NEIGHBOURS,
    NOISE_VARIANCE,
    across,
    frame_changes,
    neighbourhood,
    structure_distance,
)
from m2s_index.shots import make_detector

RATE = 24


def random_samples(seed, count=6, rows=8, columns=12):
    return np.random.default_rng(seed).integers(0, 256, (count, rows, columns), np.uint8)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_changes_equal_loops_over_tiles(seed):
    samples = random_samples(seed)
    changes = frame_changes(samples)
    for t in range(1, len(samples)):
        difference = np.abs(samples[t].astype(float) - samples[t - 1])
        tiles = sorted(difference[2 * i : 2 * i + 2, 3 * j : 3 * j + 3].mean() for i in range(4) for j in range(4))
        assert changes.mean[t - 1] == pytest.approx(difference.mean(), rel=1e-5)
        assert changes.quiet[t - 1] == pytest.approx(tiles[4], rel=1e-5)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_structure_is_one_minus_pearson_with_noise_in_the_variances(seed):
    samples = random_samples(seed)
    for a, b, distance in zip(
        samples[:-1], samples[1:], structure_distance(samples[:-1], samples[1:]), strict=True
    ):
        covariance = np.cov(a.ravel().astype(float), b.ravel().astype(float), bias=True)
        noise = np.sqrt((covariance[0, 0] + NOISE_VARIANCE) * (covariance[1, 1] + NOISE_VARIANCE))
        assert distance == pytest.approx(1 - covariance[0, 1] / noise, abs=1e-4)


@given(st.lists(st.floats(0, 200, width=32), min_size=1, max_size=30))
@settings(deadline=None)
def test_the_neighbourhood_is_the_mean_of_the_largest_on_each_side(values):
    padded = [0.0] * NEIGHBOURS + values + [0.0] * NEIGHBOURS
    for t, value in enumerate(neighbourhood(np.array(values, np.float32))):
        at = t + NEIGHBOURS
        before = sorted(padded[at - NEIGHBOURS : at])[-MOVING:]
        after = sorted(padded[at + 1 : at + 1 + NEIGHBOURS])[-MOVING:]
        assert value == pytest.approx((sum(before) + sum(after)) / MOVING / 2, rel=1e-4, abs=1e-4)


@given(st.integers(0, 10**6), st.integers(1, 19))
@settings(max_examples=25, deadline=None)
def test_across_is_the_smallest_difference_of_the_listed_pairs(seed, frame):
    samples, flash = random_samples(seed, count=20), 5
    pairs = {(i, j) for i in range(frame - 3, frame) for j in range(frame, frame + 3)}
    pairs |= {(frame - 1, j) for j in range(frame, frame + flash)} | {
        (i, frame) for i in range(frame - flash, frame)
    }
    inside = [(i, j) for i, j in pairs if i >= 0 and j < 20]
    smallest = min(np.abs(samples[i].astype(float) - samples[j]).mean() for i, j in inside)
    assert across(samples, frame, flash)[0] == pytest.approx(smallest)


def texture(seed, size=(144, 600)):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (size[0] // 18 + 2, size[1] // 18 + 2))
    y, x = np.arange(size[0]) / 18, np.arange(size[1]) / 18
    r, c, fr, fc = y.astype(int), x.astype(int), (y % 1)[:, None], (x % 1)[None]
    top = coarse[r][:, c] * (1 - fc) + coarse[r][:, c + 1] * fc
    bottom = coarse[r + 1][:, c] * (1 - fc) + coarse[r + 1][:, c + 1] * fc
    return top * (1 - fr) + bottom * fr


def found_in(pictures, rate=RATE):
    detector = make_detector("adaptive")
    found = []
    for index, image in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.clip(image, 0, 255).astype(np.uint8), format="gray")
        found += detector.push(frame, index, index / rate)
    return [*found, *detector.finish()]


def cuts_in(pictures, rate=RATE):
    return [b.frame for b in found_in(pictures, rate)]


STILL = texture(1)[:, :256]
OTHER = texture(2)[:, :256]


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_a_flash_is_no_cut(length):
    flash = np.full_like(STILL, 235)
    assert cuts_in([STILL] * 40 + [0.1 * STILL + 0.9 * flash] * length + [STILL] * 40) == []


def test_strobing_is_no_cut():
    assert (
        cuts_in([STILL] * 30 + [STILL if i // 2 % 2 else 0.3 * STILL + 140 for i in range(30)] + [STILL] * 30) == []
    )


def test_an_explosion_that_dies_away_is_no_cut():
    heat = [0.5, 0.9, 1, 1, 1, 1, *np.linspace(1, 0, 16)]
    burning = [STILL + h * (235 - STILL) for h in heat]
    assert cuts_in([STILL] * 50 + burning + [STILL] * 50) == []


def test_a_whip_pan_is_no_cut():
    wide = texture(3)
    speed = [0] * 30 + [4, 10, 20, 30, 40, 40, 40, 40, 30, 20, 10, 4] + [0] * 30
    offsets = np.cumsum(speed)
    assert cuts_in([wide[:, o : o + 256] for o in offsets]) == []


@pytest.mark.parametrize("repeat", [2, 3])
def test_cuts_are_found_between_repeated_frames_and_repeats_are_none(repeat):
    wide, other = texture(3), texture(4)
    pictures = [w[:, 6 * i : 6 * i + 256] for w in (wide, other) for i in range(20) for _ in range(repeat)]
    assert cuts_in(pictures) == [20 * repeat]


@pytest.mark.parametrize("rate", [10, 23.976, 25, 60, 120])
def test_cuts_are_found_at_every_rate(rate):
    length = round(rate * 2)
    assert cuts_in([*[STILL] * length, *[OTHER] * length], rate) == [length]


def test_a_cut_to_black_and_one_from_it_are_both_cuts():
    black = np.full_like(STILL, 16)
    assert cuts_in([STILL] * 40 + [black] * 40 + [OTHER] * 40) == [40, 80]


@pytest.mark.parametrize("level", [3, 16, 128, 250])
def test_changes_of_structure_equal_the_direct_formula_at_every_brightness(level):
    samples = np.clip(np.random.default_rng(5).normal(level, 4, (6, 8, 12)), 0, 255).astype(np.uint8)
    expected = structure_distance(samples[:-1], samples[1:])
    assert frame_changes(samples).structure == pytest.approx(expected, abs=1e-3)
