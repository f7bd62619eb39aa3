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

_KEYS, _QUERIES = 0, 1
"""Which of its two views a picture is changed to."""
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
        self._own_runs = config.films_per_batch // place.processes.count
        self._candidates = neighbours(self._own_runs, config.run_shots, config.neighbourhood, device=place.device)

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
                pictures, _ = self._loader.batch(number)
                self._embed(self.query, self._views(pictures, number, _KEYS))
            self._share_statistics()
            follow(self.key, self.query, 0.0)
        for number in range(filling):
            pictures, shots = self._loader.batch(number)
            self._push(self._embed(self.key, self._views(pictures, number, _KEYS)), shots)

    def batch_loss(self, number: int) -> Tensor:
        """The loss of batch ``number``, whose keys then go into the queue."""
        pictures, shots = self._loader.batch(number)
        shots = shots.to(self._place.device)
        with torch.no_grad():
            keys = self._embed(self.key, self._views(pictures, number, _KEYS))
        queries = self._embed(self.query, self._views(pictures, number, _QUERIES))
        chosen = choose_positives(queries.detach(), keys, self._candidates)
        copies = self.queue.copies_of(shots, shots[chosen])
        # The queue changes in place below, before the gradient is taken.
        negatives = self.queue.keys.clone()
        loss = info_nce(queries, keys[chosen], negatives, copies, temperature=self._config.temperature)
        self._push(keys, shots)
        return loss

    def after_step(self) -> None:
        """The key network follows."""
        self._share_statistics()
        follow(self.key, self.query, self._config.momentum)

    def _views(self, pictures: Tensor, number: int, which: int) -> Tensor:
        """A view of each picture of a batch; those of a run follow from its place there, whoever has it."""
        runs = torch.split(pictures.to(self._place.device), self._config.run_shots)
        views = []
        for place, run in enumerate(runs, start=self._place.processes.rank * self._own_runs):
            seed_batch(self._config.seed, number, which, place)
            views.append(self._augmentation(run))
        return torch.cat(views)

    def _push(self, keys: Tensor, shots: Tensor) -> None:
        """Put the keys of all processes into the queue, so that it is the same in each."""
        gather = self._place.processes.gather
        self.queue.push(gather(keys), gather(shots.to(self._place.device)))

    def _share_statistics(self) -> None:
        """Make running statistics, of which each process has seen its own share, the same in all."""
        self._place.processes.average([b for b in self.query.buffers() if b.is_floating_point()])

    def _embed(self, network: nn.Module, views: Tensor) -> Tensor:
        with torch.autocast(self._place.device.type, torch.bfloat16, enabled=self._place.bf16):
            outputs = network(views)
        return normalize(outputs.float(), dim=1)
