"""The contrastive loss: InfoNCE with one positive and a queue of negatives (van den Oord et al., 2018)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def info_nce(queries: Tensor, positives: Tensor, queue: Tensor, copies: Tensor, *, temperature: float) -> Tensor:
    """The mean over queries of −log(e^(q·k⁺/τ) / (e^(q·k⁺/τ) + Σ e^(q·k⁻/τ))).

    Args:
        queries: float32 [N, D], rows normalised.
        positives: float32 [N, D], rows normalised: each query's positive key.
        queue: float32 [K, D], rows normalised: keys that are negatives of every query.
        copies: bool [N, K], where a key of the queue shows what the query or its positive shows: it is left
            out of that query's sum.
        temperature: τ, above 0.

    Returns:
        A float32 scalar, at least 0.
    """
    positive = (queries * positives).sum(dim=1, keepdim=True)
    negative = (queries @ queue.T).masked_fill(copies, -torch.inf)
    logits = torch.cat([positive, negative], dim=1) / temperature
    return cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))
