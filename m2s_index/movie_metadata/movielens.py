"""MovieLens as GroupLens publishes it: titles and genres, and who rated what.

Harper and Konstan, "The MovieLens Datasets" (ACM TiiS 5(4), 2015). Its files name films by a number of their own;
links.csv says which IMDb id that is. Ratings go through NumPy: there may be tens of millions.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from m2s_index.errors import UsageError
from m2s_index.metadata import MovieMetadata, read_imdb_id, read_table
from m2s_index.movie_metadata.gathered import Gathered
from m2s_index.types import Float32Array, Int64Array

LINKS = ("movieid", "imdbid")
MOVIES = ("movieid", "title", "genres")
RATINGS = ("userid", "movieid", "rating")
"""The columns that each of the files must have, in small letters."""

NO_GENRES = "(no genres listed)"
BEST_RATING = 5.0
CHUNK_ROWS = 1_000_000
_TITLE = re.compile(r"(?P<title>.*\S)\s*\((?P<year>\d{4})(?:[-–]\d{0,4})?\)\s*", re.ASCII)
_ARTICLE = re.compile(
    r"(?P<title>[^(]*\S), (?P<article>The|An?|Les?|La|L'|Das|Der|Die|El|Il|Los|Las)(?P<rest>(?: \(.*)?)"
)


@dataclass(frozen=True)
class Ratings:
    """Who rated what, sorted by movie and then by person, one rating a pair.

    ``imdb_ids`` are the movies; ``movies`` int64 [R] counts in them, ``people`` is int64 [R], ``ratings`` float32
    [R] in stars, above 0 to 5.
    """

    imdb_ids: tuple[str, ...]
    movies: Int64Array
    people: Int64Array
    ratings: Float32Array


@dataclass(frozen=True)
class MovieLens:
    """What the files say, and lines for the person about what was left out of it."""

    movies: list[MovieMetadata]
    ratings: Ratings | None
    left_out: tuple[str, ...]


def read_movielens(*, links: Path, movies: Path | None, ratings: Path | None) -> MovieLens:
    """What the given ones of links.csv, movies.csv and ratings.csv say. Movies that links.csv does not list, or
    lists without an IMDb id, are left out.

    Raises:
        UsageError: one cannot be read, or lines make no sense or contradict each other; the line is named.
    """
    imdb_ids = _read_links(links)
    said, unknown = _read_movies(movies, imdb_ids) if movies else ({}, [])
    left_out = [_left_out(movies, unknown)] if movies and unknown else []
    known, unknown = _read_ratings(ratings, imdb_ids) if ratings else (None, [])
    left_out += [_left_out(ratings, unknown)] if ratings and unknown else []
    found = [said.get(imdb_id) or MovieMetadata(imdb_id=imdb_id) for imdb_id in imdb_ids.values()]
    return MovieLens(found, known, tuple(left_out))


def read_title(text: str) -> tuple[str, int | None]:
    """Title and year of MovieLens's way to write both, an article behind the title.

    >>> read_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    ('The City of Lost Children (Cité des enfants perdus, La)', 1995)
    """
    match = _TITLE.fullmatch(text)
    title, year = (match["title"], int(match["year"])) if match else (text, None)
    if article := _ARTICLE.fullmatch(title):
        space = "" if article["article"].endswith("'") else " "
        title = f"{article['article']}{space}{article['title']}{article['rest']}"
    return title, year


def _read_links(path: Path) -> dict[int, str]:
    """IMDb ids by MovieLens's own."""
    found, back = Gathered(), Gathered()
    for where, row in read_table(path, LINKS):
        number = _number(row["movieid"], where)
        if row["imdbid"]:
            imdb_id = read_imdb_id(row["imdbid"], where)
            found.add(str(number), where, imdb_id=imdb_id)
            back.add(imdb_id, where, movieId=number)
    return {int(number): facts["imdb_id"] for number, facts in found}


def _read_movies(path: Path, imdb_ids: dict[int, str]) -> tuple[dict[str, MovieMetadata], list[int]]:
    """By IMDb id, and the numbers that have none."""
    found = Gathered()
    for where, row in read_table(path, MOVIES):
        title, year = read_title(row["title"])
        genres = () if row["genres"] == NO_GENRES else tuple(sorted({g for g in row["genres"].split("|") if g}))
        found.add(str(_number(row["movieid"], where)), where, title=title, year=year, genres=genres)
    unknown = [int(number) for number, _ in found if int(number) not in imdb_ids]
    known = ((imdb_ids[int(number)], facts) for number, facts in found if int(number) in imdb_ids)
    return {imdb_id: MovieMetadata(imdb_id=imdb_id, **facts) for imdb_id, facts in known}, unknown


