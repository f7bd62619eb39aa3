"""What a training of E_shot is made with: a frozen record, its presets, and how values are put into it.

The seed publishes no values for E_shot's contrast but the 512 numbers of a shot. The preset ``paper`` takes those
of its scene contrast (1.1c: MoCo's head, queue, momentum and temperature; AdamW, its rate, decay, warm-up, batch
and epochs). The neighbourhood's size is open there as well: smaller than ShotCoL's 16, and 6 here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from m2s_index.errors import UsageError, first_line

FEATURES = 512
"""Numbers that E_shot gives a shot (seed, 1.1b)."""
SHOTCOL_NEIGHBOURHOOD = 16
SHOTCOL_RUN_SHOTS = 24

Recipe = Literal["m2s", "shotcol"]
Optimiser = Literal["adamw", "sgd"]
Value = str | int | float


@dataclass(frozen=True)
class ShotConfig:
    """All that decides what a training gives, besides the films.

    A batch is ``films_per_batch`` runs of ``run_shots`` neighbouring shots; a step of the optimiser takes the mean
    gradient of ``accumulate`` batches. ``neighbourhood`` counts the shots, half before and half after a query,
    that its positive is chosen from. ``dimension`` is the length of queries and keys, ``image_px`` the side of
    the square that the network sees. Warm-up and length are in epochs: an epoch is as many steps as it takes to
    see as many shots as there are.
    """

    recipe: Recipe = "m2s"
    backbone: str = "resnet50"
    image_px: int = 224
    neighbourhood: int = 6
    run_shots: int = 32
    films_per_batch: int = 4
    accumulate: int = 1
    dimension: int = 128
    queue_size: int = 65_536
    momentum: float = 0.999
    temperature: float = 0.07
    optimiser: Optimiser = "adamw"
    learning_rate: float = 1.5e-4
    weight_decay: float = 0.01
    warmup_epochs: int = 40
    epochs: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("image_px", "run_shots", "films_per_batch", "accumulate", "dimension", "epochs"):
            self._need(getattr(self, name) >= 1, name, "at least 1")
        self._need(self.recipe in get_args(Recipe), "recipe", f"one of {', '.join(get_args(Recipe))}")
        self._need(self.optimiser in get_args(Optimiser), "optimiser", f"one of {', '.join(get_args(Optimiser))}")
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
        self._need(0 < self.learning_rate < float("inf"), "learning_rate", "above 0")
        self._need(0 <= self.weight_decay < float("inf"), "weight_decay", "at least 0")
        self._need(0 <= self.warmup_epochs < self.epochs, "warmup_epochs", f"below epochs ({self.epochs})")
        self._need(self.seed >= 0, "seed", "at least 0")

    def _need(self, holds: bool, name: str, wanted: str) -> None:
        if not holds:
            raise UsageError(f"{name} {getattr(self, name)!r}: must be {wanted}")

    @property
    def batch_shots(self) -> int:
        """Shots in a batch."""
        return self.run_shots * self.films_per_batch

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return asdict(self)


PRESETS: dict[str, ShotConfig] = {
    "paper": ShotConfig(),
    "small": ShotConfig(
        backbone="test_convnext",
        image_px=48,
        run_shots=8,
        films_per_batch=4,
        queue_size=256,
        momentum=0.996,
        temperature=0.1,
        learning_rate=1e-3,
        warmup_epochs=2,
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
    if preset not in PRESETS:
        raise UsageError(f"unknown preset {preset!r}; choose one of: {', '.join(PRESETS)}")
    given = PRESETS[preset].as_dict() | {"recipe": recipe}
    if recipe == "shotcol":
        run_shots = max(given["run_shots"], SHOTCOL_RUN_SHOTS)
        films = max(2, PRESETS[preset].batch_shots // run_shots)
        given |= {"neighbourhood": SHOTCOL_NEIGHBOURHOOD, "run_shots": run_shots, "films_per_batch": films}
    return config_from(given | dict(values))


def config_from(values: Mapping[str, Any]) -> ShotConfig:
    """A config from values by name, those left out as in ``paper``.

    Raises:
        UsageError: a name is unknown, or a value is of another type or cannot be.
    """
    types = {name: kind for name, kind in get_type_hints(ShotConfig).items() if name in _names()}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in types:
            raise UsageError(f"unknown setting {name!r}; choose one of: {', '.join(types)}")
        kind = types[name] if types[name] in (int, float) else str
        fits = isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)
        if not fits:
            raise UsageError(f"{name} {value!r}: must be {_WORDS[kind]}")
        checked[name] = kind(value)
    return replace(PRESETS["paper"], **checked)


def parse_settings(texts: Iterable[str]) -> dict[str, Value]:
    """Values from texts like ``epochs=5``, read as whole numbers, numbers or, failing that, words.

    Raises:
        UsageError: a text has no name or no value.
    """
    values: dict[str, Value] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name.strip() or not value.strip():
            raise UsageError(f"setting {text!r}: write NAME=VALUE, e.g. epochs=5")
        values[name.strip()] = _number(value.strip())
    return values


def read_settings(path: Path) -> dict[str, Value]:
    """Values from a TOML file of one table.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: is no TOML ({first_line(exc)}); write one 'name = value' a line") from exc


_WORDS: dict[type, str] = {int: "a whole number", float: "a number", str: "a word"}


def _names() -> list[str]:
    return [field.name for field in fields(ShotConfig)]


def _number(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
