"""Figures of two films' pairs, as markup: the adjacency matrix as a heat map, and a time line with arcs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from m2s_index.cli.heat import GRADIENT, extremes, heat_uri
from m2s_index.cli.output import clock, printable

if TYPE_CHECKING:
    from m2s_index.pairing.film_pairs import FilmPairs
    from m2s_index.pairing.film_rows import FilmRows
    from m2s_index.types import Scene, ScenePair

STYLE = f"""
figure {{ margin: 1.2rem 0; }}
figcaption {{ color: var(--quiet); font-size: .85rem; margin-bottom: .4rem; }}
svg {{ display: block; max-width: 100%; }}
svg a:focus-visible {{ outline: none; }}
.ends {{ display: flex; justify-content: space-between; gap: .6rem; font-size: .8rem; color: var(--quiet); }}
.ends b {{ font-weight: 600; overflow-wrap: anywhere; text-align: center; color: CanvasText; }}
.matrix {{ display: grid; grid-template-columns: max-content minmax(0, max-content); gap: .3rem; }}
.matrix .across {{ grid-column: 2; contain: inline-size; }}
.matrix .down {{ width: 1.2rem; contain: size; writing-mode: vertical-lr; transform: rotate(180deg);
  flex-direction: row-reverse; white-space: nowrap; }}
