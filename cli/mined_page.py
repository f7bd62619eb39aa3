"""The page of mined scene pairs: their key frames side by side, in one HTML file that opens without a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from m2s_index.cli.contact_sheet import frames, page, times, write_page

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.pairing.pairs_file import MinedPair, MinedScene

THUMBNAIL_PX = 200

STYLE = """
body { max-width: 1200px; }
h1 + p { margin-bottom: .8rem; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .8rem 1.4rem; }
.pair .frames { grid-template-columns: repeat(3, minmax(0, 1fr)); margin-top: .3rem; }
.pair p { font-size: .85rem; }
section { padding: .8rem; }
section:focus-visible { outline: 3px solid light-dark(#1a5fb4, #7cb3ff); border-radius: 6px; }
@media (max-width: 700px) { .pair { grid-template-columns: minmax(0, 1fr); } section { padding: .8rem 0; } }
"""


def write_mined_page(
    path: Path, catalog: Catalog, pairs: Iterable[MinedPair], movie_ids: Mapping[str, int], summary: str
) -> None:
    """Write the page: the pairs in their order, each scene with film, times, shots and a key frame a shot.

    A scene whose key frames are missing is shown without them, and says so.

    Args:
        path: where to.
        catalog: where the key frames are.
        pairs: what is shown.
        movie_ids: the films by fingerprint.
        summary: a line on where the pairs come from.

    Raises:
        UsageError: the file cannot be written.
    """
    body = ["<h1>Similar scenes</h1>", f"<p>{escape(summary)}</p>"]
    for rank, pair in enumerate(pairs, start=1):
        names = f"{pair.scene.movie} and {pair.other.movie}"
        body.append(
            f'<section tabindex="0" aria-label="{escape(f"pair {rank}: {names}")}">'
            f'<header><span class="rank">{rank}</span><span class="score">score {pair.score:.3f}</span></header>'
            f'<div class="pair">{_scene(catalog, pair.scene, movie_ids)}{_scene(catalog, pair.other, movie_ids)}'
            "</div></section>"
        )
    write_page(path, page("m2s: similar scenes", body, STYLE))


def _scene(catalog: Catalog, scene: MinedScene, movie_ids: Mapping[str, int]) -> str:
    from m2s_index.stored_frames import shot_frames

    shots = range(scene.first_shot, scene.last_shot + 1)
    name = f"{scene.movie}, shots {scene.first_shot} to {scene.last_shot}"
    pictures = frames(name, lambda: shot_frames(catalog, movie_ids[scene.fingerprint], shots), THUMBNAIL_PX)
    return (
        f"<div><h2>{escape(scene.movie)}</h2><p>{times(scene.start_seconds, scene.end_seconds)} · "
        f"shots {scene.first_shot} to {scene.last_shot}</p>{pictures}</div>"
    )
