"""``m2s labels``: labels for scenes and films."""

from __future__ import annotations

from pathlib import Path

import click

from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import print_csv, print_json, print_table, say

NAMED_AT_MOST = 20


@click.group()
def labels() -> None:
    """Labels (place, genre, …) for scenes and films."""


@labels.command("import")
@click.argument("file", type=GivenPath(path_type=Path))
@catalog_option
@click.option("--vocabulary", help="What the labels are of, where the file does not say: place, genre, …")
@click.option("--split", help="The split, where neither the file nor its name says: train, val, test, …")
@format_options("table", "json")
def import_command(
    file: Path, catalog_folder: Path, vocabulary: str | None, split: str | None, output_format: str
) -> None:
    """Import labels from FILE: a table, LVU's files, or a folder of films in folders that name their label.

    A table is a CSV movie,start,end,vocabulary,value,split; the movie is named by its file name, empty times
    mean the whole film. Of LVU, FILE is one of its files, a task's folder or the folder of all tasks; a clip is
    a film called as its video id. Folders of films need --vocabulary; folders called train, val or test above
    those of the labels say the split.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.label_files import read_labels
    from m2s_index.labels import import_labels

    found = read_labels(file, vocabulary=vocabulary, split=split)
    with Catalog.open(catalog_folder, writable=True) as catalog, catalog.write() as session:
        result = import_labels(session, found)
    if output_format == "json":
        print_json({"imported": result.imported, "unknown_movies": result.unknown_movies})
    else:
        for movie in result.unknown_movies[:NAMED_AT_MOST]:
            say(f"labels: no film is called '{movie}'")
        if (more := len(result.unknown_movies) - NAMED_AT_MOST) > 0:
            say(f"labels: and {more} more films that are not here ('--json' names them all)")
        click.echo(
            f"{result.imported} labels imported, {len(result.unknown_movies)} films of the table are not here"
        )
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
