"""What a training of E_shot is made with, its presets and its recipes.

The seed publishes no values for E_shot's contrast but the 512 numbers of a shot. The preset ``paper`` takes those
of its scene contrast (1.1c: MoCo's head, queue, momentum and temperature; AdamW, its rate, decay, warm-up, batch
and epochs). The neighbourhood's size is open there as well: smaller than ShotCoL's 16, and 6 here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from m2s_index.encoders.training.config import TrainingConfig, Value, choose_preset, with_values

FEATURES = 512
"""Numbers that E_shot gives a shot (seed, 1.1b)."""
SHOTCOL_NEIGHBOURHOOD = 16
SHOTCOL_RUN_SHOTS = 24

Recipe = Literal["m2s", "shotcol"]


@dataclass(frozen=True)
class ShotConfig(TrainingConfig):
    """All that decides what a training of E_shot gives, besides the films.

    A batch is ``films_per_batch`` runs of ``run_shots`` neighbouring shots. ``neighbourhood`` counts the shots,
    half before and half after a query, that its positive is chosen from. ``dimension`` is the length of queries
    and keys, ``image_px`` the side of the square that the network sees. ``least_crop``, ``colour`` and ``grey`` say
    how much views are changed. An epoch is as many steps as it takes to see as many shots as there are.
    """

    recipe: Recipe = "m2s"
    backbone: str = "resnet50"
    image_px: int = 224
    neighbourhood: int = 6
    run_shots: int = 32
    films_per_batch: int = 4
    dimension: int = 128
    queue_size: int = 65_536
    momentum: float = 0.999
    temperature: float = 0.07
    least_crop: float = 0.2
    colour: float = 0.4
    grey: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_at_least(1, "image_px", "run_shots", "films_per_batch", "dimension")
        self._need(
            self.neighbourhood >= 2 and self.neighbourhood % 2 == 0,
            "neighbourhood",
            "even and at least 2: half of it lies before the query, half after",
        )
        self._need(
            self.recipe != "shotcol" or self.neighbourhood == SHOTCOL_NEIGHBOURHOOD,
            "neighbourhood",
            f"{SHOTCOL_NEIGHBOURHOOD} under the recipe shotcol, which fixes it",
        )
        self._need(
            self.run_shots > self.neighbourhood, "run_shots", f"above the neighbourhood ({self.neighbourhood})"
        )
        self._need(self.queue_size >= self.batch_shots, "queue_size", f"at least a batch ({self.batch_shots})")
        self._need(0 <= self.momentum < 1, "momentum", "at least 0 and below 1")
        self._need(0 < self.temperature < float("inf"), "temperature", "above 0")
        self._need(0 < self.least_crop <= 1, "least_crop", "above 0 and at most 1")
        self._need(0 <= self.colour <= 1, "colour", "from 0 to 1")
        self._need(0 <= self.grey <= 1, "grey", "from 0 to 1")

    @property
    def batch_shots(self) -> int:
        """Shots in a batch."""
        return self.run_shots * self.films_per_batch


PRESETS: dict[str, ShotConfig] = {
    "paper": ShotConfig(),
    "small": ShotConfig(
        backbone="test_resnet",
        image_px=48,
        run_shots=12,
        films_per_batch=4,
        queue_size=256,
        momentum=0.99,
        temperature=0.1,
        least_crop=0.4,
        colour=0.6,
        grey=0.5,
        learning_rate=3e-4,
        warmup_epochs=1,
        epochs=20,
    ),
}
"""``paper`` is what the seed publishes; ``small`` trains on two cores in minutes."""


def resolve_config(preset: str, recipe: Recipe, values: Mapping[str, Value]) -> ShotConfig:
    """A preset under a recipe, with some values put in their place.

    The recipe ``shotcol`` is the paper's ancestor (Chen et al., CVPR 2021): a neighbourhood of 16 shots, in runs
    that hold one; the batch stays as large as it can, of two films at least.

    Raises:
        UsageError: the preset or a name is unknown, or a value cannot be.
    """
    config = choose_preset(PRESETS, preset)
    given: dict[str, Value] = {"recipe": recipe}
    if recipe == "shotcol":
        run_shots = max(config.run_shots, SHOTCOL_RUN_SHOTS)
        films = max(2, config.batch_shots // run_shots)
        given |= {"neighbourhood": SHOTCOL_NEIGHBOURHOOD, "run_shots": run_shots, "films_per_batch": films}
    return with_values(config, given | dict(values))
