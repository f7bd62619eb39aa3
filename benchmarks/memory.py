"""Whether a build's memory grows with a film's length: the peak over a two-hour film beside a ten-minute one.

    python benchmarks/memory.py [--minutes 10 120] [--detector adaptive]

The films are rendered small (128×72, 24 frames a second, a cut every three seconds), so that reading them takes
minutes; every frame is decoded, every shot detected and embedded. Each is built by ``m2s index build`` into a
catalogue of its own. What counts is the sum of the peaks (``VmHWM``) of the command's process and of those it
started, as the kernel keeps them; they are asked for all the while, since they go with their process. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from machine import machine

from m2s_index.procedural import write_video
from m2s_index.types import Image

M2S = [sys.executable, "-c", "from m2s_index.cli.main import main; main()"]
RATE, WIDTH_PX, HEIGHT_PX, SHOT_FRAMES = 24, 128, 72, 72
TILE_PX = 8
ASK_EVERY_SECONDS = 0.02


def frames(minutes: int) -> Iterator[Image]:
    """Pans over random tiles, another every ``SHOT_FRAMES``."""
    random = np.random.default_rng(minutes)
    for _ in range(minutes * 60 * RATE // SHOT_FRAMES):
        tiles = random.integers(0, 256, (HEIGHT_PX // TILE_PX, 2 * WIDTH_PX // TILE_PX, 3), np.uint8)
        wide = tiles.repeat(TILE_PX, axis=0).repeat(TILE_PX, axis=1)
        for offset in range(SHOT_FRAMES):
            yield wide[:, offset : offset + WIDTH_PX]


def peaks(root: int) -> dict[tuple[int, str], int]:
    """Peak resident bytes of a process and of all below it, by id and name."""
    found, waiting = {}, [root]
    while waiting:
        process = Path("/proc") / str(waiting.pop())
        try:
            status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
            for children in process.glob("task/*/children"):
                waiting += map(int, children.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "VmHWM" in status:  # a process that has ended, and was not asked for its status yet, has none
            found[int(process.name), status["Name"]] = int(status["VmHWM"].split()[0]) * 1024
    return found


def build(film: Path, catalog: Path, detector: str) -> list[int]:
    """Build a catalogue; the peak of each of its processes in bytes, the largest first."""
    command = [*M2S, "index", "build", str(film), "--catalog", str(catalog), "--detector", detector]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    highest: dict[tuple[int, str], int] = {}
    while process.poll() is None:
        highest |= peaks(process.pid)
        time.sleep(ASK_EVERY_SECONDS)
    if process.returncode:
        raise SystemExit(f"m2s index build ended with status {process.returncode}: {' '.join(command)}")
    return sorted(highest.values(), reverse=True)


def main() -> None:
    """Render, build, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", nargs=2, type=int, default=(10, 120), metavar=("SHORT", "LONG"))
    parser.add_argument("--detector", default="adaptive")
    options = parser.parse_args()
    print(machine())
    totals = []
    with tempfile.TemporaryDirectory() as scratch:
        for minutes in options.minutes:
            film = Path(scratch) / f"{minutes}.mp4"
            count = write_video(film, frames(minutes), rate=RATE)
            started = time.perf_counter()
            each = build(film, Path(scratch) / str(minutes), options.detector)
            seconds = time.perf_counter() - started
            totals.append(sum(each))
            parts = " + ".join(f"{peak / 2**20:.1f}" for peak in each)
            print(
                f"{minutes:4} minutes, {count:7} frames: {sum(each) / 2**20:.1f} MiB ({parts}), "
                f"built in {seconds:.0f} s",
                flush=True,
            )
    print(f"long / short: {totals[1] / totals[0]:.3f} (asked: at most 1.15)")


if __name__ == "__main__":
    main()
