"""How long `m2s index verify` takes over a large catalogue.

    python benchmarks/verify.py [--scenes 100000] [--picture-px 48] [--folder DIR]

A catalogue of synthetic films of 100 scenes and 900 shots each is made once in DIR, with their key-frame files,
shot features, embeddings of 512 numbers and an index file. The check reads all: every value, matrix and picture.
Pictures are small by default, for the disk's sake; reading them takes time by their bytes, which are printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from machine import machine

from m2s_index.catalog import Catalog
from m2s_index.index_writer import write_index
from m2s_index.keyframe_store import KeyFrameWriter, StoredKeyFrames, encode_jpeg
from m2s_index.matrices import find_encoder
from m2s_index.movies import add_film
from m2s_index.types import BuildOptions, EncoderIdentity, FileIdentity, Film, FilmVectors, Shot, VideoInfo

SCENES, SHOTS, FRAMES, DIMENSION = 100, 900, 72, 512
INFO = VideoInfo("matroska", "h264", 640, 360, Fraction(1), 0, Fraction(1, 24), Fraction(24), 0, None, None, 0)
IDENTITY = EncoderIdentity("synthetic", "random numbers", "", "none", DIMENSION, "cosine")


def film(number: int, keyframes_file: str, stored: StoredKeyFrames) -> Film:
    """Nine hundred shots of three seconds."""
    starts = range(0, SHOTS * FRAMES, FRAMES)
    return Film(
        file=FileIdentity(f"/films/Film {number}.mkv", 1, 1, f"{number:016x}" + 48 * "0"),
        title=f"Film {number}",
        year=1920 + number % 100,
        genres=(),
        info=INFO,
        crop=None,
        start_pts=0,
        end_pts=SHOTS * FRAMES,
        frames=SHOTS * FRAMES,
        damaged_packets=0,
        options=BuildOptions(),
        shots=tuple(
            Shot(i, at, at + FRAMES, at, at + FRAMES, "cut" if i else "start") for i, at in enumerate(starts)
        ),
        keyframe_pts=tuple((at,) for at in starts),
        scenes=tuple((9 * i, 9 * i + 9) for i in range(SCENES)),
        keyframes_file=keyframes_file,
        keyframes_bytes=stored.size_bytes,
        keyframes_sha256=stored.sha256,
    )


def make_catalog(folder: Path, scenes: int, picture_px: int) -> None:
    """The catalogue, where it is not there yet."""
    random = np.random.default_rng(1)
    picture = encode_jpeg(random.integers(0, 256, (picture_px, picture_px, 3), np.uint8))
    with Catalog.open(folder, create=True) as catalog:
        for number in range(scenes // SCENES):
            writer = KeyFrameWriter(catalog.keyframes_folder, f"{number:016x}.zip")
            for shot in range(SHOTS):
                writer.add(shot, [picture])
            rows = random.standard_normal((SHOTS + SCENES, DIMENSION), dtype=np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            vectors = FilmVectors(IDENTITY, rows[:SHOTS], rows[SHOTS:])
            with catalog.write() as session:
                add_film(session, film(number, writer.path.name, writer.commit()), vectors)
        with catalog.reader() as reader:
            encoder = find_encoder(reader, None)
        write_index(catalog, encoder)


def main() -> None:
    """Make it, check it, say how long that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=100_000)
    parser.add_argument("--picture-px", type=int, default=48)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        if not (folder / "catalog.sqlite").exists():
            make_catalog(folder, options.scenes, options.picture_px)
        command = ["-c", "from m2s_index.cli.main import main; main()", "index", "verify", "--json"]
        started = time.perf_counter()
        ran = subprocess.run([sys.executable, *command, "--catalog", str(folder)], capture_output=True, check=False)
        seconds = time.perf_counter() - started
        if not json.loads(ran.stdout)["ok"]:
            raise SystemExit(f"the catalogue is not sound: {ran.stdout[:2000]!r}")
        pictures = sum(path.stat().st_size for path in (folder / "keyframes").iterdir())
        database = (folder / "catalog.sqlite").stat().st_size
        print(f"{machine()}; {options.scenes:,} scenes, {options.scenes * 9:,} shots")
        print(f"database {database / 1e9:.2f} GB, key frames {pictures / 1e9:.2f} GB: verified in {seconds:.1f} s")


if __name__ == "__main__":
    main()
