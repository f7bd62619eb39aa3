"""Where a training runs: its device, its precision and random numbers of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from m2s_index.encoders.placement import choose_device


@dataclass(frozen=True)
class Place:
    """The device that networks are on, and whether they compute in bf16 there."""

    device: torch.device
    bf16: bool


@contextmanager
def training_place(device: str | None, bf16: bool | None) -> Iterator[Place]:
    """A place; what is drawn at random there leaves torch's generators as they were.

    Args:
        device: as in ``make_encoder``.
        bf16: None takes mixed precision on CUDA and fp32 on the CPU.

    Raises:
        UsageError: the device cannot be.
    """
    chosen = choose_device(device)
    on_cuda = chosen.type == "cuda"
    with torch.random.fork_rng([chosen] if on_cuda else []):
        yield Place(chosen, on_cuda if bf16 is None else bf16)
