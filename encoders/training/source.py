"""What training asks of whoever has the films. The library's own is ``m2s_index.training_source``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from m2s_index.types import Image


class TrainingSource(Protocol):
    """Films by number, each with its shots in order; several threads may read at once."""

    @property
    def shots(self) -> Sequence[int]:
        """How many shots each film has."""
        ...

    @property
    def digest(self) -> str:
        """What tells these films from others: a training is only continued on the same."""
        ...

    def frames(self, film: int, first_shot: int, count: int) -> list[Image]:
        """A picture of each of ``count`` neighbouring shots: RGB, uint8 [height, width, 3], of any size."""
        ...
