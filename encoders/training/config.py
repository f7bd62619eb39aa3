"""What every training's config shares: the values of the loop, and how values are put into a frozen record.

A config's own defaults are its preset ``paper``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from m2s_index.errors import UsageError, first_line

Optimiser = Literal["adamw", "sgd"]
Value = str | int | float


@dataclass(frozen=True)
class TrainingConfig:
    """How the loop goes. A training adds what else decides what it gives, besides the films.

    A step of the optimiser takes the mean gradient of ``accumulate`` batches. Warm-up and length are in epochs. The
    defaults are those of the seed's scene contrast (1.1c).
    """

    accumulate: int = 1
    optimiser: Optimiser = "adamw"
    learning_rate: float = 1.5e-4
    weight_decay: float = 0.01
    warmup_epochs: int = 40
    epochs: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            if get_origin(kind) is Literal:
                self._need(getattr(self, name) in get_args(kind), name, f"one of {', '.join(get_args(kind))}")
        self._need_at_least(1, "accumulate", "epochs")
        self._need(0 < self.learning_rate < float("inf"), "learning_rate", "above 0")
        self._need(0 <= self.weight_decay < float("inf"), "weight_decay", "at least 0")
        self._need(0 <= self.warmup_epochs < self.epochs, "warmup_epochs", f"below epochs ({self.epochs})")
        self._need_at_least(0, "seed")

    def _need(self, holds: bool, name: str, wanted: str) -> None:
        if not holds:
            raise UsageError(f"{name} {getattr(self, name)!r}: must be {wanted}")

    def _need_at_least(self, least: int, *names: str) -> None:
        for name in names:
            self._need(getattr(self, name) >= least, name, f"at least {least}")

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return asdict(self)


Config = TypeVar("Config", bound=TrainingConfig)


def choose_preset(presets: Mapping[str, Config], name: str) -> Config:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in presets:
        raise UsageError(f"unknown preset {name!r}; choose one of: {', '.join(presets)}")
    return presets[name]


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A config with some values by name put in their place.

    Raises:
        UsageError: a name is unknown, or a value is of another type or cannot be.
    """
    hints = get_type_hints(type(config))
    types = {field.name: hints[field.name] for field in fields(config)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in types:
            raise UsageError(f"unknown setting {name!r}; choose one of: {', '.join(types)}")
        kind = types[name] if types[name] in (int, float) else str
        fits = isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)
        if not fits:
            raise UsageError(f"{name} {value!r}: must be {_WORDS[kind]}")
        checked[name] = kind(value)
    return replace(config, **checked)


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


def _number(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
