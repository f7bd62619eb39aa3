"""The loop that every training goes through: steps, a schedule, checkpoints, the curve.

What is random in batch n follows from the seed, n and the rank of the process alone. With the task's tensors, the
optimiser's and the curve, whose length says which step is next, a checkpoint is therefore all it takes to go on to
the bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from m2s_index.encoders.training.checkpoint import load_state, save_tensors
from m2s_index.encoders.training.config import Optimiser
from m2s_index.encoders.training.processes import ALONE, Processes
from m2s_index.encoders.training.schedules import learning_rate
from m2s_index.errors import TrainingError, WeightsError

_CURVE = "curve"
_TASK, _OPTIMISER = "task.", "optimiser."
_SGD_MOMENTUM = 0.9


class Task(Protocol):
    """What is trained."""

    @property
    def module(self) -> nn.Module:
        """All that is to be kept in checkpoints; what of it is trained requires gradients."""
        ...

    def begin(self) -> None:
        """Made ready before the first step; not called where a training is resumed."""
        ...

    def batch_loss(self, number: int) -> Tensor:
        """The loss of batch ``number``: a scalar with gradients."""
        ...

    def after_step(self) -> None:
        """The optimiser has moved the weights."""
        ...


@dataclass(frozen=True)
class Plan:
    """How a task is trained; ``steps`` are the optimiser's, each of ``accumulate`` batches of ``batch_samples``."""

    steps: int
    warmup_steps: int
    accumulate: int
    batch_samples: int
    optimiser: Optimiser
    learning_rate: float
    weight_decay: float
    seed: int


@dataclass(frozen=True)
class CurvePoint:
    """One step: the mean loss of its batches, and the rate it was made at."""

    loss: float
    learning_rate: float


@dataclass(frozen=True)
class StepDone:
    """A step for the person who waits. ``step`` counts from 1."""

    step: int
    steps: int
    point: CurvePoint
    samples_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Checkpoints:
    """Where a training's state goes, what its header says, and after how many steps it is written again."""

    path: Path
    header: Mapping[str, Any]
    every_steps: int


def train(
    task: Task,
    plan: Plan,
    checkpoints: Checkpoints,
    *,
    resume: bool,
    on_step: Callable[[StepDone], None],
    on_checkpoint: Callable[[list[CurvePoint]], None],
    processes: Processes = ALONE,
) -> list[CurvePoint]:
    """Train to the end, or from the checkpoint to the end; returns the curve from the first step on.

    Args:
        task: changed in place.
        plan: how.
        checkpoints: where the state goes.
        resume: go on from the checkpoint.
        on_step: told of every step.
        on_checkpoint: given the curve each time a checkpoint has been written.
        processes: those that train together, each with a share of every batch; the first one writes.

    Raises:
        TrainingError: a loss or gradient is not finite, or a checkpoint cannot be written.
        UsageError, WeightsError: the checkpoint is not this training's.
    """
    optimiser = _optimiser(task.module, plan)
    curve: list[CurvePoint] = []
    if resume:
        curve = _restore(task, optimiser, checkpoints)
    else:
        task.begin()
    begun, first = time.monotonic(), len(curve)
    for step in range(first, plan.steps):
        rate = learning_rate(step, peak=plan.learning_rate, warmup_steps=plan.warmup_steps, steps=plan.steps)
        curve.append(CurvePoint(_step(task, optimiser, plan, step, rate, checkpoints, processes), rate))
        done = step + 1 - first
        seconds = time.monotonic() - begun
        samples = done * plan.accumulate * plan.batch_samples
        left = seconds / done * (plan.steps - step - 1)
        on_step(StepDone(step + 1, plan.steps, curve[-1], samples / seconds, left))
        is_time = (step + 1) % checkpoints.every_steps == 0 or step + 1 == plan.steps
        if is_time and processes.is_first:
            _save(task, optimiser, curve, checkpoints)
            on_checkpoint(curve)
    return curve


def seed_batch(seed: int, number: int, *part: int) -> None:
    """Make torch's generators those of batch ``number``, or of a part of it."""
    drawn = int(np.random.SeedSequence([seed, number, *part]).generate_state(1, np.uint64)[0])
    # Where there is no GPU, torch.manual_seed keeps every call, with its stack, for when there may be one.
    torch.default_generator.manual_seed(drawn)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(drawn)


def _step(
    task: Task,
    optimiser: torch.optim.Optimizer,
    plan: Plan,
    step: int,
    rate: float,
    checkpoints: Checkpoints,
    processes: Processes,
) -> float:
    """One step of the optimiser; returns the mean loss of its batches."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    total = torch.zeros((), dtype=torch.float64)
    for number in range(step * plan.accumulate, (step + 1) * plan.accumulate):
        seed_batch(plan.seed, number, processes.rank)
        loss = task.batch_loss(number) / plan.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    gradients = [p.grad for p in task.module.parameters() if p.grad is not None]
    processes.average([*gradients, total])
    norm = float(get_total_norm(gradients))
    # A gradient that is not finite would spoil the weights, and the next checkpoint with them.
    for what, value in (("loss", total.item()), ("gradient", norm)):
        if not math.isfinite(value):
            raise TrainingError(f"step {step + 1}: the {what} is {value}; {_advice(checkpoints, step)}")
    optimiser.step()
    task.after_step()
    return total.item()


def _advice(checkpoints: Checkpoints, step: int) -> str:
    good = step // checkpoints.every_steps * checkpoints.every_steps
    kept = f"the state after step {good} is in {checkpoints.path}" if good else "no checkpoint was written yet"
    return f"{kept}. Begin again with a lower learning_rate, more warmup_epochs or, on a GPU, --precision fp32"


def _optimiser(module: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if plan.optimiser == "sgd":
        return torch.optim.SGD(
            trained, lr=plan.learning_rate, momentum=_SGD_MOMENTUM, weight_decay=plan.weight_decay
        )
    return torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=plan.weight_decay)


def _save(task: Task, optimiser: torch.optim.Optimizer, curve: list[CurvePoint], checkpoints: Checkpoints) -> None:
    tensors = {_TASK + name: tensor for name, tensor in task.module.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"{_OPTIMISER}{number}.{name}": tensor for name, tensor in state.items()}
    points = [(point.loss, point.learning_rate) for point in curve]
    tensors[_CURVE] = torch.tensor(points, dtype=torch.float64)
    save_tensors(checkpoints.path, tensors, checkpoints.header)


def _restore(task: Task, optimiser: torch.optim.Optimizer, checkpoints: Checkpoints) -> list[CurvePoint]:
    """Fill the task and the optimiser from the checkpoint; returns the curve so far."""
    tensors = load_state(checkpoints.path, checkpoints.header)
    state: dict[int, dict[str, Tensor]] = {}
    try:
        curve = [CurvePoint(loss, rate) for loss, rate in tensors.pop(_CURVE).tolist()]
        for name in [name for name in tensors if name.startswith(_OPTIMISER)]:
            number, _, part = name.removeprefix(_OPTIMISER).partition(".")
            state.setdefault(int(number), {})[part] = tensors.pop(name)
        task.module.load_state_dict({name.removeprefix(_TASK): tensor for name, tensor in tensors.items()})
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    except (KeyError, RuntimeError, TypeError, ValueError) as exc:
        raise WeightsError(
            f"{checkpoints.path}: is no whole checkpoint of this training ({exc}); begin another with a new --out"
        ) from exc
    return curve
