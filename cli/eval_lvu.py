"""``m2s eval lvu``: LVU's clips from files to table, as the paper did it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from m2s_index.cli.eval import FORMATS, interval_options, measure, show, table_options
from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import say, shown, use_one_thread_for_matrices
from m2s_index.encoders import DEFAULT

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.encoder import AnyEncoder
    from m2s_index.types import BuildOptions

NAMED_AT_MOST = 20
QUERY_SPLIT, GALLERY_SPLIT = "val", "train"


@click.command()
@click.option("--task", default="scene", show_default=True, help="Which of LVU's seven tasks with classes.")
@click.option(
    "--videos",
    required=True,
    type=GivenPath(exists=True, file_okay=False, path_type=Path),
    help="The clips: files called as their video ids.",
)
@click.option(
    "--labels",
    "labels_folder",
    type=GivenPath(exists=True, file_okay=False, path_type=Path),
    help="LVU's label files: the folder of all tasks.  [default: lvu_1.0 in the folder of --videos]",
)
@click.option(
    "--encoder",
    "encoder_names",
    multiple=True,
    help=f"May be repeated.  [default: the catalogue's, else {DEFAULT}]",
)
@click.option("--weights", multiple=True, metavar="ENCODER=FILE", help="An encoder's weights; may be repeated.")
@click.option("--device", help="cpu, cuda or cuda:1.  [default: cuda where there is one]")
@click.option("--workers", type=click.IntRange(1), help="Decoder processes.  [default: one a core]")
@table_options
@interval_options
@catalog_option
@format_options(*FORMATS)
@click.pass_context
def lvu(
    ctx: click.Context,
    task: str,
    videos: Path,
    labels_folder: Path | None,
    encoder_names: tuple[str, ...],
    weights: tuple[str, ...],
    device: str | None,
    workers: int | None,
    exclude_same_movie: bool,
    top_only: bool,
    published: bool,
    html: Path | None,
    queries: tuple[str, ...],
    draws: int,
    seed: int,
    catalog_folder: Path,
    output_format: str,
) -> None:
    """Index LVU's clips, import their labels, and measure retrieval: queries from val, gallery from train.

    Each clip is one scene. Clips that are not in the folder are named and left out: many links are dead.
    Films that are there already are not read again. Exit status 1 if a clip could not be read.
    """
    use_one_thread_for_matrices()
    from m2s_index.catalog import Catalog
    from m2s_index.cli.eval_output import check_published
    from m2s_index.errors import UsageError
    from m2s_index.evaluation.retrieval_report import EvaluationOptions
    from m2s_index.label_files import read_labels
    from m2s_index.labels import import_labels
    from m2s_index.lvu import TASKS, find_clips, task_files

    files = task_files(labels_folder or videos / "lvu_1.0", task)
    check_published([TASKS[task]], published=published)
    labels = [label for split in (QUERY_SPLIT, GALLERY_SPLIT) for label in read_labels(files[split])]
    clips = find_clips(videos, {label.movie for label in labels})
    missing = list(dict.fromkeys(label.movie for label in labels if label.movie not in clips))
    _name_missing(missing, videos)
    if not clips:
        raise UsageError(f"{videos}: none of the clips is there; a clip is a file called as its video id")
    encoders = _make_encoders(catalog_folder, encoder_names, weights, device)
    failed = _index(catalog_folder, list(clips.values()), encoders, workers)
    with Catalog.open(catalog_folder, writable=True) as catalog:
        with catalog.write() as session:
            import_labels(session, labels)
        names = _stored_names(catalog, encoders)
        options = EvaluationOptions(QUERY_SPLIT, GALLERY_SPLIT, exclude_same_movie, top_only, draws, seed)
        report = measure(catalog, (TASKS[task],), names, options)
        show(
            ctx,
            catalog,
            report,
            output_format,
            published=published,
            html=html,
            queries=queries,
            missing_clips=missing,
        )
    ctx.exit(1 if failed or report.left_out else 0)


def _name_missing(missing: list[str], videos: Path) -> None:
    if missing:
        more = f" and {len(missing) - NAMED_AT_MOST} more" if len(missing) > NAMED_AT_MOST else ""
        say(f"{len(missing)} clips are not in {shown(str(videos))}: {', '.join(missing[:NAMED_AT_MOST])}{more}")


def _make_encoders(
    folder: Path, names: tuple[str, ...], weights: tuple[str, ...], device: str | None
) -> list[AnyEncoder]:
    """The encoders by name; where none is named, the one the catalogue uses."""
    from m2s_index.encoders.registry import make_encoder
    from m2s_index.errors import UsageError

    files = {}
    for given in weights:
        name, _, path = given.partition("=")
        if name not in names or not path:
            raise UsageError(f"--weights {given}: write ENCODER=FILE, with an encoder that --encoder names")
        files[name] = Path(path)
    chosen = dict.fromkeys(names or [_default_name(folder)])
    return [make_encoder(name, weights=files.get(name), device=device) for name in chosen]


def _default_name(folder: Path) -> str:
    from m2s_index.catalog import Catalog
    from m2s_index.errors import CatalogMissingError
    from m2s_index.matrices import default_encoder

    try:
        with Catalog.open(folder) as catalog, catalog.reader() as reader:
            stored = default_encoder(reader)
    except CatalogMissingError:
        return DEFAULT
    return stored.identity.name if stored else DEFAULT


def _index(folder: Path, clips: list[Path], encoders: list[AnyEncoder], workers: int | None) -> bool:
    """Index the clips as whole-file scenes with each encoder; says whether one could not be read."""
    from contextlib import ExitStack

    from m2s_index.build import Builder
    from m2s_index.catalog import Catalog
    from m2s_index.cli.progress import BuildProgress
    from m2s_index.cores import usable_cores
    from m2s_index.lock import BuildLock
    from m2s_index.plan import plan_build
    from m2s_index.workers import WorkerPool

    failures: dict[str, str] = {}
    with ExitStack() as held:
        catalog = held.enter_context(Catalog.open(folder, create=True))
        held.enter_context(BuildLock(folder))
        pool = held.enter_context(WorkerPool(workers or usable_cores()))
        options = _clip_options(catalog)
        for encoder in encoders:
            plan = plan_build(catalog, clips, options, pool)
            say(f"{len(plan.films)} clips to index, {len(plan.unchanged)} are; encoder {encoder.identity.name}")
            for path, original in plan.copies:
                say(f"copy: {shown(path)} is the same film as {shown(original)}; it is left out")
            with BuildProgress(plan) as progress:
                result = Builder(catalog, encoder, options, on_event=progress.event).run(plan, pool)
            failures |= {failure.path: failure.error for failure in result.failures}
    for error in failures.values():
        say(f"failed: {shown(error)}")
    return bool(failures)


def _clip_options(catalog: Catalog) -> BuildOptions:
    """The options of a catalogue of clips.

    Raises:
        UsageError: the catalogue has films that are cut into scenes.
    """
    from dataclasses import replace

    from m2s_index.errors import UsageError
    from m2s_index.movies import list_movies
    from m2s_index.settings import saved_options

    with catalog.read() as session:
        options, films = saved_options(session), bool(list_movies(session))
    if films and options.scenes != "whole-file":
        raise UsageError(
            f"the catalogue in {catalog.folder} cuts its films into scenes, and clips are scenes whole: name a "
            "catalogue of their own with --catalog"
        )
    return replace(options, scenes="whole-file")


def _stored_names(catalog: Catalog, encoders: list[AnyEncoder]) -> tuple[str, ...]:
    """What the catalogue calls the encoders."""
    from m2s_index.matrices import identity_key, list_encoders

    with catalog.reader() as reader:
        names = {identity_key(stored.identity): stored.name for stored in list_encoders(reader)}
    return tuple(names[identity_key(encoder.identity)] for encoder in encoders)
