"""``m2s encoders``: what can be used, what a catalogue holds, and which one it uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from m2s_index.cli.options import catalog_option, format_options
from m2s_index.cli.output import hurry, print_json, print_table, size

if TYPE_CHECKING:
    from m2s_index.encoders.record import EncoderRecord


@click.group()
def encoders() -> None:
    """Encoders: what can be used, and with which weights."""


@encoders.command("list")
@catalog_option
@format_options("table", "json")
def list_command(catalog_folder: Path, output_format: str) -> None:
    """List the encoders that can be made, and those whose embeddings the catalogue holds.

    Those that come with m2s are timed here and now, on small key frames and one core; P@1 is theirs on real
    photographs of 15 kinds of place (docs/evaluation.md).
    """
    hurry()
    from m2s_index.encoders.registry import list_encoders as list_available
    from m2s_index.encoders.registry import shipped_encoders
    from m2s_index.encoders.speed import key_frames_per_second

    available = list_available()
    speeds = {encoder.identity.name: key_frames_per_second(encoder) for encoder in shipped_encoders()}
    stored = _stored(catalog_folder)
    if output_format == "json":
        print_json(
            {
                "available": [
                    {"name": r.name, "dimension": r.dimension, "weights": r.weights, "licence": r.licence,
                     "source": r.source, "description": r.description, "size_bytes": r.size_bytes,
                     "key_frames_per_second": speeds.get(r.name), "place": r.place}
                    for r in available
                ],
                "stored": stored,
            }
        )  # fmt: skip
        return
    print_table(
        ("encoder", "dimension", "size", "frames/s", "place P@1", "licence", "weights", "what"),
        (
            (
                r.name,
                r.dimension,
                _size(r),
                _speed(speeds, r),
                _place(r),
                r.licence,
                r.weights,
                r.description,
            )
            for r in available
        ),
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
    """Say all that is known of encoder NAME: the identity its vectors are stored under, where the catalogue has
    any, and its record: what can be made by that name, with which weights, made from what.
    """
    from dataclasses import asdict

    from m2s_index.encoders.registry import list_encoders as list_available
    from m2s_index.errors import UsageError

    stored = _stored(catalog_folder)
    available = [asdict(record) for record in list_available()]
    for encoder in stored:
        if encoder["name"] == name:
            print_json(_known_of(encoder, available) | encoder)
            return
    for encoder in available:
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


def _known_of(stored: dict[str, object], available: list[dict[str, object]]) -> dict[str, object]:
    """The record of a stored encoder; empty where its weights are not those that the record is of."""
    for record in available:
        if record["name"] == stored["name"] and record["weights_sha256"] in (None, stored["weights_sha256"]):
            return record
    return {}


def _size(record: EncoderRecord) -> str:
    return "" if record.size_bytes is None else size(record.size_bytes)


def _speed(speeds: dict[str, float], record: EncoderRecord) -> str:
    return f"{speeds[record.name]:.0f}" if record.name in speeds else ""


def _place(record: EncoderRecord) -> str:
    return "" if record.place is None else f"{record.place['all']['photograph']['p@1']:.1f}"


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
