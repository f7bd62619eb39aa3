"""``m2s shots``: the shot boundaries of one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from m2s_index.cli.options import format_options
from m2s_index.cli.output import clock, print_csv, print_json, print_table

COLUMNS = ("index", "start_frame", "end_frame", "start_seconds", "end_seconds", "transition")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--detector", default="adaptive", show_default=True, help="How boundaries are found.")
@click.option(
    "--min-shot",
    "min_shot_seconds",
    type=click.FloatRange(0),
    default=0.25,
    show_default=True,
    help="The shortest shot, in seconds.",
)
@format_options("table", "json", "csv")
def shots(file: Path, detector: str, min_shot_seconds: float, output_format: str) -> None:
    """Find the shot boundaries of FILE.

    Frames count from 0; end frames are exclusive; seconds count from the first frame.
    """
    from m2s_index.extract import find_shots
    from m2s_index.names import display_name

    read, found = find_shots(file, detector=detector, min_shot_seconds=min_shot_seconds)

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
            {"movie": display_name(str(file)), "frame_rate": frame_rate, "detector": detector, "shots": rows}
        )
    elif output_format == "csv":
        header = (*COLUMNS, "transition_start_frame", "transition_end_frame")
        print_csv(header, ([row[name] for name in header] for row in rows))
    else:
        print_table(
            ("shot", "frames", "start", "end", "begins with"),
            (
                (r["index"], f"{r['start_frame']}–{r['end_frame']}", clock(r["start_seconds"]),
                 clock(r["end_seconds"]), r["transition"])
                for r in rows
            ),
        )  # fmt: skip
