"""How unusual a score is in this catalogue: raw scores differ between encoders, films and catalogues.

The background is what scenes of unrelated films score with each other, or windows of nine shots where windows are
compared. Two measures come of it (docs/pairs.md):

- the percentile of a score s: 100 · (b₋ + b₌ / 2) / B, where of B scores of the background b₋ are lower and b₌
  equal. Of scenes that have nothing to do with each other percentiles are uniform;
- CSLS (Conneau et al., "Word Translation Without Parallel Data", ICLR 2018): 2·s(a, b) − r(a) − r(b), where r(x) is
  the mean score of x with the ten scenes of other films that are nearest to it. A hub, which is near to all, loses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.errors import UsageError
from m2s_index.index_file import embedding_entries, stored_vectors
from m2s_index.junk_marks import junk_scenes
from m2s_index.matrices import StoredEncoder
from m2s_index.pairing.film_rows import paired_scores, scene_scores, shot_rows
from m2s_index.pairing.windows import WINDOW_SHOTS, window_means
from m2s_index.reading import Reader, json_list
from m2s_index.refs import movies_by_id
from m2s_index.selection import BoolArray
from m2s_index.types import Float32Array, Int64Array, Metric

Float64Array = NDArray[np.float64]

Measured = tuple[float | None, float | None]
"""Percentile and CSLS, None where there is no background."""
SceneRows = tuple[Float32Array, Int64Array]
"""Vectors of scenes, float32 [N, D], and the film of each, int64 [N]."""

FILMS = 200
"""Of a larger catalogue so many films are drawn, always the same ones."""
SCORES = 20_000
NEIGHBOURS = 10
ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of a background, ascending: float32 [B], at least one."""

    ascending: Float32Array

    def percentiles(self, scores: Float32Array) -> Float64Array:
        """What per cent of the background score less: float64 [N] for float32 [N]; of equal ones half."""
        below, upto = (np.searchsorted(self.ascending, scores, side) for side in ("left", "right"))
        shares: Float64Array = 50.0 * (below + upto) / len(self.ascending)
        return shares


@dataclass(frozen=True, eq=False)
class Background:
    """Scenes of some films: ``vectors`` float32 [N, D] with the film of each (int64 [N], ascending) and its id,
    which is 0 for a window.

    ``pairs`` are scores of scenes of unrelated films; None where there are no two such films.
    """

    scene_ids: Int64Array
    vectors: Float32Array
    movie_ids: Int64Array
    metric: Metric
    pairs: Scores | None

    def measured(self, scores: Float32Array, first: SceneRows, second: SceneRows) -> list[Measured]:
        """Percentile and CSLS of pairs of scenes and their scores (float32 [P])."""
        if self.pairs is None:
            return [(None, None)] * len(scores)
        csls = 2.0 * scores.astype(np.float64) - self.nearness(*first) - self.nearness(*second)
        return list(zip(self.pairs.percentiles(scores).tolist(), csls.tolist(), strict=True))

    def nearness(self, vectors: Float32Array, movie_ids: Int64Array) -> Float64Array:
        """r(x) of scenes, float32 [Q, D], of these films (int64 [Q]): float64 [Q]; NaN without another film."""
        found = np.full(len(vectors), np.nan)
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            scores = scene_scores(vectors[part], self.vectors, self.metric)
            for place, movie_id in enumerate(movie_ids[part].tolist(), start):
                others = scores[place - start][self.movie_ids != movie_id]
                if len(others):
                    count = min(NEIGHBOURS, len(others))
                    found[place] = np.partition(others, len(others) - count)[len(others) - count :].mean(
                        dtype=float
                    )
        return found


def check_percentile(least: float | None) -> None:
    """Refuse what is no percentile.

    Raises:
        UsageError: it is not from 0 to 100.
    """
    if least is not None and not 0 <= least <= 100:
        raise UsageError(f"a percentile is from 0 to 100, not {least:g}")


def read_background(reader: Reader, encoder: StoredEncoder, *, windows: bool = False) -> Background:
    """The background of a catalogue by one encoder, without junk: of its scenes, or of windows of nine shots.

    Raises:
        CatalogDamagedError: a matrix is damaged.
    """
    random = np.random.default_rng(0)
    scene_ids, (vectors, movie_ids) = (_windows if windows else _scenes)(reader, encoder, random)
    metric: Metric = "cosine" if windows else encoder.identity.metric
    first, second = _unrelated_scenes(reader, movie_ids, random)
    pairs = Scores(np.sort(paired_scores(vectors[first], vectors[second], metric))) if len(first) else None
    return Background(scene_ids, vectors, movie_ids, metric, pairs)


