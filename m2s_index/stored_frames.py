"""A stored scene's key frames as pictures, for pages."""

from __future__ import annotations

from sqlalchemy import select

from m2s_index.catalog import Catalog
from m2s_index.keyframe_store import KeyFrameReader, decode_jpeg
from m2s_index.movies import get_movie, stored_options
from m2s_index.scenes import key_shots
from m2s_index.schema import MovieRow
from m2s_index.types import Image, Scene


def scene_frames(catalog: Catalog, scene: Scene) -> list[Image]:
    """The first key frame of each shot that stands for the scene, inside the film's bars, in order.

    Raises:
        KeyFrameError: the film's key-frame file is missing or damaged.
    """
    with catalog.read() as session:
        movie = get_movie(session, scene.movie_id)
        options = stored_options(session, scene.movie_id)
        file = session.scalar(select(MovieRow.keyframes_file).where(MovieRow.id == scene.movie_id))
    shots = key_shots(scene.first_shot, scene.end_shot, options.scene_shots)
    with KeyFrameReader(catalog.keyframes_folder, file or "") as reader:
        return [decode_jpeg(reader.read(shot)[0], movie.crop) for shot in shots]
