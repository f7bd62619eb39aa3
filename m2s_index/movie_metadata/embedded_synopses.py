"""Synopses as a sentence encoder reads them: a signal with dense rows, where ``similar_movies`` has sparse ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from m2s_index.encoder import SentenceEncoder
from m2s_index.movie_metadata.similar_movies import Float64Array, Scored, runs
from m2s_index.types import Float32Array, Int64Array


@dataclass(frozen=True, eq=False)
class EmbeddedSynopses:
    """As a ``Signal``: the cosine of two movies' rows.

    ``vectors`` are float32 [movies, D], rows of length 1, or 0 where a movie has no synopsis. Sentence encoders
    give any two texts a cosine well above 0; so ``unrelated`` is the mean over all pairs of movies, and what scores
    no higher has nothing in common but being a synopsis.
    """

    vectors: Float32Array
    unrelated: float

    @cached_property
    def sizes(self) -> Float64Array:
        """1 where there is a synopsis, else 0: float64 [movies]."""
        return self.vectors.any(axis=1).astype(float)

    def restricted(self, rows: Int64Array) -> EmbeddedSynopses:
        """The same among some movies only, whose new rows are their places in ``rows``."""
        return EmbeddedSynopses(self.vectors[rows], self.unrelated)

    def scored(self, movies: Int64Array) -> Iterator[Scored]:
        """What each of some movies scores with all that have a synopsis, in blocks: never all with all at once."""
        has_synopsis = self.sizes > 0
        known = np.flatnonzero(has_synopsis)
        others = self.vectors[known]
        for block in runs(movies, np.full(len(movies), len(known))):
            for movie, scores in zip(block.tolist(), self.vectors[block] @ others.T, strict=True):
                some = slice(None) if has_synopsis[movie] else slice(0)
                yield Scored([movie], known[some], scores[some])

    def between(self, first: Int64Array, second: Int64Array) -> Float64Array:
        """Scores of pairs, first[p] with second[p]: float64 [P]."""
        width = 2 * self.vectors.shape[1]
        parts = [
            np.einsum("pd,pd->p", self.vectors[first[part]], self.vectors[second[part]], dtype=float)
            for part in runs(np.arange(len(first)), np.full(len(first), width))
        ]
        return np.concatenate([np.empty(0), *parts])


def embedded_synopses(synopses: Sequence[str], encoder: SentenceEncoder) -> EmbeddedSynopses:
    """The signal of synopses by an encoder; an empty one is like no other, and equal ones are read once.

    Raises:
        EncoderError: the encoder cannot be loaded or run.
    """
    texts = {text: number for number, text in enumerate(dict.fromkeys(filter(str.strip, synopses)))}
    rows = [movie for movie, text in enumerate(synopses) if text in texts]
    found = encoder.encode_texts(list(texts)) if texts else np.zeros((0, 1), np.float32)
    vectors = np.zeros((len(synopses), found.shape[1]), np.float32)
    vectors[rows] = found[[texts[synopses[movie]] for movie in rows]]
    return EmbeddedSynopses(vectors, _mean_cosine(vectors[rows]))


def _mean_cosine(rows: Float32Array) -> float:
    """The mean of the cosines of all pairs of rows of length 1, without making them: their sum's square has each
    pair twice, and each row with itself.
    """
    count, total = len(rows), rows.sum(axis=0, dtype=float)
    pairs = count * (count - 1)
    return float(total @ total - np.square(rows, dtype=float).sum()) / pairs if pairs else 0.0
