"""Why two scenes are alike: which shots of the one are like which of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.errors import UsageError
from m2s_index.matrices import StoredEncoder, find_encoder
from m2s_index.movies import get_movie, list_shots, stored_options
from m2s_index.pairing.film_rows import paired_scores, scene_rows, scene_scores, shot_rows
from m2s_index.pairing.greedy import select_pairs
from m2s_index.refs import MovieReference, find_scene
from m2s_index.scenes import key_shots
from m2s_index.sessions import reader_of
from m2s_index.types import Float32Array, Scene


@dataclass(frozen=True)
class SceneShot:
    """A shot of a scene, by its index in the film; seconds count from the film's first frame."""

    index: int
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class ShotMatch:
    """Two shots that are alike: ``score`` is the cosine of their features."""

    rank: int
    score: float
    a: SceneShot
    b: SceneShot


@dataclass(frozen=True, eq=False)
class Explanation:
    """Two scenes shot by shot, by one encoder.

    ``score`` is that of the scenes as they are searched and paired. ``shots_a`` and ``shots_b`` are the shots that
    stand for the scenes: all of them, or as many evenly spaced ones as the scene was embedded from.
    ``similarities`` is float32 [M, N], the cosines of their features, row i for ``shots_a[i]``. ``matches`` are the
    best pairs of shots, each shot in one at most, best first.
    """

    encoder: str
    score: float
    a: Scene
    b: Scene
    shots_a: tuple[SceneShot, ...]
    shots_b: tuple[SceneShot, ...]
    similarities: Float32Array
    matches: tuple[ShotMatch, ...]


def explain_pair(catalog: Catalog, first: str, second: str, encoder_name: str | None = None) -> Explanation:
    """Compare the shots of the scenes that two references name.

    Raises:
        UsageError: both are one scene, or the encoder was not run on one of the films, or sees whole scenes only.
        UnknownReferenceError: a reference names no scene, or several.
        CatalogDamagedError: features, embeddings and shots do not belong together.
    """
    with catalog.read() as session:
        reader = reader_of(session)
        a, b = (find_scene(reader, text) for text in (first, second))
        if a.scene_id == b.scene_id:
            raise UsageError(
                f"'{first}' and '{second}' are both {a.movie}#{a.index}: a scene is compared with another one"
            )
        encoder = find_encoder(reader, encoder_name)
        (shots_a, features_a, vector_a), (shots_b, features_b, vector_b) = (
            _seen(session, encoder, scene) for scene in (a, b)
        )
    similarities = scene_scores(features_a, features_b, "cosine")
    matches = tuple(
        ShotMatch(rank, float(similarities[i, j]), shots_a[i], shots_b[j])
        for rank, (i, j) in enumerate(select_pairs(similarities, 1, 1.0).tolist(), 1)
    )
    score = float(paired_scores(vector_a, vector_b, encoder.identity.metric)[0])
    return Explanation(encoder.name, score, a, b, shots_a, shots_b, similarities, matches)


def _seen(
    session: Session, encoder: StoredEncoder, scene: Scene
) -> tuple[tuple[SceneShot, ...], Float32Array, Float32Array]:
    """The shots that stand for a scene; their features, normalised, float32 [M, D]; its embedding, [1, D]."""
    reader, film = reader_of(session), get_movie(session, scene.movie_id)
    movie = MovieReference(film.movie_id, film.name, film.title, film.path)
    features, shots = shot_rows(reader, encoder, movie), list_shots(session, scene.movie_id)
    chosen = key_shots(scene.first_shot, scene.end_shot, stored_options(session, scene.movie_id).scene_shots)
    seen = []
    for shot in (shots[index] for index in chosen):
        times = (float((pts - film.info.start_pts) * film.info.time_base) for pts in (shot.start_pts, shot.end_pts))
        seen.append(SceneShot(shot.index, *times))
    vector = scene_rows(reader, encoder, movie).vectors[[scene.index]]
    return tuple(seen), features[np.array(chosen)], vector
