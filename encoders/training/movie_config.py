"""What a training of E_movie is made with, and its presets.

The seed publishes the optimiser, its rate, the batch, the epochs and the matrices' size (1.1b), the same for all
three signals. It leaves open the layers, the momentum and decay of SGD, and what counts as similar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from m2s_index.encoders.training.config import Optimiser, TrainingConfig, Value, choose_preset, with_values
from m2s_index.errors import UsageError

SignalName = Literal["cowatch", "genre", "synopsis"]


@dataclass(frozen=True)
class MovieConfig(TrainingConfig):
    """All that decides what a training of E_movie gives, besides the films and what is known of them.

    Two films are similar where one is among the ``similar`` most similar films of the other by ``signal``;
    ``sentence_encoder`` is the SHA-256 of what reads synopses, and empty where words are compared. A batch
    is ``pairs`` pairs of films, each a matrix of up to ``shots`` rows. ``hidden`` is the width of the network's
    inner layer and ``features`` that of the matrix that it makes of a film. A share of ``held_out`` of the films is
    not trained on at all, and the same share of the pairs of the others. An epoch sees as many pairs as there are.
    """

    optimiser: Optimiser = "sgd"
    learning_rate: float = 0.1
    weight_decay: float = 1e-4
    warmup_epochs: int = 0
    signal: SignalName = "cowatch"
    sentence_encoder: str = ""
    similar: int = 10
    pairs: int = 256
    shots: int = 1024
    hidden: int = 512
    features: int = 512
    held_out: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_at_least(1, "similar", "shots", "hidden", "features")
        self._need_at_least(2, "pairs")
        self._need(0 <= self.held_out < 1, "held_out", "at least 0 and below 1")


PRESETS: dict[str, MovieConfig] = {
    "paper": MovieConfig(),
    "small": MovieConfig(pairs=32, shots=128, hidden=64, features=64, epochs=60),
}
"""``paper`` is what the seed publishes; ``small`` trains on two cores in under a minute."""


def resolve_config(preset: str, signal: str, values: Mapping[str, Value], sentence_encoder: str) -> MovieConfig:
    """A preset for a signal, with some values put in their place.

    Args:
        preset: one of PRESETS.
        signal: how films are similar, if ``values`` do not say.
        values: by name.
        sentence_encoder: the SHA-256 of what will read synopses; empty where nothing does.

    Raises:
        UsageError: the preset or a name is unknown, a value cannot be, or it is of another sentence encoder.
    """
    given: dict[str, Value] = {"signal": signal, "sentence_encoder": sentence_encoder}
    config = with_values(choose_preset(PRESETS, preset), given | dict(values))
    if config.sentence_encoder != sentence_encoder:
        raise UsageError(
            f"sentence_encoder is set to {config.sentence_encoder!r}, and --sentence-encoder names "
            f"{sentence_encoder or 'none'}; name the folder of the model with that SHA-256"
        )
    return config
