"""References that people type: "12", "MOVIE#7", "MOVIE@1:02:03" for scenes, and names for movies.

A scene reference is split at its last ``#`` or ``@``. A movie is named by its file (path, or name with or
without its ending), which beats a unique start of a title or name. Case and Unicode form do not matter,
but what is typed exactly wins over what is only alike.
"""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from typing import Any

from m2s_index.errors import UnknownReferenceError
from m2s_index.reading import Reader, Values, json_list
from m2s_index.types import Scene

MAX_LISTED = 10
_TIME = re.compile(r"(?:(?:([0-9]+):)?([0-9]+):)?([0-9]+(?:\.[0-9]*)?)", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_MOVIES = "SELECT id, name, title, path FROM movies"
_SCENES = (
    'SELECT s.id, s.movie_id, m.name, s."index", s.first_shot, s.end_shot, s.start_seconds, s.end_seconds, '
    "m.title, m.year FROM scenes s JOIN movies m ON m.id = s.movie_id"
)
_FORMS = "a scene is written 12 (its id), 'MOVIE#7' (the scene whose index is 7) or 'MOVIE@1:02:03'"


@dataclass(frozen=True)
class MovieReference:
    """A movie that a reference names: ``name`` is its file's stem."""

    movie_id: int
    name: str
    title: str | None
    path: str


def find_scene(reader: Reader, ref: str) -> Scene:
    """The scene that ``ref`` names.

    A time names the last scene that begins at or before it: where scenes overlap the later one, and in a
    gap that a dissolve leaves the one before. A time before the first scene names the first.

    Raises:
        UnknownReferenceError: nothing, or more than one thing, is called that; or the movie has no such
            scene or time.
    """
    text = ref.strip()
    if _NUMBER.fullmatch(text):
        return _scene_by_id(reader, int(text))
    split = max(text.rfind("#"), text.rfind("@"))
    if split < 0:
        raise UnknownReferenceError(f"{_quoted(ref)} is no scene: {_FORMS}")
    name, mark, place = text[:split].strip(), text[split], text[split + 1 :].strip()
    if not name:
        raise UnknownReferenceError(f"{_quoted(ref)} names no movie before the {mark}: {_FORMS}")
    if mark == "#":
        if not _NUMBER.fullmatch(place):
            raise UnknownReferenceError(
                f"{_quoted(place)} after the # of {_quoted(ref)} is no scene index: {_FORMS}"
            )
        return _scene_by_index(reader, find_movie(reader, name), int(place))
    seconds = parse_time(place)
    if seconds is None:
        raise UnknownReferenceError(f"{_quoted(place)} after the @ of {_quoted(ref)} is no time: {_FORMS}")
    return _scene_at(reader, find_movie(reader, name), seconds)


def find_movie(reader: Reader, text: str, *, bare_number_is_id: bool = False) -> MovieReference:
    """The movie that ``text`` names.

    Args:
        reader: of the catalogue.
        text: a path, a file name with or without its ending, or the start of a title or name.
        bare_number_is_id: take "12" for a movie id, not for a name.

    Raises:
        UnknownReferenceError: no movie is called that (the message suggests some), or more than one is
            (it lists them).
    """
    text = text.strip()
    if bare_number_is_id and _NUMBER.fullmatch(text):
        found = _movies(reader, f"{_MOVIES} WHERE id = ?", (int(text),))
        if not found:
            raise UnknownReferenceError(f"there is no movie with the id {text}: 'm2s index status' lists them")
        return found[0]
    # Nearly always a name is typed as it is stored, which an index finds; else all are looked through.
    names = (_shown(text), _shown(PurePath(text).stem))
    for tier in _exact_tiers(text, _movies(reader, f"{_MOVIES} WHERE name IN (?, ?) ORDER BY id", names)):
        if tier:
            return _only(text, tier)
    movies = _movies(reader, f"{_MOVIES} ORDER BY id")
    for tier in _tiers(text, movies) if text else ():
        if tier:
            return _only(text, tier)
    raise UnknownReferenceError(f"no movie is called {_quoted(text)}{_suggestions(text, movies)}")


def parse_time(text: str) -> Fraction | None:
    """Seconds of "1:02:03", "62:03" or "75.5", exactly; None where it is no time."""
    match = _TIME.fullmatch(text)
    if match is None or len(text) > 40:
        return None
    hours, minutes, seconds = match.groups()
    total = Fraction(seconds if not seconds.endswith(".") else seconds + "0")
    if (minutes is not None and total >= 60) or (hours is not None and int(minutes) >= 60):
        return None
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + total


def format_time(seconds: float) -> str:
    """Seconds as they are typed: "1:02:03", whole seconds, rounded down."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def scenes_by_id(reader: Reader, scene_ids: list[int]) -> dict[int, tuple[Scene, str | None, int | None]]:
    """Scenes, each with its movie's title and year; ids that there are none of are left out."""
    query = f"{_SCENES} WHERE s.id IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants
    return {row[0]: (_as_scene(row), row[8], row[9]) for row in reader.rows(query, (json_list(scene_ids),))}


def movies_by_id(reader: Reader, movie_ids: list[int]) -> list[MovieReference]:
    """Movies in order of their ids; ids that there are none of are left out."""
    query = f"{_MOVIES} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"  # noqa: S608 - constants
    return _movies(reader, query, (json_list(movie_ids),))


def scenes_of_movie(reader: Reader, movie_id: int) -> list[Scene]:
    """A movie's scenes in order."""
    return [
        _as_scene(row) for row in reader.rows(f'{_SCENES} WHERE s.movie_id = ? ORDER BY s."index"', (movie_id,))
    ]


def _movies(reader: Reader, query: str, values: Values = ()) -> list[MovieReference]:
    return [
        MovieReference(movie_id, name, title, os.fsdecode(path))
        for movie_id, name, title, path in reader.rows(query, values)
    ]


def _only(text: str, found: list[MovieReference]) -> MovieReference:
    if len(found) > 1:
        raise UnknownReferenceError(f"{_quoted(text)} may be any of {_listed(found)}")
    return found[0]


def _exact_tiers(text: str, movies: list[MovieReference]) -> Iterator[list[MovieReference]]:
    """The films that ``text`` names to the letter: by path, by file name, by file name without ending."""
    absolute = os.path.abspath(text)  # noqa: PTH100 - without resolving links, as paths were stored
    yield [m for m in movies if m.path in (text, absolute)]
    yield [m for m in movies if PurePath(m.path).name == text or m.name == text]


def _tiers(text: str, movies: list[MovieReference]) -> Iterator[list[MovieReference]]:
    """What ``text`` may name, from the strictest reading to the loosest."""
    yield from _exact_tiers(text, movies)
    shown = _normal(text)
    folded = shown.casefold()
    yield [m for m in movies if shown in _file_names(m)]
    yield [m for m in movies if folded in [name.casefold() for name in _file_names(m)]]
    yield [m for m in movies if folded == _normal(m.title or "").casefold()]
    yield [m for m in movies if any(_normal(n).casefold().startswith(folded) for n in (m.name, m.title or ""))]


def _file_names(movie: MovieReference) -> tuple[str, str, str]:
    path = _shown(movie.path)
    return _normal(path), _normal(PurePath(path).name), _normal(movie.name)


def _shown(text: str) -> str:
    """Text without the surrogates that stand for bytes which are not UTF-8, as names are stored."""
    return os.fsencode(text).decode("utf-8", "replace")


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", _shown(text))


def _quoted(text: str) -> str:
    return f"'{_normal(text)}'"


def _listed(movies: list[MovieReference]) -> str:
    """Names of candidates; with their paths where names are shared."""
    names = [_normal(movie.name) for movie in movies]
    if len(set(names)) < len(names):
        names = [_file_names(movie)[0] for movie in movies]
    shown = ", ".join(f"'{name}'" for name in sorted(names)[:MAX_LISTED])
    return f"{shown} and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else shown


def _suggestions(text: str, movies: list[MovieReference]) -> str:
    if not movies:
        return ": the catalogue holds no movies"
    folded = _normal(text).casefold()
    names: dict[str, str] = {}
    for movie in movies:
        for name in (movie.name, movie.title):
            if name:
                names.setdefault(_normal(name).casefold(), _normal(movie.name))
    inside = [names[key] for key in names if folded and folded in key]
    near = [names[key] for key in difflib.get_close_matches(folded, names, n=5, cutoff=0.6)]
    found = list(dict.fromkeys(inside + near))[:5]
    if not found:
        return ": 'm2s index status' lists the movies"
    return "; did you mean " + " or ".join(f"'{name}'" for name in found) + "?"


def _scene_by_id(reader: Reader, scene_id: int) -> Scene:
    found = scenes_by_id(reader, [scene_id])
    if not found:
        low, high = next(reader.rows("SELECT min(id), max(id) FROM scenes"))
        known = "the catalogue holds no scenes" if low is None else f"ids here run from {low} to {high}"
        raise UnknownReferenceError(f"there is no scene with the id {scene_id}: {known}")
    return found[scene_id][0]


def _scene_by_index(reader: Reader, movie: MovieReference, index: int) -> Scene:
    row = reader.first(f'{_SCENES} WHERE s.movie_id = ? AND s."index" = ?', (movie.movie_id, index))
    if row is None:
        count = reader.value("SELECT count(*) FROM scenes WHERE movie_id = ?", (movie.movie_id,))
        known = f"{count} scenes, #0 to #{count - 1}" if count > 1 else f"{count} scene{'' if count else 's'}"
        raise UnknownReferenceError(f"'{movie.name}' has no scene #{index}: it has {known}")
    return _as_scene(row)


def _scene_at(reader: Reader, movie: MovieReference, seconds: Fraction) -> Scene:
    times = reader.first("SELECT start_pts, end_pts, time_base FROM movies WHERE id = ?", (movie.movie_id,))
    assert times is not None  # the reference is of the reader's own state
    length = (times[1] - times[0]) * Fraction(times[2])
    if seconds >= length:
        raise UnknownReferenceError(
            f"'{movie.name}' has no scene at {format_time(float(seconds))}: it is {format_time(float(length))} long"
        )
    scenes = f"{_SCENES} WHERE s.movie_id = ?"
    row = reader.first(
        f'{scenes} AND s.start_seconds <= ? ORDER BY s."index" DESC LIMIT 1', (movie.movie_id, float(seconds))
    ) or reader.first(f'{scenes} ORDER BY s."index" LIMIT 1', (movie.movie_id,))
    if row is None:
        raise UnknownReferenceError(f"'{movie.name}' has no scenes")
    return _as_scene(row)


def _as_scene(row: tuple[Any, ...]) -> Scene:
    return Scene(*row[:8])
