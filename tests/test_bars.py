"""Letterbox and pillarbox bars are found, and nothing else is taken for them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from film_factory import Look, boxed, pictures, write_film
from PIL import Image as Picture
from PIL import ImageDraw

from m2s_index.bars import BarFinder
from m2s_index.extract import FilmRead, extract
from m2s_index.types import BuildOptions, Crop, Image

SIZE = (320, 180)
LENGTHS = (16, 16, 20, 16, 20, 16)


def film(size: tuple[int, int] = SIZE) -> tuple[Image, ...]:
    return pictures(LENGTHS, size)


def crop_of(path: Path) -> Crop | None:
    *_, read = extract(path, BuildOptions())
    assert isinstance(read, FilmRead)
    return read.crop


def assert_crop(crop: Crop | None, left: int, top: int, right: int, bottom: int) -> None:
    """The picture's four edges, each to 2 pixels."""
    assert crop is not None
    edges = (crop.left_px, crop.top_px, crop.left_px + crop.width_px, crop.top_px + crop.height_px)
    assert np.abs(np.subtract(edges, (left, top, right, bottom))).max() <= 2, crop


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right"),
    [(24, 24, 0, 0), (0, 0, 40, 40), (20, 20, 36, 36), (23, 25, 0, 0), (6, 6, 0, 0), (50, 50, 0, 0)],
    ids=["letterbox", "pillarbox", "window", "uneven", "thin", "thick"],
)
def test_bars_are_found_to_two_pixels(top: int, bottom: int, left: int, right: int, tmp_path: Path) -> None:
    """The crop is the picture inside the bars."""
    path = write_film(tmp_path / "film.mp4", [boxed(frame, top, bottom, left, right) for frame in film()])
    assert_crop(crop_of(path), left, top, SIZE[0] - right, SIZE[1] - bottom)


@pytest.mark.parametrize(
    ("suffix", "look"),
    [
        ("mp4", Look(pix_fmt="yuv420p10le")),
        ("mp4", Look(options={"crf": "35"})),
        ("mkv", Look("ffv1", "bgr0")),
        ("mpg", Look("mpeg2video", rate=Fraction(25))),
        ("avi", Look("mjpeg", "yuvj420p")),
    ],
    ids=["10 bits", "poorly coded", "rgb", "mpeg-2", "full range"],
)
def test_bars_in_every_kind_of_stream(suffix: str, look: Look, tmp_path: Path) -> None:
    """Depth, range, colour model and the dirt of poor coding do not hide the bars."""
    path = write_film(tmp_path / f"film.{suffix}", [boxed(frame, 24, 24, 0, 0) for frame in film()], look)
    assert_crop(crop_of(path), 0, 24, 320, 156)


def test_bars_of_a_large_film_are_those_of_its_stored_pictures(tmp_path: Path) -> None:
    """The crop counts pixels of the key frames as they are stored, not of the film."""
    frames = [boxed(frame, 50, 50, 0, 0) for frame in pictures((12, 12, 12), (800, 450))]
    assert_crop(crop_of(write_film(tmp_path / "film.mp4", frames)), 0, 34, 544, 272)


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_bars_of_a_rotated_film(degrees: int, tmp_path: Path) -> None:
    """Bars are where they are seen once the film is upright, also where they are of two widths."""
    upright = [boxed(frame, 20, 26, 0, 0) for frame in film()]
    lying = [np.rot90(frame, -degrees // 90) for frame in upright]
    path = write_film(tmp_path / "film.mp4", lying, Look(rotation_degrees=degrees))
    assert_crop(crop_of(path), 0, 20, 320, 154)


def test_bars_of_an_anamorphic_film(tmp_path: Path) -> None:
    """Bars are measured in square pixels."""
    frames = [boxed(frame, 0, 0, 30, 30) for frame in film()]
    assert_crop(
        crop_of(write_film(tmp_path / "film.mp4", frames, Look(sample_aspect=Fraction(4, 3)))), 40, 0, 387, 180
    )


@pytest.mark.parametrize("strength", [0.08, 0.15, 0.3, 0.5])
def test_dark_films_are_not_cropped(strength: float, tmp_path: Path) -> None:
    """A film that is dark all over has no bars."""
    frames = [(frame * strength).astype(np.uint8) for frame in film()]
    assert crop_of(write_film(tmp_path / "film.mp4", frames)) is None


def test_dark_film_with_bars(tmp_path: Path) -> None:
    """A dark picture between bars is told from the bars."""
    frames = [boxed((frame * 0.4).astype(np.uint8), 24, 24, 0, 0) for frame in film()]
    assert_crop(crop_of(write_film(tmp_path / "film.mp4", frames)), 0, 24, 320, 156)


def _spotlight(frame: Image) -> Image:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    lit = (x - 160) ** 2 + (y - 90) ** 2 < 50**2
    return np.where(lit[..., None], frame, (frame * 0.05).astype(np.uint8))


def _dark_sky(frame: Image) -> Image:
    dark = frame.copy()
    dark[:60] = 4
    return dark


def _dark_side(frame: Image) -> Image:
    dark = frame.copy()
    dark[:, :100] = 2
    return dark


@pytest.mark.parametrize("darken", [_spotlight, _dark_sky, _dark_side])
def test_darkness_that_is_no_bar(darken: Callable[[Image], Image], tmp_path: Path) -> None:
    """A spotlight on a dark stage, a night sky, one dark side: bars come in pairs and leave a picture."""
    assert crop_of(write_film(tmp_path / "film.mp4", [darken(frame) for frame in film()])) is None


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_bars_in_part_of_the_film_are_left(share: float, tmp_path: Path) -> None:
    """Where some shots fill the frame, nothing is cut off them."""
    frames = film()
    full = int(share * len(frames))
    mixed = [frame if number < full else boxed(frame, 24, 24, 0, 0) for number, frame in enumerate(frames)]
    assert crop_of(write_film(tmp_path / "film.mp4", mixed)) is None


def test_black_frames_say_nothing_of_bars(tmp_path: Path) -> None:
    """A black leader and fades do not make bars, nor hide them."""
    black = [np.zeros_like(film()[0])] * 40
    plain = write_film(tmp_path / "plain.mp4", [*black, *film(), *black])
    assert crop_of(plain) is None
    letter = write_film(tmp_path / "letter.mp4", [*black, *(boxed(f, 24, 24, 0, 0) for f in film())])
    assert_crop(crop_of(letter), 0, 24, 320, 156)
    only = write_film(tmp_path / "black.mp4", black)
    assert crop_of(only) is None


def test_subtitles_in_a_bar_do_not_hide_it(tmp_path: Path) -> None:
    """Subtitles that lie in the lower bar two thirds of the time leave the crop at the picture's edge."""

    def subtitled(frame: Image, number: int) -> Image:
        picture = Picture.fromarray(boxed(frame, 26, 26, 0, 0))
        if number // 20 % 3:
            ImageDraw.Draw(picture).text((110, 162), "What is said just now", fill=(255, 255, 255))
        return np.asarray(picture)

    path = write_film(tmp_path / "film.mp4", [subtitled(frame, number) for number, frame in enumerate(film())])
    assert_crop(crop_of(path), 0, 26, 320, 154)


def test_without_frames_there_are_no_bars() -> None:
    """A finder that has seen nothing crops nothing."""
    assert BarFinder().crop(320, 180, 0) is None
