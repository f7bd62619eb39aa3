"""``m2s index``: build a catalogue, say what is in it, check it, mend it, take a movie out."""

from __future__ import annotations

from pathlib import Path

import click

from m2s_index.cli.build import build
from m2s_index.cli.options import catalog_option, format_options
from m2s_index.cli.output import print_json, print_table, shown, size


@click.group()
def index() -> None:
    """Build a catalogue, and keep it sound."""


index.add_command(build)


@index.command()
@catalog_option
@format_options("table", "json")
def status(catalog_folder: Path, output_format: str) -> None:
    """Say what is in the catalogue: films, encoders, index files, and files that could not be read."""
    from m2s_index.catalog import Catalog
    from m2s_index.status import catalog_status

    with Catalog.open(catalog_folder) as catalog:
        state = catalog_status(catalog)
    if output_format == "json":
        print_json(state)
        return
    total = state["movies"]
    click.echo(
        f"{catalog_folder}: {len(total)} films, {state['hours']:.2f} h, {state['shots']} shots, "
        f"{state['scenes']} scenes, {size(state['bytes'])}"
    )
    print_table(
        ("id", "film", "title", "year", "minutes", "shots", "scenes", "video", "damaged packets"),
        (
            (m["movie_id"], m["movie"], m["title"], m["year"], f"{m['seconds'] / 60:.1f}", m["shots"], m["scenes"],
             f"{m['codec']} {m['width']}×{m['height']}", m["damaged_packets"] or None)
            for m in total
        ),
    )  # fmt: skip
    print_table(
        ("encoder", "default", "dimension", "films", "scenes", "index", "not in it yet"),
        (
            (e["name"], "yes" if e["default"] else "", e["dimension"], e["movies"], e["scenes"],
             e["index"] or "none", e["fresh"])
            for e in state["encoders"]
        ),
    )  # fmt: skip
    for failure in state["failures"]:
        click.echo(f"failed on {failure['failed_at']}: {shown(failure['error'])}")


@index.command()
@catalog_option
@format_options("table", "json")
def verify(catalog_folder: Path, output_format: str) -> None:
    """Check that the catalogue is sound: database, matrices, key frames, index files, sources."""
    from m2s_index.verify import verify_folder

    found = verify_folder(catalog_folder)
    if output_format == "json":
        print_json({"ok": found.ok, "problems": [vars(p) for p in found.problems], "notes": list(found.notes)})
    else:
        for problem in found.problems:
            click.echo(f"{problem.what}: {problem.where}; {problem.remedy}")
        for note in found.notes:
            click.echo(f"note: {note}")
        click.echo("sound" if found.ok else f"{len(found.problems)} problems")
    click.get_current_context().exit(0 if found.ok else 1)


@index.command()
@catalog_option
def repair(catalog_folder: Path) -> None:
    """Make again what is derived, and mark what has to be read again for the next build."""
    from m2s_index.catalog import Catalog
    from m2s_index.lock import BuildLock
    from m2s_index.repair import repair_catalog

    with Catalog.open(catalog_folder, writable=True) as catalog, BuildLock(catalog_folder):
        for line in repair_catalog(catalog):
            click.echo(line)


@index.command()
@click.argument("movie")
@catalog_option
def remove(movie: str, catalog_folder: Path) -> None:
    """Take MOVIE (a name, a title, or a movie id) out of the catalogue. Its file is not touched."""
    from m2s_index.catalog import Catalog
    from m2s_index.keyframe_store import delete_keyframes
    from m2s_index.lock import BuildLock
    from m2s_index.movies import remove_movie
    from m2s_index.refs import find_movie
    from m2s_index.sessions import reader_of

    with Catalog.open(catalog_folder, writable=True) as catalog, BuildLock(catalog_folder):
        with catalog.write() as session:
            found = find_movie(reader_of(session), movie, bare_number_is_id=True)
            file = remove_movie(session, found.movie_id)
        delete_keyframes(catalog.keyframes_folder, file)
    click.echo(f"removed {found.name} from {catalog_folder}")
