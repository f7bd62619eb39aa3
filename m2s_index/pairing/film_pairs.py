"""The pairs of two films: which scenes of the one are like which of the other, best first (seed, 3a)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.errors import KeyFrameError, UsageError
from m2s_index.junk_marks import JUNK_UNKNOWN, mostly_junk, shots_junk
from m2s_index.matrices import find_encoder
from m2s_index.pairing.film_rows import FilmRows, row_scores, scene_rows, window_rows
from m2s_index.pairing.greedy import select_pairs
from m2s_index.reading import Reader
from m2s_index.refs import find_movie
from m2s_index.types import Float32Array, Int64Array, ScenePair

KEEP = 0.5
"""The share of a film pair's scores that can be pairs (seed, 3a)."""


@dataclass(frozen=True)
class PairOptions:
    """Which pairs of two films are wanted.

    ``keep`` is the share of the matrix's highest entries that are candidates, rounded up; of the pairs taken
    from these the ``top`` best, and none below ``min_score``. ``windows`` compares windows of nine shots
    instead of scenes; ``junk`` pairs scenes as well of which most shots are black, plain, cards or credits.
    """

    keep: float = KEEP
    top: int | None = None
    min_score: float | None = None
    windows: bool = False
    junk: bool = False

    def __post_init__(self) -> None:
        check_limits(self.keep, self.top, self.min_score)


def check_limits(keep: float, top: int | None, min_score: float | None) -> None:
    """Refuse numbers that leave nothing.

    Raises:
        UsageError: a share that is none, fewer than one pair, a least score that is no number.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"the share of scores to keep must be above 0 and at most 1, not {keep:g}")
    if top is not None and top < 1:
        raise UsageError(f"the number of pairs must be at least 1, not {top}")
    if min_score is not None and not math.isfinite(min_score):
        raise UsageError(f"the least score must be a number, not {min_score}")


@dataclass(frozen=True, eq=False)
class FilmPairs:
    """Pairs of two films in order. ``scores`` is the adjacency matrix, float32 [M, N], row i for scene i of ``a``,
    −∞ where a scene is not to be paired. ``notes`` are lines for the user.
    """

    encoder: str
    a: FilmRows
    b: FilmRows
    scores: Float32Array
    pairs: tuple[ScenePair, ...]
    notes: tuple[str, ...]


def film_pairs(
    catalog: Catalog, first: str, second: str, options: PairOptions = PairOptions(), encoder_name: str | None = None
) -> FilmPairs:
    """The pairs of the films that two references name.

    Raises:
        UsageError: both are one film, the encoder was not run on one of them, or one is too short for windows.
        UnknownReferenceError: a reference names no film, or several.
        CatalogDamagedError: embeddings and scenes do not belong together.
    """
    with catalog.reader() as reader:
        movies = [find_movie(reader, text) for text in (first, second)]
        if movies[0].movie_id == movies[1].movie_id:
            raise UsageError(
                f"'{first}' and '{second}' are both {movies[0].name}: pairs are of two different films"
            )
        encoder = find_encoder(reader, encoder_name)
        a, b = ((window_rows if options.windows else scene_rows)(reader, encoder, movie) for movie in movies)
        notes = [] if options.junk else [note for rows in (a, b) for note in _leave_junk_out(catalog, reader, rows)]
    scores = row_scores(a, b)
    chosen = select_usable(scores, a.span, options.keep)
    values = scores[chosen[:, 0], chosen[:, 1]]
    if options.min_score is not None:
        chosen = chosen[values >= options.min_score]
    pairs = tuple(
        ScenePair(rank, float(scores[i, j]), a.scenes[i], b.scenes[j])
        for rank, (i, j) in enumerate(chosen[: options.top].tolist(), 1)
    )
    return FilmPairs(encoder.name, a, b, scores, pairs, (*notes, *_notes(a, b, pairs)))


def select_usable(scores: Float32Array, span: int, keep: float) -> Int64Array:
    """``select_pairs`` among the finite entries alone: the share is of these.

    Args:
        scores: float32 [M, N]; −∞ where no pair is to be.
        span: see ``select_pairs``.
        keep: the share of the finite entries that are candidates, rounded up.
    """
    count = math.ceil(np.count_nonzero(scores > -np.inf) * keep)
    if not count:
        return np.empty((0, 2), np.int64)
    # Half an entry less, so that rounding up gives the very count.
    return select_pairs(scores, span, (count - 0.5) / scores.size)


def _leave_junk_out(catalog: Catalog, reader: Reader, rows: FilmRows) -> list[str]:
    """Mark scenes as not usable of which most shots are junk; a line for the user where that is not known."""
    try:
        kinds = shots_junk(catalog, reader, rows.movie.movie_id)
    except KeyFrameError:
        return [f"{rows.movie.name}: {JUNK_UNKNOWN}"]
    rows.usable[mostly_junk(rows.scenes, kinds)] = False
    return []


def _notes(a: FilmRows, b: FilmRows, pairs: tuple[ScenePair, ...]) -> list[str]:
    unusable = [rows.movie.name for rows in (a, b) if not rows.usable.any()]
    if unusable:
        return [f"{name} has no scene that can be paired: all are mostly junk (see --junk)" for name in unusable]
    return [] if pairs else [f"nothing in {a.movie.name} and {b.movie.name} is so much alike"]
