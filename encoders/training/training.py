"""What trainings share around the loop: where their files go, what is checked first, the plan, the header."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from m2s_index.encoders.training.config import TrainingConfig
from m2s_index.encoders.training.curve import write_curve
from m2s_index.encoders.training.loop import Checkpoints, CurvePoint, Plan, StepDone, Task, seed_batch, train
from m2s_index.encoders.training.place import Place
from m2s_index.encoders.training.processes import ALONE, Processes
from m2s_index.errors import UsageError


@dataclass(frozen=True)
class RunOptions:
    """How a training is run, whatever it learns.

    ``resume`` goes on from the checkpoint; ``checkpoint_steps`` are from one checkpoint to the next; ``on_step`` is
    told of every step; ``processes`` are those that train together.
    """

    resume: bool
    checkpoint_steps: int
    on_step: Callable[[StepDone], None]
    processes: Processes = ALONE


@dataclass(frozen=True)
class Finished:
    """A training that has come to its end, its whole curve, and how long it took this time."""

    training: Training
    curve: list[CurvePoint]
    seconds: float


def checkpoint_path(out: Path) -> Path:
    """Where the state of the training of an encoder's file is."""
    return out.with_suffix(".training.safetensors")


@dataclass(frozen=True)
class Training(ABC):
    """A training that is ready to be run; it writes ``out``, and beside it its state and its curve."""

    config: TrainingConfig
    out: Path

    kind: ClassVar[str]
    """What its checkpoint says it is."""

    @property
    @abstractmethod
    def films(self) -> str:
        """What tells the films, and all else that is learned from, from others."""

    @property
    @abstractmethod
    def epoch_samples(self) -> int:
        """Samples in an epoch."""

    @property
    @abstractmethod
    def batch_samples(self) -> int:
        """Samples in a batch."""

    @abstractmethod
    def run(self, place: Place, options: RunOptions) -> list[CurvePoint]:
        """Train, and write the encoder; returns the curve.

        Raises:
            TrainingError: a loss or gradient is not finite, or a file cannot be written.
            UsageError, WeightsError: the checkpoint is not this training's.
        """

    def finish(self, place: Place, options: RunOptions) -> Finished:
        """Run it, by the clock; raises as ``run`` does."""
        begun = time.monotonic()
        curve = self.run(place, options)
        return Finished(self, curve, time.monotonic() - begun)

    @property
    def plan(self) -> Plan:
        """The config's epochs as steps."""
        config = self.config
        epoch_steps = math.ceil(self.epoch_samples / (self.batch_samples * config.accumulate))
        return Plan(
            steps=config.epochs * epoch_steps,
            warmup_steps=config.warmup_epochs * epoch_steps,
            accumulate=config.accumulate,
            batch_samples=self.batch_samples,
            optimiser=config.optimiser,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            seed=config.seed,
        )

    @property
    def checkpoint_path(self) -> Path:
        """Where the state is while it is trained, beside the encoder that comes of it."""
        return checkpoint_path(self.out)

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
        return {"kind": self.kind, "config": self.config.as_dict(), "films": self.films}

    def check_files(self, *, resume: bool) -> None:
        """See whether the files can go where they are to go.

        Raises:
            UsageError: ``out`` is no place for a new training, or there is nothing to resume.
        """
        out = self.out
        if out.suffix != ".safetensors":
            raise UsageError(f"{out}: an encoder is a safetensors file; call it {out.with_suffix('.safetensors')}")
        if not out.parent.is_dir():
            raise UsageError(f"{out.parent}: there is no such folder to put {out.name} in; make it first")
        there = [path for path in (out, self.checkpoint_path) if path.exists()]
        if there and not resume:
            raise UsageError(f"{there[0]}: is there already; go on with --resume, or give another --out")
        if resume and not self.checkpoint_path.exists():
            raise UsageError(f"{self.checkpoint_path}: there is no checkpoint to resume; leave out --resume")

    def seed_networks(self) -> None:
        """Make torch's generators those that first weights are drawn from."""
        seed_batch(self.config.seed, self.plan.steps)  # no batch has this number

    def train(self, task: Task, options: RunOptions) -> list[CurvePoint]:
        """Put a task through the loop, with this training's plan and files."""
        return train(
            task,
            self.plan,
            Checkpoints(self.checkpoint_path, self.header(), options.checkpoint_steps),
            resume=options.resume,
            on_step=options.on_step,
            on_checkpoint=lambda curve: write_curve(self.curve_path, self.picture_path, curve),
            processes=options.processes,
        )
