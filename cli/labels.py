"""``m2s labels``: labels for scenes and films."""

from __future__ import annotations

from pathlib import Path

import click

from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import print_csv, print_json, print_table, say


@click.group()
def labels() -> None:
    """Labels (place, genre, …) for scenes and films."""


@labels.command("import")
@click.argument("file", type=GivenPath(path_type=Path))
@catalog_option
def import_command(file: Path, catalog_folder: Path) -> None:
    """Import labels from a CSV FILE: movie,start,end,vocabulary,value,split.

    A movie is named by its file name; empty times mean the whole film.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.labels import import_labels

    with Catalog.open(catalog_folder, writable=True) as catalog, catalog.write() as session:
        result = import_labels(session, file)
    for movie in result.unknown_movies:
        say(f"labels: no film is called '{movie}'")
    click.echo(f"{result.imported} labels imported, {len(result.unknown_movies)} films of the table are not here")
    click.get_current_context().exit(1 if result.unknown_movies else 0)


@labels.command("list")
@catalog_option
@format_options("table", "json", "csv")
def list_command(catalog_folder: Path, output_format: str) -> None:
    """Count the labels by vocabulary, value and split."""
    from m2s_index.catalog import Catalog
    from m2s_index.labels import count_labels

    with Catalog.open(catalog_folder) as catalog, catalog.read() as session:
        counts = count_labels(session)
    header = ("vocabulary", "value", "split", "labels", "movies")
    rows = [[getattr(count, name) for name in header] for count in counts]
    if output_format == "json":
        print_json({"labels": [dict(zip(header, row, strict=True)) for row in rows]})
    elif output_format == "csv":
        print_csv(header, rows)
    else:
        print_table(header, rows)
