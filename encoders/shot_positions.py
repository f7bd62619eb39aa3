"""Where in its scene a shot is, as numbers that are added to what is seen of it: any number of shots."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WAVES = 16
_LONGEST_SHOTS = 1000.0


class ShotPositions(nn.Module):
    """Sines and cosines of a shot's place (Vaswani et al., 2017), through a linear map that is learned.

    A table of learned positions would end at the longest scene that was trained on; this does not.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * _WAVES, width, bias=False)
        nn.init.trunc_normal_(self.project.weight, std=0.02)

    def forward(self, shots: int) -> Tensor:
        """The positions of shots 0 to ``shots`` − 1: [shots, width]."""
        weight = self.project.weight
        place = torch.arange(shots, device=weight.device, dtype=weight.dtype)
        rates = _LONGEST_SHOTS ** -(torch.arange(_WAVES, device=weight.device, dtype=weight.dtype) / _WAVES)
        angles = place[:, None] * rates
        positions: Tensor = self.project(torch.cat([angles.sin(), angles.cos()], dim=1))
        return positions
