"""Tables of text, with headings over groups of columns and the best figures marked, in several forms."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import click

from m2s_index.cli.output import printable, text_width

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "−": "$-$", **{c: f"\\{c}" for c in "&%$#_{}"},
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """What stands in a cell; ``best`` is the best of its kind in its row."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table. ``groups`` are headings over columns, (text, how many columns), all columns together;
    ``rules`` are the rows that a line is drawn above.
    """

    title: str
    groups: tuple[tuple[str, int], ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    rules: frozenset[int] = frozenset()

    @property
    def flush_left(self) -> list[bool]:
        """Which columns are text, the first always; the others are figures."""
        return [
            i == 0 or any(row[i].text and not row[i].text.lstrip("+-")[:1].isdigit() for row in self.rows)
            for i in range(len(self.header))
        ]


# --- for the terminal -------------------------------------------------------------------------------------


def as_terminal(tables: list[Table], origin: list[str]) -> str:
    """For reading: the best in bold in a terminal, with a star elsewhere."""
    bold = sys.stdout.isatty()
    parts = [_terminal_table(table, bold=bold) for table in tables]
    return "\n\n".join([*parts, "\n".join(printable(line) for line in origin)])


def _terminal_table(table: Table, *, bold: bool) -> str:
    """Headings of groups over their columns; the best in bold, or with a star where there is no bold."""
    body = [[_terminal_cell(cell, bold=bold) for cell in row] for row in table.rows]
    widths = [
        max(text_width(text) for text in (name, *(row[i][0] for row in body)))
        for i, name in enumerate(table.header)
    ]
    starts = [sum(count for _, count in table.groups[:i]) for i in range(len(table.groups))]
    heads = [printable(name) for name, _ in table.groups]
    for name, start, (_, count) in zip(heads, starts, table.groups, strict=True):
        span = sum(widths[start : start + count]) + 2 * (count - 1)
        widths[start + count - 1] += max(0, text_width(name) - span)
    lines = [table.title]
    if any(heads):
        spans = [
            sum(widths[start : start + count]) + 2 * (count - 1)
            for start, (_, count) in zip(starts, table.groups, strict=True)
        ]
        lines.append("  ".join(_padded(name, span) for name, span in zip(heads, spans, strict=True)))
    rule = "  ".join("─" * width for width in widths)
    lines += [_line([(name, name) for name in table.header], widths, table.flush_left), rule]
    for number, row in enumerate(body):
        if number in table.rules:
            lines.append(rule)
        lines.append(_line(row, widths, table.flush_left))
    return "\n".join(line.rstrip() for line in lines)


def _terminal_cell(cell: Cell, *, bold: bool) -> tuple[str, str]:
    """What is measured, and what is written."""
    text = printable(cell.text)
    if not cell.best:
        return text, text
    return (text, click.style(text, bold=True)) if bold else (f"*{text}", f"*{text}")


def _line(cells: list[tuple[str, str]], widths: list[int], left: list[bool]) -> str:
    padded = []
    for (measured, written), width, flush_left in zip(cells, widths, left, strict=True):
        blank = " " * (width - text_width(measured))
        padded.append(written + blank if flush_left else blank + written)
    return "  ".join(padded)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - text_width(text))


# --- as text for other programs ---------------------------------------------------------------------------


def as_markdown(tables: list[Table], origin: list[str]) -> str:
    """Tables of pipes; a group's heading is repeated in each of its columns."""
    parts = []
    for table in tables:
        names = list(table.header)
        at = 0
        for group, count in table.groups:
            if group:
                names[at : at + count] = [f"{group} {name}" for name in names[at : at + count]]
            at += count
        rows = [
            [f"**{_marked(cell.text)}**" if cell.best else _marked(cell.text) for cell in row] for row in table.rows
        ]
        flush = ["---" if left else "---:" for left in table.flush_left]
        lines = [[_marked(name) for name in names], flush, *rows]
        parts.append(f"**{_marked(table.title)}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join([*parts, "\n".join(f"- {_marked(line)}" for line in origin)])


def _marked(text: str) -> str:
    """Text in which nothing means anything to Markdown."""
    return "".join("\\" + c if c in "\\`*_{}[]<>#|~" else c for c in printable(text))


def as_latex(tables: list[Table], origin: list[str]) -> str:
    """One ``tabular`` a table, for \\input: no packages are needed."""
    parts = ["\n".join(f"% {printable(line)}" for line in origin)]
    for table in tables:
        lines = [
            f"% {printable(table.title)}",
            f"\\begin{{tabular}}{{{''.join('l' if left else 'r' for left in table.flush_left)}}}",
            "\\hline",
        ]
        if any(name for name, _ in table.groups):
            spans = (f"\\multicolumn{{{count}}}{{c}}{{{_escaped(name)}}}" for name, count in table.groups)
            lines.append(" & ".join(spans) + r" \\")
        lines += [" & ".join(_escaped(name) for name in table.header) + r" \\", "\\hline"]
        for number, row in enumerate(table.rows):
            if number in table.rules:
                lines.append("\\hline")
            cells = (f"\\textbf{{{_escaped(cell.text)}}}" if cell.best else _escaped(cell.text) for cell in row)
            # A star or bracket after the \\ of the row before would be taken for its argument.
            lines.append(" & ".join(f"{{{text}}}" if text[:1] in ("[", "*") else text for text in cells) + r" \\")
        parts.append("\n".join([*lines, "\\hline", "\\end{tabular}"]))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    return "".join(LATEX_SPECIAL.get(c, c) for c in printable(text))
