"""Similar movies of a catalogue: a signal from what is stored of its titles, and the titles found by it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from m2s_index.encoder import SentenceEncoder
from m2s_index.errors import UsageError
from m2s_index.movie_metadata.embedded_synopses import embedded_synopses
from m2s_index.movie_metadata.known_titles import KnownTitle, find_title, link_movies
from m2s_index.movie_metadata.similar_movies import (
    MoviePairs,
    Signal,
    alike_synopses,
    cowatch,
    dissimilar_pairs,
    nearest,
    shared_genres,
    similar_pairs,
    sparse,
)
from m2s_index.movie_metadata.title_ratings import stored_ratings
from m2s_index.reading import Reader
from m2s_index.sessions import reader_of
from m2s_index.types import Int64Array

LIKED_STARS = 4.0
"""Who gave a movie so many liked it, as in Liang et al., "Variational Autoencoders for Collaborative Filtering"
(WWW 2018).
"""


@dataclass(frozen=True)
class SimilarTitle:
    """A title found to be similar, and the files' stems of the indexed films that are of it."""

    title: KnownTitle
    score: float
    movies: tuple[str, ...]


@dataclass(frozen=True)
class TitlePair:
    """Two titles, and whether they are similar or chosen because they are not."""

    first: KnownTitle
    second: KnownTitle
    score: float
    similar: bool


def similar_titles(
    session: Session, text: str, signal_name: str, count: int, *, sentences: SentenceEncoder | None = None
) -> tuple[KnownTitle, list[SimilarTitle]]:
    """The title that ``text`` names, and those most similar to it, best first; none where nothing is like it.

    Args:
        session: of the catalogue.
        text: as ``find_title`` takes it.
        signal_name: one of SIGNALS.
        count: so many at most.
        sentences: what reads synopses; None compares their words.

    Raises:
        UnknownReferenceError: ``text`` names no title, or several.
        UsageError: nothing is stored that the signal could come from, or it is not of synopses.
        MissingExtraError: what the signal needs is not installed.
        EncoderError: the sentence encoder cannot be loaded or run.
    """
    title = find_title(session, text)
    titles = _Titles(session)
    signal = titles.signal(signal_name, sentences)
    found = nearest(signal, np.array([titles.row[title.title_id]]), count)
    return title, [
        SimilarTitle(titles.known[row], score, titles.movies(row))
        for row, score in zip(found.second.tolist(), found.scores.tolist(), strict=True)
    ]


def title_pairs(
    session: Session,
    signal_name: str,
    count: int,
    *,
    indexed_only: bool,
    seed: int = 0,
    sentences: SentenceEncoder | None = None,
    without: Collection[int] = (),
) -> list[TitlePair]:
    """Every title with its ``count`` most similar, each pair once, and then as many that are not similar.

    Args:
        indexed_only: pairs among titles that films are indexed of; what is similar still comes from all ratings.
        seed: of the pairs that are not similar.
        sentences: what reads synopses; None compares their words.
        without: ids of indexed films that count as not indexed.

    Raises:
        UsageError: nothing is stored that the signal could come from, or it is not of synopses.
        MissingExtraError: what the signal needs is not installed.
        EncoderError: the sentence encoder cannot be loaded or run.
    """
    titles = _Titles(session, without)
    signal, rows = titles.signal(signal_name, sentences), np.arange(len(titles.known))
    if indexed_only:
        rows = titles.indexed_rows()
        signal = signal.restricted(rows)
    similar = similar_pairs(signal, count)
    return [
        TitlePair(titles.known[rows[first]], titles.known[rows[second]], score, pairs is similar)
        for pairs in (similar, dissimilar_pairs(signal, similar, seed=seed))
        for first, second, score in _triples(pairs)
    ]


