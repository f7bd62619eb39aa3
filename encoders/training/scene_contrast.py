"""E_scene's task: momentum contrast between the two scenes of mined pairs (seed, 1.1c)."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from m2s_index.encoders.scene_encoder import SceneNetwork
from m2s_index.encoders.training.info_nce import info_nce
from m2s_index.encoders.training.key_queue import KeyQueue
from m2s_index.encoders.training.loop import seed_batch
from m2s_index.encoders.training.momentum import follow
from m2s_index.encoders.training.pair_loader import PairLoader
from m2s_index.encoders.training.place import Place
from m2s_index.encoders.training.scene_config import SceneConfig
from m2s_index.encoders.training.scene_views import SceneViews
from m2s_index.pairing.windows import WINDOW_SHOTS

_KEYS, _QUERIES = 0, 1
"""Which of a pair's views is drawn."""


class _Projected(nn.Module):
    """A network and the projection of its vectors, which is dropped after training."""

    def __init__(self, network: SceneNetwork, dimension: int) -> None:
        super().__init__()
        width = network.width
        self.network = network
        self.projection = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, dimension))

    def forward(self, views: Tensor, present: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.network(views, present))
        return projected


class SceneContrast(nn.Module):
    """The query and key networks, each E_scene and a projection, and the queue.

    A query is a view of one scene of a pair, its positive key a view of the other; which is which is drawn. Keys
    of the queue are negatives, but those of windows that overlap the query's scene or its positive's. The key
    network is never trained and always in evaluation mode.
    """

    def __init__(
        self, network: SceneNetwork, config: SceneConfig, loader: PairLoader, views: SceneViews, place: Place
    ) -> None:
        super().__init__()
        self.query = _Projected(network, config.dimension)
        self.key = copy.deepcopy(self.query).requires_grad_(False).eval()
        self.queue = KeyQueue(config.queue_size, config.dimension)
        self.to(place.device)
        self._config = config
        self._loader = loader
        self._views = views
        self._place = place

    @property
    def module(self) -> nn.Module:
        """Networks and queue."""
        return self

    def encoder_tensors(self) -> Mapping[str, Tensor]:
        """E_scene's own weights: the trained network without its projection."""
        return self.query.network.state_dict()

    @torch.no_grad()
    def begin(self) -> None:
        """Fill the queue: losses can then be compared from the first step on."""
        for number in range(math.ceil(self._config.queue_size / self._config.batch_pairs)):
            batch = self._loader.batch(number)
            self._push(self._embed(self.key, batch.positives, number, _KEYS), batch.positive_scenes)

    def batch_loss(self, number: int) -> Tensor:
        """The loss of batch ``number``, whose keys then go into the queue."""
        batch, device = self._loader.batch(number), self._place.device
        with torch.no_grad():
            keys = self._embed(self.key, batch.positives, number, _KEYS)
        queries = self._embed(self.query, batch.queries, number, _QUERIES)
        scenes, positive_scenes = batch.query_scenes.to(device), batch.positive_scenes.to(device)
        copies = self.queue.copies_of(scenes, positive_scenes, reach=WINDOW_SHOTS)
        # The queue changes in place below, before the gradient is taken.
        negatives = self.queue.keys.clone()
        loss = info_nce(queries, keys, negatives, copies, temperature=self._config.temperature)
        self._push(keys, positive_scenes)
        return loss

    def after_step(self) -> None:
        """The key network follows."""
        follow(self.key, self.query, self._config.momentum)

    @torch.no_grad()
    def _changed(self, scenes: Tensor, number: int, which: int) -> tuple[Tensor, Tensor]:
        """Views of scenes, and which of their shots are in them: the one drawn highest always is. They follow from
        a pair's place in its batch, whoever has it.
        """
        views, present = [], []
        for place, scene in enumerate(scenes, start=self._place.processes.rank * len(scenes)):
            seed_batch(self._config.seed, number, which, place)
            views.append(self._views.change(scene.to(self._place.device)))
            drawn = torch.rand(len(scene), device=self._place.device)
            present.append((drawn >= self._config.shot_dropout) | (drawn == drawn.max()))
        return torch.stack(views), torch.stack(present)

    def _push(self, keys: Tensor, scenes: Tensor) -> None:
        """Put the keys of all processes into the queue, so that it is the same in each."""
        gather = self._place.processes.gather
        self.queue.push(gather(keys), gather(scenes.to(self._place.device)))

    def _embed(self, network: nn.Module, scenes: Tensor, number: int, which: int) -> Tensor:
        views, present = self._changed(scenes, number, which)
        with torch.autocast(self._place.device.type, torch.bfloat16, enabled=self._place.bf16):
            outputs = network(views, present)
        return normalize(outputs.float(), dim=1)
