"""Condensed Movies as its authors publish it: titles, genres, and what happens in each of a film's clips.

Bain et al., "Condensed Movies: Story Based Retrieval with Contextual Embeddings" (ACCV 2020). All its tables name
films by IMDb id. A film's synopsis is what is said of its clips, in the order of the film.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from m2s_index.errors import UsageError
from m2s_index.metadata import MovieMetadata, read_imdb_id, read_table
from m2s_index.movie_metadata.gathered import Gathered

MOVIES = ("imdbid", "title", "year")
GENRES = ("imdbid", "genre")
CLIPS = ("videoid", "clip_idx", "imdbid")
DESCRIPTIONS = ("imdbid", "videoid", "description")
"""The columns that each of the tables must have."""


def read_condensed_movies(
    *, movies: Path | None, genres: Path | None, clips: Path | None, descriptions: Path | None
) -> list[MovieMetadata]:
    """What the given ones of the four tables (movies.csv, movie_info.csv, clips.csv, descriptions.csv) say.

    Raises:
        UsageError: one cannot be read, or lines make no sense or contradict each other; the line is named.
    """
    found = Gathered()
    for where, row in read_table(movies, MOVIES) if movies else ():
        year = _year(row["year"], where)
        found.add(read_imdb_id(row["imdbid"], where), where, title=row["title"], year=year)
    for where, row in read_table(genres, GENRES) if genres else ():
        found.add(read_imdb_id(row["imdbid"], where), where, genres=_genres(row["genre"], where))
    synopses = _synopses(descriptions, _positions(clips) if clips else {}) if descriptions else {}
    for imdb_id, synopsis in synopses.items():
        found.add(imdb_id, str(descriptions), synopsis=synopsis)
    return [MovieMetadata(imdb_id=imdb_id, **facts) for imdb_id, facts in found]


def _synopses(path: Path, positions: dict[str, int]) -> dict[str, str]:
    """By IMDb id. Clips without a position come last, in the order of the file."""
    said: dict[str, list[tuple[int, str]]] = {}
    last = max(positions.values(), default=0) + 1
    for where, row in read_table(path, DESCRIPTIONS):
        if row["description"]:
            position = positions.get(row["videoid"], last)
            said.setdefault(read_imdb_id(row["imdbid"], where), []).append((position, row["description"]))
    return {
        imdb_id: " ".join(dict.fromkeys(text for _, text in sorted(clips, key=lambda clip: clip[0])))
        for imdb_id, clips in said.items()
    }


def _positions(path: Path) -> dict[str, int]:
    """Which clip of its film each is."""
    found = {}
    for where, row in read_table(path, CLIPS):
        if not row["clip_idx"].isdecimal():
            raise UsageError(f"{where}: the clip_idx '{row['clip_idx']}' is no number")
        found[row["videoid"]] = int(row["clip_idx"])
    return found


def _year(text: str, where: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"\d{4}(\.0)?", text, re.ASCII):
        raise UsageError(f"{where}: the year '{text}' is not four digits")
    return int(text[:4])


def _genres(text: str, where: str) -> tuple[str, ...]:
    """A list as Python writes it: ['Drama', 'War']."""
    try:
        names = ast.literal_eval(text) if text else []
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{where}: the genres are not written as ['Drama', 'War']: '{text:.60}'")
    return tuple(sorted({name.strip() for name in names if name.strip()}))
