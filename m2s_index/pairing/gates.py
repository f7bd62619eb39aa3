"""Which films of a catalogue are compared: those of a genre or of some years, or only similar ones by metadata."""

from __future__ import annotations

from typing import Literal

import numpy as np
from sqlalchemy.orm import Session

from m2s_index.encoder import SentenceEncoder
from m2s_index.movie_metadata.known_titles import link_movies
from m2s_index.movie_metadata.movie_signals import title_pairs
from m2s_index.types import Int64Array

SignalName = Literal["cowatch", "genre", "synopsis"]
SIMILAR_FILMS = 10
"""Of each film so many are compared with it, the most similar by metadata among those that are indexed."""


def similar_films(
    session: Session, signal: SignalName, movie_ids: Int64Array, sentences: SentenceEncoder | None = None
) -> Int64Array:
    """The pairs of films whose titles are similar by a signal, as places in ``movie_ids``: int64 [P, 2], the lower
    place first, in order. Several films of one title are all compared with those of the other, not with each other.

    Args:
        session: of the catalogue.
        signal: how films are similar.
        movie_ids: int64 [N], the films.
        sentences: what reads synopses; None compares their words.

    Raises:
        UsageError: nothing is stored that the signal could come from, or it is not of synopses.
        MissingExtraError: what the signal needs is not installed.
        EncoderError: the sentence encoder cannot be loaded or run.
    """
    places = {movie_id: place for place, movie_id in enumerate(movie_ids.tolist())}
    films: dict[int, list[int]] = {}
    for movie_id, title_id in link_movies(session).items():
        if movie_id in places:
            films.setdefault(title_id, []).append(places[movie_id])
    found = {
        (min(a, b), max(a, b))
        for pair in title_pairs(session, signal, SIMILAR_FILMS, indexed_only=True, sentences=sentences)
        if pair.similar
        for a in films.get(pair.first.title_id, [])
        for b in films.get(pair.second.title_id, [])
    }
    return np.array(sorted(found), np.int64).reshape(-1, 2)
