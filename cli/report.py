"""A measurement as one HTML file that opens from disk: tables, curves, and what was found for some queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from m2s_index.cli.contact_sheet import data_uri, page, times, write_page
from m2s_index.cli.eval_tables import report_tables
from m2s_index.cli.report_curves import curves

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.cli.table_formats import Table
    from m2s_index.evaluation.retrieval_report import EncoderResult, FoundScene, RetrievalReport, VocabularyResult
    from m2s_index.types import Scene

QUERIES_SHOWN = 6
SCENES_SHOWN = 5
FRAMES_SHOWN = 3

STYLE = """
body { max-width: 1300px; }
body > h2 { margin: 1.6rem 0 .4rem; }
h3 { font-size: .95rem; margin: 1.2rem 0 .4rem; font-weight: 600; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .2rem .5rem; text-align: left; white-space: nowrap; }
thead tr:last-child th { border-bottom: 1px solid currentColor; font-weight: 600; }
tr.rule td { border-top: 1px solid var(--line); }
.figure { text-align: right; }
.group { text-align: center; border-bottom: 1px solid var(--line); }
.curves { width: 100%; max-width: 760px; font: 12px system-ui, sans-serif; fill: currentColor; }
.curves .grid { stroke: var(--line); }
.curves .chance { stroke: currentColor; stroke-dasharray: 3 4; }
.found { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 10px; margin: .3rem 0 .9rem; }
.scene { border: 4px solid; border-radius: 5px; padding: 3px; min-width: 0; }
.scene.right { border-color: #1a9850; }
.scene.wrong { border-color: #d73027; }
.scene.right b { color: #1a9850; }
.scene.wrong b { color: #d73027; }
.scene .frames { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 2px; }
.scene p { font-size: .78rem; overflow-wrap: anywhere; padding: .2rem .1rem 0; }
.by { color: var(--quiet); font-size: .85rem; }
ul.origin { color: var(--quiet); font-size: .85rem; padding-left: 1.2rem; overflow-wrap: anywhere; }
@media (max-width: 700px) { .found { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
"""


def write_report(
    path: Path, catalog: Catalog, report: RetrievalReport, origin: Sequence[str], *, published: bool,
    query_ids: Sequence[int],
) -> None:  # fmt: skip
    """Write the page.

    Args:
        path: where to.
        catalog: where the key frames are.
        report: what was measured.
        origin: lines that say where it comes from.
        published: whether the paper's figures are in the table.
        query_ids: scenes whose neighbours are shown; none shows the first query of each label, six at most.

    Raises:
        UsageError: a scene is none of the queries, or the file cannot be written.
    """
    shown = _chosen(report, query_ids)
    names = ", ".join(result.vocabulary for result in report.vocabularies)
    body = [f"<h1>Retrieval by {escape(names)}</h1>", *_tables(report, published=published)]
    for result, queries in zip(report.vocabularies, shown, strict=True):
        heading = f"{result.vocabulary}: precision at k over all queries, with 95 % intervals"
        body += [f"<h2>{escape(heading)}</h2>", curves(result)]
        if queries:
            body.append(f"<h2>{escape(result.vocabulary)}: the nearest scenes of some queries</h2>")
        for query in queries:
            body += _query(catalog, result, query)
    notes = [note for result in report.vocabularies for note in result.notes()]
    body.append(f'<ul class="origin">{"".join(f"<li>{escape(line)}</li>" for line in (*notes, *origin))}</ul>')
    write_page(path, page(f"m2s: retrieval by {names}", body, STYLE))


def _chosen(report: RetrievalReport, query_ids: Sequence[int]) -> list[list[int]]:
    """For each vocabulary the queries to show, by their number."""
    from m2s_index.errors import UsageError

    asked = [result.splits.queries.scene_ids.tolist() for result in report.vocabularies]
    for scene_id in query_ids:
        if not any(scene_id in ids for ids in asked):
            raise UsageError(f"scene {scene_id} is none of the queries: it carries no label of the query split")
    if query_ids:
        return [[ids.index(scene_id) for scene_id in query_ids if scene_id in ids] for ids in asked]
    return [
        list(dict.fromkeys(int(carried.argmax()) for carried in result.splits.queries.carries))[:QUERIES_SHOWN]
        for result in report.vocabularies
    ]


def _tables(report: RetrievalReport, *, published: bool) -> Iterator[str]:
    for table in report_tables(report, published=published):
        yield f'<h3>{escape(table.title)}</h3><div class="table"><table>{_head(table)}{_rows(table)}</table></div>'


def _head(table: Table) -> str:
    groups = ""
    if any(name for name, _ in table.groups):
        spans = (f'<th class="group" colspan="{count}">{escape(name)}</th>' for name, count in table.groups)
        groups = f"<tr>{''.join(spans)}</tr>"
    names = "".join(
        f"<th{_figure(left)}>{escape(name)}</th>" for name, left in zip(table.header, table.flush_left, strict=True)
    )
    return f"<thead>{groups}<tr>{names}</tr></thead>"


def _rows(table: Table) -> str:
    rows = []
    for number, row in enumerate(table.rows):
        cells = (
            f"<td{_figure(left)}>{f'<b>{escape(cell.text)}</b>' if cell.best else escape(cell.text)}</td>"
            for cell, left in zip(row, table.flush_left, strict=True)
        )
        rows.append(f"<tr{' class=rule' if number in table.rules else ''}>{''.join(cells)}</tr>")
    return f"<tbody>{''.join(rows)}</tbody>"


def _figure(left: bool) -> str:
    return "" if left else ' class="figure"'


def _query(catalog: Catalog, result: VocabularyResult, query: int) -> Iterator[str]:
    """The query's key frames, and each encoder's nearest scenes."""
    scene_id = int(result.splits.queries.scene_ids[query])
    found = [result.found(encoder, query, SCENES_SHOWN) for encoder in result.encoders]
    scenes = _scenes(catalog, [scene_id, *(scene.scene_id for scenes in found for scene in scenes)])
    scene, labels = scenes[scene_id], ", ".join(result.labels_of_query(query))
    yield (
        f'<section class="query"><header><h2>{escape(_name(scene))}</h2>'
        f"<span>{times(scene.start_seconds, scene.end_seconds)}</span>"
        f"<b>{escape(labels)}</b></header>{_frames(catalog, scene, None)}</section>"
    )
    for encoder, near in zip(result.encoders, found, strict=True):
        yield _neighbours(catalog, encoder, near, scenes)


def _neighbours(
    catalog: Catalog, encoder: EncoderResult, found: Sequence[FoundScene], scenes: dict[int, Scene]
) -> str:
    cards = []
    for one in found:
        scene = scenes[one.scene_id]
        kind, mark = ("right", "✓") if one.right else ("wrong", "✗")
        cards.append(
            f'<div class="scene {kind}">{_frames(catalog, scene, FRAMES_SHOWN)}<p><b>{mark} '
            f"{escape(', '.join(one.labels) or 'other')}</b> {escape(_name(scene))}</p></div>"
        )
    return f'<p class="by">nearest by {escape(encoder.encoder.name)}</p><div class="found">{"".join(cards)}</div>'


def _frames(catalog: Catalog, scene: Scene, most: int | None) -> str:
    """The scene's key frames, or ``most`` evenly spaced ones of them."""
    from m2s_index.errors import KeyFrameError
    from m2s_index.scenes import key_shots
    from m2s_index.stored_frames import scene_frames

    try:
        pictures = scene_frames(catalog, scene)
    except KeyFrameError as exc:
        return f"<p>no key frames: {escape(str(exc))}</p>"
    chosen = key_shots(0, len(pictures), most or len(pictures))
    name = escape(_name(scene), quote=True)
    images = (f'<img alt="{name}, frame {i + 1}" src="{data_uri(pictures[i])}">' for i in chosen)
    return f'<div class="frames">{"".join(images)}</div>'


def _scenes(catalog: Catalog, ids: list[int]) -> dict[int, Scene]:
    from m2s_index.movies import list_scenes

    with catalog.read() as session:
        return {scene.scene_id: scene for scene in list_scenes(session, ids=ids)}


def _name(scene: Scene) -> str:
    return f"{scene.movie}#{scene.index}"
