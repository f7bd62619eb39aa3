"""A catalogue's films as E_movie's training sees them: shot features, and pairs that metadata calls similar."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.encoder import SentenceEncoder
from m2s_index.errors import UsageError
from m2s_index.matrices import StoredEncoder, featured_films, film_features, find_encoder
from m2s_index.movie_metadata.known_titles import link_movies
from m2s_index.movie_metadata.movie_signals import TitlePair, title_pairs
from m2s_index.schema import MovieRow
from m2s_index.sessions import reader_of
from m2s_index.types import EncoderIdentity, FilmPairs, Float32Array


@dataclass(frozen=True)
class LeftOut:
    """Indexed films that are not trained on: of no known movie, without shot features by the encoder, or of a movie
    of which there is another film (it must not be on both sides of a split).
    """

    unknown: int
    not_embedded: int
    again: int


@dataclass(frozen=True)
class _Film:
    movie_id: int
    name: str
    fingerprint: str
    title_id: int
    shots: int


class ShotFeatureSource:
    """The films of a catalogue as they are when it is made, one of each known movie, in an order that follows from
    their contents alone. ``left_out`` counts the others.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        signal: str,
        similar: int,
        encoder_name: str | None = None,
        seed: int = 0,
        sentences: SentenceEncoder | None = None,
        without: Collection[int] = (),
    ) -> None:
        """Find the films, and the pairs among them.

        Args:
            signal: one of ``movie_signals.SIGNALS``.
            similar: how many of the most similar films of each make similar pairs with it.
            encoder_name: whose shot features are read; the catalogue's default where it is None.
            seed: of the pairs that are not similar.
            sentences: what reads synopses; None compares their words.
            without: ids of films that are left out, and not counted as such.

        Raises:
            UsageError: there are no films, features or metadata that pairs could come from, or none of a kind.
            MissingExtraError: what the signal needs is not installed.
            EncoderError: the sentence encoder cannot be loaded or run.
        """
        self._catalog = catalog
        with catalog.read() as session:
            self._encoder = find_encoder(reader_of(session), encoder_name)
            self._films, self.left_out = _films(session, self._encoder, without)
            pairs = title_pairs(
                session, signal, similar, indexed_only=True, seed=seed, sentences=sentences, without=without
            )
            self._pairs = _pairs(pairs, self._films, signal)

    @property
    def shots(self) -> tuple[int, ...]:
        """How many shots each film has."""
        return tuple(film.shots for film in self._films)

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of which films these are, how they are cut, and which pairs are similar."""
        films = [(film.fingerprint, film.shots) for film in self._films]
        pairs = [column.tolist() for column in (self._pairs.first, self._pairs.second, self._pairs.similar)]
        return hashlib.sha256(json.dumps([films, pairs]).encode()).hexdigest()

    @property
    def identity(self) -> EncoderIdentity:
        """The identity of the encoder whose features these are."""
        return self._encoder.identity

    @property
    def pairs(self) -> FilmPairs:
        """Similar pairs, and about as many that are not, each once, ``first`` < ``second``."""
        return self._pairs

    def features(self, film: int) -> Float32Array:
        """A film's shots: float32 [shots, D], as they are stored.

        Raises:
            CatalogError: they are no longer there.
            CatalogDamagedError: they do not fit the film, or are not finite.
        """
        of = self._films[film]
        with self._catalog.read() as session:
            return film_features(reader_of(session), self._encoder, of.movie_id, shots=of.shots, name=of.name)


def _films(session: Session, encoder: StoredEncoder, without: Collection[int]) -> tuple[list[_Film], LeftOut]:
    """Films that can be trained on, by content, and how many others there are."""
    embedded = featured_films(reader_of(session), encoder)
    titles = link_movies(session)
    columns = select(MovieRow.id, MovieRow.name, MovieRow.fingerprint)
    found = session.execute(columns.order_by(MovieRow.fingerprint, MovieRow.id)).all()
    rows = [row for row in found if row.id not in without]
    known = [row for row in rows if row.id in titles]
    if not known:
        raise nothing_known(len(rows))
    able = [row for row in known if embedded.get(row.id)]
    films: dict[int, _Film] = {}
    for row in able:
        title_id = titles[row.id]
        films.setdefault(title_id, _Film(row.id, row.name, row.fingerprint, title_id, embedded[row.id]))
    return [*films.values()], LeftOut(len(rows) - len(known), len(known) - len(able), len(able) - len(films))


def nothing_known(films: int) -> UsageError:
    """That metadata is of none of so many indexed films."""
    return UsageError(
        f"none of the {films} indexed films is of a movie that metadata is known of: import some with "
        "'m2s movies import FILE', with the films' file names, or their titles and years, in it"
    )


def _pairs(pairs: list[TitlePair], films: list[_Film], signal: str) -> FilmPairs:
    number = {film.title_id: number for number, film in enumerate(films)}
    found = {
        (min(ends), max(ends), pair.similar)
        for pair in pairs
        if len(ends := [number[t.title_id] for t in (pair.first, pair.second) if t.title_id in number]) == 2
    }
    columns = np.array(sorted(found), np.int64).reshape(-1, 3).T
    numbered = FilmPairs(columns[0], columns[1], columns[2].astype(bool))
    for there, kind in ((numbered.similar, "similar"), (~numbered.similar, "dissimilar")):
        if not there.any():
            raise UsageError(
                f"of the {len(films)} films with shot features and metadata no two are {kind} by {signal}, and a "
                "training needs pairs of both kinds: index more films, import more metadata, or take another signal"
            )
    return numbered
