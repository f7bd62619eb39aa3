"""Which scenes may be hits: filters as they are typed, resolved in SQL to a ``Selection`` of scene ids."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Executable, and_, false, or_, select
from sqlalchemy.orm import Session

from m2s_index import selection as selections
from m2s_index.errors import UsageError
from m2s_index.refs import find_movie
from m2s_index.schema import GenreRow, LabelRow, MovieRow, SceneRow
from m2s_index.selection import BoolArray, Selection
from m2s_index.types import Int64Array

Years = tuple[int | None, int | None]
LABEL_COLUMNS = "i8,f8,f8"
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
        return str(first)
    return f"{'' if first is None else first}:{'' if last is None else last}"


def parse_label(text: str) -> tuple[str, str]:
    """Vocabulary and value of "place=office"; the value may hold further "=".

    Raises:
        UsageError: one of them is missing.
    """
    vocabulary, mark, value = (part.strip() for part in text.partition("="))
    if not (vocabulary and mark and value):
        raise UsageError(f"'{text}' is no label: write VOCABULARY=VALUE, as in place=office")
    return vocabulary, value


@dataclass(frozen=True, eq=False)
class SceneRanges:
    """Where the scenes of each movie are, for one encoder: int64 [M] each, by first scene id.

    Movie ``movie_ids[i]`` has the scenes ``first_ids[i]`` to ``end_ids[i]`` (exclusive).
    """

    movie_ids: Int64Array
    first_ids: Int64Array
    end_ids: Int64Array

    @property
    def limit(self) -> int:
        """One more than the highest scene id."""
        return int(self.end_ids.max(initial=1))

    def of_movies(self, movie_ids: Int64Array) -> Selection:
        """The scenes of some movies."""
        chosen = np.isin(self.movie_ids, movie_ids)
        return selections.of_ranges(self.first_ids[chosen], self.end_ids[chosen], self.limit)


class SceneTimes:
    """Length and middle of every scene, by scene id, kept because a million rows take SQL half a second.

    Scenes never change and ids never come back, so that only new ones are read; those of removed movies
    stay, and are excluded elsewhere.
    """

    def __init__(self) -> None:
        self.seconds: NDArray[np.float64] = np.full(1, np.nan)
        self.middles: NDArray[np.float64] = np.full(1, np.nan)

    def read_new(self, session: Session, limit: int) -> None:
        """Read the scenes that are not here yet, and see that there is an entry for each id below ``limit``."""
        query = (
            select(SceneRow.id, SceneRow.duration_seconds, SceneRow.start_seconds, SceneRow.end_seconds)
            .where(SceneRow.id >= len(self.seconds))
            .order_by(SceneRow.id)
        )
        rows = read_columns(session, query, "i8,f8,f8,f8")
        size = max(limit, len(self.seconds), int(rows["f0"][-1]) + 1 if len(rows) else 0)
        for name, values in (("seconds", rows["f1"]), ("middles", (rows["f2"] + rows["f3"]) / 2)):
            column = np.full(size, np.nan)
            old = getattr(self, name)
            column[: len(old)] = old
            column[rows["f0"]] = values
            setattr(self, name, column)


def resolve(session: Session, wanted: SceneFilter, ranges: SceneRanges, times: SceneTimes) -> Selection | None:
    """The scenes that a filter leaves, but for ``other_movies``, which depends on the query; None is all.

    Args:
        session: of the catalogue.
        wanted: the filter.
        ranges: the encoder's scenes.
        times: filled here, where the filter needs it.

    Raises:
        UnknownReferenceError: one of its movies is unknown or ambiguous.
    """
    limit = ranges.limit
    found: list[Selection] = []
    movie_ids = _movie_ids(session, wanted)
    if movie_ids is not None:
        found.append(ranges.of_movies(movie_ids))
    if wanted.labels or wanted.min_seconds is not None or wanted.max_seconds is not None:
        times.read_new(session, limit)
    if wanted.min_seconds is not None or wanted.max_seconds is not None:
        low, high = wanted.min_seconds or 0.0, wanted.max_seconds
        seconds = times.seconds[:limit]
        fits = seconds >= low
        found.append(Selection(mask=fits if high is None else fits & (seconds <= high)))
    for vocabulary in dict.fromkeys(vocabulary for vocabulary, _ in wanted.labels):
        values = [value for name, value in wanted.labels if name == vocabulary]
        found.append(_labelled(session, vocabulary, values, ranges, times))
    if not found:
        return None
    selection = found[0]
    for other in found[1:]:
        selection = selection.and_also(other, limit)
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


def read_columns(session: Session, query: Executable, dtype: str) -> NDArray[np.void]:
    """A query's rows as a structured array (fields f0, f1, …), read without a Python object for each."""
    result = session.connection().execute(query)
    try:
        # The DBAPI's cursor gives the rows as they are; NumPy takes None for NaN in a float column.
        return np.fromiter(cast(Iterable[Any], result.cursor), np.dtype(dtype))
    finally:
        result.close()