.matrix .down b {{ overflow: hidden; text-overflow: ellipsis; }}
.matrix svg {{ height: auto; overflow: visible;
  background: repeating-linear-gradient(45deg, #8883 0 3px, #8881 3px 6px); }}
.mark rect {{ fill: transparent; stroke: #fff; stroke-width: 2; paint-order: stroke; }}
.mark rect.edge {{ stroke: #000; stroke-width: 4; }}
.mark text {{ font: 600 12px system-ui, sans-serif; fill: #fff; stroke: #000; stroke-width: 3; paint-order: stroke;
  text-anchor: middle; dominant-baseline: central; }}
.mark.duplicate rect:last-of-type {{ stroke: var(--same); }}
.mark:is(:hover, :focus-visible) rect:last-of-type {{ stroke: #ff5d5d; stroke-width: 4; }}
.legend {{ display: flex; align-items: center; gap: .5rem; font-size: .8rem; color: var(--quiet);
  margin-top: .5rem; flex-wrap: wrap; }}
.legend i {{ width: 8rem; height: .7rem; border-radius: 2px; background: {GRADIENT}; }}
.line {{ width: 100%; height: 190px; }}
.line .film {{ fill: #8883; }}
.line .junk {{ fill: #8886; }}
.line .scene {{ fill: var(--arc); }}
.line path {{ fill: none; stroke: var(--arc); stroke-width: 2; opacity: .55; vector-effect: non-scaling-stroke; }}
.line .duplicate :is(path, .scene) {{ stroke: var(--same); }}
.line .duplicate .scene {{ fill: var(--same); stroke: none; }}
.line a:is(:hover, :focus-visible) path {{ opacity: 1; stroke-width: 5; }}
:root {{ --arc: light-dark(#1a5fb4, #7cb3ff); --same: light-dark(#b5420a, #ffa368); }}
"""
LEAST_PX, MOST_PX, CELL_PX, MARK_PX = 320, 640, 44, 9
"""The matrix's sides are as long as its cells need, within these; a mark is never smaller than can be seen."""
LINE_WIDTH, LINE_HEIGHT, BAR_HEIGHT = 1000.0, 190.0, 16.0


def matrix_figure(films: FilmPairs, pairs: Sequence[ScenePair]) -> str:
    """The matrix, a row for each scene of A and a column for each of B, with the pairs marked; each mark leads to
    its pair.
    """
    rows, columns = films.scores.shape
    width, height = (min(MOST_PX, max(LEAST_PX, CELL_PX * count)) for count in (columns, rows))
    cell_width, cell_height = width / columns, height / rows
    marks = []
    # The best come last, above others that have their cell.
    for pair in reversed(pairs):
        (top, bottom), (left, right) = _rows(films.a, pair.a, pair.kind), _rows(films.b, pair.b, pair.kind)
        marks.append(_mark(pair, left * cell_width, top * cell_height, right * cell_width, bottom * cell_height))
    low, high = extremes(films.scores)
    what = "scene" if films.a.span == 1 else f"window of {films.a.span} shots"
    hatched = " · hatched: left out" if films.scores.min() == -math.inf else ""
    a, b = (_ends(rows.movie.name, _length(rows)) for rows in (films.a, films.b))
    return (
        f"<figure><figcaption>Every {what} of {_text(films.a.movie.name)} (down) against every one of "
        f"{_text(films.b.movie.name)} (across); each frame is a pair</figcaption>"
        f'<div class="matrix"><div class="ends across">{b}</div><div class="ends down">{a}</div>'
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="group" '
        f'aria-label="adjacency matrix, {rows} by {columns}">'
        f'<image href="{heat_uri(films.scores)}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none" style="image-rendering: pixelated"/>{"".join(marks)}</svg></div>'
        f'<p class="legend">score {low:.3f} <i></i> {high:.3f}{hatched}{_orange(pairs)}</p></figure>'
    )


def timeline_figure(films: FilmPairs, pairs: Sequence[ScenePair]) -> str:
    """Both films from start to end, one above the other, each as wide as the page, with the pairs as arcs."""
    bars, lengths = [], (_length(films.a), _length(films.b))
    tops = (0.0, LINE_HEIGHT - BAR_HEIGHT)
    for rows, length, top in zip((films.a, films.b), lengths, tops, strict=True):
        bars.append(f'<rect class="film" y="{top}" width="{LINE_WIDTH}" height="{BAR_HEIGHT}"/>')
        unusable = (scene for scene, usable in zip(rows.scenes, rows.usable.tolist(), strict=True) if not usable)
        bars.extend(_block("junk", scene, length, top) for scene in unusable)
    arcs = []
    for pair in reversed(pairs):
        blocks = (
            _block("scene", scene, length, top)
            for scene, length, top in zip((pair.a, pair.b), lengths, tops, strict=True)
        )
        x, y = (
            (scene.start_seconds + scene.end_seconds) / 2 / length * LINE_WIDTH
            for scene, length in zip((pair.a, pair.b), lengths, strict=True)
        )
        bottom, middle = LINE_HEIGHT - BAR_HEIGHT, LINE_HEIGHT / 2
        curve = f"M{x:.1f} {BAR_HEIGHT} C{x:.1f} {middle} {y:.1f} {middle} {y:.1f} {bottom}"
        arcs.append(f'{_link(pair, pair.kind)}{"".join(blocks)}<path d="{curve}"/></a>')
    return (
        f"<figure><figcaption>Where the pairs lie in both films{_orange(pairs)}</figcaption>"
        f'<div class="ends">{_ends(films.a.movie.name, lengths[0])}</div>'
        f'<svg class="line" viewBox="0 0 {LINE_WIDTH:.0f} {LINE_HEIGHT:.0f}" preserveAspectRatio="none" '
        f'role="group" aria-label="time lines of both films">{"".join(bars)}{"".join(arcs)}</svg>'
        f'<div class="ends">{_ends(films.b.movie.name, lengths[1])}</div></figure>'
    )


def _orange(pairs: Sequence[ScenePair]) -> str:
    return " · orange: the same pictures" if any(pair.kind == "duplicate" for pair in pairs) else ""


def _rows(rows: FilmRows, scene: Scene, kind: str) -> tuple[int, int]:
    """A scene's rows of the matrix, first and end: one, or of a stretch all that it touches."""
    if kind != "duplicate":
        return scene.index, scene.index + 1
    touched = [
        i
        for i, other in enumerate(rows.scenes)
        if other.first_shot < scene.end_shot and scene.first_shot < other.end_shot
    ]
    return touched[0], touched[-1] + 1


def _mark(pair: ScenePair, left: float, top: float, right: float, bottom: float) -> str:
    """A box around a pair's cell, with its rank where that fits; around a small cell one that can be seen."""
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    width, height = max(right - left, MARK_PX), max(bottom - top, MARK_PX)
    box = (
        f'x="{centre_x - width / 2:.1f}" y="{centre_y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}"'
    )
    fits = min(width, height) >= 22
    text = f'<text x="{centre_x:.1f}" y="{centre_y:.1f}">{pair.rank}</text>' if fits else ""
    return f'{_link(pair, f"mark {pair.kind}")}<rect class="edge" {box}/><rect {box}/>{text}</a>'


def _link(pair: ScenePair, name: str) -> str:
    """The start of a link to a pair's place on the page."""
    said = escape(
        f"pair {pair.rank}, score {pair.score:.3f}: {printable(pair.a.movie)} at {clock(pair.a.start_seconds)}, "
        f"{printable(pair.b.movie)} at {clock(pair.b.start_seconds)}"
    )
    return f'<a class="{name}" href="#pair-{pair.rank}" aria-label="{said}"><title>{said}</title>'


def _block(name: str, scene: Scene, length_seconds: float, top: float) -> str:
    """A scene on its film's bar, wide enough to be seen."""
    start, end = (seconds / length_seconds * LINE_WIDTH for seconds in (scene.start_seconds, scene.end_seconds))
    width = max(end - start - 1, 2)
    return f'<rect class="{name}" x="{start:.1f}" y="{top}" width="{width:.1f}" height="{BAR_HEIGHT}"/>'


def _length(rows: FilmRows) -> float:
    return max(scene.end_seconds for scene in rows.scenes)


def _ends(name: str, length_seconds: float) -> str:
    return f"<span>{clock(0)}</span><b>{_text(name)}</b><span>{clock(length_seconds)}</span>"


def _text(name: str) -> str:
    return escape(printable(name))