def _read_ratings(path: Path, imdb_ids: dict[int, str]) -> tuple[Ratings, list[int]]:
    """The ratings, and the numbers of rated movies that have no IMDb id."""
    people, numbers, stars = _rating_columns(path)
    order = np.lexsort((people, numbers))
    people, numbers, stars = people[order], numbers[order], stars[order]
    again = (np.diff(people) == 0) & (np.diff(numbers) == 0)
    if (other := np.flatnonzero(again & (np.diff(stars) != 0))).size:
        at = int(other[0])
        person, number = float(people[at]), float(numbers[at])
        lines = _lines(path, lambda row: _stars(row)[:2] == (person, number))
        raise UsageError(
            f"{path}: lines {', '.join(map(str, lines))} give several ratings of movie {number:.0f} by person "
            f"{person:.0f}: delete all but one"
        )
    new = np.concatenate([np.ones(min(len(people), 1), bool), ~again])
    all_numbers, movies = np.unique(numbers, return_inverse=True)
    unknown = [number for number in all_numbers.tolist() if number not in imdb_ids]
    listed = np.array([number in imdb_ids for number in all_numbers.tolist()], bool)
    kept = new & listed[movies]
    known = tuple(imdb_ids[number] for number in all_numbers[listed].tolist())
    place = np.cumsum(listed) - 1
    return Ratings(known, place[movies[kept]], people[kept], stars[kept]), unknown


def _rating_columns(path: Path) -> tuple[Int64Array, Int64Array, Float32Array]:
    """People, MovieLens's numbers and stars, each [R], as the file has them."""
    parts: list[NDArray[np.float64]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns = _columns(file, path)
            while not parts or len(parts[-1]) == CHUNK_ROWS:
                parts.append(_chunk(file, columns))
        table = np.concatenate(parts)
        sane = np.isfinite(table).all(axis=1) & (table[:, 2] > 0) & (table[:, 2] <= BEST_RATING)
        sane &= (table[:, :2] >= 0).all(axis=1) & (table[:, :2] < 2**31).all(axis=1)
        if not (sane & (table[:, :2] == np.floor(table[:, :2])).all(axis=1)).all():
            raise ValueError
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path}: not a CSV table in UTF-8 ({exc})") from exc
    except ValueError as exc:
        bad = next(_lines(path, lambda row: not _is_rating(row)), "?")
        raise UsageError(
            f"{path}, line {bad}: not a rating: a person's number, a movie's number, above 0 to 5 stars"
        ) from exc
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2].astype(np.float32)


def _chunk(file: TextIO, columns: list[int]) -> NDArray[np.float64]:
    """The next rows: float64 [R, 3]."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*contained no data")
        rows = np.loadtxt(
            file, delimiter=",", usecols=columns, max_rows=CHUNK_ROWS, ndmin=2, comments=None, quotechar='"'
        )
    return rows.reshape(-1, 3)


def _columns(file: TextIO, path: Path) -> list[int]:
    names = [name.strip().lower() for name in next(csv.reader([file.readline()]), [])]
    missing = [name for name in RATINGS if name not in names]
    if missing:
        raise UsageError(f"{path}: no column {', '.join(missing)}; its first line has: {', '.join(names)}")
    return [names.index(name) for name in RATINGS]


def _lines(path: Path, wanted: Callable[[list[str]], bool]) -> Iterator[int]:
    """The lines of a ratings file whose three cells are as wanted: slow, for complaints."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        columns = _columns(file, path)
        reader = csv.reader(file)
        for row in reader:
            if row and wanted([row[at] if at < len(row) else "" for at in columns]):
                yield reader.line_num + 1


def _is_rating(cells: list[str]) -> bool:
    try:
        person, number, stars = _stars(cells)
    except ValueError:
        return False
    whole = all(0 <= value < 2**31 and value.is_integer() for value in (person, number))
    return whole and 0 < stars <= BEST_RATING


def _stars(cells: list[str]) -> tuple[float, float, float]:
    person, number, stars = map(float, cells)
    return person, number, stars


def _number(text: str, where: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{where}: the movieId '{text}' is no number")
    return int(text)


def _left_out(path: Path, unknown: list[int]) -> str:
    named = ", ".join(map(str, unknown[:10])) + (", …" if len(unknown) > 10 else "")
    return f"{path}: {len(unknown)} movies are left out, links.csv has no IMDb id for them (movieId {named})"
