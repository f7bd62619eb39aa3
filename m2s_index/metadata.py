"""What a table says of films: title, year, genres, synopsis and IMDb id, by file name."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePath

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from m2s_index.errors import UsageError
from m2s_index.files import VIDEO_SUFFIXES
from m2s_index.movie_metadata.gathered import Gathered
from m2s_index.names import display_path
from m2s_index.schema import GenreRow, MovieRow

LARGEST_TABLE_BYTES = 256 << 20
_IMDB_ID = re.compile(r"(?:tt)?(\d{1,12})", re.ASCII)


@dataclass(frozen=True)
class MovieMetadata:
    """What a file says of one film; None or empty where it says nothing.

    ``movie`` is a file name, in tables that name films so; ``imdb_id`` is written "tt0133093".
    """

    movie: str | None = None
    title: str | None = None
    year: int | None = None
    genres: tuple[str, ...] = ()
    synopsis: str | None = None
    imdb_id: str | None = None


def read_table(path: Path, required: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    """A CSV table with a header: where each row ends ("movies.csv, line 7"), for messages, and the row as a
    dict. A byte-order mark is no part of the first name.

    Raises:
        UsageError: it cannot be read, is no UTF-8 text, or lacks a required column.
    """
    try:
        if path.stat().st_size > LARGEST_TABLE_BYTES:
            raise UsageError(f"{path}: larger than {LARGEST_TABLE_BYTES >> 20} MiB; is it the right file?")
        text = path.read_text("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="", skipinitialspace=True)
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        missing = [name for name in required if name not in names]
        if missing:
            raise UsageError(
                f"{path}: no column {', '.join(missing)}; its first line has: {', '.join(names) or 'nothing'}"
            )
        reader.fieldnames = names
        return [
            (f"{path}, line {reader.line_num}", {key: (value or "").strip() for key, value in row.items() if key})
            for row in reader
        ]
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{path}: not a CSV table in UTF-8 ({exc})") from exc


def read_metadata(path: Path) -> dict[str, MovieMetadata]:
    """A CSV with a column ``movie`` (a file name, with or without its ending) and any of ``title``,
    ``year``, ``genres`` (separated by ``|`` or ``;``), ``synopsis`` and ``imdb_id``, by what is written in
    ``movie``. Several files may share an IMDb id: parts of a film, or clips of it.

    Raises:
        UsageError: the table cannot be read, a year or an IMDb id is none, or rows of the same movie or IMDb id
            contradict each other; the message names the line.
    """
    by_name, by_id = Gathered(), Gathered()
    for where, row in read_table(path, ("movie",)):
        movie, year = row["movie"], row.get("year", "")
        if not movie:
            raise UsageError(f"{where}: no movie is named")
        if year and not re.fullmatch(r"\d{4}", year, re.ASCII):
            raise UsageError(f"{where}: the year '{year}' is not four digits")
        genres = tuple(sorted({g.strip() for g in re.split(r"[|;]", row.get("genres", "")) if g.strip()}))
        facts = {
            "title": row.get("title"),
            "year": int(year) if year else None,
            "genres": genres,
            "synopsis": row.get("synopsis"),
        }
        imdb_id = read_imdb_id(row["imdb_id"], where) if row.get("imdb_id") else None
        by_name.add(movie, where, imdb_id=imdb_id, **facts)
        if imdb_id:
            by_id.add(imdb_id, where, **facts)
    return {movie: MovieMetadata(movie, **facts) for movie, facts in by_name}


def read_imdb_id(text: str, where: str) -> str:
    """An IMDb id as IMDb writes it, "tt" and at least seven digits; files have it with and without both.

    Raises:
        UsageError: it is none; ``where`` is the line.
    """
    match = _IMDB_ID.fullmatch(text)
    if match is None:
        raise UsageError(f"{where}: '{text}' is no IMDb id: they are written tt0133093")
    return f"tt{int(match[1]):07d}"


class FileNames:
    """The catalogue's movies by what tables call them: a file name, with or without its ending."""

    def __init__(self, session: Session) -> None:
        self._by_name: dict[str, list[int]] = {}
        self._by_stem: dict[str, list[int]] = {}
        for movie_id, path in session.execute(select(MovieRow.id, MovieRow.path).order_by(MovieRow.id)):
            shown = PurePath(display_path(path))
            self._by_name.setdefault(_key(shown.name), []).append(movie_id)
            self._by_stem.setdefault(_key(shown.stem), []).append(movie_id)

    def find(self, text: str) -> list[int]:
        """The ids of the movies of that name: the very file, else any with that stem. Case and Unicode form
        do not matter, nor does a folder in front, nor which of the endings of video a name has.
        """
        name = PurePath(text)
        found = self._by_name.get(_key(name.name)) or self._by_stem.get(_key(name.name))
        if not found and name.suffix.lower() in VIDEO_SUFFIXES:
            found = self._by_stem.get(_key(name.stem))
        return found or []


def apply_metadata(session: Session, table: dict[str, MovieMetadata]) -> list[str]:
    """Write a table's titles, years and genres to the movies it names; returns the names it did not find."""
    names, unmatched = FileNames(session), []
    for name, record in table.items():
        found = names.find(name)
        if not found:
            unmatched.append(name)
        for row in session.scalars(select(MovieRow).where(MovieRow.id.in_(found))):
            row.title = record.title or row.title
            row.year = record.year or row.year
            if record.genres:
                session.execute(delete(GenreRow).where(GenreRow.movie_id == row.id))
                session.execute(insert(GenreRow), [{"movie_id": row.id, "genre": genre} for genre in record.genres])
    return unmatched


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
