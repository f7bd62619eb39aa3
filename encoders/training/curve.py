"""A training's curve as a CSV file, and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from m2s_index.encoders.training.loop import CurvePoint
from m2s_index.errors import TrainingError

_WIDTH_PX, _HEIGHT_PX = 720, 320
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 64, 16, 16, 44
_LINES = 4
_STYLE = (
    "<style>text{font:12px sans-serif}.grid{stroke:#ddd}.loss{fill:none;stroke:#0072b2;stroke-width:1.5}</style>"
)


def write_curve(csv_path: Path, svg_path: Path, curve: Sequence[CurvePoint]) -> None:
    """Write both files, each whole or not at all.

    Raises:
        TrainingError: one cannot be written.
    """
    for path, text in ((csv_path, curve_csv(curve)), (svg_path, curve_svg(curve))):
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            temporary.write_text(text, "utf-8")
            temporary.replace(path)
        except OSError as exc:
            raise TrainingError(f"{path}: cannot be written ({exc.strerror}); free the disk") from exc


def curve_csv(curve: Sequence[CurvePoint]) -> str:
    """One row a step, numbered from 1; the numbers are exact, so equal curves give equal texts."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("step", "loss", "learning_rate"))
    writer.writerows((step, repr(p.loss), repr(p.learning_rate)) for step, p in enumerate(curve, start=1))
    return text.getvalue()


def curve_svg(curve: Sequence[CurvePoint]) -> str:
    """The loss over the steps, from 0 up: an SVG document."""
    top = max(point.loss for point in curve) or 1.0
    wide, high = _WIDTH_PX - _LEFT_PX - _RIGHT_PX, _HEIGHT_PX - _TOP_PX - _BOTTOM_PX
    line = " ".join(
        f"{_LEFT_PX + wide * step / max(1, len(curve) - 1):.1f},{_TOP_PX + high * (1 - point.loss / top):.1f}"
        for step, point in enumerate(curve)
    )
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH_PX} {_HEIGHT_PX}">{_STYLE}']
    for number in range(_LINES + 1):
        y = _TOP_PX + high * (1 - number / _LINES)
        parts.append(f'<line class="grid" x1="{_LEFT_PX}" x2="{_LEFT_PX + wide}" y1="{y:.1f}" y2="{y:.1f}"/>')
        value = f"{top * number / _LINES:.2f}"
        parts.append(f'<text x="{_LEFT_PX - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    parts.append(f'<polyline class="loss" points="{line}"/>')
    said = f"loss over {len(curve)} steps: first {curve[0].loss:.3f}, last {curve[-1].loss:.3f}"
    middle = _LEFT_PX + wide // 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT_PX - 14}" text-anchor="middle">{said}</text></svg>\n')
    return "".join(parts)
