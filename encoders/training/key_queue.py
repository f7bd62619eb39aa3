"""The queue: the keys of the last batches, oldest out first (He et al., CVPR 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class KeyQueue(nn.Module):
    """A ring of keys and of the shots they are of. Its buffers go into checkpoints with the networks.

    ``keys`` float32 [K, D], rows normalised; ``shots`` int64 [K], −1 where no key has come yet.
    """

    keys: Tensor
    shots: Tensor
    place: Tensor

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, dimension))
        self.register_buffer("shots", torch.full((size,), -1, dtype=torch.int64))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @property
    def is_full(self) -> bool:
        """Whether every place holds a key."""
        return bool((self.shots >= 0).all())

    def push(self, keys: Tensor, shots: Tensor) -> None:
        """Put N keys in the places of the oldest.

        Args:
            keys: float32 [N, D], N ≤ K.
            shots: int64 [N], not negative.
        """
        places = (self.place + torch.arange(len(keys), device=keys.device)) % len(self.keys)
        self.keys[places] = keys.detach()
        self.shots[places] = shots
        self.place.copy_((self.place + len(keys)) % len(self.keys))

    def copies_of(self, shots: Tensor, positives: Tensor, *, reach: int = 1) -> Tensor:
        """Which keys are no negatives of a query: bool [N, K].

        A place without a key is none either.

        Args:
            shots: int64 [N], the queries' shots.
            positives: int64 [N], the shots of their positives.
            reach: how many shots a key is of, from its own on: two overlap where they are fewer apart.
        """
        overlaps = [(self.shots - of[:, None]).abs() < reach for of in (shots, positives)]
        return overlaps[0] | overlaps[1] | (self.shots < 0)
