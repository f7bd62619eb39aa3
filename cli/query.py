"""``m2s query``: scenes similar to one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import clock, hurry, print_csv, print_json, print_table, say

if TYPE_CHECKING:
    from m2s_index.search import QueryResult
    from m2s_index.types import Scene, SearchHit

    Measure = Callable[[QueryResult], QueryResult]

HIT_COLUMNS = (
    "rank", "scene_id", "movie", "movie_id", "title", "year", "index", "start_seconds", "end_seconds", "distance",
    "score", "percentile", "csls",
)  # fmt: skip


@click.command()
@click.option("--scene", "scene_ref", metavar="REF", help="A scene: 12, MOVIE#7 or MOVIE@1:02:03.")
@click.option(
    "--batch", type=GivenPath(dir_okay=False, path_type=Path), help="Instead: a file of scenes, a REF a line."
)
@click.option("-k", "k", type=int, default=10, show_default=True, help="How many hits.")
@catalog_option
@click.option("--encoder", "encoder_name", help="Which embeddings to search.  [default: the catalogue's]")
@click.option("--movie", "movies", multiple=True, metavar="MOVIE", help="Only in this movie; may be repeated.")
@click.option(
    "--not-movie", "not_movies", multiple=True, metavar="MOVIE", help="Not in this movie; may be repeated."
)
@click.option("--other-movies", is_flag=True, help="Not in the query's own movie.")
@click.option("--year", metavar="FROM:TO", help="Years, both included: 1990:1999, 1990:, :1999 or 1994.")
@click.option("--genre", "genres", multiple=True, help="Only movies of this genre; may be repeated.")
@click.option("--label", "labels", multiple=True, metavar="VOCABULARY=VALUE", help="Only scenes with this label.")
@click.option("--min-seconds", type=click.FloatRange(0), help="Only scenes at least this long.")
@click.option("--max-seconds", type=click.FloatRange(0), help="Only scenes at most this long.")
@click.option(
    "--min-percentile",
    type=click.FloatRange(0, 100),
    help="Only hits that score more than so many per cent of best hits in unrelated films.",
)
@click.option("--html", type=GivenPath(dir_okay=False, path_type=Path), help="Also write a contact sheet.")
@format_options("table", "json", "csv")
def query(
    scene_ref: str | None,
    batch: Path | None,
    k: int,
    catalog_folder: Path,
    encoder_name: str | None,
    min_percentile: float | None,
    html: Path | None,
    output_format: str,
    **filters: Any,
) -> None:
    """Find the scenes most similar to REF, or to each in a file.

    REF is a scene's id, MOVIE#7 (the scene whose index is 7; the first is #0) or MOVIE@1:02:03 (the scene
    playing then). MOVIE is a file name or the start of a title. The scene itself is never a hit.
    """
    hurry()
    from m2s_index.catalog import Catalog
    from m2s_index.filters import SceneFilter, parse_label, parse_years
    from m2s_index.search import Searcher

    if (scene_ref is None) == (batch is None):
        raise click.UsageError("give either --scene REF or --batch FILE")
    if batch and html:
        raise click.UsageError("a contact sheet is of one query: --html goes with --scene")
    years, labels = filters.pop("year"), filters.pop("labels")
    wanted = SceneFilter(
        **filters,
        years=None if years is None else parse_years(years),
        labels=tuple(parse_label(label) for label in labels),
    )
    with Catalog.open(catalog_folder) as catalog, Searcher(catalog, encoder_name) as searcher:
        measure: Measure | None = None
        if min_percentile is not None:
            from m2s_index.nothing_similar import HitBackground

            background = HitBackground(catalog, searcher, wanted)
            measure = partial(background.measured, min_percentile=min_percentile)
        if batch:
            from m2s_index.cli.query_batch import print_batch

            print_batch(searcher, batch, k, wanted, output_format, measure)
            return
        assert scene_ref is not None
        result = searcher.search_scene(scene_ref, k, wanted)
        if measure:
            result = measure(result)
        for note in result.notes:
            say(note)
        if searcher.device_note:
            say(searcher.device_note)
        assert result.query is not None
        print_result(result.query, result.encoder, result.hits, output_format)
        if html:
            from m2s_index.cli.contact_sheet import write_sheet

            write_sheet(html, catalog, result.query, result.encoder, result.hits)
            say(f"contact sheet: {html}")


def print_result(query: Scene, encoder: str, hits: tuple[SearchHit, ...], output_format: str) -> None:
    """One query and its hits."""
    if output_format == "json":
        print_json({"query": scene_json(query), "encoder": encoder, "hits": [hit_json(hit) for hit in hits]})
    elif output_format == "csv":
        rows = [hit_json(hit) for hit in hits]
        print_csv(HIT_COLUMNS, ([row.get(name) for name in HIT_COLUMNS] for row in rows))
    else:
        measured = ("percentile", "csls") if any(hit.percentile is not None for hit in hits) else ()
        print_table(
            ("rank", "scene", "film", "from", "to", "score", "distance", *measured),
            (
                (h.rank, f"#{h.scene.index}", h.scene.movie, clock(h.scene.start_seconds),
                 clock(h.scene.end_seconds), h.score, h.distance,
                 *((f"{h.percentile:.1f}", h.csls) if measured else ()))
                for h in hits
            ),
            title=f"like {query.movie}#{query.index} "
            f"({clock(query.start_seconds)}–{clock(query.end_seconds)}), by {encoder}",
        )  # fmt: skip


def scene_json(scene: Scene) -> dict[str, Any]:
    """A scene as JSON has it."""
    return {
        "scene_id": scene.scene_id,
        "movie": scene.movie,
        "movie_id": scene.movie_id,
        "index": scene.index,
        "start_seconds": round(scene.start_seconds, 6),
        "end_seconds": round(scene.end_seconds, 6),
    }


def hit_json(hit: SearchHit) -> dict[str, Any]:
    """A hit as JSON and CSV have it."""
    return {
        "rank": hit.rank,
        **scene_json(hit.scene),
        "title": hit.title,
        "year": hit.year,
        "distance": hit.distance,
        "score": hit.score,
        **({} if hit.percentile is None else {"percentile": hit.percentile, "csls": hit.csls}),
    }
