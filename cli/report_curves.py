"""Precision at every k as a picture: inline SVG, a line and the band of its interval for each encoder."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m2s_index.evaluation.retrieval_report import Figure, VocabularyResult

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which people who confuse red and green tell apart; from the seventh encoder on dashed."""

WIDTH_PX, HEIGHT_PX = 720, 380
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 56, 170, 16, 44
LEGEND_CHARACTERS = 20
"""What there is room for; of a longer name, as files have, the end is shown."""


def curves(result: VocabularyResult) -> str:
    """Precision over all queries at 1 to 20 by each encoder, and chance."""
    rows = [encoder.all_queries for encoder in result.encoders]
    highest = max(
        figure.value if figure.high is None else figure.high for row in rows for figure in row.measures.precision
    )
    top = min(100.0, 10 * (int(highest // 10) + 1))
    parts = [_axes(len(rows[0].measures.precision), top)]
    chance = _y(rows[0].chance, top)
    parts.append(
        f'<line x1="{LEFT_PX}" x2="{WIDTH_PX - RIGHT_PX}" y1="{chance:.1f}" y2="{chance:.1f}" class="chance"/>'
        f'<text x="{WIDTH_PX - RIGHT_PX + 8}" y="{chance + 4:.1f}">chance</text>'
    )
    for number, (encoder, row) in enumerate(zip(result.encoders, rows, strict=True)):
        parts.append(_curve(encoder.encoder.name, row.measures.precision, number, top))
    said = "; ".join(
        f"{encoder.encoder.name} {row.measures.at(1).value:.1f} at 1, {row.measures.at(10).value:.1f} at 10"
        for encoder, row in zip(result.encoders, rows, strict=True)
    )
    label = escape(f"Precision at k over all queries by {result.vocabulary}, per cent: {said}", quote=True)
    return (
        f'<svg class="curves" role="img" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" aria-label="{label}">'
        + "".join(parts)
        + "</svg>"
    )


def _curve(name: str, figures: tuple[Figure, ...], number: int, top: float) -> str:
    colour, count = COLOURS[number % len(COLOURS)], len(figures)
    dash = ' stroke-dasharray="7 4"' if number >= len(COLOURS) else ""
    line = " ".join(f"{_x(k, count):.1f},{_y(figure.value, top):.1f}" for k, figure in enumerate(figures, 1))
    edge = [(k, figure.low, figure.high) for k, figure in enumerate(figures, 1)]
    there = [f"{_x(k, count):.1f},{_y(high, top):.1f}" for k, _, high in edge if high is not None]
    back = [f"{_x(k, count):.1f},{_y(low, top):.1f}" for k, low, _ in reversed(edge) if low is not None]
    band = f'<polygon points="{" ".join([*there, *back])}" fill="{colour}" opacity=".15"/>' if there else ""
    x, y = WIDTH_PX - RIGHT_PX + 8, TOP_PX + 14 + 20 * number
    legend = (
        f'<line x1="{x}" x2="{x + 22}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="2.5"{dash}/>'
        f'<text x="{x + 28}" y="{y}">{escape(legend_name(name))}<title>{escape(name)}</title></text>'
    )
    return f'{band}<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5"{dash}/>{legend}'


def legend_name(name: str) -> str:
    """An encoder's name as far as there is room for it; ``LEGEND_CHARACTERS`` at most."""
    return name if len(name) <= LEGEND_CHARACTERS else "…" + name[1 - LEGEND_CHARACTERS :]


def _axes(count: int, top: float) -> str:
    parts = []
    for percent in range(0, int(top) + 1, 10 if top <= 60 else 20):
        y = _y(percent, top)
        parts.append(f'<line x1="{LEFT_PX}" x2="{WIDTH_PX - RIGHT_PX}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT_PX - 8}" y="{y + 4:.1f}" text-anchor="end">{percent}</text>')
    for k in (1, *range(5, count + 1, 5)):
        x, y = _x(k, count), HEIGHT_PX - BOTTOM_PX + 18
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{k}</text>')
    middle = (LEFT_PX + WIDTH_PX - RIGHT_PX) / 2
    parts.append(f'<text x="{middle:.1f}" y="{HEIGHT_PX - 6}" text-anchor="middle">k nearest scenes</text>')
    centre = (TOP_PX + HEIGHT_PX - BOTTOM_PX) / 2
    parts.append(
        f'<text x="14" y="{centre:.1f}" text-anchor="middle" transform="rotate(-90 14 {centre:.1f})">'
        "precision, per cent</text>"
    )
    return "".join(parts)


def _x(k: int, count: int) -> float:
    return LEFT_PX + (k - 1) / (count - 1) * (WIDTH_PX - LEFT_PX - RIGHT_PX)


def _y(percent: float, top: float) -> float:
    return HEIGHT_PX - BOTTOM_PX - percent / top * (HEIGHT_PX - TOP_PX - BOTTOM_PX)
