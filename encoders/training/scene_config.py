"""What a training of E_scene is made with, and its presets.

The preset ``paper`` is the seed's (1.1c): MoCo's head, queue, momentum and temperature, a ViT, AdamW, its rate,
decay, warm-up, batch and epochs. How nine frames enter the ViT is open there; ``shots`` is ours altogether.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from m2s_index.encoders.training.config import TrainingConfig, Value, choose_preset, with_values

Architecture = Literal["frames", "shots"]


@dataclass(frozen=True)
class SceneConfig(TrainingConfig):
    """All that decides what a training of E_scene gives, besides the films and pairs.

    A batch is ``batch_pairs`` pairs. ``dimension`` is the length of queries and keys. ``backbone`` and
    ``image_px``, the side of the squares it sees, are of the architecture ``frames``; ``width``, ``layers`` and
    ``heads`` of ``shots``, and ``feature_noise``, which is added to features, as a share of their root mean
    square. ``shot_dropout`` is the share of shots that a view leaves out. ``held_out`` is the share of films that
    are not trained on. An epoch sees every pair once.
    """

    architecture: Architecture = "frames"
    backbone: str = "vit_base_patch16_224"
    image_px: int = 224
    width: int = 512
    layers: int = 4
    heads: int = 8
    batch_pairs: int = 128
    dimension: int = 128
    queue_size: int = 65_536
    momentum: float = 0.999
    temperature: float = 0.07
    feature_noise: float = 0.2
    shot_dropout: float = 0.1
    held_out: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_at_least(1, "image_px", "width", "layers", "heads", "batch_pairs", "dimension")
        self._need(self.width % self.heads == 0, "width", f"a multiple of heads ({self.heads})")
        self._need(self.queue_size >= self.batch_pairs, "queue_size", f"at least a batch ({self.batch_pairs})")
        self._need(0 <= self.momentum < 1, "momentum", "at least 0 and below 1")
        self._need(0 < self.temperature < float("inf"), "temperature", "above 0")
        self._need(0 <= self.feature_noise < float("inf"), "feature_noise", "at least 0")
        self._need(0 <= self.shot_dropout < 1, "shot_dropout", "at least 0 and below 1")
        self._need(0 <= self.held_out < 1, "held_out", "at least 0 and below 1")


PRESETS: dict[str, SceneConfig] = {
    "paper": SceneConfig(),
    "small": SceneConfig(
        backbone="test_vit",
        image_px=48,
        width=128,
        layers=2,
        heads=4,
        batch_pairs=16,
        queue_size=256,
        momentum=0.99,
        temperature=0.1,
        learning_rate=1e-3,
        warmup_epochs=2,
        epochs=20,
    ),
}
"""``paper`` is what the seed publishes; ``small`` trains on two cores in minutes."""


def resolve_config(preset: str, architecture: Architecture, values: Mapping[str, Value]) -> SceneConfig:
    """A preset of an architecture, with some values put in their place.

    Raises:
        UsageError: the preset or a name is unknown, or a value cannot be.
    """
    given: dict[str, Value] = {"architecture": architecture}
    return with_values(choose_preset(PRESETS, preset), given | dict(values))
