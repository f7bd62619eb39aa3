"""Putting one film together: its key frames on disk, its features, then all its rows in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.clips import ClipFound
from m2s_index.embed import (
    ClipEmbedder,
    FrameEmbedder,
    embed_stored,
    film_vectors,
    scene_vectors,
    vectors_of_features,
)
from m2s_index.encoder import ClipEncoder, Encoder, SceneEncoder, ShotFeatureEncoder, StillEncoder
from m2s_index.errors import CatalogDamagedError, VideoError
from m2s_index.extract import FilmRead, ShotFound
from m2s_index.failures import forget_failure
from m2s_index.files import identify
from m2s_index.junk import film_junk
from m2s_index.keyframe_store import KeyFrameWriter, StoredKeyFrames, delete_keyframes
from m2s_index.lost_labels import LostLabel, delete_labels, lost_labels
from m2s_index.matrices import identity_key
from m2s_index.matrix_writer import add_vectors
from m2s_index.movies import add_film, get_movie, list_scenes, list_shots, stored_options
from m2s_index.names import display_name
from m2s_index.plan import PlannedFilm
from m2s_index.scenes import film_scenes
from m2s_index.schema import EmbeddingRow, EncoderRow, MovieRow
from m2s_index.sessions import reader_of
from m2s_index.shot_features import shot_features
from m2s_index.titles import guess_title
from m2s_index.types import EncoderIdentity, Film, FilmVectors
from m2s_index.wire import Job


class FilmAssembly:
    """A film while it is being read. ``store`` or ``discard`` ends it."""

    def __init__(
        self, catalog: Catalog, encoder: Encoder | SceneEncoder | ClipEncoder, planned: PlannedFilm
    ) -> None:
        self.path = planned.file.path
        self._catalog = catalog
        self._planned, self._options = planned, planned.options
        self._found: list[ShotFound] = []
        self._embedder: ClipEmbedder | FrameEmbedder | SceneEncoder
        if isinstance(encoder, ClipEncoder):
            self._embedder = ClipEmbedder(encoder)
        elif isinstance(encoder, SceneEncoder):
            self._embedder = encoder
        else:
            self._embedder = FrameEmbedder(encoder)
        name = f"{planned.file.fingerprint[:16]}-{uuid.uuid4().hex[:12]}.zip"
        self._writer = KeyFrameWriter(catalog.keyframes_folder, name)
        self.ended = False
        self.lost_labels: list[LostLabel] = []

    def add(self, found: ShotFound | ClipFound) -> None:
        """The film's next shot: keep its key frames, embed them; or its next scene's clip: embed it."""
        if isinstance(found, ClipFound):
            if isinstance(self._embedder, ClipEmbedder):
                self._embedder.add(found)
            return
        self._writer.add(found.shot.index, found.pictures)
        if isinstance(self._embedder, FrameEmbedder):
            self._embedder.add(found.pictures, found.crop)
        # The pictures are on disk now.
        self._found.append(ShotFound(found.shot, found.keyframe_pts, (), found.crop))

    def store(self, read: FilmRead) -> Film:
        """The film is whole: store it, in place of what an earlier version of its file gave."""
        self.ended = True
        try:
            stored = self._writer.commit()
        except BaseException:
            self._writer.discard()
            raise
        try:
            film = self._film(read, stored)
            vectors = self._vectors(film)
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

    def _vectors(self, film: Film) -> FilmVectors:
        if isinstance(self._embedder, ClipEmbedder):
            return self._embedder.finish(len(film.scenes))
        folder, file, scene_shots = (
            self._catalog.keyframes_folder,
            self._writer.path.name,
            self._options.scene_shots,
        )
        if isinstance(self._embedder, SceneEncoder):
            # Its scenes are known, and seen, only now: the key frames are read back.
            return scene_vectors(self._embedder, folder, file, film.scenes, film.crop, scene_shots)
        encoder, features = self._embedder.encoder, self._embedder.finish()
        # Embed once more the few shots that passed before the film's bars were known for what they are.
        early = [number for number, found in enumerate(self._found) if found.crop != film.crop]
        if early:
            again = embed_stored(encoder, folder, file, early, film.crop)
            for number, shot_features in zip(early, again, strict=True):
                features[number] = shot_features
        return film_vectors(encoder, features, film.scenes, scene_shots)

    def _film(self, read: FilmRead, stored: StoredKeyFrames) -> Film:
        options = self._options
        title, year = guess_title(display_name(self._planned.file.path))
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
            scenes=tuple(film_scenes(len(self._found), options)),
            keyframes_file=self._writer.path.name,
            keyframes_bytes=stored.size_bytes,
            keyframes_sha256=stored.sha256,
            junk=film_junk(self._catalog.keyframes_folder, self._writer.path.name, len(self._found), read.crop),
        )


class StoredClips:
    """A film that is indexed already, while its scenes' clips are read from its file once more. ``store`` or
    ``discard`` ends it.
    """

    def __init__(self, catalog: Catalog, encoder: ClipEncoder, movie_id: int) -> None:
        """Look the film up.

        Raises:
            CatalogError: its shots and scenes are damaged.
        """
        self._catalog, self._stored = catalog, _StoredFilm(catalog, movie_id)
        self._spec, self._embedder = encoder.clip, ClipEmbedder(encoder)
        self.path = self._stored.movie.path
        self.ended = False

    def job(self, threads: int) -> Job:
        """What a worker has to read.

        Raises:
            VideoError: the file is no longer the one that was indexed, or is gone.
        """
        stored = self._stored
        if identify(Path(self.path)).fingerprint != stored.fingerprint:
            raise VideoError(f"{self.path}: has changed since it was indexed; run 'm2s index build' on it first")
        spans = tuple(
            (stored.shots[scene.first_shot].start_pts, stored.shots[scene.end_shot - 1].end_pts)
            for scene in stored.scenes
        )
        crop = stored.movie.crop
        return Job("clips", self.path, stored.options, threads, clip=self._spec, spans=spans, crop=crop)

    def add(self, found: ShotFound | ClipFound) -> None:
        """The next scene's clip: embed it."""
        if isinstance(found, ClipFound):
            self._embedder.add(found)

    def store(self) -> int:
        """All clips have come: store the scenes' vectors; returns how many."""
        self.ended = True
        self._stored.store(self._catalog, self._embedder.finish(len(self._stored.scenes)))
        return len(self._stored.scenes)

    def discard(self) -> None:
        """Nothing is kept before ``store``."""
        self.ended = True


