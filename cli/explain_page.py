"""The page of two scenes shot by shot: the matrix with key frames along both sides, and the best-matching shots."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from m2s_index.cli.contact_sheet import data_uri, page, times, write_page
from m2s_index.cli.heat import GRADIENT, colours, extremes
from m2s_index.cli.output import printable

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.pairing.explain import Explanation, SceneShot
    from m2s_index.types import Image, Scene

SIDE_PX, MATCH_PX, COLUMN_REM = 120, 320, 4.2
BRIGHT = 115
"""Black letters stand on colours whose mean channel, weighted as the eye does, is above this; else white ones."""

STYLE = f"""
body {{ max-width: 1100px; }}
h1, h2 {{ overflow-wrap: anywhere; }}
.scroll {{ overflow-x: auto; margin: 1rem 0 .4rem; }}
.scroll:focus-visible, section:is(:focus-visible, :target) {{ outline: 3px solid light-dark(#1a5fb4, #7cb3ff);
  border-radius: 6px; }}
table {{ border-collapse: separate; border-spacing: 3px; width: 100%; table-layout: fixed; }}
th {{ font: 400 .75rem system-ui, sans-serif; color: var(--quiet); padding: 0; vertical-align: bottom; }}
tbody th {{ position: sticky; left: 0; background: Canvas; }}
th img {{ width: 100%; aspect-ratio: 16 / 9; object-fit: cover; display: block; border-radius: 2px; }}
td {{ text-align: center; font-variant-numeric: tabular-nums; font-size: .85rem; border-radius: 2px; }}
td.match {{ outline: 3px solid CanvasText; outline-offset: -1px; }}
td a {{ color: inherit; font-weight: 700; display: block; padding: .7rem 0; }}
td a:is(:hover, :focus-visible) {{ outline: 3px solid #ff5d5d; outline-offset: -4px; }}
.legend {{ display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; font-size: .8rem; }}
.legend i {{ width: 8rem; height: .7rem; border-radius: 2px; background: {GRADIENT}; }}
.matches {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 460px), 1fr));
  gap: 0 1.5rem; }}
.pair {{ display: grid; grid-template-columns: minmax(0, 1fr) auto minmax(0, 1fr); gap: .4rem .6rem; }}
.pair img {{ width: 100%; aspect-ratio: 16 / 9; object-fit: cover; border-radius: 2px; display: block; }}
.pair p {{ font-size: .8rem; }}
.arrow {{ align-self: center; color: var(--quiet); font-size: 1.4rem; }}
section {{ padding: .8rem 0; }}
"""


def write_explanation(path: Path, catalog: Catalog, found: Explanation) -> None:
    """Write the page. Shots whose key frames are missing are shown by their numbers, and a line says why.

    Raises:
        UsageError: the file cannot be written.
    """
    names = [printable(f"{scene.movie}#{scene.index}") for scene in (found.a, found.b)]
    frames_a, why_a = _frames(catalog, found.a, found.shots_a)
    frames_b, why_b = _frames(catalog, found.b, found.shots_b)
    low, high = extremes(found.similarities)
    body = [
        f"<h1>{escape(names[0])} and {escape(names[1])}, shot by shot</h1>",
        f"<p>score {found.score:.3f} by {escape(printable(found.encoder))}; the first scene's shots down "
        f"({_times(found.a)}), the second's across ({_times(found.b)})</p>",
        *(f"<p>no key frames: {escape(printable(why))}</p>" for why in (why_a, why_b) if why),
        _matrix(found, frames_a, frames_b),
        f'<p class="legend">{low:.3f} <i></i> {high:.3f} · framed: the best matches</p>',
        '<div class="matches">',
    ]
    for match in found.matches:
        a, b = frames_a.get(match.a.index), frames_b.get(match.b.index)
        body.append(
            f'<section id="match-{match.rank}" tabindex="0" aria-label="match {match.rank}"><header>'
            f'<span class="rank">{match.rank}</span><span class="score">{match.score:.3f}</span></header>'
            f'<div class="pair">{_shot(found.a, match.a, a)}<span class="arrow" aria-hidden="true">→</span>'
            f"{_shot(found.b, match.b, b)}</div></section>"
        )
    body.append("</div>")
    write_page(path, page(f"m2s: {names[0]} and {names[1]}", body, STYLE))


def _frames(catalog: Catalog, scene: Scene, shots: tuple[SceneShot, ...]) -> tuple[dict[int, Image], str]:
    """The shots' key frames by shot index, or none and the reason."""
    from m2s_index.errors import KeyFrameError
    from m2s_index.stored_frames import shot_frames

    indices = [shot.index for shot in shots]
    try:
        return dict(zip(indices, shot_frames(catalog, scene.movie_id, indices), strict=True)), ""
    except KeyFrameError as exc:
        return {}, str(exc)


def _matrix(found: Explanation, frames_a: dict[int, Image], frames_b: dict[int, Image]) -> str:
    ranks = {(match.a.index, match.b.index): match.rank for match in found.matches}
    shades = colours(found.similarities)
    head = "".join(_side("col", shot, frames_b) for shot in found.shots_b)
    rows = []
    for i, shot in enumerate(found.shots_a):
        cells = []
        for j, other in enumerate(found.shots_b):
            score, name, rank = f"{found.similarities[i, j]:.2f}", "", ranks.get((shot.index, other.index))
            if rank:
                label = f"match {rank}: shots {shot.index} and {other.index}, {score}"
                name, score = ' class="match"', f'<a href="#match-{rank}" aria-label="{label}">{score}</a>'
            red, green, blue = shades[i, j].tolist()
            ink = "#000" if 0.3 * red + 0.6 * green + 0.1 * blue > BRIGHT else "#fff"
            cells.append(f'<td{name} style="background: rgb({red} {green} {blue}); color: {ink}">{score}</td>')
        rows.append(f"<tr>{_side('row', shot, frames_a)}{''.join(cells)}</tr>")
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="similarities of shots">'
        f'<table style="min-width: {(1 + len(found.shots_b)) * COLUMN_REM:.1f}rem">'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _side(scope: str, shot: SceneShot, frames: dict[int, Image]) -> str:
    """A shot at the matrix's side."""
    frame = frames.get(shot.index)
    picture = "" if frame is None else f'<img alt="" src="{data_uri(frame, SIDE_PX)}">'
    return f'<th scope="{scope}">{picture}{shot.index}</th>'


def _shot(scene: Scene, shot: SceneShot, frame: Image | None) -> str:
    name = escape(printable(f"{scene.movie}, shot {shot.index}"))
    picture = "" if frame is None else f'<img alt="{name}" src="{data_uri(frame, MATCH_PX)}">'
    return f"<div>{picture}<p>shot {shot.index} · {times(shot.start_seconds, shot.end_seconds)}</p></div>"


def _times(scene: Scene) -> str:
    return times(scene.start_seconds, scene.end_seconds)
