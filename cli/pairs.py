"""``m2s pairs``: similar scenes of two films, or of all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from m2s_index.cli.options import catalog_option, format_options
from m2s_index.cli.output import clock, print_csv, print_json, print_table, say
from m2s_index.cli.query import scene_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m2s_index.types import Scene, ScenePair

SCENE_COLUMNS = ("scene_id", "movie", "movie_id", "index", "start_seconds", "end_seconds")


@click.command()
@click.argument("movies", metavar="[A B]", nargs=-1)
@catalog_option
@click.option("--encoder", "encoder_name", help="Whose embeddings to compare.  [default: the catalogue's]")
@click.option("--keep", type=float, default=0.5, show_default=True, help="Share of the highest scores to pair.")
@click.option("--top", type=int, help="Only so many pairs, the best.")
@click.option("--min-score", type=float, help="Only pairs with at least this score.")
@click.option("--windows", is_flag=True, help="Compare windows of nine shots instead of scenes.")
@format_options("table", "json", "csv")
def pairs(
    movies: tuple[str, ...], catalog_folder: Path, encoder_name: str | None, output_format: str, **options: Any
) -> None:
    """Find pairs of similar scenes of the films A and B, best first.

    Each scene is in one pair at most, and pairs are among the highest half of all scores of the two films.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.pairing.film_pairs import PairOptions, film_pairs

    if len(movies) != 2:
        raise click.UsageError("give two films: m2s pairs A B")
    wanted = PairOptions(**options)
    with Catalog.open(catalog_folder) as catalog, catalog.reader() as reader:
        found = film_pairs(reader, *movies, wanted, encoder_name)
    for note in found.notes:
        say(f"pairs: {note}")
    names = f"{found.a.movie.name} and {found.b.movie.name}"
    print_pairs(found.pairs, found.encoder, output_format, title=f"{names}, by {found.encoder}")


def print_pairs(found: Sequence[ScenePair], encoder: str, output_format: str, *, title: str) -> None:
    """Pairs as a table, JSON or CSV."""
    if output_format == "json":
        print_json({"encoder": encoder, "pairs": [pair_json(pair) for pair in found]})
    elif output_format == "csv":
        header = ("rank", "score", *(f"{name}_{side}" for side in "ab" for name in SCENE_COLUMNS))
        rows = [pair_json(pair) for pair in found]
        print_csv(
            header,
            (
                (row["rank"], row["score"], *(row[side][name] for side in "ab" for name in SCENE_COLUMNS))
                for row in rows
            ),
        )
    else:
        print_table(
            ("rank", "score", "film", "scene", "from", "to", "film", "scene", "from", "to"),
            ((pair.rank, pair.score, *_cells(pair.a), *_cells(pair.b)) for pair in found),
            title=title,
        )


def pair_json(pair: ScenePair) -> dict[str, Any]:
    """A pair as JSON has it."""
    return {
        "rank": pair.rank,
        "score": pair.score,
        "a": scene_json(pair.a),
        "b": scene_json(pair.b),
    }


def _cells(scene: Scene) -> tuple[str, ...]:
    return scene.movie, f"#{scene.index}", clock(scene.start_seconds), clock(scene.end_seconds)
