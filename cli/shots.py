"""``m2s shots``: the shot boundaries of one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from m2s_index.cli.options import GivenPath, format_options
from m2s_index.cli.output import clock, hurry, print_csv, print_json, print_table

if TYPE_CHECKING:
    from m2s_index.shots import ShotDetector

COLUMNS = ("index", "start_frame", "end_frame", "start_seconds", "end_seconds", "transition")


@click.command()
@click.argument("file", type=GivenPath(path_type=Path))
@click.option("--detector", help="How boundaries are found.  [default: adaptive]")
@click.option(
    "--min-shot",
    "min_shot_seconds",
    type=click.FloatRange(0),
    help="The shortest shot, in seconds.  [default: 0.25]",
)
@click.option(
    "--shots-from",
    type=GivenPath(exists=True, path_type=Path),
    help="Take the shots from a cut list (PySceneDetect CSV, m2s CSV, EDL, OTIO), or a folder of them.",
)
@format_options("table", "json", "csv", "edl", "otio")
def shots(
    file: Path,
    detector: str | None,
    min_shot_seconds: float | None,
    shots_from: Path | None,
    output_format: str,
) -> None:
    """Find the shot boundaries of FILE.

    Frames count from 0; end frames are exclusive; seconds count from the first frame.
    """
    hurry()
    from m2s_index.cores import usable_cores
    from m2s_index.errors import UsageError
    from m2s_index.names import display_name
    from m2s_index.parallel_shots import find_shots_in_parallel
    from m2s_index.shots import MIN_SHOT_SECONDS, make_detector

    if shots_from and not (detector is None and min_shot_seconds is None):
        raise UsageError("--shots-from takes the shots as they are listed: leave out --detector and --min-shot")
    if shots_from:
        finder = _listed(shots_from, file)
    else:
        shortest = MIN_SHOT_SECONDS if min_shot_seconds is None else min_shot_seconds
        finder = make_detector(detector or "adaptive", min_shot_seconds=shortest)
    read, found = find_shots_in_parallel(file, finder, usable_cores())

    def seconds(pts: int) -> float:
        return float((pts - read.start_pts) * read.info.time_base)

    rows: list[dict[str, Any]] = [
        {
            "index": shot.index,
            "start_frame": shot.start_frame,
            "end_frame": shot.end_frame,
            "start_seconds": round(seconds(shot.start_pts), 6),
            "end_seconds": round(seconds(shot.end_pts), 6),
            "transition": shot.transition,
            "transition_start_frame": shot.transition_start_frame,
            "transition_end_frame": shot.transition_end_frame,
        }
        for shot in found
    ]
    if output_format == "json":
        rate = read.info.frame_rate
        frame_rate = f"{rate.numerator}/{rate.denominator}"
        print_json(
            {"movie": display_name(str(file)), "frame_rate": frame_rate, "detector": finder.name, "shots": rows}
        )
    elif output_format == "csv":
        header = (*COLUMNS, "transition_start_frame", "transition_end_frame")
        print_csv(header, ([row[name] for name in header] for row in rows))
    elif output_format in ("edl", "otio"):
        from m2s_index.timelines import write_timeline

        name = display_name(str(file))
        click.echo(write_timeline(found, name, file, read.info, output_format), nl=False)
    else:
        print_table(
            ("shot", "frames", "start", "end", "begins with"),
            (
                (r["index"], f"{r['start_frame']}–{r['end_frame']}", clock(r["start_seconds"]),
                 clock(r["end_seconds"]), r["transition"])
                for r in rows
            ),
        )  # fmt: skip


def _listed(source: Path, film: Path) -> ShotDetector:
    """The cut list for a film, as a detector."""
    from m2s_index.cut_lists import CutListDetector, find_list, read_cut_list
    from m2s_index.errors import UsageError
    from m2s_index.video import probe

    path = find_list(source, film)
    if path is None:
        raise UsageError(f"{source}: no cut list is called '{film.stem}' (.csv, .edl or .otio)")
    cut_list = read_cut_list(path, probe(film))
    return CutListDetector(cut_list.name, cut_list.boundaries, cut_list.path)
