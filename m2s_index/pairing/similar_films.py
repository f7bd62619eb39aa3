"""Films of a catalogue that metadata calls similar, with what mining needs of them: shot features and times."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.encoder import SentenceEncoder
from m2s_index.errors import UsageError
from m2s_index.matrices import StoredEncoder, featured_films, find_encoder, list_encoders
from m2s_index.movie_metadata.known_titles import link_movies
from m2s_index.movie_metadata.movie_signals import title_pairs
from m2s_index.pairing.pairs_file import MinedScene
from m2s_index.pairing.windows import WINDOW_SHOTS
from m2s_index.reading import Reader
from m2s_index.schema import MovieRow
from m2s_index.sessions import reader_of
from m2s_index.types import EncoderIdentity


@dataclass(frozen=True, eq=False)
class MinedFilm:
    """A film of at least nine shots: ``starts_seconds`` and ``ends_seconds``, float64 [M], are its shots'."""

    movie_id: int
    name: str
    fingerprint: str
    starts_seconds: NDArray[np.float64]
    ends_seconds: NDArray[np.float64]

    @property
    def shots(self) -> int:
        """How many shots it has."""
        return len(self.starts_seconds)

    def scene(self, first_shot: int, shots: int) -> MinedScene:
        """A run of its shots."""
        last = first_shot + shots - 1
        times = float(self.starts_seconds[first_shot]), float(self.ends_seconds[last])
        return MinedScene(self.fingerprint, self.name, first_shot, last, *times)


@dataclass(frozen=True, eq=False)
class SimilarFilms:
    """Pairs of films that are similar by ``signal``, each once, in an order that follows from what they hold.

    ``too_short`` films have fewer shots than a window, ``not_embedded`` no shot features by ``encoder``: both are
    in no pair.
    """

    signal: str
    encoder: StoredEncoder
    pairs: tuple[tuple[MinedFilm, MinedFilm], ...]
    too_short: int
    not_embedded: int

    @property
    def films(self) -> frozenset[MinedFilm]:
        """The films of all pairs."""
        return frozenset(film for pair in self.pairs for film in pair)


def similar_films(
    catalog: Catalog,
    signal: str,
    count: int,
    *,
    encoder_name: str | None = None,
    features_of: EncoderIdentity | None = None,
    sentences: SentenceEncoder | None = None,
    without: Collection[int] = (),
) -> SimilarFilms:
    """Every indexed film with the indexed films of the ``count`` movies that are most similar to its own.

    Args:
        signal: one of ``movie_signals.SIGNALS``.
        count: similar movies of each.
        encoder_name: whose shot features are to be mined; the catalogue's default where it is None.
        features_of: the encoder that they have to be of, whatever it is called here; None where any will do.
        sentences: what reads synopses; None compares their words.
        without: ids of films that are left out.

    Raises:
        UsageError: no metadata is known that the signal could come from, no two films that can be mined are
            similar, or the encoder has no shot features or is another than it has to be.
        MissingExtraError: what the signal needs is not installed.
        EncoderError: the sentence encoder cannot be loaded or run.
    """
    with catalog.read() as session:
        reader = reader_of(session)
        encoder = _encoder(reader, encoder_name, features_of)
        shots = featured_films(reader, encoder)
        pairs = _similar_movies(session, signal, count, sentences, without)
        named = {movie_id for pair in pairs for movie_id in pair}
        usable = {movie_id for movie_id in named if shots.get(movie_id, 0) >= WINDOW_SHOTS}
        not_embedded = len(named - shots.keys())
        too_short = len(named - usable) - not_embedded
        kept = [pair for pair in pairs if usable.issuperset(pair)]
        if not kept:
            raise UsageError(
                f"no two films that are similar by {signal} can be mined: of {len(named)} that are similar to "
                f"another, {too_short} have fewer than {WINDOW_SHOTS} shots, {not_embedded} no shot features by "
                f"'{encoder.name}' ('m2s index build --encoder {encoder.name}' makes them)"
            )
        films = {movie_id: _film(session, movie_id) for pair in kept for movie_id in pair}
    ordered = sorted(
        (sorted((films[movie_id] for movie_id in pair), key=_content) for pair in kept),
        key=lambda pair: [_content(film) for film in pair],
    )
    return SimilarFilms(signal, encoder, tuple((a, b) for a, b in ordered), too_short, not_embedded)


def _encoder(reader: Reader, name: str | None, features_of: EncoderIdentity | None) -> StoredEncoder:
    """The encoder of that name, or by default the one that is ``features_of``, or the catalogue's."""
    if features_of is None:
        return find_encoder(reader, name)
    known = list_encoders(reader)
    for encoder in known:
        if encoder.identity == features_of and name in (None, encoder.name):
            return encoder
    names = ", ".join(encoder.name for encoder in known) or "none"
    raise UsageError(
        f"E_movie takes the shot features that encoder '{features_of.name}' gave when it was trained; "
        + (f"those of '{name}' are others" if name else f"the catalogue has none of the same (it has: {names})")
        + ": embed the films with that very encoder by 'm2s index build --encoder', or train E_movie on these"
    )


def _similar_movies(
    session: Session, signal: str, count: int, sentences: SentenceEncoder | None, without: Collection[int]
) -> list[tuple[int, int]]:
    """Movie ids of films whose titles are similar; a title may have several films."""
    found = title_pairs(session, signal, count, indexed_only=True, sentences=sentences, without=without)
    titles = [pair for pair in found if pair.similar]
    links = {movie_id: title_id for movie_id, title_id in link_movies(session).items() if movie_id not in without}
    if not titles:
        indexed = len(session.scalars(select(MovieRow.id)).all())
        raise UsageError(
            f"no two indexed films are similar by {signal}: of {indexed} films {len(links)} are of known movies; "
            "import metadata of the others with 'm2s movies import FILE', or choose another --signal"
        )
    films: dict[int, list[int]] = {}
    for movie_id, title_id in links.items():
        films.setdefault(title_id, []).append(movie_id)
    return [(a, b) for pair in titles for a in films[pair.first.title_id] for b in films[pair.second.title_id]]


def _film(session: Session, movie_id: int) -> MinedFilm:
    columns = select(MovieRow.name, MovieRow.fingerprint, MovieRow.start_pts, MovieRow.time_base)
    name, fingerprint, start_pts, time_base = session.execute(columns.where(MovieRow.id == movie_id)).one()
    query = 'SELECT start_pts, end_pts FROM shots WHERE movie_id = ? ORDER BY "index"'
    pts = reader_of(session).columns(query, (movie_id,), "i8,i8")
    starts, ends = ((pts[field] - start_pts) * float(time_base) for field in ("f0", "f1"))
    return MinedFilm(movie_id, name, fingerprint, starts, ends)


def _content(film: MinedFilm) -> tuple[str, int]:
    return film.fingerprint, film.movie_id
