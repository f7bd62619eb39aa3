"""``m2s encoders``: what can be used, what a catalogue holds, and which one it uses."""

from __future__ import annotations

from pathlib import Path

import click

from m2s_index.cli.options import catalog_option, format_options
from m2s_index.cli.output import print_json, print_table


@click.group()
def encoders() -> None:
    """Encoders: what can be used, and with which weights."""


@encoders.command("list")
@catalog_option
@format_options("table", "json")
def list_command(catalog_folder: Path, output_format: str) -> None:
    """List the encoders that can be made, and those whose embeddings the catalogue holds."""
    from m2s_index.encoders.registry import list_encoders as list_available

    available = list_available()
    stored = _stored(catalog_folder)
    if output_format == "json":
        print_json(
            {
                "available": [
                    {"name": r.name, "dimension": r.dimension, "weights": r.weights, "licence": r.licence,
                     "source": r.source, "description": r.description}
                    for r in available
                ],
                "stored": stored,
            }
        )  # fmt: skip
        return
    print_table(
        ("encoder", "dimension", "weights", "what"),
        ((r.name, r.dimension, r.weights, r.description) for r in available),
    )
    if stored:
        print_table(
            (f"in {catalog_folder}", "default", "films", "scenes"),
            ((e["name"], "yes" if e["default"] else "", e["movies"], e["scenes"]) for e in stored),
        )


@encoders.command()
@click.argument("name")
@catalog_option
@format_options("json")
def info(name: str, catalog_folder: Path, output_format: str) -> None:
    """Say all that is known of encoder NAME: the identity its vectors are stored under, or, where the
    catalogue has none of it, what can be made by that name, and with which weights.
    """
    from dataclasses import asdict

    from m2s_index.encoders.registry import list_encoders as list_available
    from m2s_index.errors import UsageError

    stored = _stored(catalog_folder)
    available = [asdict(record) for record in list_available()]
    for encoder in (*stored, *available):
        if encoder["name"] == name:
            print_json(encoder)
            return
    names = ", ".join(str(encoder["name"]) for encoder in stored) or "none"
    can_be = ", ".join(str(encoder["name"]) for encoder in available)
    raise UsageError(f"no encoder '{name}': the catalogue in {catalog_folder} has {names}; there can be {can_be}")


@encoders.command()
@click.argument("name")
@catalog_option
def use(name: str, catalog_folder: Path) -> None:
    """Make encoder NAME the catalogue's default."""
    from m2s_index.catalog import Catalog
    from m2s_index.matrix_writer import use_encoder

    with Catalog.open(catalog_folder, writable=True) as catalog, catalog.write() as session:
        encoder = use_encoder(session, name)
    click.echo(f"{catalog_folder} now uses {encoder.name}")


def _stored(folder: Path) -> list[dict[str, object]]:
    from m2s_index.catalog import Catalog
    from m2s_index.errors import CatalogMissingError
    from m2s_index.status import catalog_status

    try:
        with Catalog.open(folder) as catalog:
            encoders: list[dict[str, object]] = catalog_status(catalog)["encoders"]
            return encoders
    except CatalogMissingError:
        return []
