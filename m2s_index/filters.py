"""Which scenes may be hits: filters as they are typed, resolved in SQL to a ``Selection`` of scene ids."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np

from m2s_index.errors import UsageError
from m2s_index.reading import Reader, json_list
from m2s_index.refs import find_movie
from m2s_index.scene_columns import SceneColumns, SceneRanges, alike
from m2s_index.selection import BoolArray, Selection
from m2s_index.types import Int64Array

Years = tuple[int | None, int | None]
_YEARS = re.compile(r"([0-9]{4})?(:)?([0-9]{4})?", re.ASCII)


@dataclass(frozen=True)
class SceneFilter:
    """Conditions that all must hold; empty ones hold always.

    ``movies``, ``genres`` and the values of one label vocabulary are alternatives. ``years`` are
    inclusive; a movie without a year is outside any. ``other_movies`` leaves the query's own movie out.
    ``min_seconds`` and ``max_seconds`` bound a scene's length, inclusive. Genres and labels are compared
    as written or, where nothing is written so, without case.
    """

    movies: tuple[str, ...] = ()
    not_movies: tuple[str, ...] = ()
    other_movies: bool = False
    years: Years | None = None
    genres: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    min_seconds: float | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        for seconds in (self.min_seconds, self.max_seconds):
            if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
                raise UsageError(f"a scene's length must be a number of seconds, 0 or more, not {seconds}")
        low, high = self.min_seconds, self.max_seconds
        if low is not None and high is not None and low > high:
            raise UsageError(f"no scene is at least {low:g} and at most {high:g} seconds long")

    def __bool__(self) -> bool:
        """Whether it excludes anything."""
        return self != SceneFilter()

    def describe(self) -> str:
        """As it is typed: "--year 1990:1999 --genre Drama"."""
        words = [f"--movie {_shell(m)}" for m in self.movies]
        words += [f"--not-movie {_shell(m)}" for m in self.not_movies]
        words += ["--other-movies"] if self.other_movies else []
        words += [f"--year {format_years(self.years)}"] if self.years else []
        words += [f"--genre {_shell(g)}" for g in self.genres]
        words += [f"--label {_shell(f'{v}={value}')}" for v, value in self.labels]
        words += [f"--min-seconds {self.min_seconds:g}"] if self.min_seconds is not None else []
        words += [f"--max-seconds {self.max_seconds:g}"] if self.max_seconds is not None else []
        return " ".join(words)


NO_FILTER = SceneFilter()


def parse_years(text: str) -> Years:
    """The years of "1990:1999", "1990:", ":1999" or "1990", inclusive.

    Raises:
        UsageError: it is none of these, or the last year comes before the first.
    """
    match = _YEARS.fullmatch(text.strip())
    if match is None or (match[1] is None and match[3] is None) or (match[2] is None and match[3] is not None):
        raise UsageError(f"'{text}' is no range of years: write 1990:1999, 1990:, :1999 or 1990")
    first = int(match[1]) if match[1] else None
    last = int(match[3]) if match[3] else None
    if match[2] is None:
        return first, first
    if first is not None and last is not None and first > last:
        raise UsageError(f"the years '{text}' end before they begin: write {last}:{first}")
    return first, last


def format_years(years: Years) -> str:
    """The inverse of ``parse_years``."""
    first, last = years
    if first is not None and first == last:
        return f"{first:04}"
    return f"{'' if first is None else f'{first:04}'}:{'' if last is None else f'{last:04}'}"


def parse_label(text: str) -> tuple[str, str]:
    """Vocabulary and value of "place=office"; the value may hold further "=".

    Raises:
        UsageError: one of them is missing.
    """
    vocabulary, mark, value = (part.strip() for part in text.partition("="))
    if not (vocabulary and mark and value):
        raise UsageError(f"'{text}' is no label: write VOCABULARY=VALUE, as in place=office")
    return vocabulary, value


def resolve(reader: Reader, wanted: SceneFilter, columns: SceneColumns) -> Selection | None:
    """The scenes that a filter leaves, but for ``other_movies``, which depends on the query; None is all.

    Args:
        reader: of the catalogue.
        wanted: the filter.
        columns: of the encoder's scenes; filled here, with what the filter needs.

    Raises:
        UnknownReferenceError: one of its movies is unknown or ambiguous.
    """
    found: list[Selection] = []
    if wanted.movies or wanted.not_movies or wanted.genres or wanted.years:
        found.append(columns.ranges.of_movies(chosen_movies(reader, wanted, columns.ranges.movie_ids)))
    if wanted.min_seconds is not None or wanted.max_seconds is not None:
        seconds = columns.seconds(reader)
        fits = seconds >= (wanted.min_seconds or 0.0)
        if wanted.max_seconds is not None:
            fits &= seconds <= wanted.max_seconds
        found.append(Selection(mask=fits))
    for vocabulary in dict.fromkeys(vocabulary for vocabulary, _ in wanted.labels):
        values = [value for name, value in wanted.labels if name == vocabulary]
        found.append(columns.labelled(reader, vocabulary, values))
    if not found:
        return None
    selection = found[0]
    for other in found[1:]:
        selection = selection.and_also(other, columns.ranges.limit)
    return selection


def without_movie(selection: Selection | None, movie_id: int, ranges: SceneRanges) -> Selection | None:
    """The selection less one movie's scenes: a negated range where there is nothing else."""
    at = np.flatnonzero(ranges.movie_ids == movie_id)
    if not len(at):
        return selection
    start, end = int(ranges.first_ids[at[0]]), int(ranges.end_ids[at[0]])
    others = Selection(start, end, negated=True)
    return others if selection is None else selection.and_also(others, ranges.limit)


def same_for_any_query(wanted: SceneFilter) -> SceneFilter:
    """The part of a filter that ``resolve`` answers."""
    return replace(wanted, other_movies=False)


def _shell(text: str) -> str:
    return text if re.fullmatch(r"[\w./:=+-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def chosen_movies(reader: Reader, wanted: SceneFilter, movie_ids: Int64Array) -> BoolArray:
    """For which of the movies all of a filter's conditions on movies hold: bool [M] for int64 [M].

    Raises:
        UnknownReferenceError: one of its movies is unknown or ambiguous.
    """
    chosen = np.ones(len(movie_ids), np.bool_)
    if wanted.movies:
        chosen &= np.isin(movie_ids, [find_movie(reader, movie).movie_id for movie in wanted.movies])
    if wanted.not_movies:
        chosen &= ~np.isin(movie_ids, [find_movie(reader, movie).movie_id for movie in wanted.not_movies])
    if wanted.years:
        first, last = wanted.years
        years = (-math.inf if first is None else first, math.inf if last is None else last)
        chosen &= np.isin(movie_ids, reader.ids("SELECT id FROM movies WHERE year BETWEEN ? AND ?", years))
    if wanted.genres:
        genres = json_list(spelling for genre in wanted.genres for spelling in _spellings(reader, genre))
        of_genre = "SELECT movie_id FROM movie_genres WHERE genre IN (SELECT value FROM json_each(?))"
        chosen &= np.isin(movie_ids, reader.ids(of_genre, (genres,)))
    return chosen


def _spellings(reader: Reader, genre: str) -> list[str]:
    """How a genre is stored: as it is written or, where none is written so, without case."""
    same = "SELECT 1 FROM movie_genres WHERE genre IN (SELECT value FROM json_each(?))"
    if reader.value(same, (json_list([genre]),)):
        return [genre]
    return alike(reader.texts("SELECT DISTINCT genre FROM movie_genres"), genre)
