"""What of a film can be paired: its scenes or its windows of nine shots, with their vectors and times."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from m2s_index.errors import UsageError
from m2s_index.matrices import MatrixTable, StoredEncoder, film_matrix
from m2s_index.pairing.windows import WINDOW_SHOTS, window_means
from m2s_index.reading import Reader
from m2s_index.refs import MovieReference, scenes_of_movie
from m2s_index.selection import BoolArray
from m2s_index.types import Float32Array, Metric, Scene


@dataclass(frozen=True, eq=False)
class FilmRows:
    """A film's scenes, or windows as scenes whose id is 0, in order.

    ``vectors`` is float32 [N, D], row i for ``scenes[i]``; ``usable`` (bool [N]) is False for what is not to be
    paired. ``span`` is how many rows a scene reaches over (see ``greedy.select_pairs``); rows are compared by
    ``metric``.
    """

    movie: MovieReference
    scenes: tuple[Scene, ...]
    vectors: Float32Array
    usable: BoolArray
    span: int
    metric: Metric


@dataclass(frozen=True, eq=False)
class ShotTimes:
    """When a film's shots begin and end, in seconds from its first frame: one of each a shot."""

    starts: tuple[float, ...]
    ends: tuple[float, ...]

    def part(self, first: int, end: int) -> ShotTimes:
        """Those of shots ``first`` to ``end`` (exclusive)."""
        return ShotTimes(self.starts[first:end], self.ends[first:end])


def scene_rows(reader: Reader, encoder: StoredEncoder, movie: MovieReference) -> FilmRows:
    """A film's scenes by one encoder.

    Raises:
        UsageError: the encoder was not run on the film.
        CatalogDamagedError: the embeddings do not fit the film, or are not finite.
    """
    scenes = tuple(scenes_of_movie(reader, movie.movie_id))
    vectors = _matrix(reader, encoder, movie, "embeddings", len(scenes))
    usable = np.ones(len(scenes), np.bool_)
    return FilmRows(movie, scenes, vectors, usable, 1, encoder.identity.metric)


def window_rows(reader: Reader, encoder: StoredEncoder, movie: MovieReference) -> FilmRows:
    """A film's windows of nine shots at stride 1 by one encoder: mean rows of normalised shot features, whose inner
    product is the mean of the window of the shot adjacency matrix (seed, 1.1c). The index is the first shot's.

    Raises:
        UsageError: the encoder was not run on the film, sees whole scenes only, or the film has too few shots.
    """
    features = shot_rows(reader, encoder, movie)
    if len(features) < WINDOW_SHOTS:
        raise UsageError(f"{movie.name} has {len(features)} shots: a window is of {WINDOW_SHOTS}")
    times = shot_times(reader, movie.movie_id)
    scenes = tuple(
        Scene(
            0, movie.movie_id, movie.name, i, i, i + WINDOW_SHOTS, times.starts[i], times.ends[i + WINDOW_SHOTS - 1]
        )
        for i in range(len(features) - WINDOW_SHOTS + 1)
    )
    usable = np.ones(len(scenes), np.bool_)
    return FilmRows(movie, scenes, window_means(features), usable, WINDOW_SHOTS, "cosine")


def shot_rows(reader: Reader, encoder: StoredEncoder, movie: MovieReference) -> Float32Array:
    """A film's shot features by one encoder, rows normalised: float32 [N, D].

    Raises:
        UsageError: the encoder was not run on the film, or sees whole scenes only.
        CatalogDamagedError: the features do not fit the film, or are not finite.
    """
    shots = reader.value("SELECT count(*) FROM shots WHERE movie_id = ?", (movie.movie_id,))
    features = _matrix(reader, encoder, movie, "features", shots)
    normalised: Float32Array = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return normalised


def shot_times(reader: Reader, movie_id: int) -> ShotTimes:
    """When the film's shots begin and end."""
    movie_row = reader.first("SELECT start_pts, time_base FROM movies WHERE id = ?", (movie_id,))
    assert movie_row is not None  # the film is of the reader's own state
    start_pts, unit = movie_row[0], Fraction(movie_row[1])
    rows = reader.rows('SELECT start_pts, end_pts FROM shots WHERE movie_id = ? ORDER BY "index"', (movie_id,))
    spans = [(float((start - start_pts) * unit), float((end - start_pts) * unit)) for start, end in rows]
    return ShotTimes(tuple(start for start, _ in spans), tuple(end for _, end in spans))


def row_scores(first: FilmRows, second: FilmRows) -> Float32Array:
    """The adjacency matrix of two films' rows: float32 [M, N], higher for closer; −∞ where a row is not usable."""
    scores = scene_scores(first.vectors, second.vectors, first.metric)
    scores[~first.usable] = -np.inf
    scores[:, ~second.usable] = -np.inf
    return scores


def scene_scores(first: Float32Array, second: Float32Array, metric: Metric) -> Float32Array:
    """Scores of all pairs of rows: float32 [M, N]; in double precision first, so that equal rows have equal scores.

    Args:
        first, second: float32 [M, D] and [N, D]; normalised for cosine.
        metric: cosine gives the inner product, l2 minus the Euclidean distance.
    """
    a, b = first.astype(np.float64), second.astype(np.float64)
    if metric == "cosine":
        return (a @ b.T).astype(np.float32)
    # By differences: a product would not give equal rows a distance of 0.
    scores = np.empty((len(a), len(b)), np.float32)
    for row, vector in zip(scores, a, strict=True):
        row[:] = -np.sqrt(np.square(b - vector).sum(axis=1))
    return scores


def paired_scores(first: Float32Array, second: Float32Array, metric: Metric) -> Float32Array:
    """The same of row i with row i alone: float32 [N]."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    exact = (a * b).sum(axis=1) if metric == "cosine" else -np.sqrt(np.square(a - b).sum(axis=1))
    scores: Float32Array = exact.astype(np.float32)
    return scores


def _matrix(
    reader: Reader, encoder: StoredEncoder, movie: MovieReference, table: MatrixTable, rows: int
) -> Float32Array:
    """A film's features or embeddings."""
    matrix = film_matrix(reader, encoder, table, movie.movie_id, rows=rows, name=movie.name)
    if matrix is None:
        raise UsageError(_lacking(reader, encoder, movie, table))
    return matrix


def _lacking(reader: Reader, encoder: StoredEncoder, movie: MovieReference, table: MatrixTable) -> str:
    """Why a film has no such matrix, and what to do."""
    query = (
        "SELECT e.name FROM embeddings m JOIN encoders e ON e.id = m.encoder_id WHERE m.movie_id = ? ORDER BY e.id"
    )
    names = reader.texts(query, (movie.movie_id,))
    if table == "features" and encoder.name in names:
        return f"encoder '{encoder.name}' sees whole scenes and has no shots of {movie.name} to compare"
    return (
        f"{movie.name} has no embeddings by encoder '{encoder.name}' (it has: {', '.join(names) or 'none'}): "
        f"make them with 'm2s index build --encoder {encoder.name}', or choose another with --encoder"
    )
