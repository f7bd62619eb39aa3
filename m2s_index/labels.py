"""Labels of films and of stretches of films: in from a table, and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from m2s_index.errors import UsageError
from m2s_index.metadata import FileNames, read_table
from m2s_index.names import display_path
from m2s_index.reading import Reader, json_list
from m2s_index.refs import format_time, parse_time
from m2s_index.schema import LabelRow

LABEL_SLACK_SECONDS = 1.0
_TIMED = (
    "SELECT movie_id, labels.id, name, vocabulary, value, start_seconds, end_seconds FROM labels "
    "JOIN movies ON movies.id = movie_id WHERE end_seconds IS NOT NULL "
    "AND movie_id IN (SELECT value FROM json_each(?)) ORDER BY labels.id"
)


@dataclass(frozen=True)
class LabelImport:
    """How many labels came in, and the films named by the table that the catalogue lacks."""

    imported: int
    unknown_movies: tuple[str, ...]


@dataclass(frozen=True)
class LabelCount:
    """How often a label was given, in how many movies."""

    vocabulary: str
    value: str
    split: str | None
    labels: int
    movies: int


@dataclass(frozen=True)
class LostLabel:
    """A label of a stretch that its film does not have."""

    label_id: int
    movie: str
    vocabulary: str
    value: str
    start_seconds: float
    end_seconds: float

    def __str__(self) -> str:
        span = f"{format_time(self.start_seconds)} to {format_time(self.end_seconds)}"
        return f"{self.vocabulary}={self.value} from {span} of {self.movie}"


def import_labels(session: Session, path: Path) -> LabelImport:
    """Add the labels of a CSV ``movie,start,end,vocabulary,value,split``; times empty for the whole film.

    A label that is there already, from the same table or another, is not added again.

    Raises:
        UsageError: the table cannot be read, or a time or value in it makes no sense; the line is named.
    """
    rows = read_table(path, ("movie", "vocabulary", "value"))
    names = FileNames(session)
    known = {
        tuple(row)
        for row in session.execute(
            select(
                LabelRow.movie_id, LabelRow.start_seconds, LabelRow.end_seconds, LabelRow.vocabulary,
                LabelRow.value, LabelRow.split,
            )
        )
    }  # fmt: skip
    new: list[tuple[object, ...]] = []
    unknown: dict[str, None] = {}
    for where, row in rows:
        if not row["vocabulary"] or not row["value"]:
            raise UsageError(f"{where}: the vocabulary or the value is empty")
        start, end = _seconds(row.get("start", ""), where), _seconds(row.get("end", ""), where)
        if (start is None) != (end is None) or (start is not None and end is not None and start >= end):
            raise UsageError(f"{where}: a label needs both times, the start before the end, or neither")
        found = names.find(row["movie"])
        if not found:
            unknown[row["movie"]] = None
            continue
        for movie_id in found:
            values = (movie_id, start, end, row["vocabulary"], row["value"], row.get("split") or None)
            if values not in known:
                known.add(values)
                new.append(values)
    columns = ("movie_id", "start_seconds", "end_seconds", "vocabulary", "value", "split")
    if new:
        labels = [{**dict(zip(columns, values, strict=True)), "source": display_path(path.name)} for values in new]
        session.execute(insert(LabelRow), labels)
    return LabelImport(len(new), tuple(unknown))


def count_labels(session: Session) -> list[LabelCount]:
    """All labels by vocabulary, value and split."""
    columns = (LabelRow.vocabulary, LabelRow.value, LabelRow.split)
    query = select(*columns, func.count(), func.count(LabelRow.movie_id.distinct())).group_by(*columns)
    return [LabelCount(*row) for row in session.execute(query.order_by(*columns))]


def lost_labels(reader: Reader, seconds: Mapping[int, float]) -> list[LostLabel]:
    """Labels that do not fit into their films, which are so many seconds long (by movie id).

    One that goes on for no more than ``LABEL_SLACK_SECONDS`` after the film's end fits: times are rounded.
    """
    return [
        LostLabel(label_id, movie, vocabulary, value, start or 0.0, end)
        for movie_id, label_id, movie, vocabulary, value, start, end in reader.rows(_TIMED, (json_list(seconds),))
        if not 0 <= (start or 0.0) < end <= seconds[movie_id] + LABEL_SLACK_SECONDS
    ]


def delete_labels(session: Session, labels: Sequence[LostLabel]) -> None:
    """Take them out."""
    for label in labels:
        session.execute(delete(LabelRow).where(LabelRow.id == label.label_id))


def _seconds(text: str, where: str) -> float | None:
    if not text:
        return None
    seconds = parse_time(text)
    if seconds is None:
        raise UsageError(f"{where}: '{text}' is no time; write seconds (75.5) or 1:02:03")
    return float(seconds)
