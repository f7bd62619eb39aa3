"""``m2s index build``: plan what there is to do, say what it costs, do it, and sum up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from m2s_index.cli.options import GivenPath, catalog_option, encoder_options, format_options
from m2s_index.cli.output import print_json, say, shown, size, use_one_thread_for_matrices

if TYPE_CHECKING:
    from m2s_index.build import BuildResult
    from m2s_index.catalog import Catalog
    from m2s_index.encoder import AnyEncoder
    from m2s_index.failures import Failure
    from m2s_index.index_kinds import Kind
    from m2s_index.plan import BuildPlan
    from m2s_index.types import BuildOptions


@click.command()
@click.argument("paths", nargs=-1, type=GivenPath(path_type=Path))
@catalog_option
@encoder_options
@click.option("--detector", help="How shots are found.  [default: adaptive]")
@click.option("--min-shot", "min_shot_seconds", type=click.FloatRange(0), help="The shortest shot, in seconds.")
@click.option(
    "--shots-from",
    type=GivenPath(exists=True, file_okay=False, path_type=Path),
    help="Cut lists instead of a detector: a folder of files called as the films are (CSV, EDL, OTIO).",
)
@click.option(
    "--scenes", type=click.Choice(["windows", "whole-file"]), help="Runs of shots, or each file one scene."
)
@click.option("--scene-shots", type=click.IntRange(1), help="Shots in a scene.  [default: 9]")
@click.option(
    "--scene-stride", type=click.IntRange(1), help="Shots from one scene's start to the next.  [default: 9]"
)
@click.option("--frames-per-shot", type=click.IntRange(1, 32), help="Key frames kept of each shot.  [default: 1]")
@click.option(
    "--keyframe-px", type=click.IntRange(32, 4096), help="Longer side of stored key frames.  [default: 544]"
)
@click.option("--workers", type=click.IntRange(1), help="Decoder processes.  [default: one a core]")
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    help="Seconds without progress after which a decoder is stopped, and its film fails.  [default: 120]",
)
@click.option(
    "--memory-limit", type=click.FloatRange(0.5), help="GiB of address space for each decoder.  [default: 8]"
)
@click.option("--metadata", type=GivenPath(path_type=Path), help="CSV: movie, title, year, genres.")
@click.option(
    "--index",
    "index_kind",
    type=click.Choice(["auto", "exact", "graph", "compressed"]),
    help="Kind of FAISS index; auto goes by size and memory.  [default: as before, else auto]",
)
@click.option("--retry-failed", is_flag=True, help="Try files again that could not be read; alone, only those.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
@format_options("table", "json")
def build(
    paths: tuple[Path, ...],
    catalog_folder: Path,
    encoder_name: str | None,
    weights: Path | None,
    device: str | None,
    precision: Literal["fp32", "bf16"] | None,
    threads: int | None,
    workers: int | None,
    timeout: float | None,
    memory_limit: float | None,
    metadata: Path | None,
    index_kind: Kind | Literal["auto"] | None,
    shots_from: Path | None,
    retry_failed: bool,
    dry_run: bool,
    output_format: str,
    **cutting: Any,
) -> None:
    """Index the films among PATHS (files and folders) into the catalogue.

    Films that are there already and have not changed are passed over. What an earlier build chose
    (encoder, detector, scenes) holds until another is named. A file that could not be read is not tried
    again until it changes, or with --retry-failed. Without PATHS, films that are indexed are embedded with
    --encoder from their stored key frames, or, where it sees motion, from their files.
    """
    use_one_thread_for_matrices()
    from contextlib import ExitStack

    from m2s_index.build import BuildResult
    from m2s_index.catalog import Catalog
    from m2s_index.cores import usable_cores
    from m2s_index.encoders import DEFAULT
    from m2s_index.encoders.registry import make_encoder
    from m2s_index.errors import UsageError
    from m2s_index.lock import BuildLock
    from m2s_index.metadata import read_metadata
    from m2s_index.movies import list_movies
    from m2s_index.plan import plan_build, plan_stored
    from m2s_index.shot_features import check_encoder
    from m2s_index.vectors import faiss_module
    from m2s_index.workers import WorkerPool

    faiss_module()  # a missing FAISS is better known now than when a night's films have been read
    table = read_metadata(metadata) if metadata else {}
    workers = workers or usable_cores()
    with ExitStack() as held:
        known = _known(catalog_folder, needed=not paths)
        if known:
            held.enter_context(known)
        if retry_failed and known and not paths:
            paths = _failed_paths(known)
        options, stored_name = _remembered(known, cutting)
        name = encoder_name or stored_name or DEFAULT
        encoder = make_encoder(name, weights=weights, device=device, precision=precision, threads=threads)
        if known and not dry_run:
            held.enter_context(BuildLock(catalog_folder))
        pool = held.enter_context(WorkerPool(workers, **_limits(timeout, memory_limit)))
        plan = (
            plan_build(
                known, paths, options, pool, shots_from=shots_from, retry_failed=retry_failed, on_file=_count_files
            )
            if paths or known is None
            else plan_stored(known)
        )
        if shots_from:
            _check_lists(plan, shots_from, options.detector)
        check_encoder(encoder, len(plan.films))
        _announce(plan, known, options, encoder, workers)
        if dry_run:
            if output_format == "json":
                print_json(_plan_json(plan))
            click.get_current_context().exit(1 if plan.failures else 0)
        if known is None:
            if not plan.films and not plan.failures:
                names = ", ".join(shown(str(path)) for path in paths)
                raise UsageError(f"no film found in {names}; nothing to index")
            if not plan.films:
                _report(BuildResult(failures=list(plan.failures)), output_format, catalog_folder)
                click.get_current_context().exit(1)
            known = held.enter_context(Catalog.open(catalog_folder, create=True))
            held.enter_context(BuildLock(catalog_folder))
            with known.read() as session:
                meanwhile = bool(list_movies(session))
            if meanwhile:  # another process made the catalogue since we looked
                plan = plan_build(known, paths, options, pool, shots_from=shots_from, retry_failed=retry_failed)
        result = _run(catalog_folder, encoder, options, plan, pool, index_kind, table)
    _report(result, output_format, catalog_folder)
    click.get_current_context().exit(1 if result.failures else 0)


def _limits(timeout: float | None, memory_limit: float | None) -> dict[str, Any]:
    """The limits of a worker that were asked for."""
    limits: dict[str, Any] = {} if timeout is None else {"no_progress_seconds": timeout}
    return limits if memory_limit is None else limits | {"memory_limit_bytes": round(memory_limit * (1 << 30))}


def _failed_paths(known: Catalog) -> tuple[Path, ...]:
    """The files that could not be read, and are still there."""
    from m2s_index.failures import list_failures
    from m2s_index.files import is_there

    with known.read() as session:
        paths = [Path(failure.path) for failure in list_failures(session)]
    return tuple(path for path in paths if is_there(path))


def _count_files(count: int) -> None:
    if count % 500 == 0:
        say(f"looked at {count} files")


def _check_lists(plan: BuildPlan, shots_from: Path, detector: str) -> None:
    """Name the films that no cut list was found for."""
    from m2s_index.errors import UsageError

    without = [shown(Path(film.file.path).name) for film in plan.films if film.cuts is None]
    if without and len(without) == len(plan.films) and not (plan.failures or plan.unchanged):
        raise UsageError(f"{shots_from}: no cut list is called as any of the {len(without)} films is")
    for name in without:
        say(f"no cut list for {name}: cut by {detector}")


def _known(folder: Path, *, needed: bool) -> Catalog | None:
    """The catalogue there is, or None."""
    from m2s_index.catalog import Catalog
    from m2s_index.errors import CatalogMissingError

    try:
        return Catalog.open(folder)
    except CatalogMissingError:
        if needed:
            raise
        return None


def _remembered(known: Catalog | None, cutting: dict[str, Any]) -> tuple[BuildOptions, str | None]:
    """The catalogue's options with those given now in their place, and its default encoder's name."""
    from dataclasses import replace

    from m2s_index.matrices import default_encoder
    from m2s_index.scenes import group_scenes
    from m2s_index.sessions import reader_of
    from m2s_index.settings import saved_options
    from m2s_index.shots import make_detector
    from m2s_index.types import BuildOptions

    given = {name: value for name, value in cutting.items() if value is not None}
    if known is None:
        options, name = BuildOptions(), None
    else:
        with known.read() as session:
            options, stored = saved_options(session), default_encoder(reader_of(session))
            name = stored.identity.name if stored else None
    if "scene_shots" in given and "scene_stride" not in given:
        given["scene_stride"] = min(options.scene_stride, given["scene_shots"])
    options = replace(options, **given)
    # Refuse what cannot be before any film is opened.
    make_detector(options.detector, min_shot_seconds=options.min_shot_seconds)
    group_scenes(1, scene_shots=options.scene_shots, scene_stride=options.scene_stride)
    return options, name


def _announce(
    plan: BuildPlan, known: Catalog | None, options: BuildOptions, encoder: AnyEncoder, workers: int
) -> None:
    """What there is to do, and about what it costs: before it is begun."""
    from m2s_index.cli.estimate import bytes_per_hour, duration, seconds_per_frame

    parts = [f"{len(plan.films)} films to index ({plan.hours:.1f} h of video)"]
    parts += [f"{len(plan.unchanged)} unchanged"] if plan.unchanged else []
    parts += [f"{len(plan.moved)} moved"] if plan.moved else []
    parts += [f"{len(plan.copies)} copies"] if plan.copies else []
    parts += [f"{len(plan.failures)} unreadable"] if plan.failures else []
    parts += [f"{plan.other_files} other files"] if plan.other_files else []
    say(", ".join(parts) + f"; encoder {encoder.identity.name}")
    for path, original in plan.copies:
        say(f"copy: {shown(path)} is the same film as {shown(original)}")
    if plan.films:
        seconds = plan.estimated_seconds(workers, seconds_per_frame(encoder, options), options.frames_per_shot)
        disk = plan.estimated_bytes(bytes_per_hour(known), options.frames_per_shot)
        say(f"about {duration(seconds)} and {size(disk)} of disk, with {workers} decoders")


def _plan_json(plan: BuildPlan) -> dict[str, Any]:
    return {
        "films": [shown(film.file.path) for film in plan.films],
        "hours": plan.hours,
        "unchanged": len(plan.unchanged),
        "copies": [[shown(path), shown(original)] for path, original in plan.copies],
        "failures": _failures_json(plan.failures),
    }


def _failures_json(failures: Iterable[Failure]) -> list[dict[str, Any]]:
    return [{"path": shown(f.path), "error": shown(f.error), "failed_at": f.failed_at} for f in failures]


def _run(
    folder: Path,
    encoder: AnyEncoder,
    options: BuildOptions,
    plan: BuildPlan,
    pool: Any,
    index_kind: Kind | Literal["auto"] | None,
    table: dict[str, Any],
) -> BuildResult:
    from m2s_index.build import Builder
    from m2s_index.catalog import Catalog
    from m2s_index.cli.progress import BuildProgress
    from m2s_index.cores import usable_cores

    with Catalog.open(folder, writable=True) as catalog, BuildProgress(plan) as progress:
        builder = Builder(catalog, encoder, options, index_kind=index_kind, metadata=table, on_event=progress.event)
        busy = min(pool.size, max(1, len(plan.films)))
        try:
            return builder.run(plan, pool, decode_threads=max(1, usable_cores() // busy - 1))
        except KeyboardInterrupt:
            progress.stop()
            say("stopped; what is whole is kept: run the same command to go on")
            raise


def _report(result: BuildResult, output_format: str, folder: Path) -> None:
    """The summary: what failed and why, by name."""
    failures = _failures_json(result.failures)
    for path, packets in result.damaged.items():
        say(f"damaged: {shown(path)}: {packets} packets could not be decoded and were skipped")
    for lost in result.lost_labels:
        say(f"label dropped, as the changed film is too short for it: {lost}")
    for failure in result.failures:
        earlier = f" (on {failure.failed_at}; --retry-failed tries again)" if failure.failed_at else ""
        say(f"failed: {shown(failure.error)}{earlier}")
    for name in result.metadata_unmatched:
        say(f"metadata: no film is called '{name}'")
    if output_format == "json":
        movies = {
            "indexed": result.indexed,
            "unchanged": result.unchanged,
            "failed": len(failures),
            "embedded": result.embedded,
            "moved": result.moved,
            "copies": len(result.copies),
        }
        print_json(
            {
                "movies": movies,
                "shots": result.shots,
                "scenes": result.scenes,
                "failures": failures,
                "damaged": [{"path": shown(path), "packets": n} for path, n in result.damaged.items()],
                "lost_labels": [
                    {name: value for name, value in vars(lost).items() if name != "label_id"}
                    for lost in result.lost_labels
                ],
                "seconds": round(result.seconds, 3),
            }
        )
        return
    parts = [f"{result.indexed} films indexed ({result.shots} shots, {result.scenes} scenes)"]
    parts += [f"{result.embedded} embedded"] if result.embedded else []
    parts += [f"{result.unchanged} unchanged"] if result.unchanged else []
    parts += [f"{len(failures)} failed"] if failures else []
    click.echo(f"{', '.join(parts)} in {result.seconds:.1f} s → {shown(str(folder))}")
    if result.index:
        say(f"index: {result.index.kind}, {result.index.vectors} scenes ({result.index.reason})")
