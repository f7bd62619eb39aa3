"""Which shot is a query's positive: the most similar neighbour by the keys as they are now (seed, 1.1a)."""

from __future__ import annotations

import torch
from torch import Tensor


def neighbours(runs: int, run_shots: int, size: int, *, device: torch.device | None = None) -> Tensor:
    """Who is whose neighbour in a batch of runs laid end to end: bool [N, N], N = runs · run_shots.

    A shot's neighbours are the ``size`` / 2 shots before it and as many after it, as far as its run goes. It
    is not its own neighbour, so neither it nor its own augmentation can be its positive.
    """
    shot = torch.arange(runs * run_shots, device=device)
    apart = (shot[:, None] - shot).abs()
    same_run = (shot[:, None] // run_shots) == (shot // run_shots)
    return same_run & (apart > 0) & (apart <= size // 2)


def choose_positives(queries: Tensor, keys: Tensor, candidates: Tensor) -> Tensor:
    """The candidate whose key is most like each query: int64 [N]; of equals the first.

    Args:
        queries: float32 [N, D], rows normalised.
        keys: float32 [N, D], rows normalised, row i of the same shot as query i.
        candidates: bool [N, N], at least one True in every row.
    """
    similarity = (queries @ keys.T).masked_fill(~candidates, -torch.inf)
    best = similarity.max(dim=1, keepdim=True).values
    # Which of several equal maxima argmax gives is not promised for floats; for bytes the first is found.
    return (similarity == best).to(torch.uint8).argmax(dim=1)
