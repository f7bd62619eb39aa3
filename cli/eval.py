"""``m2s eval``: how precisely labelled scenes find scenes of their label."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

from m2s_index.cli.lazy_group import LazyGroup
from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import TYPED, say

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.evaluation.retrieval_report import EvaluationOptions, RetrievalReport

FORMATS = ("table", "markdown", "latex", "json", "csv")


Function = TypeVar("Function", bound=Callable[..., Any])


def table_options(function: Function) -> Function:
    """What the table holds beside the bare measurement."""
    published = click.option(
        "--published", is_flag=True, help="Add the paper's figures for place, marked as published."
    )
    own_film = click.option(
        "--exclude-same-movie", is_flag=True, help="Leave a query's own film out of its gallery."
    )
    html = click.option(
        "--html", type=GivenPath(dir_okay=False, path_type=Path), help="Also write a report with pictures."
    )
    query = click.option(
        "--query", "queries", multiple=True, metavar="REF",
        help="Show what was found for this one in the report; may be repeated.  [default: one of each label]",
    )  # fmt: skip
    top_only = click.option(
        "--top-only",
        is_flag=True,
        help="Rank the nearest alone: no R-precision and mAP, faster on large galleries.",
    )
    return own_film(top_only(published(html(query(function)))))


def interval_options(function: Function) -> Function:
    """How intervals are drawn."""
    seed = click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
    draws = click.option(
        "--draws", type=click.IntRange(1), default=2000, show_default=True, help="Of films, for the intervals."
    )
    return draws(seed(function))


@click.group("eval", cls=LazyGroup, lazy={"lvu": "eval_lvu:lvu"})
def evaluation() -> None:
    """Measure retrieval precision, as in the paper's Table 2."""


@evaluation.command()
@click.option(
    "--label",
    "vocabularies",
    multiple=True,
    required=True,
    metavar="VOCABULARY",
    help="Which labels: place, genre, …; several are set side by side.",
)
@click.option("--query-split", default="val", show_default=True, help="Scenes of this split ask; 'all' takes all.")
@click.option("--gallery-split", default="train", show_default=True, help="Scenes of this split are searched.")
@click.option(
    "--encoder",
    "encoder_names",
    multiple=True,
    help="Whose embeddings; may be repeated: others are compared with the first.  [default: the catalogue's]",
)
@table_options
@interval_options
@catalog_option
@format_options(*FORMATS)
@click.pass_context
def retrieval(
    ctx: click.Context, vocabularies: tuple[str, ...], query_split: str, gallery_split: str,
    encoder_names: tuple[str, ...], exclude_same_movie: bool, top_only: bool, published: bool, html: Path | None,
    queries: tuple[str, ...], draws: int, seed: int,
    catalog_folder: Path, output_format: str,
) -> None:  # fmt: skip
    """Measure how many of the scenes nearest to a labelled scene carry its label.

    Every scene of the query split is compared with every labelled scene of the gallery split, by Euclidean
    distance. Precision at 1, 5 and 10 for each label, over all queries and over labels, R-precision and mean
    average precision, with 95 % intervals over films. Exit status 1 if an encoder was not run on some of the
    labelled films: these are named, and left out for all encoders.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.cli.eval_output import check_published
    from m2s_index.evaluation.retrieval_report import EvaluationOptions

    check_published(vocabularies, published=published)
    options = EvaluationOptions(query_split, gallery_split, exclude_same_movie, top_only, draws, seed)
    with Catalog.open(catalog_folder) as catalog:
        report = measure(catalog, vocabularies, encoder_names, options)
        show(ctx, catalog, report, output_format, published=published, html=html, queries=queries)
    ctx.exit(1 if report.left_out else 0)


def measure(
    catalog: Catalog, vocabularies: tuple[str, ...], encoder_names: tuple[str, ...], options: EvaluationOptions
) -> RetrievalReport:
    """Evaluate, showing how it goes."""
    from m2s_index.evaluate import evaluate_retrieval

    with _SearchProgress() as progress:
        return evaluate_retrieval(catalog, vocabularies, encoder_names, options, on_progress=progress.tell)


def show(
    ctx: click.Context, catalog: Catalog, report: RetrievalReport, output_format: str, *, published: bool,
    html: Path | None, queries: tuple[str, ...], **facts: Any,
) -> None:  # fmt: skip
    """Write the report, ``facts`` in its JSON too, and to standard error what its reader should know.

    Raises:
        UsageError: what is asked for beside the table cannot be.
    """
    from m2s_index.cli.eval_output import Origin, origin_lines, print_report

    origin = Origin.now(ctx.meta[TYPED], catalog.folder)
    for left_out in report.left_out:
        say(
            f"encoder '{left_out.encoder}' was not run on {len(left_out.movies)} labelled films, left out for all: "
            f"{', '.join(left_out.movies)}"
        )
    for result in report.vocabularies:
        for note in result.notes():
            say(note)
    if html:
        from m2s_index.cli.report import write_report

        ids = _scene_ids(catalog, queries)
        write_report(html, catalog, report, origin_lines(report, origin), published=published, query_ids=ids)
        say(f"report: {html}")
    print_report(report, origin, output_format, published=published, facts=facts)


def _scene_ids(catalog: Catalog, references: tuple[str, ...]) -> list[int]:
    from m2s_index.refs import find_scene

    with catalog.reader() as reader:
        return [find_scene(reader, reference).scene_id for reference in references]


class _SearchProgress:
    """A bar on standard error, where that is a terminal. Use it as a context manager."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def tell(self, encoder: str, vocabulary: str, done: int, total: int) -> None:
        """So many queries of an encoder are done."""
        if self._shown:
            click.echo(f"\r\x1b[K{vocabulary} by {encoder}: {done} of {total} queries", nl=False, err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