def _scenes(reader: Reader, encoder: StoredEncoder, random: np.random.Generator) -> tuple[Int64Array, SceneRows]:
    """The scenes of at most ``FILMS`` films, with their ids."""
    entries = embedding_entries(reader, encoder)
    entries = entries.only(_drawn(len(entries), random))
    parts = [part.vectors for part in stored_vectors(reader, entries)]
    usable = ~np.isin(entries.scene_ids, list(junk_scenes(reader)))
    vectors = np.concatenate([np.empty((0, encoder.identity.dimension), np.float32), *parts])[usable]
    return entries.scene_ids[usable], (vectors, np.repeat(entries.movie_ids, entries.rows)[usable])


def _windows(reader: Reader, encoder: StoredEncoder, random: np.random.Generator) -> tuple[Int64Array, SceneRows]:
    """Windows of at most ``FILMS`` films, without an id. Of a film they do not overlap: windows that share shots
    would be one scene many times over, and fill each other's ten nearest.
    """
    query = "SELECT movie_id FROM features WHERE encoder_id = ? AND rows >= ? ORDER BY movie_id"
    films = reader.ids(query, (encoder.encoder_id, WINDOW_SHOTS))
    movies = movies_by_id(reader, films[_drawn(len(films), random)].tolist())
    parts = [np.empty((0, encoder.identity.dimension), np.float32)]
    for movie in movies:
        marks = "SELECT coalesce(junk, '') != '' FROM shots WHERE movie_id = ? ORDER BY \"index\""
        junk = window_means(reader.ids(marks, (movie.movie_id,)).astype(np.float32)[:, None])[:, 0]
        means = window_means(shot_rows(reader, encoder, movie))
        parts.append(means[::WINDOW_SHOTS][junk[::WINDOW_SHOTS] <= 0.5])
    movie_ids = np.repeat([movie.movie_id for movie in movies], [len(part) for part in parts[1:]]).astype(np.int64)
    return np.zeros(len(movie_ids), np.int64), (np.concatenate(parts), movie_ids)


def _drawn(films: int, random: np.random.Generator) -> BoolArray:
    """At most ``FILMS`` of so many films: bool [films]."""
    drawn = np.zeros(films, np.bool_)
    drawn[random.permutation(films)[:FILMS]] = True
    return drawn


def unrelated_films(reader: Reader, movie_ids: Int64Array) -> BoolArray:
    """Which films have nothing to do with each other as far as is known: bool [F, F] for int64 [F].

    Films of one title are related, and films that share a genre. Where that leaves no two films, genres do not
    count; where titles leave none, films are unrelated as long as they are two.
    """
    query = "SELECT id, coalesce(title, name) FROM movies WHERE id IN (SELECT value FROM json_each(?))"
    titles = dict(reader.rows(query, (json_list(movie_ids.tolist()),)))
    names = np.array([titles[movie_id].casefold() for movie_id in movie_ids.tolist()])
    others = ~np.eye(len(movie_ids), dtype=np.bool_)
    other_titles = others & (names[:, None] != names)
    rows = list(reader.rows("SELECT movie_id, genre FROM movie_genres"))
    genres = sorted({genre.casefold() for _, genre in rows})
    of = np.zeros((len(movie_ids), len(genres)), np.float32)
    place = {movie_id: i for i, movie_id in enumerate(movie_ids.tolist())}
    for movie_id, genre in rows:
        if movie_id in place:
            of[place[movie_id], genres.index(genre.casefold())] = 1
    unlike = other_titles & (of @ of.T == 0)
    return next((kept for kept in (unlike, other_titles) if kept.any()), others)


def _unrelated_scenes(
    reader: Reader, movie_ids: Int64Array, random: np.random.Generator
) -> tuple[Int64Array, Int64Array]:
    """Pairs of scenes of unrelated films by their places: all, or as many as are wanted, drawn with replacement."""
    films, owners, counts = np.unique(movie_ids, return_inverse=True, return_counts=True)
    unrelated = np.triu(unrelated_films(reader, films), 1)
    first_films, second_films = np.nonzero(unrelated)
    sizes = counts[first_films] * counts[second_films]
    total = int(sizes.sum())
    if total <= SCORES:
        pairs = [np.empty((0, 2), np.int64)]
        for a, b in zip(first_films, second_films, strict=True):
            grid = np.meshgrid(np.flatnonzero(owners == a), np.flatnonzero(owners == b))
            pairs.append(np.stack(grid, axis=-1).reshape(-1, 2))
        both = np.concatenate(pairs)
        return both[:, 0], both[:, 1]
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    drawn = random.choice(len(sizes), SCORES, p=sizes / total)
    order = np.argsort(owners, kind="stable")
    places = [
        order[starts[films_of[drawn]] + random.integers(counts[films_of[drawn]])]
        for films_of in (first_films, second_films)
    ]
    return places[0], places[1]
