"""A training of E_shot from films to encoder file: what it takes is put together here, and the loop run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from m2s_index.encoders.placement import choose_device
from m2s_index.encoders.shot_encoder import input_data, make_shot_network, save_shot_encoder
from m2s_index.encoders.training.augmentation import Augmentation
from m2s_index.encoders.training.config import ShotConfig
from m2s_index.encoders.training.curve import write_curve
from m2s_index.encoders.training.loader import BatchLoader
from m2s_index.encoders.training.loop import Checkpoints, CurvePoint, Plan, StepDone, seed_batch, train
from m2s_index.encoders.training.sampler import RunSampler
from m2s_index.encoders.training.shot_contrast import ShotContrast
from m2s_index.encoders.training.source import TrainingSource
from m2s_index.errors import UsageError

_BASE_SHARE = 8 / 7
"""Pictures are kept so much larger than the network sees them: crops of them are scaled up less."""


@dataclass(frozen=True)
class ShotTraining:
    """A training that is ready to be run; it writes ``out``, and beside it its state and its curve."""

    source: TrainingSource
    config: ShotConfig
    out: Path
    sampler: RunSampler

    @property
    def plan(self) -> Plan:
        """The config's epochs as steps."""
        config = self.config
        epoch_steps = math.ceil(self.sampler.shots / (config.batch_shots * config.accumulate))
        return Plan(
            steps=config.epochs * epoch_steps,
            warmup_steps=config.warmup_epochs * epoch_steps,
            accumulate=config.accumulate,
            optimiser=config.optimiser,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            seed=config.seed,
        )

    @property
    def checkpoint_path(self) -> Path:
        """Where the state is while it is trained, beside the encoder that comes of it."""
        return self.out.with_suffix(".training.safetensors")

    @property
    def curve_path(self) -> Path:
        """The curve's CSV file."""
        return self.out.with_suffix(".csv")

    @property
    def picture_path(self) -> Path:
        """The curve's picture."""
        return self.out.with_suffix(".svg")

    def header(self) -> dict[str, Any]:
        """What a checkpoint says it is."""
        return {"kind": "shot training", "config": self.config.as_dict(), "films": self.source.digest}


def prepare_training(source: TrainingSource, config: ShotConfig, out: Path, *, resume: bool) -> ShotTraining:
    """Check all that can be checked before the first batch is read.

    Raises:
        UsageError: there are too few films, ``out`` is no place for a new training, or there is nothing to resume.
    """
    sampler = RunSampler(source.shots, run_shots=config.run_shots, films=config.films_per_batch, seed=config.seed)
    training = ShotTraining(source, config, out, sampler)
    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: an encoder is a safetensors file; call it {out.with_suffix('.safetensors')}")
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent}: there is no such folder to put {out.name} in; make it first")
    there = [path for path in (out, training.checkpoint_path) if path.exists()]
    if there and not resume:
        raise UsageError(f"{there[0]}: is there already; go on with --resume, or give another --out")
    if resume and not training.checkpoint_path.exists():
        raise UsageError(f"{training.checkpoint_path}: there is no checkpoint to resume; leave out --resume")
    return training


def run_training(
    training: ShotTraining,
    *,
    device: str | None,
    bf16: bool | None,
    resume: bool,
    checkpoint_steps: int,
    on_step: Callable[[StepDone], None],
) -> list[CurvePoint]:
    """Train, and write the encoder; returns the curve.

    Args:
        training: what.
        device: as in ``make_encoder``.
        bf16: None takes mixed precision on CUDA and fp32 on the CPU.
        resume: go on from the checkpoint.
        checkpoint_steps: steps from one checkpoint to the next.
        on_step: told of every step.

    Raises:
        TrainingError: a loss or gradient is not finite, or a file cannot be written.
        UsageError, WeightsError: the checkpoint is not this training's.
        KeyFrameError: key frames are missing or damaged.
    """
    config, place = training.config, choose_device(device)
    base_px = round(config.image_px * _BASE_SHARE)
    devices = [place] if place.type == "cuda" else []
    with (
        torch.random.fork_rng(devices),
        BatchLoader(training.source, training.sampler, config.run_shots, base_px) as loader,
    ):
        seed_batch(config.seed, training.plan.steps)  # no batch has this number
        network = make_shot_network(config)
        data = input_data(network, config)
        augmentation = Augmentation(config.image_px, data["mean"], data["std"])
        use_bf16 = place.type == "cuda" if bf16 is None else bf16
        task = ShotContrast(network, config, loader, augmentation, place, bf16=use_bf16)
        curve = train(
            task,
            training.plan,
            Checkpoints(training.checkpoint_path, training.header(), checkpoint_steps),
            resume=resume,
            on_step=on_step,
            on_checkpoint=lambda curve: write_curve(training.curve_path, training.picture_path, curve),
        )
    save_shot_encoder(training.out, task.encoder_tensors(), config)
    return curve
