"""Mining: the scene pairs of similar films, for training a scene encoder (seed, 1.1c).

A scene is any nine neighbouring shots. Which films are mined is said by ``similar_films``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.matrices import film_features
from m2s_index.pairing.greedy import select_pairs
from m2s_index.pairing.pairs_file import MinedPair
from m2s_index.pairing.similar_films import MinedFilm, SimilarFilms
from m2s_index.pairing.windows import WINDOW_SHOTS, window_means
from m2s_index.types import Float32Array, Int64Array

KEPT_FILMS = 16
"""Films whose windows stay in memory: about 3 MB each at 1,500 shots of 512 numbers."""


@dataclass(frozen=True, eq=False)
class WindowPairs:
    """Windows of two films that are alike, best first: ``scores`` float32 [P], ``first_shots`` int64 [P, 2], where
    each begins.
    """

    scores: Float32Array
    first_shots: Int64Array

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, eq=False)
class MinedFilms:
    """Two films, and what was found in them."""

    film: MinedFilm
    other: MinedFilm
    windows: WindowPairs


def unit_rows(features: Float32Array) -> Float32Array:
    """The rows L2-normalised, rows of zeros left as they are: float32 [M, D]."""
    norms = np.linalg.norm(features, axis=1, keepdims=True).astype(np.float32)
    norms[norms == 0] = 1
    rows: Float32Array = features / norms
    return rows


def best_windows(first: Float32Array, second: Float32Array, limit: int | None = None) -> WindowPairs:
    """The windows of two films that are most alike: of the highest half of all pairs, best first, none that
    overlaps one taken before in either film.

    Args:
        first, second: float32 [M − 8, D] and [N − 8, D], ``window_means`` of the films' normalised rows.
        limit: only so many of them.
    """
    scores = first @ second.T
    pairs = select_pairs(scores, WINDOW_SHOTS)[:limit]
    return WindowPairs(scores[pairs[:, 0], pairs[:, 1]], pairs)


def mine(
    catalog: Catalog,
    similar: SimilarFilms,
    *,
    encode: Callable[[Float32Array], Float32Array] | None = None,
    limit: int | None = None,
) -> Iterator[MinedFilms]:
    """Mine each pair of films, one at a time.

    Args:
        catalog: where the shots' features are.
        similar: which films.
        encode: what the features go through first, E_movie without its last layer: float32 [M, D] to [M, D'].
        limit: only so many scene pairs of each two films.

    Raises:
        CatalogError: a film has been taken out of the catalogue.
        CatalogDamagedError: the features of a film are not what they should be.
    """

    @functools.lru_cache(KEPT_FILMS)
    def windows(film: MinedFilm) -> Float32Array:
        with catalog.reader() as reader:
            features = film_features(reader, similar.encoder, film.movie_id, shots=film.shots, name=film.name)
        return window_means(unit_rows(encode(features) if encode else features))

    for film, other in similar.pairs:
        yield MinedFilms(film, other, best_windows(windows(film), windows(other), limit))


def ranked(mined: Sequence[MinedFilms]) -> Iterator[MinedPair]:
    """All that was found, best first; equal scores in the order of the films, then as they were taken."""
    if not mined:
        return
    scores = np.concatenate([found.windows.scores for found in mined])
    owners = np.repeat(np.arange(len(mined)), [len(found.windows) for found in mined])
    starts = np.concatenate([found.windows.first_shots for found in mined])
    for at in np.argsort(-scores, kind="stable"):
        found = mined[owners[at]]
        first, second = starts[at].tolist()
        scene, other = found.film.scene(first, WINDOW_SHOTS), found.other.scene(second, WINDOW_SHOTS)
        yield MinedPair(float(scores[at]), scene, other)
