"""What a build costs beside bare decoding, and how soon commands answer.

    python benchmarks/build.py FOLDER [--runs 5] [--encoder gist] [--weights FILE]

Each round runs, one after the other: a bare PyAV decode of every film in one process; ``m2s index build``
with one worker and with two; the encoder over the catalogue's key frames and nothing else; ``m2s index
build`` without films, which embeds those key frames; ``m2s query`` and ``m2s --help`` from a cold start.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import av
from machine import machine, median_ratio, timed_command

CORES = len(os.sched_getaffinity(0))
M2S = [sys.executable, "-c", "from m2s_index.cli.main import main; main()"]


def bare_decode(path: Path) -> int:
    """Frames of the stream that m2s reads too, decoded and dropped."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(container.streams.best("video")))


def bare_embed(catalog: Path, encoder_name: str, weights: str | None) -> None:
    """Every key frame of the catalogue through the encoder, in its batches, and nothing else."""
    from zipfile import ZipFile

    from m2s_index.encoders.registry import make_encoder
    from m2s_index.keyframe_store import decode_jpeg

    encoder = make_encoder(encoder_name, weights=Path(weights) if weights else None)
    for path in sorted((catalog / "keyframes").glob("*.zip")):
        with ZipFile(path) as stored:
            pictures = [decode_jpeg(stored.read(name)) for name in stored.namelist()]
        for start in range(0, len(pictures), encoder.batch_size):
            encoder.encode_frames(pictures[start : start + encoder.batch_size])


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
    # The bare sides, as processes of their own.
    parser.add_argument("--decode", nargs="+", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--embed", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run the rounds."""
    arguments = parse()
    if arguments.decode:
        for path in arguments.decode:
            bare_decode(path)
        return
    if arguments.embed:
        bare_embed(arguments.embed, arguments.encoder, arguments.weights)
        return
    films = [str(path) for path in films_in(arguments.folder)]
    decode = [sys.executable, __file__, str(arguments.folder), "--decode", *films]
    encoder = ["--encoder", arguments.encoder, *(["--weights", arguments.weights] if arguments.weights else [])]
    names = ("decode", "build, 1 worker", "build, 2 workers", "bare embedding", "new encoder", "query", "help")
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
                elif name == "bare embedding":
                    command = [sys.executable, __file__, str(arguments.folder), "--embed", str(catalog), *encoder]
                elif name == "new encoder":
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
    parts = zip(wall["decode"], wall["bare embedding"], cpu["decode"], cpu["bare embedding"], strict=True)
    slower = [max(decode, embed, (cpu_d + cpu_e) / CORES) for decode, embed, cpu_d, cpu_e in parts]
    print(f"build / the slower of its parts: {median_ratio(best, slower):.2f} (asked: at most 1.3)")
    fresh = median_ratio(wall["new encoder"], wall["bare embedding"])
    print(f"new encoder / bare embedding: {fresh:.2f} (asked: at most 1.2 and start-up)")
    gain = median_ratio(wall["build, 1 worker"], wall["build, 2 workers"])
    print(f"two workers against one: {gain:.2f} times the films a minute")
    print(f"cold query: {statistics.median(wall['query']):.2f} s (asked: at most 0.8)")
    print(f"--help: {statistics.median(wall['help']):.2f} s (asked: at most 0.25)")


if __name__ == "__main__":
    main()
