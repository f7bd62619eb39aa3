"""Where a training runs: its device, its precision, who trains with it, and random numbers of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from m2s_index.encoders.placement import choose_device
from m2s_index.encoders.training.processes import ALONE, Processes, joined, started_processes


@dataclass(frozen=True)
class Place:
    """The device that networks are on, whether they compute in bf16 there, and who trains together."""

    device: torch.device
    bf16: bool
    processes: Processes = ALONE


@contextmanager
def training_place(device: str | None, bf16: bool | None) -> Iterator[Place]:
    """A place; what is drawn at random there leaves torch's generators as they were.

    Args:
        device: as in ``make_encoder``; of several processes that train on CUDA each takes a GPU of its own.
        bf16: None takes mixed precision on CUDA and fp32 on the CPU.

    Raises:
        UsageError: the device cannot be.
        TrainingError: torchrun has started several processes, and they did not find each other.
    """
    processes = started_processes()
    chosen = choose_device(device)
    on_cuda = chosen.type == "cuda"
    if on_cuda and processes.count > 1:
        chosen = choose_device(f"cuda:{os.environ.get('LOCAL_RANK', processes.rank)}")
        torch.cuda.set_device(chosen)
    with joined(processes, chosen), torch.random.fork_rng([chosen] if on_cuda else []):
        yield Place(chosen, on_cuda if bf16 is None else bf16, processes)
