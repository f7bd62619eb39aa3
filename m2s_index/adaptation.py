"""A catalogue as what an adaptation learns from, and is measured on: which films are held out, and what is done
with the others and, at the end, with all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import select

from m2s_index.build import Builder, BuildResult
from m2s_index.catalog import Catalog
from m2s_index.encoder import SentenceEncoder, ShotFeatureEncoder
from m2s_index.errors import UsageError
from m2s_index.evaluate import evaluate_retrieval
from m2s_index.evaluation.labelled_scenes import labelled_movies
from m2s_index.evaluation.retrieval_report import EvaluationOptions, RetrievalReport
from m2s_index.lock import BuildLock
from m2s_index.matrices import featured_films, find_encoder, identity_key, list_encoders
from m2s_index.movie_metadata.known_titles import link_movies
from m2s_index.movie_metadata.movie_signals import known_signals
from m2s_index.movie_source import LeftOut, ShotFeatureSource, nothing_known
from m2s_index.movies import list_movies
from m2s_index.pairing.mining import MinedFilms, mine, ranked
from m2s_index.pairing.pairs_file import write_pairs
from m2s_index.pairing.similar_films import SimilarFilms, similar_films
from m2s_index.plan import plan_stored
from m2s_index.schema import MovieRow
from m2s_index.sessions import reader_of
from m2s_index.settings import saved_options
from m2s_index.training_features import CatalogFeatures
from m2s_index.training_pairs import numbered_pairs
from m2s_index.types import EncoderIdentity, Float32Array, Int64Array
from m2s_index.workers import WorkerPool


@dataclass(frozen=True)
class HeldOut:
    """Films that nothing is learned from, and the vocabularies of labels that at least two of them have."""

    movie_ids: frozenset[int] = frozenset()
    vocabularies: tuple[str, ...] = ()


def hold_out(catalog: Catalog, encoder_name: str | None, *, share: float, seed: int) -> HeldOut:
    """Draw films that have labels, to measure with; none where fewer than two have.

    Several files of a movie are held out together. What is drawn follows from what the films hold.

    Args:
        catalog: where they are.
        encoder_name: by whom they have shot features; the catalogue's default encoder where it is None.
        share: of all movies with features, two at least; none where it is 0.
        seed: another seed, other films.

    Raises:
        UsageError: there is no such encoder, or no shot features by it.
    """
    with catalog.read() as session:
        reader = reader_of(session)
        encoder = find_encoder(reader, encoder_name)
        embedded = featured_films(reader, encoder)
        labelled, titles = labelled_movies(reader), link_movies(session)
        order = session.scalars(select(MovieRow.id).order_by(MovieRow.fingerprint, MovieRow.id)).all()
    movies: dict[tuple[str, int], list[int]] = {}
    for movie_id in order:
        if movie_id in embedded:
            key = ("title", titles[movie_id]) if movie_id in titles else ("film", movie_id)
            movies.setdefault(key, []).append(movie_id)
    carriers = set[int]().union(*labelled.values())
    with_labels = [films for films in movies.values() if not carriers.isdisjoint(films)]
    count = max(2, round(share * len(movies))) if share and len(with_labels) > 1 else 0
    drawn = np.random.default_rng(seed).permutation(len(with_labels))[:count].tolist()
    held_out = [with_labels[number] for number in drawn]
    vocabularies = tuple(
        name for name, ids in labelled.items() if sum(not ids.isdisjoint(films) for films in held_out) > 1
    )
    return HeldOut(frozenset(movie_id for films in held_out for movie_id in films), vocabularies)


def choose_signal(catalog: Catalog) -> str:
    """The signal that knows something of most indexed films; of equals the first of co-watch, genre, synopsis.

    Raises:
        UsageError: no film is of a known movie, or none of the signals knows anything of them.
    """
    with catalog.read() as session:
        linked = link_movies(session).keys()
        known = known_signals(session, linked)
        films = len(list_movies(session))
    if not linked:
        raise nothing_known(films)
    if not any(known.values()):
        raise UsageError(
            f"of the movies of {len(linked)} indexed films neither ratings nor genres nor synopses are known: "
            "import some with 'm2s movies import FILE'"
        )
    return max(known, key=lambda name: known[name])


MiningHook = Callable[[SimilarFilms, Iterator[MinedFilms]], Iterator[MinedFilms]]
"""Sees mining go by, and gives back what it sees."""


@dataclass(eq=False)
class CatalogAdaptation:
    """The films of a catalogue that are not held out, as ``encoders.training.adapt`` asks for them.

    ``encoder_name`` says whose shot features are learned from, None the catalogue's default; ``sentences`` is what
    reads synopses; ``on_mined`` sees mining go by. ``left_out`` is known once ``movies`` was asked for.
    """

    catalog: Catalog
    held_out: HeldOut
    encoder_name: str | None = None
    sentences: SentenceEncoder | None = None
    on_mined: MiningHook = lambda similar, mined: mined
    left_out: LeftOut = field(init=False)

    def movies(self, signal: str, similar: int, seed: int) -> ShotFeatureSource:
        """Films and the pairs among them; raises as ``ShotFeatureSource`` does."""
        source = ShotFeatureSource(
            self.catalog,
            signal=signal,
            similar=similar,
            encoder_name=self.encoder_name,
            seed=seed,
            sentences=self.sentences,
            without=self.held_out.movie_ids,
        )
        self.left_out = source.left_out
        return source

    def mine(
        self,
        path: Path,
        signal: str,
        similar: int,
        encode: Callable[[Float32Array], Float32Array],
        features_of: EncoderIdentity,
    ) -> None:
        """Write the scene pairs of similar films; raises as ``similar_films`` and ``mine`` do."""
        films = similar_films(
            self.catalog,
            signal,
            similar,
            encoder_name=self.encoder_name,
            features_of=features_of,
            sentences=self.sentences,
            without=self.held_out.movie_ids,
        )
        write_pairs(path, ranked(list(self.on_mined(films, mine(self.catalog, films, encode=encode)))))

    def scenes(self) -> CatalogFeatures:
        """All films with features: which of them are learned from, pairs say."""
        return CatalogFeatures(self.catalog, self.encoder_name)

    def pairs(self, path: Path) -> Int64Array:
        """The pairs of a file by number; raises as ``numbered_pairs`` does."""
        scenes = self.scenes()
        return numbered_pairs(path, scenes.fingerprints, scenes.shots)


def embed_indexed(catalog: Catalog, encoder: ShotFeatureEncoder) -> tuple[str, BuildResult]:
    """Embed all films that an encoder has not embedded yet; returns what the catalogue calls it, and what was done.

    Raises:
        CatalogError: the catalogue is being changed by another process, or cannot be written.
    """
    with catalog.read() as session:
        options = saved_options(session)
    with BuildLock(catalog.folder), WorkerPool(1) as pool:
        result = Builder(catalog, encoder, options).run(plan_stored(catalog), pool)
    key = identity_key(encoder.identity)
    with catalog.reader() as reader:
        (name,) = (stored.name for stored in list_encoders(reader) if identity_key(stored.identity) == key)
    return name, result


def measure_held_out(
    catalog: Catalog, held_out: HeldOut, before: str | None, after: str, *, seed: int
) -> RetrievalReport | None:
    """How precisely held-out scenes find those of other held-out films by two encoders; None without labels.

    Raises:
        UsageError: a film of neither is left that both have embedded.
    """
    if not held_out.vocabularies:
        return None
    with catalog.reader() as reader:
        names = (find_encoder(reader, before).name, after)
    options = EvaluationOptions("all", "all", exclude_same_movie=True, top_only=True, seed=seed)
    return evaluate_retrieval(catalog, held_out.vocabularies, names, options, only=held_out.movie_ids)
