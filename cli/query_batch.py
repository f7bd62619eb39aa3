"""``m2s query --batch``: the scenes similar to each of many, written as they are found."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from m2s_index.cli.output import print_csv, say

if TYPE_CHECKING:
    from m2s_index.cli.query import Measure
    from m2s_index.filters import SceneFilter
    from m2s_index.search import QueryResult, Searcher


_ID = re.compile("[0-9]{1,18}", re.ASCII)
"""Longer numbers are beyond SQLite's."""


def print_batch(
    searcher: Searcher, file: Path, k: int, wanted: SceneFilter, output_format: str, measure: Measure | None = None
) -> None:
    """Search for each reference of a file, and write the results in its order, without holding them all; what
    ``measure`` makes of each, where it is given.

    Raises:
        UsageError: the file cannot be read, or a line of it is no scene.
    """
    from m2s_index.cli.query import HIT_COLUMNS, hit_json, print_result, scene_json

    references = _references(file)
    found = searcher.search_scenes(references, k, wanted)
    results = _told(map(measure, found) if measure else found, len(references))
    if output_format == "json":
        # A line a query, so that nothing has to wait for the last one.
        before = f'{{"encoder": {json.dumps(searcher.encoder.name)}, "results": [\n'
        for result in results:
            assert result.query is not None
            value = {"query": scene_json(result.query), "hits": [hit_json(hit) for hit in result.hits]}
            click.echo(before + json.dumps(value), nl=False)
            before = ",\n"
        click.echo("\n]}")
    elif output_format == "csv":
        asked = ("scene_id", "movie", "index")
        print_csv(
            (*(f"query_{name}" for name in asked), *HIT_COLUMNS),
            (
                [*(getattr(result.query, name) for name in asked), *(row.get(name) for name in HIT_COLUMNS)]
                for result in results
                for row in map(hit_json, result.hits)
            ),
        )
    else:
        for number, result in enumerate(results):
            assert result.query is not None
            if number:
                click.echo()
            print_result(result.query, result.encoder, result.hits, output_format)


def _references(file: Path) -> list[int | str]:
    """The file's lines that are not empty."""
    from m2s_index.errors import UsageError

    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8 text"
        raise UsageError(f"{file}: cannot be read ({reason})") from exc
    references = [line for line in lines if line]
    if not references:
        raise UsageError(f"{file}: no scene in it; write a REF a line")
    return [int(line) if _ID.fullmatch(line) else line for line in references]


def _told(results: Iterator[QueryResult], count: int) -> Iterator[QueryResult]:
    """The same, with each note said once, and progress where there is a terminal."""
    said: set[str] = set()
    for number, result in enumerate(results, start=1):
        for note in result.notes:
            if note not in said:
                said.add(note)
                say(note)
        if sys.stderr.isatty() and (number % 256 == 0 or number == count):
            click.echo(f"\r\x1b[K{number} of {count} queries", nl=number == count, err=True)
        yield result
