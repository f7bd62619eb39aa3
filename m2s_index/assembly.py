"""Putting one film together: its key frames on disk, its features, then all its rows in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.embed import FrameEmbedder, embed_stored, film_vectors
from m2s_index.encoder import Encoder
from m2s_index.errors import CatalogDamagedError
from m2s_index.extract import FilmRead, ShotFound
from m2s_index.failures import forget_failure
from m2s_index.keyframe_store import KeyFrameWriter, delete_keyframes
from m2s_index.labels import LostLabel, delete_labels, lost_labels
from m2s_index.matrices import identity_key
from m2s_index.matrix_writer import add_vectors
from m2s_index.movies import add_film, get_movie, list_scenes, list_shots, stored_options
from m2s_index.names import display_name
from m2s_index.plan import PlannedFilm
from m2s_index.scenes import group_scenes
from m2s_index.schema import EmbeddingRow, EncoderRow, MovieRow
from m2s_index.sessions import reader_of
from m2s_index.titles import guess_title
from m2s_index.types import Crop, EncoderIdentity, Film, Float32Array


class FilmAssembly:
    """A film while it is being read. ``store`` or ``discard`` ends it."""

    def __init__(self, catalog: Catalog, encoder: Encoder, planned: PlannedFilm) -> None:
        self.path = planned.file.path
        self._catalog, self._encoder = catalog, encoder
        self._planned, self._options = planned, planned.options
        self._found: list[ShotFound] = []
        self._embedder = FrameEmbedder(encoder)
        name = f"{planned.file.fingerprint[:16]}-{uuid.uuid4().hex[:12]}.zip"
        self._writer = KeyFrameWriter(catalog.keyframes_folder, name)
        self.ended = False
        self.lost_labels: list[LostLabel] = []

    def add(self, found: ShotFound) -> None:
        """The film's next shot: keep its key frames, embed them."""
        self._writer.add(found.shot.index, found.pictures)
        self._embedder.add(found.pictures, found.crop)
        # The pictures are on disk now.
        self._found.append(ShotFound(found.shot, found.keyframe_pts, (), found.crop))

    def store(self, read: FilmRead) -> Film:
        """The film is whole: store it, in place of what an earlier version of its file gave."""
        self.ended = True
        try:
            features = self._embedder.finish()
            size = self._writer.commit()
        except BaseException:
            self._writer.discard()
            raise
        try:
            self._see_again(features, read.crop)
            film = self._film(read, size)
            vectors = film_vectors(self._encoder, features, film.scenes, self._options.scene_shots)
            with self._catalog.write() as session:
                old = self._planned.replaces
                old_file = session.scalar(select(MovieRow.keyframes_file).where(MovieRow.id == old))
                if old is not None:
                    # What is marked on the old film stays where the new one is long enough.
                    self.lost_labels = lost_labels(reader_of(session), {old: film.duration_seconds})
                    delete_labels(session, self.lost_labels)
                add_film(session, film, vectors, replaces=old)
                forget_failure(session, self.path)
        except BaseException:
            self._writer.path.unlink(missing_ok=True)
            raise
        if old_file:
            delete_keyframes(self._catalog.keyframes_folder, old_file)
        return film

    def discard(self) -> None:
        """Drop what was kept so far."""
        if not self.ended:
            self.ended = True
            self._writer.discard()

    def _see_again(self, features: list[Float32Array], crop: Crop | None) -> None:
        """Embed once more the few shots that passed before the film's bars were known for what they are."""
        early = [number for number, found in enumerate(self._found) if found.crop != crop]
        if early:
            again = embed_stored(self._encoder, self._catalog.keyframes_folder, self._writer.path.name, early, crop)
            for number, shot_features in zip(early, again, strict=True):
                features[number] = shot_features

    def _film(self, read: FilmRead, keyframes_bytes: int) -> Film:
        options = self._options
        title, year = guess_title(display_name(self._planned.file.path))
        count = len(self._found)
        if options.scenes == "whole-file":
            scenes = [(0, count)]
        else:
            scenes = group_scenes(count, scene_shots=options.scene_shots, scene_stride=options.scene_stride)
        return Film(
            file=self._planned.file,
            title=title,
            year=year,
            genres=(),
            info=read.info,
            crop=read.crop,
            start_pts=read.start_pts,
            end_pts=read.end_pts,
            frames=read.frames,
            damaged_packets=read.damaged_packets,
            options=options,
            shots=tuple(found.shot for found in self._found),
            keyframe_pts=tuple(found.keyframe_pts for found in self._found),
            scenes=tuple(scenes),
            keyframes_file=self._writer.path.name,
            keyframes_bytes=keyframes_bytes,
        )


def embed_movie(catalog: Catalog, encoder: Encoder, movie_id: int) -> tuple[str, int]:
    """Embed a film that is indexed already from its key frames; returns its path and number of scenes.

    Raises:
        CatalogError: its key frames are missing or damaged, or its shots and scenes are.
    """
    with catalog.read() as session:
        movie = get_movie(session, movie_id)
        file = session.scalar(select(MovieRow.keyframes_file).where(MovieRow.id == movie_id))
        options = stored_options(session, movie_id)
        shots, scenes = list_shots(session, movie_id), list_scenes(session, movie_id=movie_id)
    if not scenes or max(scene.end_shot for scene in scenes) > len(shots):
        raise CatalogDamagedError(f"{movie.name}: its shots or scenes are damaged; run 'm2s index repair'")
    folder = catalog.keyframes_folder
    features = embed_stored(encoder, folder, file or "", [shot.index for shot in shots], movie.crop)
    spans = [(scene.first_shot, scene.end_shot) for scene in scenes]
    vectors = film_vectors(encoder, features, spans, options.scene_shots)
    with catalog.write() as session:
        add_vectors(session, movie_id, scenes[0].scene_id, vectors)
    return movie.path, len(scenes)


def movies_without(session: Session, identity: EncoderIdentity, movie_ids: Sequence[int]) -> list[int]:
    """Those of the movies that have no embeddings by this encoder, in order."""
    query = (
        select(EmbeddingRow.movie_id)
        .join(EncoderRow, EncoderRow.id == EmbeddingRow.encoder_id)
        .where(EncoderRow.key == identity_key(identity))
    )
    have = set(session.scalars(query))
    return [movie_id for movie_id in movie_ids if movie_id not in have]


def sweep_keyframes(catalog: Catalog) -> int:
    """Delete key-frame files that belong to no film, and what an interrupted build left; returns how many."""
    with catalog.read() as session:
        known = set(session.scalars(select(MovieRow.keyframes_file)))
    strays = [path for path in catalog.keyframes_folder.glob("*") if path.name not in known and path.is_file()]
    for path in strays:
        path.unlink(missing_ok=True)
    return len(strays)