class _StoredFilm:
    """What the catalogue has of a film, in order to embed it by another encoder."""

    def __init__(self, catalog: Catalog, movie_id: int) -> None:
        with catalog.read() as session:
            self.movie = get_movie(session, movie_id)
            columns = select(MovieRow.keyframes_file, MovieRow.fingerprint).where(MovieRow.id == movie_id)
            self.keyframes_file, self.fingerprint = session.execute(columns).one()
            self.options = stored_options(session, movie_id)
            self.shots, self.scenes = list_shots(session, movie_id), list_scenes(session, movie_id=movie_id)
        if not self.scenes or max(scene.end_shot for scene in self.scenes) > len(self.shots):
            raise CatalogDamagedError(f"{self.movie.name}: its shots or scenes are damaged; run 'm2s index repair'")

    def store(self, catalog: Catalog, vectors: FilmVectors) -> None:
        """Add an encoder's matrices."""
        with catalog.write() as session:
            add_vectors(session, self.movie.movie_id, self.scenes[0].scene_id, vectors)


def embed_movie(catalog: Catalog, encoder: StillEncoder, movie_id: int) -> tuple[str, int]:
    """Embed a film that is indexed already, from its key frames or another encoder's shot features; returns its
    path and number of scenes.

    Raises:
        CatalogError: its key frames are missing or damaged, or its shots and scenes are.
        EncoderError: the encoder cannot run, or there are no shot features of the kind it takes.
    """
    stored = _StoredFilm(catalog, movie_id)
    stored.store(catalog, _stored_vectors(catalog, encoder, stored))
    return stored.movie.path, len(stored.scenes)


def _stored_vectors(catalog: Catalog, encoder: StillEncoder, stored: _StoredFilm) -> FilmVectors:
    spans = [(scene.first_shot, scene.end_shot) for scene in stored.scenes]
    scene_shots = stored.options.scene_shots
    if isinstance(encoder, ShotFeatureEncoder):
        with catalog.reader() as reader:
            features = shot_features(
                reader,
                encoder.shot_encoder,
                stored.movie.movie_id,
                shots=len(stored.shots),
                name=stored.movie.name,
            )
        return vectors_of_features(encoder, features, spans, scene_shots)
    folder, file, crop = catalog.keyframes_folder, stored.keyframes_file, stored.movie.crop
    if isinstance(encoder, SceneEncoder):
        return scene_vectors(encoder, folder, file, spans, crop, scene_shots)
    shots = embed_stored(encoder, folder, file, [shot.index for shot in stored.shots], crop)
    return film_vectors(encoder, shots, spans, scene_shots)


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