def known_signals(session: Session, movie_ids: Collection[int]) -> dict[str, int]:
    """Of how many of some indexed films each signal knows something, by its name, in the order of SIGNALS."""
    titles = {title_id for movie_id, title_id in link_movies(session).items() if movie_id in movie_ids}
    return {
        name: len(titles.intersection(title_id for (title_id,) in reader_of(session).rows(query)))
        for name, query in _KNOWN.items()
    }


class _Titles:
    """All titles by id, in the order of a signal's rows."""

    def __init__(self, session: Session, without: Collection[int] = ()) -> None:
        self._session = session
        self._reader = reader_of(session)
        query = "SELECT id, imdb_id, title, year FROM titles ORDER BY id"
        self.known = [KnownTitle(*row) for row in self._reader.rows(query)]
        self.row = {title.title_id: row for row, title in enumerate(self.known)}
        names = dict(self._reader.rows("SELECT id, name FROM movies"))
        self._movies: dict[int, list[str]] = {}
        for movie_id, title_id in link_movies(session).items():
            if movie_id not in without:
                self._movies.setdefault(title_id, []).append(names[movie_id])

    def movies(self, row: int) -> tuple[str, ...]:
        """The stems of the indexed films of a title."""
        return tuple(sorted(self._movies.get(self.known[row].title_id, [])))

    def indexed_rows(self) -> Int64Array:
        """The rows of titles that films are indexed of."""
        return np.array(sorted(self.row[title_id] for title_id in self._movies), np.int64)

    def signal(self, name: str, sentences: SentenceEncoder | None) -> Signal:
        """The signal of that name, one of SIGNALS."""
        if sentences and name != "synopsis":
            raise UsageError(
                f"a sentence encoder reads synopses: it goes with the signal synopsis, not with {name}"
            )
        signal: Signal = (
            embedded_synopses(_synopses(self._reader), sentences)
            if sentences
            else SIGNALS[name](self._reader, self.row)
        )
        if not signal.sizes.any():
            raise UsageError(f"no {_NEEDS[name]} are known of any movie: import them with 'm2s movies import FILE'")
        return signal


def _cowatch(reader: Reader, row: dict[int, int]) -> Signal:
    title_ids, people, stars = stored_ratings(reader)
    # Whoever rated counts, also who liked nothing.
    numbers, columns = np.unique(people, return_inverse=True)
    liked = stars >= LIKED_STARS
    rows = np.array([row[title_id] for title_id in title_ids[liked].tolist()], np.int64)
    return cowatch(_ones(rows, columns[liked], (len(row), len(numbers))))


def _genre(reader: Reader, row: dict[int, int]) -> Signal:
    found = list(reader.rows("SELECT title_id, genre FROM title_genres"))
    names, columns = np.unique(np.array([genre.casefold() for _, genre in found], str), return_inverse=True)
    rows = np.array([row[title_id] for title_id, _ in found], np.int64)
    return shared_genres(_ones(rows, columns, (len(row), len(names))))


def _synopsis(reader: Reader, row: dict[int, int]) -> Signal:
    return alike_synopses(_synopses(reader))


def _synopses(reader: Reader) -> list[str]:
    return reader.texts("SELECT coalesce(synopsis, '') FROM titles ORDER BY id")


SIGNALS = {"cowatch": _cowatch, "genre": _genre, "synopsis": _synopsis}
"""How movies can be similar, each from a reader and the row of each title id."""
_KNOWN = {
    "cowatch": "SELECT title_id FROM title_ratings",
    "genre": "SELECT title_id FROM title_genres",
    "synopsis": "SELECT id FROM titles WHERE trim(coalesce(synopsis, '')) <> ''",
}
"""The titles that each of them knows something of."""
_NEEDS = {"cowatch": "ratings", "genre": "genres", "synopsis": "synopses"}


def _ones(rows: Int64Array, columns: Int64Array, shape: tuple[int, int]) -> Any:
    matrix = sparse().csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    matrix.data[:] = 1  # the same genre in two spellings was summed up
    return matrix


def _triples(pairs: MoviePairs) -> list[tuple[int, int, float]]:
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.scores.tolist(), strict=True))
