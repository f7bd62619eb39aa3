"""Labels of what their films do not have: stretches beyond the end, as a film that changed may leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete
from sqlalchemy.orm import Session

from m2s_index.reading import Reader, json_list
from m2s_index.refs import format_time
from m2s_index.schema import LabelRow

LABEL_SLACK_SECONDS = 1.0
_TIMED = (
    "SELECT movie_id, labels.id, name, vocabulary, value, start_seconds, end_seconds FROM labels "
    "JOIN movies ON movies.id = movie_id WHERE coalesce(start_seconds, end_seconds) IS NOT NULL "
    "AND movie_id IN (SELECT value FROM json_each(?)) ORDER BY labels.id"
)


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


def lost_labels(reader: Reader, seconds: Mapping[int, float]) -> list[LostLabel]:
    """Labels that do not fit into their films, which are so many seconds long (by movie id).

    One that goes on for no more than ``LABEL_SLACK_SECONDS`` after the film's end fits: times are rounded.
    """
    return [
        LostLabel(label_id, movie, vocabulary, value, start or 0.0, end or 0.0)
        for movie_id, label_id, movie, vocabulary, value, start, end in reader.rows(_TIMED, (json_list(seconds),))
        if not 0 <= (start or 0.0) < (end or 0.0) <= seconds[movie_id] + LABEL_SLACK_SECONDS
    ]


def delete_labels(session: Session, labels: Sequence[LostLabel]) -> None:
    """Take them out."""
    for label in labels:
        session.execute(delete(LabelRow).where(LabelRow.id == label.label_id))
