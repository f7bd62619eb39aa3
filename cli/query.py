"""``m2s query``: scenes similar to one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import clock, hurry, print_csv, print_json, print_table, say

if TYPE_CHECKING:
    from m2s_index.types import Scene, SearchHit


@click.command()
@click.option("--scene", "scene_ref", required=True, metavar="REF", help="A scene: 12, MOVIE#7 or MOVIE@1:02:03.")
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
@click.option("--html", type=GivenPath(dir_okay=False, path_type=Path), help="Also write a contact sheet.")
@format_options("table", "json", "csv")
def query(
    scene_ref: str,
    k: int,
    catalog_folder: Path,
    encoder_name: str | None,
    html: Path | None,
    output_format: str,
    **filters: Any,
) -> None:
    """Find the scenes most similar to REF.

    REF is a scene's id, MOVIE#7 (the scene whose index is 7; the first is #0) or MOVIE@1:02:03 (the scene
    playing then). MOVIE is a file name or the start of a title. The scene itself is never a hit.
    """
    hurry()
    from m2s_index.catalog import Catalog
    from m2s_index.filters import SceneFilter, parse_label, parse_years
    from m2s_index.search import Searcher

    years, labels = filters.pop("year"), filters.pop("labels")
    wanted = SceneFilter(
        **filters,
        years=None if years is None else parse_years(years),
        labels=tuple(parse_label(label) for label in labels),
    )
    with Catalog.open(catalog_folder) as catalog, Searcher(catalog, encoder_name) as searcher:
        result = searcher.search_scene(scene_ref, k, wanted)
        for note in result.notes:
            say(note)
        if searcher.device_note:
            say(searcher.device_note)
        assert result.query is not None
        _print(result.query, result.encoder, result.hits, output_format)
        if html:
            from m2s_index.cli.contact_sheet import write_sheet

            write_sheet(html, catalog, result.query, result.encoder, result.hits)
            say(f"contact sheet: {html}")


def _print(query: Scene, encoder: str, hits: tuple[SearchHit, ...], output_format: str) -> None:
    if output_format == "json":
        print_json({"query": _scene_json(query), "encoder": encoder, "hits": [_hit_json(hit) for hit in hits]})
    elif output_format == "csv":
        rows = [_hit_json(hit) for hit in hits]
        header = [
            "rank",
            "scene_id",
            "movie",
            "movie_id",
            "title",
            "year",
            "index",
            "start_seconds",
            "end_seconds",
            "distance",
            "score",
        ]
        print_csv(header, ([row[name] for name in header] for row in rows))
    else:
        print_table(
            ("rank", "scene", "film", "from", "to", "score", "distance"),
            (
                (h.rank, f"#{h.scene.index}", h.scene.movie, clock(h.scene.start_seconds),
                 clock(h.scene.end_seconds), h.score, h.distance)
                for h in hits
            ),
            title=f"like {query.movie}#{query.index} "
            f"({clock(query.start_seconds)}–{clock(query.end_seconds)}), by {encoder}",
        )  # fmt: skip


def _scene_json(scene: Scene) -> dict[str, Any]:
    return {
        "scene_id": scene.scene_id,
        "movie": scene.movie,
        "movie_id": scene.movie_id,
        "index": scene.index,
        "start_seconds": round(scene.start_seconds, 6),
        "end_seconds": round(scene.end_seconds, 6),
    }


def _hit_json(hit: SearchHit) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        **_scene_json(hit.scene),
        "title": hit.title,
        "year": hit.year,
        "distance": hit.distance,
        "score": hit.score,
    }
