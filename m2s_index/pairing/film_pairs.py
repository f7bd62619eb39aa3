"""The pairs of two films: which scenes of the one are like which of the other, best first (seed, 3a), and which
stretches are not only alike but the same pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.errors import KeyFrameError, UsageError
from m2s_index.junk_marks import LOOKS_UNKNOWN, mostly_junk, shots_junk
from m2s_index.matrices import find_encoder
from m2s_index.pairing.background import Background, check_percentile, read_background
from m2s_index.pairing.duplicates import Stretch, same_stretches, stretch_pair
from m2s_index.pairing.film_rows import FilmRows, row_scores, scene_rows, shot_times, window_rows
from m2s_index.pairing.fingerprints import shot_fingerprints
from m2s_index.pairing.greedy import select_pairs
from m2s_index.reading import Reader
from m2s_index.refs import find_movie
from m2s_index.types import Float32Array, Int64Array, ScenePair

KEEP = 0.5
"""The share of a film pair's scores that can be pairs (seed, 3a)."""
Duplicates = Literal["show", "hide", "only"]


@dataclass(frozen=True)
class PairOptions:
    """Which pairs of two films are wanted.

    ``keep`` is the share of the matrix's highest entries that are candidates, rounded up; of the pairs taken
    from these the ``top`` best, and none below ``min_score``. ``windows`` compares windows of nine shots
    instead of scenes; ``junk`` pairs scenes as well of which most shots are black, plain, cards or credits.
    Stretches of the same pictures come first, or are left out, or are all there is. Pairs that are not these are at
    least as unusual as ``min_percentile`` says (see ``background``).
    """

    keep: float = KEEP
    top: int | None = None
    min_score: float | None = None
    windows: bool = False
    junk: bool = False
    duplicates: Duplicates = "show"
    min_percentile: float | None = None

    def __post_init__(self) -> None:
        check_limits(self.keep, self.top, self.min_score)
        check_percentile(self.min_percentile)


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
    −∞ where two scenes are not to be paired: one is junk, or both show the same pictures somewhere. ``notes`` are
    lines for the user.
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
    """The pairs of the films that two references name: first the stretches that are the same, then scenes alike.

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
        stretches, notes = _looks(catalog, reader, a, b, leave_out=not options.junk)
        background = read_background(reader, encoder, windows=options.windows)
    scores = row_scores(a, b)
    for stretch in stretches:
        scores[np.ix_(*_showing(a, b, stretch))] = -np.inf
    pairs = (
        [] if options.duplicates == "hide" else [stretch_pair(stretch, a.scenes, b.scenes) for stretch in stretches]
    )
    if options.duplicates != "only":
        alike = _alike(a, b, scores, select_usable(scores, a.span, options.keep), background)
        pairs += [pair for pair in alike if (pair.percentile or 0.0) >= (options.min_percentile or 0.0)]
    if options.min_score is not None:
        pairs = [pair for pair in pairs if pair.score >= options.min_score]
    ranked = tuple(replace(pair, rank=rank) for rank, pair in enumerate(pairs[: options.top], 1))
    return FilmPairs(encoder.name, a, b, scores, ranked, (*notes, *_nothing(a, b, ranked)))


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


def _looks(
    catalog: Catalog, reader: Reader, a: FilmRows, b: FilmRows, *, leave_out: bool
) -> tuple[list[Stretch], list[str]]:
    """Mark scenes as not usable of which most shots are junk; returns what the films have in common, and a line for
    the user for each film whose key frames cannot be read.
    """
    prints, notes = [], []
    for rows in (a, b):
        try:
            junk = shots_junk(catalog, reader, rows.movie.movie_id)
            if leave_out:
                rows.usable[mostly_junk(rows.scenes, junk)] = False
            prints.append(shot_fingerprints(catalog, reader, rows.movie.movie_id, junk))
        except KeyFrameError:
            notes.append(f"{rows.movie.name}: {LOOKS_UNKNOWN}")
    if notes:
        return [], notes
    times = [shot_times(reader, rows.movie.movie_id) for rows in (a, b)]
    return same_stretches(prints[0], prints[1], times[0], times[1]), []


def _alike(
    a: FilmRows, b: FilmRows, scores: Float32Array, chosen: Int64Array, background: Background
) -> list[ScenePair]:
    """Pairs of scenes by their rows, int64 [P, 2], and how unusual they are."""
    values = scores[chosen[:, 0], chosen[:, 1]]
    ends = [
        (rows.vectors[chosen[:, side]], np.full(len(chosen), rows.movie.movie_id))
        for side, rows in enumerate((a, b))
    ]
    measured = background.measured(values, ends[0], ends[1])
    return [
        ScenePair(0, score, a.scenes[i], b.scenes[j], "similar", percentile, csls)
        for (i, j), score, (percentile, csls) in zip(chosen.tolist(), values.tolist(), measured, strict=True)
    ]


def _showing(a: FilmRows, b: FilmRows, stretch: Stretch) -> tuple[list[int], list[int]]:
    """The scenes of either film that have a shot of a stretch."""
    found = []
    for rows, first, end in ((a, stretch.first_a, stretch.end_a), (b, stretch.first_b, stretch.end_b)):
        found.append([i for i, s in enumerate(rows.scenes) if s.first_shot < end and first < s.end_shot])
    return found[0], found[1]


def _nothing(a: FilmRows, b: FilmRows, pairs: tuple[ScenePair, ...]) -> list[str]:
    unusable = [rows.movie.name for rows in (a, b) if not rows.usable.any()]
    if unusable:
        return [f"{name} has no scene that can be paired: all are mostly junk (see --junk)" for name in unusable]
    return [] if pairs else [f"nothing in {a.movie.name} and {b.movie.name} is so much alike"]
