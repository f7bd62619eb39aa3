"""From stored key frames, shot features or clips to a film's matrices, with any object that satisfies a protocol
of ``m2s_index.encoder``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from m2s_index.clips import ClipFound
from m2s_index.encoder import ClipEncoder, Encoder, SceneEncoder, ShotFeatureEncoder
from m2s_index.errors import EncoderError
from m2s_index.keyframe_store import KeyFrameReader, decode_jpeg
from m2s_index.scenes import key_shots
from m2s_index.types import Crop, EncoderIdentity, FilmVectors, Float32Array, Image


class FrameEmbedder:
    """Embeds one film's shots in batches, in the order they are added.

    Batches hold frames of this film alone, so that its numbers do not depend on what else is in hand.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._waiting: list[Image] = []
        self._features: list[Float32Array] = []
        self._frames_of_shot: list[int] = []

    def add(self, pictures: Sequence[bytes], crop: Crop | None) -> None:
        """The next shot's key frames, as stored, to be seen inside their bars."""
        self._frames_of_shot.append(len(pictures))
        for data in pictures:
            self._waiting.append(decode_jpeg(data, crop))
            if len(self._waiting) == self.encoder.batch_size:
                self._flush()

    def finish(self) -> list[Float32Array]:
        """Each shot's frame features, float32 [frames, D].

        Raises:
            EncoderError: the encoder gave the wrong shape, or numbers that are not finite.
        """
        if self._waiting:
            self._flush()
        features = np.concatenate(self._features) if self._features else np.empty((0, 0), np.float32)
        self._features = []  # one copy of a film's features is enough
        return np.split(features, np.cumsum(self._frames_of_shot)[:-1])

    def _flush(self) -> None:
        features = self.encoder.encode_frames(self._waiting)
        identity = self.encoder.identity
        _check(features, (len(self._waiting), identity.dimension), identity)
        self._features.append(features)
        self._waiting = []


class ClipEmbedder:
    """Embeds one film's scenes from their clips, in order."""

    def __init__(self, encoder: ClipEncoder) -> None:
        self._encoder = encoder
        self._rows: list[Float32Array] = []

    def add(self, clip: ClipFound) -> None:
        """The next scene's clip.

        Raises:
            EncoderError: the encoder gave the wrong shape, or numbers that are not finite; or the clip is
                another scene's, or not what the encoder asks for.
        """
        identity, spec = self._encoder.identity, self._encoder.clip
        if clip.scene != len(self._rows):
            raise EncoderError(f"scene {len(self._rows)} has no clip for {identity.name}: {clip.scene}'s came")
        wanted = (spec.frames, spec.side_px, spec.side_px, 3)
        if clip.frames.shape != wanted:
            raise EncoderError(f"a clip for {identity.name} has shape {clip.frames.shape} instead of {wanted}")
        row = self._encoder.encode_clip(clip.frames)
        _check(row, (identity.dimension,), identity)
        self._rows.append(row)

    def finish(self, scenes: int) -> FilmVectors:
        """The film's matrices, of which there is no shot features'.

        Raises:
            EncoderError: there are more or fewer scenes than clips.
        """
        identity = self._encoder.identity
        if scenes != len(self._rows):
            raise EncoderError(f"{len(self._rows)} clips came for {identity.name}, of {scenes} scenes")
        return FilmVectors(identity, None, _scene_matrix(self._rows, identity))


def _check(features: Float32Array, expected: tuple[int, ...], identity: EncoderIdentity) -> None:
    if features.shape != expected:
        raise EncoderError(f"encoder {identity.name} gave shape {features.shape} instead of {expected}")
    if not np.isfinite(features).all():
        raise EncoderError(f"encoder {identity.name} gave numbers that are not finite")


def _scene_matrix(rows: Sequence[Float32Array], identity: EncoderIdentity) -> Float32Array:
    """Scenes' vectors as they are stored: float32 [N, D], normalised where the metric is cosine."""
    matrix: Float32Array = np.stack(rows).astype(np.float32)
    if identity.metric == "cosine":
        matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    return matrix


def film_vectors(
    encoder: Encoder,
    shots: Sequence[Float32Array],
    scenes: Sequence[tuple[int, int]],
    scene_shots: int,
) -> FilmVectors:
    """A film's matrices from its frames' features.

    A shot's features are the mean over its frames; a scene's vector is the encoder's, from the frames of
    at most ``scene_shots`` evenly spaced shots, normalised where the metric is cosine.

    Args:
        shots: one float32 [frames, D] a shot.
        scenes: (first shot, end shot) of each scene.
    """
    rows = []
    for first, end in scenes:
        chosen = key_shots(first, end, scene_shots)
        rows.append(encoder.encode_scene(np.concatenate([shots[i] for i in chosen])))
    # Row by row: a long film's means are not held twice.
    shot_matrix = np.empty((len(shots), shots[0].shape[1]), np.float32)
    for row, features in zip(shot_matrix, shots, strict=True):
        row[:] = features.mean(axis=0)
    return FilmVectors(encoder.identity, shot_matrix, _scene_matrix(rows, encoder.identity))


def embed_stored(
    encoder: Encoder, folder: Path, file: str, shots: Iterable[int], crop: Crop | None
) -> list[Float32Array]:
    """The frame features of some of a film's shots, from its key-frame file.

    Raises:
        CatalogError: the file is missing or damaged.
    """
    embedder = FrameEmbedder(encoder)
    with KeyFrameReader(folder, file) as reader:
        for shot in shots:
            embedder.add(reader.read(shot), crop)
    return embedder.finish()


def scene_vectors(
    encoder: SceneEncoder,
    folder: Path,
    file: str,
    scenes: Sequence[tuple[int, int]],
    crop: Crop | None,
    scene_shots: int,
) -> FilmVectors:
    """A film's matrices from its key-frame file, by an encoder that sees a scene whole: of each scene the middle
    key frames of at most ``scene_shots`` evenly spaced shots. A scene is encoded alone, so its numbers depend on
    no other.

    Args:
        scenes: (first shot, end shot) of each scene.

    Raises:
        CatalogError: the file is missing or damaged.
        EncoderError: the encoder gave the wrong shape, or numbers that are not finite.
    """
    rows = []
    with KeyFrameReader(folder, file) as reader:
        for first, end in scenes:
            pictures = [reader.read(shot) for shot in key_shots(first, end, scene_shots)]
            frames = [decode_jpeg(of_shot[len(of_shot) // 2], crop) for of_shot in pictures]
            rows.append(encoder.encode_key_frames(frames))
            _check(rows[-1], (encoder.identity.dimension,), encoder.identity)
    return FilmVectors(encoder.identity, None, _scene_matrix(rows, encoder.identity))


def vectors_of_features(
    encoder: ShotFeatureEncoder, shots: Float32Array, scenes: Sequence[tuple[int, int]], scene_shots: int
) -> FilmVectors:
    """A film's matrices from its shots' features, which another encoder made.

    Args:
        shots: float32 [S, ``encoder.shot_encoder.dimension``].
        scenes: (first shot, end shot) of each scene; at most ``scene_shots`` evenly spaced shots stand for it.

    Raises:
        EncoderError: the encoder gave the wrong shape, or numbers that are not finite.
    """
    rows = []
    for first, end in scenes:
        rows.append(encoder.encode_shot_features(shots[key_shots(first, end, scene_shots)]))
        _check(rows[-1], (encoder.identity.dimension,), encoder.identity)
    return FilmVectors(encoder.identity, None, _scene_matrix(rows, encoder.identity))
