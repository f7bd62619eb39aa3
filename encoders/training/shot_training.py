"""A training of E_shot from films to encoder file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from m2s_index.encoders.shot_encoder import input_data, make_shot_network, save_shot_encoder
from m2s_index.encoders.training.augmentation import Augmentation, Changes
from m2s_index.encoders.training.loader import BatchLoader, base_px
from m2s_index.encoders.training.loop import CurvePoint
from m2s_index.encoders.training.place import Place
from m2s_index.encoders.training.sampler import RunSampler
from m2s_index.encoders.training.shot_config import ShotConfig
from m2s_index.encoders.training.shot_contrast import ShotContrast
from m2s_index.encoders.training.source import TrainingSource
from m2s_index.encoders.training.training import RunOptions, Training


@dataclass(frozen=True)
class ShotTraining(Training):
    """Samples are shots, drawn by ``sampler`` from ``source``."""

    config: ShotConfig
    source: TrainingSource
    sampler: RunSampler

    kind: ClassVar[str] = "shot training"

    @property
    def films(self) -> str:
        """The source's digest."""
        return self.source.digest

    @property
    def epoch_samples(self) -> int:
        """As many as there are shots."""
        return self.sampler.shots

    @property
    def batch_samples(self) -> int:
        """Shots in a batch."""
        return self.config.batch_shots

    def run(self, place: Place, options: RunOptions) -> list[CurvePoint]:
        """As any training; moreover a KeyFrameError where key frames are missing or damaged."""
        config, processes = self.config, place.processes
        processes.need_shares(config.films_per_batch, "films_per_batch")
        with BatchLoader(
            self.source, self.sampler, config.run_shots, base_px(config.image_px), processes
        ) as loader:
            self.seed_networks()
            network = make_shot_network(config)
            data = input_data(network, config.image_px)
            changes = Changes(config.least_crop, config.colour, config.grey)
            augmentation = Augmentation(config.image_px, data["mean"], data["std"], changes)
            task = ShotContrast(network, config, loader, augmentation, place)
            curve = self.train(task, options)
        if processes.is_first:
            save_shot_encoder(self.out, task.encoder_tensors(), config)
        return curve


def prepare_shot_training(source: TrainingSource, config: ShotConfig, out: Path, *, resume: bool) -> ShotTraining:
    """Check all that can be checked before the first batch is read.

    Raises:
        UsageError: there are too few films, ``out`` is no place for a new training, or there is nothing to resume.
    """
    sampler = RunSampler(source.shots, run_shots=config.run_shots, films=config.films_per_batch, seed=config.seed)
    training = ShotTraining(config, out, source, sampler)
    training.check_files(resume=resume)
    return training
