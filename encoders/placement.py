"""Where and how a network runs: its device, its precision, its batches."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from m2s_index.errors import UsageError


@dataclass(frozen=True)
class Placement:
    """Where and how a network runs."""

    device: torch.device
    dtype: torch.dtype
    batch_size: int
    channels_last: bool

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass: normalisations and sums stay fp32 under bf16."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


def choose_dtype(device: torch.device, precision: str | None) -> torch.dtype:
    """What a network computes in: ``precision``, fp32 or bf16; None takes bf16 on CUDA and fp32 on the CPU."""
    bf16 = precision == "bf16" or (precision is None and device.type == "cuda")
    return torch.bfloat16 if bf16 else torch.float32


def choose_device(device: str | None) -> torch.device:
    """The device asked for, or CUDA where there is one, else the CPU.

    Raises:
        UsageError: the name is no device, or it is not there.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as exc:
        raise UsageError(f"device {device!r}: choose cpu, cuda or cuda:N") from exc
    if chosen.type not in ("cpu", "cuda"):
        raise UsageError(f"device {device!r}: choose cpu, cuda or cuda:N")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(f"device {device!r}: torch sees {count} CUDA devices here; pass --device cpu")
    return chosen
