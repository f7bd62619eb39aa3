"""Dissolves and fades: the measures against naive formulas, the detector against films made here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_shots_cuts import OTHER, RATE, STILL, found_in, texture

from m2s_index.detectors.gradual import (
    MAX_SURPRISE,
    dissolve_strength,
    fade_in_end,
    fade_out_start,
    lag_products,
    mixture_extent,
    moments,
    thumbnails,
)


def test_thumbnails_are_means_of_two_by_two_samples():
    samples = np.random.default_rng(0).integers(0, 256, (3, 4, 8), np.uint8)
    naive = samples.reshape(3, 2, 2, 4, 2).mean(axis=(2, 4)).reshape(3, -1) - 128
    assert np.allclose(thumbnails(samples), naive)


def strength(thumbs, half):
    return dissolve_strength(moments(thumbs), lag_products(thumbs, half), lag_products(thumbs, 2 * half), half)


def naive_strength(a, m, b):
    mixture = (a + b) / 2
    surprise = ((m - mixture) ** 2).mean() / (((b - a) / 2) ** 2).mean()
    dip = ((a.var() + b.var()) / 2 - m.var()) / ((a.var() + b.var()) / 2 - mixture.var())
    structure = 1 - np.corrcoef(a, b)[0, 1]
    return np.clip(structure, 0, 1) * np.clip(dip, 0, 1) * max(MAX_SURPRISE - surprise, 0)


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_strength_is_the_product_of_its_three_parts(seed, half):
    rng = np.random.default_rng(seed)
    ends = rng.normal(0, 50, (2, 200))
    share = np.sort(rng.random(12))[:, None]
    thumbs = (ends[0] * (1 - share) + ends[1] * share + rng.normal(0, 10, (12, 200))).astype(np.float32)
    for centre, value in enumerate(strength(thumbs, half), start=half):
        a, m, b = (thumbs[centre + k].astype(float) for k in (-half, 0, half))
        if 2 * np.sqrt((((b - a) / 2) ** 2).mean()) > 9 and min(a.var(), b.var()) > 61:
            assert value == pytest.approx(naive_strength(a, m, b), abs=0.03)


def test_a_perfect_mixture_is_strongest_and_a_cut_or_three_pictures_are_nothing():
    a, b, c = np.random.default_rng(1).normal(0, 50, (3, 500)).astype(np.float32)
    assert strength(np.stack([a, (a + b) / 2, b]), 1)[0] > 1.1
    assert strength(np.stack([a, a, b]), 1)[0] < 0.1
    assert strength(np.stack([a, c, b]), 1)[0] < 0.1


@pytest.mark.parametrize("length", [4, 9, 24])
def test_the_extent_of_a_linear_mixture_is_exact_to_a_frame(length):
    a, b = np.random.default_rng(2).normal(0, 50, (2, 300)).astype(np.float32)
    shares = [0] * 40 + [(k + 1) / (length + 1) for k in range(length)] + [1] * 40
    thumbs = np.stack([a * (1 - s) + b * s for s in shares])
    start, end = mixture_extent(thumbs, 40 + length // 2, max(6, length // 2 + 3))
    assert abs(start - 40) <= 1
    assert abs(end - (40 + length)) <= 1


def test_the_ends_of_a_fade_are_where_the_contrast_is_full():
    contrasts = np.array([40, 41, 40, 30, 20, 10, 0, 0, 0, 8, 16, 24, 32, 33, 32], np.float32)
    assert fade_out_start(contrasts, 6) == 3
    assert fade_in_end(contrasts, 9) == 12


def test_a_cut_to_or_from_black_has_no_ramp():
    contrasts = np.array([40, 41, 40, 0, 0, 38, 38, 39], np.float32)
    assert fade_out_start(contrasts, 3) == 3
    assert fade_in_end(contrasts, 5) == 5


def faded(picture, colour, shares):
    return [picture * s + colour * (1 - s) for s in shares]


def ramp(length):
    """Shares strictly between 0 and 1, rising."""
    return [(k + 1) / (length + 1) for k in range(length)]


@pytest.mark.parametrize("colour", [16, 235])
@pytest.mark.parametrize(("out_length", "in_length"), [(12, 12), (4, 20), (30, 6)])
@pytest.mark.parametrize("held", [1, 10, 300])
def test_a_fade_through_black_or_white_is_one_boundary_with_its_extent(colour, out_length, in_length, held):
    film = [STILL] * 60 + faded(STILL, colour, ramp(out_length)[::-1]) + [np.full_like(STILL, colour)] * held
    film += faded(OTHER, colour, ramp(in_length)) + [OTHER] * 60
    (boundary,) = found_in(film)
    assert boundary.transition == "fade"
    assert boundary.frame == boundary.transition_end_frame
    assert abs(boundary.transition_start_frame - 60) <= 2
    assert abs(boundary.frame - (60 + out_length + held + in_length)) <= 2


@pytest.mark.parametrize("colour", [16, 235])
@pytest.mark.parametrize("after", [STILL, OTHER])
def test_a_slow_fade_out_is_one_whatever_it_is_cut_to(colour, after):
    """Series begin each part with the picture that the last one faded away from."""
    film = [STILL] * 60 + faded(STILL, colour, ramp(18)[::-1]) + [np.full_like(STILL, colour)] * 10 + [after] * 60
    (boundary,) = found_in(film)
    assert (boundary.transition, boundary.frame) == ("fade", 88)
    assert abs(boundary.transition_start_frame - 60) <= 2


@pytest.mark.parametrize("colour", [16, 235])
def test_light_that_goes_in_a_moment_and_comes_back_at_once_is_no_fade(colour):
    film = [STILL] * 60 + faded(STILL, colour, ramp(4)[::-1]) + [np.full_like(STILL, colour)] * 3 + [STILL] * 60
    assert found_in(film) == []


@pytest.mark.parametrize("length", [6, 12, 24, 48])
def test_a_dissolve_is_one_boundary_with_its_extent(length):
    film = [STILL] * 60 + [STILL * (1 - s) + OTHER * s for s in ramp(length)] + [OTHER] * 60
    (boundary,) = found_in(film)
    assert boundary.transition == "dissolve"
    assert abs(boundary.transition_start_frame - 60) <= 2
    assert abs(boundary.frame - (60 + length)) <= 2


@pytest.mark.parametrize("rate", [12, 30, 60])
def test_a_dissolve_of_a_second_is_found_at_every_rate(rate):
    film = [STILL] * rate * 2 + [STILL * (1 - s) + OTHER * s for s in ramp(rate)] + [OTHER] * rate * 2
    assert [b.transition for b in found_in(film, rate)] == ["dissolve"]


def test_fades_from_the_first_frame_and_to_the_last_open_no_shot():
    film = faded(STILL, 16, [0, 0, 0, *ramp(20)]) + [STILL] * 80 + faded(STILL, 16, [*ramp(20)[::-1], 0, 0, 0])
    assert found_in(film) == []


def test_a_slow_pan_and_a_lamp_that_dims_are_no_transitions():
    wide = texture(5)
    assert found_in([wide[:, i : i + 256] for i in range(200)]) == []
    assert found_in([STILL * (0.4 + 0.6 * abs(np.cos(i / RATE))) for i in range(200)]) == []
