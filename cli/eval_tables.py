"""A measurement of retrieval as tables of text, whatever they are then written as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from m2s_index.cli.table_formats import Cell, Table

if TYPE_CHECKING:
    from m2s_index.evaluation.retrieval_report import Difference, Figure, RetrievalReport, Row, VocabularyResult

MEASURES = {"p@1": "P@1", "p@5": "P@5", "p@10": "P@10", "r_precision": "R-precision", "map": "mAP"}
"""What tables for people call the measures."""


def report_tables(report: RetrievalReport, *, published: bool) -> list[Table]:
    """The overview where there are several vocabularies; then of each its rows and its intervals."""
    tables = [_overview(report)] if len(report.vocabularies) > 1 else []
    for result in report.vocabularies:
        tables += [_precision(report, result, published=published), _intervals(result)]
        tables += [_differences(result)] if result.differences else []
    return tables


def _overview(report: RetrievalReport) -> Table:
    """A row an encoder, vocabularies side by side."""
    from m2s_index.evaluation.retrieval_report import KS

    groups = tuple((result.vocabulary, len(KS)) for result in report.vocabularies)
    columns = [
        _best([result.encoders[i].all_queries.measures.at(k).value for i in range(len(report.encoders))])
        for result in report.vocabularies
        for k in KS
    ]
    rows = tuple(
        (Cell(encoder.name), *(column[i] for column in columns)) for i, encoder in enumerate(report.encoders)
    )
    header = ("encoder", *(f"top-{k}" for _ in groups for k in KS))
    return Table("Precision over all queries, per cent", (("", 1), *groups), header, rows)


def _precision(report: RetrievalReport, result: VocabularyResult, *, published: bool) -> Table:
    """The paper's Table 2: a row a label, encoders side by side."""
    from m2s_index.evaluation.published import PAPER_TABLE, PAPER_VOCABULARY
    from m2s_index.evaluation.retrieval_report import KS

    paper = PAPER_TABLE if published and result.vocabulary == PAPER_VOCABULARY else {}
    groups = (("", 4), *((encoder.encoder.name, len(KS)) for encoder in result.encoders))
    groups += tuple((f"{model} (published)", len(KS)) for model in paper)
    lines = [[*encoder.rows, encoder.all_queries, encoder.over_labels] for encoder in result.encoders]
    rows = []
    for same in zip(*lines, strict=True):
        first: Row = same[0]
        by_k = [_best([row.measures.at(k).value for row in same]) for k in KS]
        cells = [column[i] for i in range(len(same)) for column in by_k]
        cells += [
            Cell(f"{figure:.2f}") if figure is not None else Cell("")
            for rows_of in paper.values()
            for figure in rows_of.get(first.label, (None,) * len(KS))
        ]
        rows.append(
            (
                Cell(first.label),
                Cell(str(first.queries)),
                Cell(str(first.relevant)),
                Cell(f"{first.chance:.2f}"),
                *cells,
            )
        )
    header = (result.vocabulary, "queries", "relevant", "chance", *(f"top-{k}" for _ in groups[1:] for k in KS))
    own = ", own film left out" if report.options.exclude_same_movie else ""
    title = f"Precision by {result.vocabulary}, per cent; gallery of {len(result.splits.gallery)} scenes{own}"
    return Table(title, groups, header, tuple(rows), frozenset({len(rows) - 2}))


def _intervals(result: VocabularyResult) -> Table:
    """What is measured over all queries and over labels, with intervals."""
    from dataclasses import replace

    rows = []
    for encoder in result.encoders:
        shown = [encoder.all_queries, encoder.over_labels]
        if result.own_film_queries:
            shown = [
                replace(encoder.own_film_kept, label="all queries, own film kept"),
                replace(encoder.own_film_out, label="all queries, own film left out"),
                encoder.over_labels,
            ]
        for row in shown:
            cells = (Cell(with_interval(figure)) for figure in row.measures.named().values())
            rows.append((Cell(encoder.encoder.name), Cell(row.label), *cells))
    header = ("encoder", "mean", *(MEASURES[name] for name in result.encoders[0].all_queries.measures.named()))
    title = f"{result.vocabulary}: means and 95 % intervals over films, per cent"
    return Table(title, (("", len(header)),), header, tuple(rows))


def _differences(result: VocabularyResult) -> Table:
    """What each encoder gains on the first."""

    def cells(difference: Difference) -> tuple[Cell, ...]:
        figures = difference.measures.named().values()
        name = f"{difference.encoder} − {difference.baseline}"
        return Cell(name), *(Cell(with_interval(figure, sign="+")) for figure in figures)

    rows = tuple(cells(difference) for difference in result.differences)
    header = ("difference", *(MEASURES[name] for name in result.differences[0].measures.named()))
    title = f"{result.vocabulary}: paired differences over all queries with 95 % intervals, points"
    return Table(title, (("", len(header)),), header, rows)


def _best(values: list[float]) -> list[Cell]:
    """Values of one kind; the highest as it is printed is best, where there is more than one and they differ."""
    texts = [f"{value:.2f}" for value in values]
    highest = max(texts, key=float)
    differ = len(set(texts)) > 1
    return [Cell(text, best=differ and text == highest) for text in texts]


def with_interval(figure: Figure, sign: str = "") -> str:
    """A figure and its interval, where there is one."""
    text = f"{figure.value:{sign}.2f}"
    return text if figure.low is None else f"{text} [{figure.low:{sign}.2f}, {figure.high:{sign}.2f}]"
