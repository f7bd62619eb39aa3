"""The learning rate over a training: up in a straight line, then down along a cosine."""

from __future__ import annotations

import math


def learning_rate(step: int, *, peak: float, warmup_steps: int, steps: int) -> float:
    """The rate of step ``step``, of which the first is 0.

    It is peak · (step + 1) / warmup_steps during the warm-up, whose last step has the peak, and then falls
    along half a cosine that would be at 0 after the last step.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return peak * 0.5 * (1 + math.cos(math.pi * done))
