"""What a table says of films: title, year, genres, by file name."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from m2s_index.errors import UsageError
from m2s_index.schema import GenreRow, MovieRow

LARGEST_TABLE_BYTES = 256 << 20


@dataclass(frozen=True)
class MovieMetadata:
    """One row of the table; None or empty where it says nothing."""

    movie: str
    title: str | None
    year: int | None
    genres: tuple[str, ...]


def read_table(path: Path, required: tuple[str, ...]) -> list[dict[str, str]]:
    """A CSV table with a header, as one dict a row; a byte-order mark is no part of the first name.

    Raises:
        UsageError: it cannot be read, is no UTF-8 text, or lacks a required column.
    """
    try:
        if path.stat().st_size > LARGEST_TABLE_BYTES:
            raise UsageError(f"{path}: larger than {LARGEST_TABLE_BYTES >> 20} MiB; is it the right file?")
        text = path.read_text("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        missing = [name for name in required if name not in names]
        if missing:
            raise UsageError(
                f"{path}: no column {', '.join(missing)}; its first line has: {', '.join(names) or 'nothing'}"
            )
        reader.fieldnames = names
        return [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{path}: not a CSV table in UTF-8 ({exc})") from exc


def read_metadata(path: Path) -> dict[str, MovieMetadata]:
    """A CSV with a column ``movie`` (a file name, with or without its ending) and any of ``title``,
    ``year`` and ``genres`` (separated by ``|`` or ``;``), by ``movie_key``.

    Raises:
        UsageError: the table cannot be read, or a year is not a number; the message names the line.
    """
    found = {}
    for line, row in enumerate(read_table(path, ("movie",)), start=2):
        year = row.get("year", "")
        if year and not re.fullmatch(r"\d{4}", year):
            raise UsageError(f"{path}, line {line}: the year '{year}' is not four digits")
        genres = tuple(sorted({g.strip() for g in re.split(r"[|;]", row.get("genres", "")) if g.strip()}))
        movie = row["movie"]
        record = MovieMetadata(movie, row.get("title") or None, int(year) if year else None, genres)
        found[movie_key(movie)] = record
    return found


def movie_key(name: str) -> str:
    """What a file name is compared by: its stem, in one Unicode form, without case."""
    stem = Path(name).stem if Path(name).suffix else name
    return unicodedata.normalize("NFC", stem).casefold()


def apply_metadata(session: Session, table: dict[str, MovieMetadata]) -> list[str]:
    """Write a table's titles, years and genres to the movies it names; returns the names it did not find."""
    unmatched = dict(table)
    for row in session.scalars(select(MovieRow)):
        names = (movie_key(row.path), unicodedata.normalize("NFC", row.name).casefold())
        record = next((table[name] for name in names if name in table), None)
        if record is None:
            continue
        for name in names:
            unmatched.pop(name, None)
        row.title = record.title or row.title
        row.year = record.year or row.year
        if record.genres:
            session.execute(delete(GenreRow).where(GenreRow.movie_id == row.id))
            session.add_all(GenreRow(movie_id=row.id, genre=genre) for genre in record.genres)
    return [record.movie for record in unmatched.values()]
