"""Writing results: tables, JSON and CSV to standard output, everything else to standard error."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from m2s_index.names import display_path as shown

__all__ = ["clock", "print_csv", "print_json", "print_table", "say", "shown", "size"]


def say(message: str) -> None:
    """A line for the person: to standard error."""
    click.echo(message, err=True)


def print_json(value: Any) -> None:
    """One JSON document. Names that are no valid text were made so before they came here."""
    any_text = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(value, indent=2, ensure_ascii=not any_text))


def print_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV table with a header."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table for reading. Columns of numbers are set flush right; nothing is cut off in a pipe."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[_cell(value) for value in row] for row in rows]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(header):
        values = [row[number] for row in cells]
        right = bool(values) and all(value[:1].isdigit() or value[:1] == "-" for value in values)
        table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in cells:
        table.add_row(*(Text(value) for value in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    if title:
        console.print(Text(title), soft_wrap=True)
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    # A file name may hold control characters; a terminal must not act on them.
    return "".join(c if c.isprintable() else "�" for c in text)


def clock(seconds: float) -> str:
    """Seconds as 1:02:03.4, for reading."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest // 10:02d}.{rest % 10}"


def size(count: float) -> str:
    """A number of bytes for reading."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
