"""A query's contact sheet: one HTML file with the key frames in it, which opens from disk without a network.

Its parts are there for other pages of scenes as well.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from m2s_index.cli.output import clock

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.types import Image, Scene, SearchHit

THUMBNAIL_PX = 240

STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: light-dark(#666, #999); --card: #8881; }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1.2rem; max-width: 1500px; }
h1 { font-size: 1.25rem; margin: 0 0 .2rem; }
h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 0; color: var(--quiet); }
section { border-top: 1px solid var(--line); padding: .8rem 0; }
section.query { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .8rem;
  margin: .8rem 0; }
header { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline; margin-bottom: .5rem; }
.rank { font-variant-numeric: tabular-nums; color: var(--quiet); min-width: 1.6rem; }
.score { margin-left: auto; font-variant-numeric: tabular-nums; }
.frames { display: grid; grid-template-columns: repeat(9, minmax(0, 1fr)); gap: 4px; }
.frames img { width: 100%; aspect-ratio: 16 / 9; object-fit: cover; display: block; border-radius: 2px; }
@media (max-width: 700px) { .frames { grid-template-columns: repeat(3, minmax(0, 1fr)); } }
"""


def write_sheet(path: Path, catalog: Catalog, query: Scene, encoder: str, hits: Sequence[SearchHit]) -> None:
    """Write the sheet: the query's key frames on top, each hit's below, with film, times and score.

    A scene whose key frames are missing is shown without them, and says so.

    Raises:
        UsageError: the file cannot be written.
    """
    body = [
        f"<h1>Scenes like {escape(_name(query))}</h1>",
        f"<p>{len(hits)} hits by {escape(encoder)}, nearest first</p>",
        '<section class="query"><header>'
        f"<h2>{escape(query.movie)}</h2><span>scene {query.index}</span><span>{_times(query)}</span></header>"
        f"{_frames(catalog, query)}</section>",
    ]
    for hit in hits:
        title = f"{hit.title} ({hit.year})" if hit.title and hit.year else hit.title or hit.scene.movie
        body.append(
            f'<section><header><span class="rank">{hit.rank}</span><h2>{escape(title)}</h2>'
            f"<span>{escape(hit.scene.movie)}, scene {hit.scene.index}</span><span>{_times(hit.scene)}</span>"
            f'<span class="score">score {hit.score:.3f} · distance {hit.distance:.3f}</span></header>'
            f"{_frames(catalog, hit.scene)}</section>"
        )
    write_page(path, page(f"m2s: scenes like {_name(query)}", body))


def write_page(path: Path, text: str) -> None:
    """Write a page.

    Raises:
        UsageError: the file cannot be written.
    """
    from m2s_index.errors import UsageError

    try:
        path.write_text(text, "utf-8")
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written ({exc.strerror})") from exc


def page(title: str, body: Iterable[str], style: str = "") -> str:
    """A whole HTML page. ``body`` is markup, ``title`` text, ``style`` what the page needs beside ``STYLE``."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _name(scene: Scene) -> str:
    return f"{scene.movie}#{scene.index}"


def _times(scene: Scene) -> str:
    return times(scene.start_seconds, scene.end_seconds)


def times(start_seconds: float, end_seconds: float) -> str:
    """From when to when, for reading."""
    return f"{clock(start_seconds)} – {clock(end_seconds)}"


def _frames(catalog: Catalog, scene: Scene) -> str:
    from m2s_index.stored_frames import scene_frames

    return frames(_name(scene), lambda: scene_frames(catalog, scene))


def frames(name: str, read: Callable[[], Sequence[Image]], longest_px: int = THUMBNAIL_PX) -> str:
    """What ``read`` gives as pictures of the scene of that name; where it cannot, the reason."""
    from m2s_index.errors import KeyFrameError

    try:
        pictures = read()
    except KeyFrameError as exc:
        return f"<p>no key frames: {escape(str(exc))}</p>"
    images = (
        f'<img alt="{escape(name)}, frame {number}" src="{data_uri(picture, longest_px)}">'
        for number, picture in enumerate(pictures, start=1)
    )
    return f'<div class="frames">{"".join(images)}</div>'


def data_uri(picture: Image, longest_px: int = THUMBNAIL_PX) -> str:
    """A picture, made small, as an address that holds it."""
    from PIL import Image as PillowImage

    small = PillowImage.fromarray(picture)
    small.thumbnail((longest_px, longest_px))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")
