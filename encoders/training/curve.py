"""A training's curve as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from m2s_index.encoders.training.loop import CurvePoint


def write_curve(path: Path, curve: Iterable[CurvePoint]) -> None:
    """Write one row a step, numbered from 1; the numbers are exact, so equal curves give equal files."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("step", "loss", "learning_rate"))
        writer.writerows((step, repr(p.loss), repr(p.learning_rate)) for step, p in enumerate(curve, start=1))
    temporary.replace(path)
