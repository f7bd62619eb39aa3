"""What a build costs beside bare decoding, and how soon commands answer.

    python benchmarks/build.py FOLDER [--runs 5] [--encoder gist] [--weights FILE]

Each round runs, one after the other: a bare PyAV decode of every film (one process, PyAV's defaults), the
same with a film a process, ``m2s index build`` with one worker and with two, embedding alone (the key
frames of the catalogue once more, in one process), and ``m2s query`` and ``m2s --help`` from a cold start.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import av
from machine import machine, median_ratio, timed_command

M2S = [sys.executable, "-c", "from m2s_index.cli.main import main; main()"]


def bare_decode(path: Path) -> int:
    """Frames of the stream that m2s reads too, decoded and dropped."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(container.streams.best("video")))


def films_in(folder: Path) -> list[Path]:
    """The files that PyAV finds film in."""
    found = []
    for path in sorted(folder.iterdir()):
        try:
            with av.open(str(path)) as container:
                if container.streams.video:
                    found.append(path)
        except av.error.FFmpegError:
            continue
    return found


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--encoder", default="gist")
    parser.add_argument("--weights")
    parser.add_argument("--decode", nargs="+", type=Path, help=argparse.SUPPRESS)  # the bare side, as a process
    return parser.parse_args()


def main() -> None:
    """Run the rounds."""
    arguments = parse()
    if arguments.decode:
        for path in arguments.decode:
            bare_decode(path)
        return
    films = [str(path) for path in films_in(arguments.folder)]
    decode = [sys.executable, __file__, str(arguments.folder), "--decode", *films]
    encoder = ["--encoder", arguments.encoder, *(["--weights", arguments.weights] if arguments.weights else [])]
    names = ("decode", "build, 1 worker", "build, 2 workers", "embed", "query", "help")
    wall: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(arguments.runs):
            for name in names:
                catalog = Path(scratch) / "catalog"
                command = [*M2S, "--help"]
                if name == "decode":
                    command = decode
                elif name.startswith("build"):
                    shutil.rmtree(catalog, ignore_errors=True)
                    command = [*M2S, "index", "build", *films, "--catalog", str(catalog), *encoder]
                    command += ["--workers", "1" if "1 worker" in name else "2"]
                elif name == "embed":
                    drop_embeddings(catalog)
                    command = [*M2S, "index", "build", "--catalog", str(catalog), *encoder]
                elif name == "query":
                    command = [*M2S, "query", "--scene", "1", "--catalog", str(catalog)]
                seconds, processor = timed_command(command)
                wall[name].append(seconds)
                cpu[name].append(processor)
    report(len(films), arguments, wall, cpu)


def drop_embeddings(catalog: Path) -> None:
    """Have the next build embed everything again from key frames."""
    from sqlalchemy import delete

    from m2s_index.catalog import Catalog
    from m2s_index.schema import EmbeddingRow, FeatureRow

    with Catalog.open(catalog, writable=True) as opened, opened.write() as session:
        session.execute(delete(EmbeddingRow))
        session.execute(delete(FeatureRow))


def report(
    films: int, arguments: argparse.Namespace, wall: dict[str, list[float]], cpu: dict[str, list[float]]
) -> None:
    """Medians, and the ratios that are asked for."""
    print(f"{machine()}; {films} films, encoder {arguments.encoder}, medians of {arguments.runs} rounds")
    print(f"{'':24}{'wall s':>9}{'cpu s':>9}{'wall / decode':>15}")
    for name in wall:
        ratio = median_ratio(wall[name], wall["decode"])
        print(f"{name:24}{statistics.median(wall[name]):9.2f}{statistics.median(cpu[name]):9.2f}{ratio:15.2f}")
    best = [min(pair) for pair in zip(wall["build, 1 worker"], wall["build, 2 workers"], strict=True)]
    print(f"build / bare decode: {median_ratio(best, wall['decode']):.2f} (asked: at most 2.5)")
    gain = median_ratio(wall["build, 1 worker"], wall["build, 2 workers"])
    print(f"two workers against one: {gain:.2f} times the films a minute")
    print(f"cold query: {statistics.median(wall['query']):.2f} s (asked: at most 0.8)")
    print(f"--help: {statistics.median(wall['help']):.2f} s (asked: at most 0.25)")


if __name__ == "__main__":
    main()
