"""A catalogue's shot features as training sees them: films by number, one encoder's. Nothing is decoded."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

from m2s_index.catalog import Catalog
from m2s_index.matrices import featured_films, film_features, find_encoder
from m2s_index.types import EncoderIdentity, Float32Array

_FILMS_AT_HAND = 256
"""Of so many films features are kept in memory: of 1,500 shots by 512 numbers, 3 MB each."""


class CatalogFeatures:
    """The films of a catalogue that an encoder's features are there of, in an order that follows from their
    contents alone; several threads may read at once.
    """

    def __init__(self, catalog: Catalog, encoder_name: str | None) -> None:
        """Find the films.

        Args:
            catalog: where they are.
            encoder_name: whose features; None takes the catalogue's default encoder.

        Raises:
            UsageError: the catalogue has no such encoder, or no shot features by it.
        """
        with catalog.reader() as reader:
            stored = find_encoder(reader, encoder_name)
            shots = featured_films(reader, stored)
            movies = list(reader.rows("SELECT id, name, fingerprint FROM movies ORDER BY fingerprint"))
        films = [(*movie, shots[movie[0]]) for movie in movies if movie[0] in shots]
        self._catalog = catalog
        self._encoder = stored
        self._movie_ids, self._names, self._fingerprints, self._shots = zip(*films, strict=True)
        self.left_out = len(movies) - len(films)
        self.features = lru_cache(_FILMS_AT_HAND)(self._read)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Each film's, as in ``FileIdentity``."""
        return self._fingerprints

    @property
    def shots(self) -> tuple[int, ...]:
        """How many shots each film has."""
        return self._shots

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of which films these are and how they are cut."""
        return hashlib.sha256(json.dumps([self._fingerprints, self._shots]).encode()).hexdigest()

    @property
    def identity(self) -> EncoderIdentity:
        """The encoder's."""
        return self._encoder.identity

    def _read(self, film: int) -> Float32Array:
        """A film's features: float32 [S, ``identity.dimension``].

        Raises:
            CatalogError: they are no longer there.
            CatalogDamagedError: they do not fit the film, or are not finite.
        """
        movie_id, shots, name = self._movie_ids[film], self._shots[film], self._names[film]
        with self._catalog.reader() as reader:
            return film_features(reader, self._encoder, movie_id, shots=shots, name=name)
