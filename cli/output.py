"""Writing results: tables, JSON and CSV to standard output, everything else to standard error."""

from __future__ import annotations

import csv
import gc
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import click

from m2s_index.names import display_path as shown
from m2s_index.names import printable

__all__ = [
    "TYPED",
    "clock",
    "hurry",
    "print_csv",
    "print_json",
    "print_table",
    "printable",
    "say",
    "shown",
    "size",
    "text_width",
    "use_one_thread_for_matrices",
]

TYPED = "m2s.typed"
"""Where a context's ``meta`` has the command as it was typed, for reports."""


def hurry() -> None:
    """For commands that end soon, and whose time goes into loading modules and one loop: they need not collect
    garbage, of which they make none in rings, nor start threads for matrices as small as theirs.
    """
    gc.disable()
    use_one_thread_for_matrices()


def use_one_thread_for_matrices() -> None:
    """Before NumPy is loaded: threads for matrices as small as a picture's wait for one another and for whatever
    else the machine does.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def say(message: str) -> None:
    """A line for the person: to standard error."""
    click.echo(printable(message), err=True)


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
    """A table for reading. Columns of numbers are set flush right; nothing is cut off.

    Our own few lines: loading a library for tables takes a query longer than its search.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    columns = list(zip(*cells, strict=True)) if cells else [()] * len(header)
    widths = [max(map(text_width, (name, *column))) for name, column in zip(header, columns, strict=True)]
    numbers = [bool(column) and all(_is_number(value) for value in column) for column in columns]
    lines = [title] if title else []
    for row in (header, ["─" * width for width in widths], *cells):
        padded = (
            " " * (width - text_width(value)) + value if flush_right else value + " " * (width - text_width(value))
            for value, width, flush_right in zip(row, widths, numbers, strict=True)
        )
        lines.append("  ".join(padded).rstrip())
    click.echo("\n".join(lines))


def _is_number(value: str) -> bool:
    return not value or value[0].isdigit() or value[0] == "-"


def text_width(text: str) -> int:
    """Columns of a terminal that a text takes: wide characters two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return printable(f"{value:.3f}" if isinstance(value, float) else str(value))


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
