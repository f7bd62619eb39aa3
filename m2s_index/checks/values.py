"""Values of a kind that m2s never writes: found, and mended so that the rest of a catalogue can be read.

SQLite keeps a text in a column of numbers where it is given one, and its own check of a file does not mind. Who
finds one has found damage, or another's hand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Column, Float, Integer, LargeBinary, String, delete, text, update
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeDecorator

from m2s_index.checks.films import MARKED
from m2s_index.names import display_path
from m2s_index.reading import Reader
from m2s_index.schema import Base, ExactFraction
from m2s_index.titles import guess_title

KINDS = {Integer: "integer", Float: "real", String: "text", LargeBinary: "blob"}
"""What SQLite calls the values of a column."""
NEUTRAL = {"integer": 0, "real": 0.0, "text": ""}
"""Stands for a value that was wrong until its film is read anew."""
OF_FILMS = ("movies", "shots", "scenes")
KEYS = ("id", "movie_id", "path", "index")
_FRACTION = re.compile(rb"-?[0-9]{1,20}/[1-9][0-9]{0,19}")


@dataclass(frozen=True)
class WrongValue:
    """Where it is: ``row`` is the rowid, ``film`` the name of the film that the row is of, where known."""

    table: str
    row: int
    column: str
    film: str | None

    def __str__(self) -> str:
        film = f" of {self.film}" if self.film else ""
        return f"table {self.table}, row {self.row}, column {self.column}{film}"


def missing_columns(reader: Reader) -> Iterator[str]:
    """Tables and columns of the schema that the database lacks."""
    for table in Base.metadata.sorted_tables:
        there = reader.texts("SELECT name FROM pragma_table_info(?)", (table.name,))
        if not there:
            yield f"there is no table {table.name}"
            continue
        missing = [column.name for column in table.columns if column.name not in there]
        yield from (f"there is no column {name} in table {table.name}" for name in missing)


def wrong_values(reader: Reader) -> Iterator[WrongValue]:
    """Values of another kind than their column's, text that is not UTF-8, rates that are no rational numbers."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            allowed = [_kind(column), *(["null"] if column.nullable else [])]
            marks = ", ".join("?" * len(allowed))
            query = f'SELECT rowid FROM "{table.name}" WHERE typeof("{column.name}") NOT IN ({marks})'  # noqa: S608
            rows = [row for (row,) in reader.rows(query, allowed)]
            if _kind(column) == "text":
                rational = isinstance(column.type, ExactFraction)
                # Plain text needs no look at each value here: there are millions.
                odd = f'"{column.name}" GLOB \'*[^ -~]*\' OR instr("{column.name}", char(0))'
                query = f'SELECT rowid, CAST("{column.name}" AS BLOB) FROM "{table.name}"'  # noqa: S608
                texts = reader.rows(query if rational else f"{query} WHERE {odd}")
                rows += [row for row, value in texts if value is not None and _is_wrong(value, rational)]
            for row in sorted(set(rows)):
                yield WrongValue(table.name, row, column.name, _film(reader, table.name, row))


def mend_value(session: Session, wrong: WrongValue) -> str:
    """Put a neutral value in its place where a film holds it, whose next build reads it anew; else the row goes.

    Returns:
        What was done.
    """
    table = Base.metadata.tables[wrong.table]
    here = text("rowid = :row")
    if wrong.table not in OF_FILMS or wrong.column in KEYS:
        session.execute(delete(table).where(here), {"row": wrong.row})
        return f"{wrong}: deleted"
    if wrong.table == "movies" and wrong.column in ("title", "year"):
        # A build keeps what is known of a film: a title that is none would stay.
        name = session.scalar(text("SELECT name FROM movies WHERE rowid = :row"), {"row": wrong.row})
        title, year = guess_title(str(name))
        session.execute(update(table).where(here).values(title=title, year=year), {"row": wrong.row})
        return f"{wrong}: title and year guessed from the name"
    column = table.columns[wrong.column]
    values: dict[str, object] = {wrong.column: None if column.nullable else _neutral(column)}
    if wrong.table == "movies" and not column.nullable:
        values |= {"fingerprint": MARKED, "options": "{}"}
    session.execute(update(table).where(here).values(values), {"row": wrong.row})
    return f"{wrong}: emptied"


def _film(reader: Reader, table: str, row: int) -> str | None:
    """Name of the film that a row is of; the name itself may be damaged."""
    if table not in OF_FILMS:
        return None
    owner = "rowid" if table == "movies" else "movie_id"
    query = f'SELECT CAST(name AS BLOB) FROM movies WHERE id = (SELECT {owner} FROM "{table}" WHERE rowid = ?)'  # noqa: S608
    found = reader.first(query, (row,))
    return display_path(os.fsdecode(found[0])) if found and found[0] else None


def _kind(column: Column[object]) -> str:
    plain = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return next(kind for generic, kind in KINDS.items() if isinstance(plain, generic))


def _neutral(column: Column[object]) -> object:
    # Bound as its own type would bind it: a rational number is one here.
    return 1 if isinstance(column.type, ExactFraction) else NEUTRAL[_kind(column)]


def _is_wrong(value: bytes, rational: bool) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return rational and not _FRACTION.fullmatch(value)
