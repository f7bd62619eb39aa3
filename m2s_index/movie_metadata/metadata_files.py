"""Files of movie metadata, each known by its header: MovieLens, Condensed Movies, and tables of one's own."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from m2s_index.errors import UsageError
from m2s_index.metadata import MovieMetadata, read_metadata
from m2s_index.movie_metadata import condensed_movies, movielens
from m2s_index.movie_metadata.movielens import MovieLens, Ratings

KINDS = {
    "MovieLens's ratings": movielens.RATINGS,
    "MovieLens's links": movielens.LINKS,
    "MovieLens's movies": movielens.MOVIES,
    "Condensed Movies' descriptions": condensed_movies.DESCRIPTIONS,
    "Condensed Movies' clips": condensed_movies.CLIPS,
    "Condensed Movies' movies": condensed_movies.MOVIES,
    "Condensed Movies' genres": condensed_movies.GENRES,
    "a table": ("movie",),
}
"""The columns that tell each kind of file; the first that fits holds."""


@dataclass(frozen=True)
class FoundMetadata:
    """What files say. A later record of a film holds against an earlier one; ``named`` are the tables' alone, by
    file name. ``passed_over`` are files in folders that are of no kind, ``left_out`` lines for the person.
    """

    movies: list[MovieMetadata]
    named: dict[str, MovieMetadata]
    ratings: Ratings | None
    left_out: tuple[str, ...]
    passed_over: tuple[Path, ...]


def read_metadata_files(paths: Iterable[Path]) -> FoundMetadata:
    """All metadata of files, and of the CSV files in folders. Where several speak of a film, MovieLens counts
    least, then Condensed Movies, then tables, of which the later counts more.

    Raises:
        UsageError: a named file, or every file of a folder, is of no kind; MovieLens's files come without its
            links; or one cannot be read or makes no sense.
    """
    files: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    passed_over: list[Path] = []
    for path in paths:
        _sort_in(path, files, passed_over)
    one = {kind: _only(kind, found) for kind, found in files.items() if kind != "a table"}
    lens = MovieLens([], None, ())
    links, rated = one["MovieLens's links"], one["MovieLens's ratings"]
    listed = one["MovieLens's movies"]
    if links:
        lens = movielens.read_movielens(links=links, movies=listed, ratings=rated)
    elif orphan := rated or listed:
        raise UsageError(f"{orphan}: which films these are is in MovieLens's links.csv: name it too, or its folder")
    movies = lens.movies + condensed_movies.read_condensed_movies(
        movies=one["Condensed Movies' movies"],
        genres=one["Condensed Movies' genres"],
        clips=one["Condensed Movies' clips"],
        descriptions=one["Condensed Movies' descriptions"],
    )
    named: dict[str, MovieMetadata] = {}
    for table in files["a table"]:
        records = read_metadata(table)
        named |= records
        movies += records.values()
    return FoundMetadata(movies, named, lens.ratings, lens.left_out, tuple(passed_over))


def _sort_in(path: Path, files: dict[str, list[Path]], passed_over: list[Path]) -> None:
    """Put a file, or those in a folder, among those of their kind."""
    if not path.is_dir():
        header = _header(path)
        kind = _kind(header)
        if kind is None:
            known = "; ".join(f"{name}: {', '.join(columns)}" for name, columns in KINDS.items())
            raise UsageError(
                f"{path}: no metadata that m2s knows; its first line has: {', '.join(header) or 'nothing'}. "
                f"It needs the columns of one of: {known}"
            )
        files[kind].append(path)
        return
    inside = [(file, _kind(_header(file))) for file in sorted(path.glob("*.csv"))]
    if not any(kind for _, kind in inside):
        raise UsageError(f"{path}: holds no file of metadata (*.csv) that m2s knows")
    for file, kind in inside:
        (files[kind] if kind else passed_over).append(file)


def _kind(header: list[str]) -> str | None:
    return next((kind for kind, columns in KINDS.items() if set(columns) <= set(header)), None)


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip().lower() for name in next(csv.reader([file.readline(1 << 16)]), [])]
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{path}: not a CSV table in UTF-8 ({exc})") from exc


def _only(kind: str, found: list[Path]) -> Path | None:
    if len(found) > 1:
        raise UsageError(f"{found[0]} and {found[1]} are both {kind}: import one after the other")
    return found[0] if found else None
