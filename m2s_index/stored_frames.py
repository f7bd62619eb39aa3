"""Stored key frames as pictures, for pages and for training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select

from m2s_index.catalog import Catalog
from m2s_index.keyframe_store import KeyFrameReader, decode_jpeg
from m2s_index.movies import get_movie, stored_options
from m2s_index.scenes import key_shots
from m2s_index.schema import MovieRow
from m2s_index.types import Image, Movie, Scene


def scene_frames(catalog: Catalog, scene: Scene) -> list[Image]:
    """The first key frame of each shot that stands for the scene, inside the film's bars, in order.

    Raises:
        KeyFrameError: the film's key-frame file is missing or damaged.
    """
    with catalog.read() as session:
        options = stored_options(session, scene.movie_id)
    shots = key_shots(scene.first_shot, scene.end_shot, options.scene_shots)
    return _frames(catalog, scene.movie_id, shots, lambda pictures: pictures[:1])


def shot_frames(catalog: Catalog, movie_id: int, shots: Sequence[int]) -> list[Image]:
    """The middle key frame of each of these shots, inside the film's bars, in order.

    Raises:
        KeyFrameError: the film's key-frame file is missing or damaged.
    """
    return _frames(catalog, movie_id, shots, lambda pictures: [pictures[len(pictures) // 2]])


def film_frames(catalog: Catalog, movie: Movie) -> list[Image]:
    """Every key frame of every shot, inside the film's bars, in order.

    Raises:
        KeyFrameError: the film's key-frame file is missing or damaged.
    """
    return _frames(catalog, movie.movie_id, range(movie.shots), lambda pictures: pictures)


def _frames(
    catalog: Catalog, movie_id: int, shots: Sequence[int], choose: Callable[[list[bytes]], list[bytes]]
) -> list[Image]:
    with catalog.read() as session:
        crop = get_movie(session, movie_id).crop
        file = session.scalar(select(MovieRow.keyframes_file).where(MovieRow.id == movie_id))
    with KeyFrameReader(catalog.keyframes_folder, file or "") as reader:
        return [decode_jpeg(picture, crop) for shot in shots for picture in choose(reader.read(shot))]
