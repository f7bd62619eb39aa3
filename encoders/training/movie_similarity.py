"""E_movie's task: to say of two films whether they are similar (seed, 1.1b)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from m2s_index.encoders.movie_network import MovieNetwork
from m2s_index.encoders.training.movie_batches import MovieBatches
from m2s_index.encoders.training.place import Place
from m2s_index.encoders.training.source import MovieSource


class MovieSimilarity:
    """The network, and the cross-entropy of what it says of a batch's pairs."""

    def __init__(
        self,
        network: MovieNetwork,
        source: MovieSource,
        batches: MovieBatches,
        films: Iterable[int],
        place: Place,
    ) -> None:
        """Args: ``films`` are those that are trained on."""
        self.network = network.to(place.device)
        self._source = source
        self._batches = batches
        self._films = films
        self._place = place

    @property
    def module(self) -> nn.Module:
        """The network."""
        return self.network

    def begin(self) -> None:
        """Take the mean and deviation of the films' shot features, so that one rate suits features of any size."""
        sums, squares, count = 0.0, 0.0, 0
        for film in self._films:
            features = self._source.features(film).astype(np.float64)
            sums, squares = sums + features.sum(axis=0), squares + (features**2).sum(axis=0)
            count += len(features)
        mean = np.asarray(sums) / count
        scale = np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 0))
        self.network.mean.copy_(torch.from_numpy(mean))
        self.network.scale.copy_(torch.from_numpy(np.where(scale > 1e-6 * np.abs(mean) + 1e-12, scale, 1)))

    def batch_loss(self, number: int) -> Tensor:
        """The mean cross-entropy over the pairs of batch ``number``."""
        batch, device = self._batches.batch(number), self._place.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self._place.bf16):
            films = self.network.film(batch.features.to(device), batch.real.to(device))
        first, second = (films[places.to(device)] for places in (batch.first, batch.second))
        return binary_cross_entropy_with_logits(self.network.pair(first, second), batch.similar.to(device))

    def after_step(self) -> None:
        """Nothing follows the network."""
