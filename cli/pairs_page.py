"""The page of scene pairs: key frames side by side, and of two films how they compare, in one HTML file that opens
without a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from m2s_index.cli import pair_figures
from m2s_index.cli.contact_sheet import frames, page, times
from m2s_index.cli.output import printable

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.pairing.film_pairs import FilmPairs
    from m2s_index.types import Scene, ScenePair

THUMBNAIL_PX, FRAMES = 200, 9

STYLE = """
body { max-width: 1200px; }
h1 { overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: minmax(0, 1fr) auto minmax(0, 1fr); gap: .8rem 1rem; }
.pair .frames { grid-template-columns: repeat(3, minmax(0, 1fr)); margin-top: .3rem; }
.pair p { font-size: .85rem; }
.arrow { align-self: center; font-size: 1.6rem; color: var(--quiet); line-height: 1; }
.same { background: var(--same); color: Canvas; border-radius: 1rem; padding: 0 .6rem; font-size: .8rem; }
section { padding: .8rem; }
section:is(:focus-visible, :target) { outline: 3px solid var(--arc); border-radius: 6px; }
@media (max-width: 700px) {
  .pair { grid-template-columns: minmax(0, 1fr); gap: .4rem; }
  .arrow { transform: rotate(90deg); justify-self: center; }
  section { padding: .8rem 0; }
}
"""


def pairs_page(
    catalog: Catalog, pairs: Sequence[ScenePair], heading: str, summary: str, films: FilmPairs | None = None
) -> str:
    """The page: the pairs in their order, each scene with film, times and up to nine of its key frames.

    A scene whose key frames are missing is shown without them, and says so.

    Args:
        catalog: where the key frames are.
        pairs: what is shown.
        heading: what they are pairs of.
        summary: a line on how they were found.
        films: where they are of two films: shown as a matrix and on time lines.
    """
    body = [f"<h1>{_text(heading)}</h1>", f"<p>{_text(summary)}</p>"]
    if films:
        body += [pair_figures.matrix_figure(films, pairs), pair_figures.timeline_figure(films, pairs)]
    body.extend(_section(catalog, pair) for pair in pairs)
    return page(f"m2s: {printable(heading)}", body, pair_figures.STYLE + STYLE)


def _section(catalog: Catalog, pair: ScenePair) -> str:
    label = _text(f"pair {pair.rank}: {pair.a.movie} and {pair.b.movie}")
    same = '<span class="same">the same pictures</span>' if pair.kind == "duplicate" else ""
    percentile = "" if pair.percentile is None else f"percentile {pair.percentile:.1f} · "
    scaled = "" if pair.csls is None else f" · scaled {pair.csls:.3f}"
    return (
        f'<section id="pair-{pair.rank}" tabindex="0" aria-label="{label}">'
        f'<header><span class="rank">{pair.rank}</span>{same}'
        f'<span class="score">{percentile}score {pair.score:.3f}{scaled}</span></header>'
        f'<div class="pair">{_scene(catalog, pair.a)}<span class="arrow" aria-hidden="true">→</span>'
        f"{_scene(catalog, pair.b)}</div></section>"
    )


def _scene(catalog: Catalog, scene: Scene) -> str:
    from m2s_index.scenes import key_shots
    from m2s_index.stored_frames import shot_frames

    shots = key_shots(scene.first_shot, scene.end_shot, FRAMES)
    what = f"scene {scene.index}" if scene.scene_id else f"shots {scene.first_shot} to {scene.end_shot - 1}"
    name = printable(f"{scene.movie}, {what}")
    pictures = frames(name, lambda: shot_frames(catalog, scene.movie_id, shots), THUMBNAIL_PX)
    return (
        f"<div><h2>{_text(scene.movie)}</h2><p>{times(scene.start_seconds, scene.end_seconds)} · {what}</p>"
        f"{pictures}</div>"
    )


def _text(text: str) -> str:
    return escape(printable(text))
