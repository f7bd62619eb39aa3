"""Processes that train together, as torchrun starts them: a share of every batch each, and equal weights in all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from m2s_index.errors import TrainingError, UsageError, first_line

Item = TypeVar("Item")


@dataclass(frozen=True)
class Processes:
    """All of them, seen from the one whose number is ``rank``, from 0."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def need_shares(self, batch: int, name: str) -> None:
        """See whether a batch can be shared out evenly: the mean of the shares' means is then the batch's.

        Args:
            batch: what it is made of, counted.
            name: the setting that says so.

        Raises:
            UsageError: it cannot.
        """
        if batch % self.count:
            raise UsageError(f"{name} {batch}: must be a multiple of the {self.count} processes of this training")

    def share(self, batch: Sequence[Item]) -> Sequence[Item]:
        """This process's part of a batch; all parts in order of rank are the batch."""
        size = len(batch) // self.count
        return batch[self.rank * size : (self.rank + 1) * size]

    def gather(self, own: Tensor) -> Tensor:
        """What all processes have, one after the other in order of rank, without gradients: [N, …] to [count·N, …].

        Raises:
            TrainingError: another process has ended.
        """
        if self.count == 1:
            return own.detach()
        parts = [torch.empty_like(own) for _ in range(self.count)]
        with _together():
            distributed.all_gather(parts, own.detach().contiguous())
        return torch.cat(parts)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes in the place of each tensor, the same to the bit in all of them.

        Raises:
            TrainingError: another process has ended.
        """
        if self.count == 1 or not tensors:
            return
        device = tensors[0].device
        joint = torch.cat([tensor.detach().flatten().to(device, torch.float32) for tensor in tensors])
        with _together():
            distributed.all_reduce(joint)
        parts = torch.split(joint / self.count, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.detach().copy_(part.view_as(tensor))


ALONE = Processes()


def started_processes() -> Processes:
    """Those that torchrun has started, of which this is one; one process where it has started none."""
    return Processes(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def joined(processes: Processes, device: torch.device) -> Iterator[None]:
    """Within this they can speak to each other: over NCCL where they are on GPUs, else over Gloo.

    Raises:
        TrainingError: they did not find each other.
    """
    if processes.count == 1:
        yield
        return
    with _together():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as exc:  # torch raises the latter where torchrun's variables are wrong
        raise TrainingError(
            f"the processes that train together have lost each other ({first_line(exc)}); see what the first of "
            "them to end said, and go on from the last checkpoint with --resume"
        ) from exc
