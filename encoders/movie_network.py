"""E_movie's layers, which the seed leaves open: a network on each shot, a film's mean, and a last layer on pairs.

Why these. The seed takes the space before the last fully connected layer, in which a film of M shots is a matrix
of M rows, and compares the rows of two films by the shot adjacency matrix A (1.1c). Here a row depends on its own
shot alone, so any M will do, and a film's padding is nothing to it. Rows have length 1, and a film is their mean:
the sum of the products of two films' means *is* the mean of A. The last layer weights these products, from equal
weights on. What it learns to be similar is thus what mining, which has no last layer, looks at.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

_FIRST_WEIGHT = 10.0
"""Of every product in the last layer: cosines of ±1 are then sure to all but one in twenty thousand."""


class MovieNetwork(nn.Module):
    """E_movie. ``mean`` and ``scale`` of the shot features are set from the films that are trained on."""

    mean: Tensor
    scale: Tensor

    def __init__(self, dimension: int, hidden: int, features: int) -> None:
        """Args are lengths: of shot features, of the inner layer, and of the rows that come out."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(dimension))
        self.shot = nn.Sequential(nn.Linear(dimension, hidden), nn.ReLU(), nn.Linear(hidden, features))
        self.last = nn.Linear(features, 1)
        nn.init.constant_(self.last.weight, _FIRST_WEIGHT)
        nn.init.zeros_(self.last.bias)

    def rows(self, features: Tensor) -> Tensor:
        """The space before the last layer: float32 […, D] to float32 […, F], rows of length 1."""
        return normalize(self.shot((features - self.mean) / self.scale).float(), dim=-1)

    def film(self, features: Tensor, real: Tensor) -> Tensor:
        """The mean row of each film: float32 [N, F].

        Args:
            features: float32 [N, S, D], with anything in the rows that pad.
            real: bool [N, S], False where a row pads; at least one True in every film.
        """
        rows = self.rows(features.masked_fill(~real[..., None], 0)) * real[..., None]
        return rows.sum(dim=1) / real.sum(dim=1, keepdim=True)

    def pair(self, first: Tensor, second: Tensor) -> Tensor:
        """How similar pairs of films are, above 0 for rather similar: float32 [P].

        Args are the films' mean rows, float32 [P, F] each; which is the first makes no difference.
        """
        logits: Tensor = self.last(first * second)[:, 0]
        return logits
