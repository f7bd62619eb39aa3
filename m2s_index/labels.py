"""Labels of films and of stretches of films in the catalogue: added, and counted. ``label_files`` reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from m2s_index.label_files import FileLabel
from m2s_index.metadata import FileNames
from m2s_index.names import display_path
from m2s_index.schema import LabelRow, MovieRow


@dataclass(frozen=True)
class LabelImport:
    """How many labels came in, and the films named by the files that the catalogue lacks."""

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


def import_labels(session: Session, labels: Iterable[FileLabel]) -> LabelImport:
    """Add labels to the films they name. One that is there already, from the same file or another, is not
    added again.
    """
    finder = _Finder(session)
    known = {
        tuple(row)
        for row in session.execute(
            select(
                LabelRow.movie_id, LabelRow.start_seconds, LabelRow.end_seconds, LabelRow.vocabulary,
                LabelRow.value, LabelRow.split,
            )
        )
    }  # fmt: skip
    columns = ("movie_id", "start_seconds", "end_seconds", "vocabulary", "value", "split")
    new: list[dict[str, object]] = []
    unknown: dict[str, None] = {}
    for label in labels:
        found = finder.find(label)
        if not found:
            unknown[display_path(label.movie)] = None
        for movie_id in found:
            values = (
                movie_id, label.start_seconds, label.end_seconds, label.vocabulary, label.value, label.split,
            )  # fmt: skip
            if values not in known:
                known.add(values)
                new.append({**dict(zip(columns, values, strict=True)), "source": label.source})
    if new:
        session.execute(insert(LabelRow), new)
    return LabelImport(len(new), tuple(unknown))


def count_labels(session: Session) -> list[LabelCount]:
    """All labels by vocabulary, value and split."""
    columns = (LabelRow.vocabulary, LabelRow.value, LabelRow.split)
    query = select(*columns, func.count(), func.count(LabelRow.movie_id.distinct())).group_by(*columns)
    return [LabelCount(*row) for row in session.execute(query.order_by(*columns))]


class _Finder:
    """The catalogue's movies by what label files call them."""

    def __init__(self, session: Session) -> None:
        self._names = FileNames(session)
        self._by_path: dict[str, list[int]] = {}
        self._by_stem: dict[str, list[int]] = {}
        for movie_id, path in session.execute(select(MovieRow.id, MovieRow.path)):
            self._by_path[path] = [movie_id]
            self._by_stem.setdefault(PurePath(path).stem, []).append(movie_id)

    def find(self, label: FileLabel) -> list[int]:
        """The ids of the movies that a label is of."""
        if label.named_by == "path":
            return self._by_path.get(label.movie, [])
        if label.named_by == "stem":
            return self._by_stem.get(label.movie, [])
        return self._names.find(label.movie)
