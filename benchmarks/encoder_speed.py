"""What an encoder costs: key frames a second on one core, and a build of a film beside the build with another.

    python benchmarks/encoder_speed.py FILM [--encoder gist --encoder fisher] [--runs 5] [--workers 1]

The encoders take turns, run by run, so that a machine that others use as well is slow for all of them. Only
encoders that need no weights from elsewhere are timed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy loads: the speed printed is that of one core

from machine import machine, timed_command

from m2s_index.encoders.registry import make_encoder
from m2s_index.encoders.speed import key_frames_per_second

M2S = [sys.executable, "-c", "from m2s_index.cli.main import main; main()"]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--encoder", action="append", help="may be repeated (default: gist and fisher)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Take turns, print medians."""
    arguments = parse()
    names = arguments.encoder or ["gist", "fisher"]
    wall: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(arguments.runs):
        for name in names:
            with tempfile.TemporaryDirectory() as catalog:
                build = ["index", "build", str(arguments.film), "--encoder", name, "--catalog", catalog]
                seconds, processor = timed_command([*M2S, *build, "--workers", str(arguments.workers)])
            wall[name].append(seconds)
            cpu[name].append(processor)
    film = f"{arguments.film.name}, {arguments.workers} workers"
    print(f"{machine()}; {film}, medians of {arguments.runs} runs by turns")
    print("\n| | key frames/s, one core | build, wall s | processor s |\n|---|---|---|---|")
    for name in names:
        speed = key_frames_per_second(make_encoder(name), rounds=20)
        times = " | ".join(f"{statistics.median(seconds[name]):.2f}" for seconds in (wall, cpu))
        print(f"| `{name}` | {speed:.0f} | {times} |")


if __name__ == "__main__":
    main()
