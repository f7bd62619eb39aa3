"""Procedural pictures to learn from: all kinds, varied, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from m2s_index.procedural.sight_view import View, noise, surface
from m2s_index.procedural.sights import KINDS, sights


def test_the_same_seed_gives_the_same_pictures():
    """However many are asked for, and another seed gives others."""
    first, again = list(sights(seed=1, pictures=9)), list(sights(seed=1, pictures=7))
    for a, b in zip(first, again, strict=False):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(again, sights(seed=2, pictures=7), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_varies(kind):
    """Pictures of a kind are grey, exposed, and unlike one another."""
    number = list(KINDS).index(kind)
    pictures = [
        picture for i, picture in enumerate(sights(seed=4, pictures=4 * len(KINDS))) if i % len(KINDS) == number
    ]
    for picture in pictures:
        assert picture.shape == (256, 256, 3)
        assert picture.dtype == np.uint8
        assert (picture == picture[..., :1]).all()
        assert picture.std() > 8
    rows = np.stack([picture[..., 0].ravel() for picture in pictures]).astype(float)
    alike = np.corrcoef(rows) - np.eye(len(rows))
    assert alike.max() < 0.95


def test_noise_has_the_spectrum_that_is_asked_for():
    """Its amplitude falls with frequency by the slope, and it is stronger down than across where it lies flat."""
    generator = np.random.default_rng(0)
    for slope in (0.5, 1.0, 1.5):
        spectrum = np.mean([np.abs(np.fft.fft2(noise(generator, slope))) for _ in range(8)], axis=0)
        radius = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        ring = [spectrum[(low <= radius) & (radius < 1.1 * low)].mean() for low in (0.02, 0.2)]
        assert np.log10(ring[0] / ring[1]) == pytest.approx(slope, abs=0.1)
    flat = np.abs(np.fft.fft2(noise(generator, 1, flat=3)))
    assert flat[1:9, 0].mean() > 2 * flat[0, 1:9].mean()


def test_a_box_is_where_perspective_puts_it():
    """A box's front covers the rays that a pinhole camera sees it by, hides what is behind, and is hidden by none
    that is behind it.
    """
    generator = np.random.default_rng(0)
    view, cover = View(generator, 0), surface(generator, 0, (1, 1))
    view.plane(2, 10, cover)
    wall = view.depth.copy()
    view.box((-1, -0.5, 4), (1, 0.5, 5), cover)
    # Where the ray through a pixel meets the plane z = 4.
    inside = (np.abs(view.x / view.z * 4) < 1) & (np.abs(view.y / view.z * 4) < 0.5)
    np.testing.assert_allclose(view.depth[inside] * view.z[inside], 4, rtol=1e-5)
    behind = (np.abs(view.x / view.z * 5) > 1.5) & np.isfinite(wall)
    np.testing.assert_array_equal(view.depth[behind], wall[behind])
    view.box((-1, -0.5, 6), (1, 0.5, 7), cover)
    np.testing.assert_allclose(view.depth[inside] * view.z[inside], 4, rtol=1e-5)
