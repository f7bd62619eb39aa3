"""E_shot's task: momentum contrast in which a shot's positive is its most similar neighbour (seed, 1.1a)."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from m2s_index.encoders.training.augmentation import Augmentation
from m2s_index.encoders.training.info_nce import info_nce
from m2s_index.encoders.training.key_queue import KeyQueue
from m2s_index.encoders.training.loader import BatchLoader
from m2s_index.encoders.training.loop import seed_batch
from m2s_index.encoders.training.momentum import follow
from m2s_index.encoders.training.neighbourhood import choose_positives, neighbours
from m2s_index.encoders.training.place import Place
from m2s_index.encoders.training.shot_config import FEATURES, ShotConfig

_SETTLING_BATCHES = 24
"""After so many batches a running mean at timm's momentum of 0.1 has forgotten 92 % of where it began."""


class ShotContrast(nn.Module):
    """The query and key networks, each E_shot and a projection, and the queue.

    The key network is never trained and always in evaluation mode: a key does not depend on its batch.
    """

    def __init__(
        self,
        network: nn.Module,
        config: ShotConfig,
        loader: BatchLoader,
        augmentation: Augmentation,
        place: Place,
    ) -> None:
        super().__init__()
        projection = nn.Sequential(
            nn.Linear(FEATURES, FEATURES), nn.ReLU(inplace=True), nn.Linear(FEATURES, config.dimension)
        )
        self.query = nn.Sequential(network, projection)
        self.key = copy.deepcopy(self.query).requires_grad_(False).eval()
        self.queue = KeyQueue(config.queue_size, config.dimension)
        self.to(place.device)
        self._config = config
        self._loader = loader
        self._augmentation = augmentation
        self._place = place
        self._candidates = neighbours(
            config.films_per_batch, config.run_shots, config.neighbourhood, device=place.device
        )

    @property
    def module(self) -> nn.Module:
        """Networks and queue."""
        return self

    def encoder_tensors(self) -> Mapping[str, Tensor]:
        """E_shot's own weights: the trained network without its projection."""
        network: nn.Module = self.query[0]
        return network.state_dict()

    @torch.no_grad()
    def begin(self) -> None:
        """Let running statistics settle, where the network has some, and fill the queue: losses can then be
        compared from the first step on.
        """
        filling = math.ceil(self._config.queue_size / self._config.batch_shots)
        if any(name.endswith("running_mean") for name in self.query.state_dict()):
            for number in range(_SETTLING_BATCHES):
                self._embed(self.query, self._views(number)[0])
            follow(self.key, self.query, 0.0)
        for number in range(filling):
            pictures, shots = self._views(number)
            self.queue.push(self._embed(self.key, pictures), shots)

    def batch_loss(self, number: int) -> Tensor:
        """The loss of batch ``number``, whose keys then go into the queue."""
        pictures, shots = self._loader.batch(number)
        pictures, shots = pictures.to(self._place.device), shots.to(self._place.device)
        with torch.no_grad():
            keys = self._embed(self.key, self._augmentation(pictures))
        queries = self._embed(self.query, self._augmentation(pictures))
        chosen = choose_positives(queries.detach(), keys, self._candidates)
        copies = self.queue.copies_of(shots, shots[chosen])
        # The queue changes in place below, before the gradient is taken.
        negatives = self.queue.keys.clone()
        loss = info_nce(queries, keys[chosen], negatives, copies, temperature=self._config.temperature)
        self.queue.push(keys, shots)
        return loss

    def after_step(self) -> None:
        """The key network follows."""
        follow(self.key, self.query, self._config.momentum)

    def _views(self, number: int) -> tuple[Tensor, Tensor]:
        """A view of each picture of a batch, and the shots."""
        pictures, shots = self._loader.batch(number)
        seed_batch(self._config.seed, number)
        return self._augmentation(pictures.to(self._place.device)), shots.to(self._place.device)

    def _embed(self, network: nn.Module, views: Tensor) -> Tensor:
        with torch.autocast(self._place.device.type, torch.bfloat16, enabled=self._place.bf16):
            outputs = network(views)
        return normalize(outputs.float(), dim=1)
