"""Writing a measurement of retrieval: for the terminal, Markdown, LaTeX, JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from m2s_index import __version__
from m2s_index.cli.eval_tables import report_tables
from m2s_index.cli.output import print_csv, print_json, printable, shown
from m2s_index.cli.table_formats import as_latex, as_markdown, as_terminal

if TYPE_CHECKING:
    from m2s_index.evaluation.retrieval_report import Measures, RetrievalReport, Row
    from m2s_index.matrices import StoredEncoder


@dataclass(frozen=True)
class Origin:
    """Where a report comes from: what every form of it records."""

    version: str
    made_at: str
    command: str
    catalog: str

    @classmethod
    def now(cls, command: str, folder: Path) -> Origin:
        """Of a command that runs now."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(f"m2s {__version__}", time, printable(shown(command)), shown(str(folder.resolve())))


def print_report(
    report: RetrievalReport, origin: Origin, output_format: str, *, published: bool, facts: dict[str, Any]
) -> None:
    """Write it to standard output; ``facts`` are further fields of the JSON."""
    if output_format == "json":
        print_json({**report_json(report, origin, published=published), **facts})
        return
    if output_format == "csv":
        _print_csv(report, origin)
        return
    render = {"table": as_terminal, "markdown": as_markdown, "latex": as_latex}[output_format]
    tables = report_tables(report, published=published)
    click.echo(render(tables, origin_lines(report, origin)))


def check_published(vocabularies: Sequence[str], *, published: bool) -> None:
    """The paper's figures are of place.

    Raises:
        UsageError: they are asked for, and place is not measured.
    """
    from m2s_index.errors import UsageError
    from m2s_index.evaluation.published import PAPER_VOCABULARY

    if published and PAPER_VOCABULARY not in vocabularies:
        raise UsageError(f"--published: the paper's table is of '{PAPER_VOCABULARY}'; add '--label place'")


def origin_lines(report: RetrievalReport, origin: Origin) -> list[str]:
    """Version, time, catalogue, command, encoders and label counts, a line each."""
    lines = [f"{origin.version}, {origin.made_at}", f"catalogue: {origin.catalog}", f"command: {origin.command}"]
    lines += [f"encoder {encoder.name}: {_identity(encoder)}" for encoder in report.encoders]
    options = report.options
    for result in report.vocabularies:
        queries, gallery = result.splits.queries, result.splits.gallery
        lines.append(
            f"{result.vocabulary}: {len(queries)} queries ({options.query_split}), {len(gallery)} scenes in the "
            f"gallery ({options.gallery_split}), {len(result.splits.values)} labels; intervals from "
            f"{options.draws} draws of films, seed {options.seed}"
        )
    return lines


def report_json(report: RetrievalReport, origin: Origin, *, published: bool) -> dict[str, Any]:
    """The report as JSON has it; ``all`` is of the first vocabulary."""
    encoders = []
    for i, stored in enumerate(report.encoders):
        results = [(result.vocabulary, result.encoders[i]) for result in report.vocabularies]
        summaries = {
            vocabulary: {
                "all": _row_json(vocabulary, result.all_queries),
                "over_labels": _row_json(vocabulary, result.over_labels),
                "own_film_kept": _row_json(vocabulary, result.own_film_kept),
                "own_film_left_out": _row_json(vocabulary, result.own_film_out),
            }
            for vocabulary, result in results
        }
        encoders.append(
            {
                "name": stored.name,
                "identity": stored.identity.as_dict(),
                "rows": [_row_json(vocabulary, row) for vocabulary, result in results for row in result.rows],
                "all": summaries[results[0][0]]["all"],
                "vocabularies": summaries,
            }
        )
    differences = [
        {
            "vocabulary": result.vocabulary,
            "encoder": d.encoder,
            "baseline": d.baseline,
            **_measures_json(d.measures),
        }
        for result in report.vocabularies
        for d in result.differences
    ]
    value: dict[str, Any] = {
        "encoders": encoders,
        "differences": differences,
        "left_out": [vars(left_out) for left_out in report.left_out],
        "notes": [note for result in report.vocabularies for note in result.notes()],
        "options": vars(report.options),
        "gallery": {result.vocabulary: len(result.splits.gallery) for result in report.vocabularies},
        "own_film_queries": {result.vocabulary: result.own_film_queries for result in report.vocabularies},
        **vars(origin),
    }
    if published:
        from m2s_index.evaluation.published import PAPER_TABLE

        value["published"] = PAPER_TABLE
    return value


def _row_json(vocabulary: str, row: Row) -> dict[str, Any]:
    facts = {name: value for name, value in vars(row).items() if name != "measures"}
    return {"vocabulary": vocabulary, **facts, **_measures_json(row.measures)}


def _measures_json(measures: Measures) -> dict[str, Any]:
    named = measures.named()
    intervals = {name: None if f.low is None else [f.low, f.high] for name, f in named.items()}
    return {**{name: figure.value for name, figure in named.items()}, "intervals": intervals}


def _identity(encoder: StoredEncoder) -> str:
    identity = encoder.identity
    weights = f"weights {identity.weights_sha256[:16]}…" if identity.weights_sha256 else "no weights"
    return f"{identity.architecture}; {weights}; {identity.dimension} numbers, {identity.metric}"


def _print_csv(report: RetrievalReport, origin: Origin) -> None:
    """A line for each figure, with all that it depends on."""

    def lines() -> Iterator[list[Any]]:
        for result in report.vocabularies:
            for encoder in result.encoders:
                stored = encoder.encoder
                for row in (*encoder.rows, encoder.all_queries, encoder.over_labels):
                    for name, figure in row.measures.named().items():
                        yield [
                            result.vocabulary, row.label, stored.name, name, figure.value, figure.low, figure.high,
                            row.queries, row.films, row.relevant, row.chance, _identity(stored),
                            *vars(origin).values(),
                        ]  # fmt: skip

    header = (
        "vocabulary", "label", "encoder", "measure", "value", "low", "high", "queries", "films", "relevant",
        "chance", "identity", "version", "made_at", "command", "catalog",
    )  # fmt: skip
    print_csv(header, lines())
