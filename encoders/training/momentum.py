"""The momentum update: the key network follows the query network slowly (He et al., CVPR 2020)."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def follow(key: nn.Module, query: nn.Module, momentum: float) -> None:
    """θ_key ← m·θ_key + (1 − m)·θ_query, in place, for parameters and for buffers of fractions.

    Running means and variances are followed too, so that a key network in evaluation mode gives a key that
    does not depend on the batch it is in (Cai et al., CVPR 2021). Buffers that count are copied.
    """
    theirs = query.state_dict()
    for name, mine in key.state_dict().items():
        if mine.is_floating_point():
            mine.lerp_(theirs[name], 1 - momentum)
        else:
            mine.copy_(theirs[name])