def _shell(text: str) -> str:
    return text if re.fullmatch(r"[\w./:=+-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def _movie_ids(session: Session, wanted: SceneFilter) -> Int64Array | None:
    """The movies that a filter's conditions on movies leave, or None where it has none."""
    if not (wanted.movies or wanted.not_movies or wanted.genres or wanted.years):
        return None
    query = select(MovieRow.id)
    if wanted.movies:
        query = query.where(MovieRow.id.in_([find_movie(session, m).movie_id for m in wanted.movies]))
    if wanted.not_movies:
        query = query.where(MovieRow.id.not_in([find_movie(session, m).movie_id for m in wanted.not_movies]))
    if wanted.years:
        first, last = wanted.years
        query = query.where(MovieRow.year.is_not(None))
        query = query if first is None else query.where(MovieRow.year >= first)
        query = query if last is None else query.where(MovieRow.year <= last)
    if wanted.genres:
        genres = _as_stored(session, select(GenreRow.genre).distinct(), wanted.genres)
        query = query.where(MovieRow.id.in_(select(GenreRow.movie_id).where(GenreRow.genre.in_(genres))))
    return np.fromiter(session.scalars(query), np.int64)


def _as_stored(session: Session, known: Executable, wanted: Iterable[str]) -> list[str]:
    """What is asked for as the catalogue writes it: itself, or without case where that is unknown."""
    stored = session.scalars(known).all()
    found: list[str] = []
    for text in wanted:
        found += [text] if text in stored else [s for s in stored if s.casefold() == text.casefold()]
    return found


def _labelled(
    session: Session, vocabulary: str, values: list[str], ranges: SceneRanges, times: SceneTimes
) -> Selection:
    """The scenes whose middle lies in a stretch that carries one of the values."""
    query = select(LabelRow.movie_id, LabelRow.start_seconds, LabelRow.end_seconds)
    is_one = or_(false(), *(_is_label(session, vocabulary, value) for value in values))
    rows = read_columns(session, query.where(is_one), LABEL_COLUMNS)
    rows = rows[np.isin(rows["f0"], ranges.movie_ids)]
    order = np.argsort(ranges.movie_ids)
    owners = order[np.searchsorted(ranges.movie_ids, rows["f0"], sorter=order)]
    first, end = ranges.first_ids[owners], ranges.end_ids[owners]
    starts = _first_at_or_after(times.middles, first, end, np.where(np.isnan(rows["f1"]), -np.inf, rows["f1"]))
    ends = _first_at_or_after(times.middles, first, end, np.where(np.isnan(rows["f2"]), np.inf, rows["f2"]))
    return Selection(mask=_covered(starts, np.maximum(starts, ends), ranges.limit))


def _is_label(session: Session, vocabulary: str, value: str) -> ColumnElement[bool]:
    """The condition for one label: as it is written or, where no label is written so, without case."""
    same = and_(LabelRow.vocabulary == vocabulary, LabelRow.value == value)
    if session.scalar(select(LabelRow.id).where(same).limit(1)) is not None:
        return same
    vocabularies = _as_stored(session, select(LabelRow.vocabulary).distinct(), [vocabulary])
    known = select(LabelRow.value).where(LabelRow.vocabulary.in_(vocabularies)).distinct()
    return and_(LabelRow.vocabulary.in_(vocabularies), LabelRow.value.in_(_as_stored(session, known, [value])))


def _first_at_or_after(
    middles: NDArray[np.float64], first: Int64Array, end: Int64Array, seconds: NDArray[np.float64]
) -> Int64Array:
    """For each i the first scene id in first[i]…end[i] whose middle is at least seconds[i], else end[i].

    One binary search for all: a movie's scenes are in order of time.
    """
    low, high = first.copy(), end.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        earlier = open_ & (middles[np.minimum(middle, len(middles) - 1)] < seconds)
        low = np.where(earlier, middle + 1, low)
        high = np.where(open_ & ~earlier, middle, high)
    return low


def _covered(starts: Int64Array, ends: Int64Array, limit: int) -> BoolArray:
    """Which ids below ``limit`` are in at least one of the ranges: bool [limit]."""
    depth = np.bincount(starts, minlength=limit + 1) - np.bincount(ends, minlength=limit + 1)
    covered: BoolArray = np.cumsum(depth[:limit]) > 0
    return covered
