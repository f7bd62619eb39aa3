"""A training of E_movie from shot features to encoder file, and how well that tells films that it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from m2s_index.encoders.movie_encoder import MovieEncoder, save_movie_encoder
from m2s_index.encoders.movie_network import MovieNetwork
from m2s_index.encoders.training.auc import auc
from m2s_index.encoders.training.loop import CurvePoint
from m2s_index.encoders.training.movie_batches import MovieBatches
from m2s_index.encoders.training.movie_config import MovieConfig
from m2s_index.encoders.training.movie_pairs import PairSampler, SplitPairs, split_pairs
from m2s_index.encoders.training.movie_similarity import MovieSimilarity
from m2s_index.encoders.training.place import Place
from m2s_index.encoders.training.source import MovieSource
from m2s_index.encoders.training.training import RunOptions, Training
from m2s_index.types import FilmPairs


@dataclass(frozen=True)
class MovieTraining(Training):
    """Samples are pairs of films, drawn by ``sampler`` from those of ``split`` that are trained on."""

    config: MovieConfig
    source: MovieSource
    split: SplitPairs
    sampler: PairSampler

    kind: ClassVar[str] = "movie training"

    @property
    def films(self) -> str:
        """The source's digest."""
        return self.source.digest

    def header(self) -> dict[str, Any]:
        """As any training's; moreover whose features, whatever it is called."""
        return super().header() | {"features": self.source.identity.as_dict() | {"name": ""}}

    @property
    def epoch_samples(self) -> int:
        """As many as there are pairs to train on."""
        return len(self.split.trained)

    @property
    def batch_samples(self) -> int:
        """Pairs in a batch."""
        return self.config.pairs

    def run(self, place: Place, options: RunOptions) -> list[CurvePoint]:
        """As any training; moreover a CatalogError where shot features are missing or damaged."""
        config, identity = self.config, self.source.identity
        place.processes.need_shares(config.pairs, "pairs")
        with MovieBatches(
            self.source, self.sampler, shots=config.shots, seed=config.seed, processes=place.processes
        ) as batches:
            self.seed_networks()
            network = MovieNetwork(identity.dimension, config.hidden, config.features)
            task = MovieSimilarity(network, self.source, batches, self.split.trained_films.tolist(), place)
            curve = self.train(task, options)
        if place.processes.is_first:
            save_movie_encoder(self.out, network.state_dict(), config, identity)
        return curve


def prepare_movie_training(source: MovieSource, config: MovieConfig, out: Path, *, resume: bool) -> MovieTraining:
    """Check all that can be checked before the first batch is read.

    Raises:
        UsageError: there are too few pairs, ``out`` is no place for a new training, or there is nothing to resume.
    """
    split = split_pairs(source.pairs, held_out=config.held_out, seed=config.seed)
    sampler = PairSampler(split.trained, batch=config.pairs, seed=config.seed)
    training = MovieTraining(config, out, source, split, sampler)
    training.check_files(resume=resume)
    return training


@dataclass(frozen=True)
class PairsScore:
    """How well an encoder tells ``similar`` pairs from ``dissimilar`` ones: None where there are none of a kind."""

    similar: int
    dissimilar: int
    auc: float | None


def score_pairs(encoder: MovieEncoder, source: MovieSource, pairs: FilmPairs) -> PairsScore:
    """The AUC of pairs, with all shots of their films.

    Raises:
        CatalogError: a film's features are damaged, or no longer there.
    """
    similar = int(pairs.similar.sum())
    if not len(pairs):
        return PairsScore(0, 0, None)
    films, places = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    vectors = np.stack([encoder.film(source.features(film)) for film in films.tolist()])
    first, second = np.split(vectors[places], 2)
    return PairsScore(similar, len(pairs) - similar, auc(encoder.similarity(first, second), pairs.similar))
