"""A training of E_scene from mined pairs to encoder file, and how well it ranks pairs of films it never saw."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from m2s_index.encoders.scene_encoder import SceneNetwork, make_scene_network, save_scene_encoder
from m2s_index.encoders.scene_frames_network import FramesNetwork
from m2s_index.encoders.shot_encoder import input_data
from m2s_index.encoders.training.augmentation import Augmentation
from m2s_index.encoders.training.held_out import PositiveRanks, rank_positives
from m2s_index.encoders.training.loop import CurvePoint
from m2s_index.encoders.training.pair_loader import PairLoader
from m2s_index.encoders.training.place import Place
from m2s_index.encoders.training.scene_config import SceneConfig
from m2s_index.encoders.training.scene_contrast import SceneContrast
from m2s_index.encoders.training.scene_pairs import PairSplit, ScenePairSampler, Scenes, split_pairs
from m2s_index.encoders.training.scene_views import FeatureViews, FrameViews, SceneViews
from m2s_index.encoders.training.source import FeatureSource, TrainingSource
from m2s_index.encoders.training.training import RunOptions, Training
from m2s_index.errors import UsageError
from m2s_index.types import EncoderIdentity, Int64Array

_MOST_RANKED = 1000
"""Of more held-out pairs so many are drawn to be ranked: each takes a scene or two through the network."""
_RANKED_AT_ONCE = 16


@dataclass(frozen=True)
class SceneTraining(Training):
    """Samples are pairs of scenes, drawn by ``sampler`` from those of ``split`` that are trained on.

    ``source`` has key frames for the architecture ``frames``, and features for ``shots``. ``queue_asked`` is the
    config's queue before it was clamped to the number of scenes.
    """

    config: SceneConfig
    source: TrainingSource | FeatureSource
    split: PairSplit
    sampler: ScenePairSampler
    queue_asked: int

    kind: ClassVar[str] = "scene training"

    @property
    def films(self) -> str:
        """The source's digest."""
        return self.source.digest

    def header(self) -> dict[str, Any]:
        """As any training's; moreover which pairs are trained on, and whose features, whatever it is called."""
        features = self.shot_encoder.as_dict() | {"name": ""} if self.shot_encoder else None
        return super().header() | {
            "pairs": hashlib.sha256(self.split.trained.tobytes()).hexdigest(),
            "features": features,
        }

    @property
    def epoch_samples(self) -> int:
        """As many as there are pairs to train on."""
        return len(self.split.trained)

    @property
    def batch_samples(self) -> int:
        """Pairs in a batch."""
        return self.config.batch_pairs

    @property
    def shot_encoder(self) -> EncoderIdentity | None:
        """Whose features the architecture ``shots`` is trained on."""
        return self.source.identity if isinstance(self.source, FeatureSource) else None

    def new_network(self) -> SceneNetwork:
        """The network as it is before training."""
        self.seed_networks()
        return make_scene_network(self.config, self.shot_encoder)

    def run(self, place: Place, options: RunOptions) -> list[CurvePoint]:
        """As any training; moreover a CatalogError where what is stored of a film is missing or damaged."""
        place.processes.need_shares(self.config.batch_pairs, "batch_pairs")
        network = self.new_network()
        views = self._views(network)
        with PairLoader(self.sampler, views.read, place.processes) as loader:
            task = SceneContrast(network, self.config, loader, views, place)
            curve = self.train(task, options)
        if place.processes.is_first:
            save_scene_encoder(self.out, task.encoder_tensors(), self.config, self.shot_encoder)
        return curve

    @torch.inference_mode()
    def rank_held_out(self, network: SceneNetwork, place: Place) -> PositiveRanks | None:
        """Where the positives of held-out films' pairs rank; None where there are no such pairs to rank.

        Raises:
            CatalogError: what is stored of a film is missing or damaged.
        """
        pairs = self.split.held_out
        if len(pairs) > _MOST_RANKED:
            pairs = np.random.default_rng(self.config.seed).permutation(pairs)[:_MOST_RANKED]
        scenes, rows = np.unique(pairs, return_inverse=True)
        if not len(scenes):
            return None
        network.eval().to(place.device)
        views = self._views(network)
        parts = [
            self._vectors(network, views, scenes[at : at + _RANKED_AT_ONCE], place)
            for at in range(0, len(scenes), _RANKED_AT_ONCE)
        ]
        films = Scenes(self.source.shots).films(scenes)
        return rank_positives(torch.cat(parts).numpy(), scenes, films, rows.reshape(-1, 2))

    @staticmethod
    def _vectors(network: SceneNetwork, views: SceneViews, scenes: Int64Array, place: Place) -> Tensor:
        plain = torch.stack([views.plain(scene) for scene in scenes.tolist()]).to(place.device)
        present = torch.ones(plain.shape[:2], dtype=torch.bool, device=place.device)
        with torch.autocast(place.device.type, torch.bfloat16, enabled=place.bf16):
            vectors = network(plain, present)
        return normalize(vectors.float(), dim=1).cpu()

    def _views(self, network: SceneNetwork) -> SceneViews:
        config = self.config
        if isinstance(self.source, FeatureSource):
            return FeatureViews(self.source, config.feature_noise)
        assert isinstance(network, FramesNetwork)
        data = input_data(network.vit, config.image_px)
        return FrameViews(self.source, config.image_px, Augmentation(config.image_px, data["mean"], data["std"]))


def prepare_scene_training(
    source: TrainingSource | FeatureSource, pairs: Int64Array, config: SceneConfig, out: Path, *, resume: bool
) -> SceneTraining:
    """Check all that can be checked before the first batch is read; clamp a queue longer than there are scenes.

    Args:
        source: what the config's architecture sees.
        pairs: int64 [P, 2], scenes by number.
        config: how.
        out: where the encoder goes.
        resume: whether the training was begun before.

    Raises:
        UsageError: there are too few pairs or scenes, ``out`` is no place for a new training, or there is nothing
            to resume.
    """
    split = split_pairs(pairs, Scenes(source.shots), share=config.held_out, seed=config.seed)
    sampler = ScenePairSampler(split.trained, batch_pairs=config.batch_pairs, seed=config.seed)
    if split.scenes < config.batch_pairs:
        raise UsageError(
            f"{len(split.trained)} pairs are of {split.scenes} scenes, and the queue has to hold the "
            f"{config.batch_pairs} of a batch; mine more, hold out fewer films, or set batch_pairs lower"
        )
    clamped = replace(config, queue_size=min(config.queue_size, split.scenes))
    training = SceneTraining(clamped, out, source, split, sampler, config.queue_size)
    training.check_files(resume=resume)
    return training
