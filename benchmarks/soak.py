"""Long work: thousands of small films built and removed by one process, whose memory and open files are followed.

    python benchmarks/soak.py --films 2000

With the catalogue open all the time, every round adds 50 films to a folder, builds, searches, takes all but the
newest out again, and builds once more without new films: the catalogue stays of one size, and what grows is lost.
Printed per round: the process's resident memory and open files after it. The slopes are fitted over all but the
first quarter of the rounds. The catalogue is verified at the end; status 1 where it is not sound, or memory or open
files grow.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import machine
from sqlalchemy import func, select

from m2s_index.build import Builder
from m2s_index.catalog import Catalog
from m2s_index.encoders.registry import make_encoder
from m2s_index.keyframe_store import delete_keyframes
from m2s_index.lock import BuildLock
from m2s_index.movies import remove_movie
from m2s_index.plan import plan_build
from m2s_index.procedural import Mix, film_frames, make_film, write_video
from m2s_index.schema import MovieRow, SceneRow
from m2s_index.search import Searcher
from m2s_index.types import BuildOptions
from m2s_index.verify import verify_catalog
from m2s_index.workers import WorkerPool

ROUND = 50
MOST_MIB_PER_THOUSAND = 1.0
DISTINCT = 20
MIX = Mix(shot_frames=(8, 12), transitions=(("cut", 1.0),), cameras=(("static", 1.0),), event_share=0)


@dataclass(frozen=True)
class Measured:
    """The process after a round: films it has indexed so far, and those still in the catalogue."""

    indexed: int
    kept: int
    resident_mib: float
    open_files: int
    seconds: float


def render(folder: Path) -> list[bytes]:
    """Small films, each of another look and of two to four shots."""
    films = []
    for seed in range(DISTINCT):
        path = folder / "film.mp4"
        write_video(path, film_frames(make_film(seed, shots=2 + seed % 3, size=(64, 36), mix=MIX)), rate=24)
        films.append(path.read_bytes())
    path.unlink()
    return films


def free_box(number: int) -> bytes:
    """An MP4 box of no meaning, which makes a film another file."""
    return (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")


def build(catalog: Catalog, films: Path) -> int:
    """Build as the command line does, with new workers; returns how many films were indexed."""
    options, encoder = BuildOptions(), make_encoder("gist")
    with BuildLock(catalog.folder), WorkerPool(1) as pool:
        done = Builder(catalog, encoder, options).run(plan_build(catalog, [films], options, pool), pool)
    assert not done.failures, done.failures
    return done.indexed


def remove_oldest(catalog: Catalog, kept: int) -> None:
    """Take all but the newest films out of the catalogue, and delete them."""
    with BuildLock(catalog.folder):
        with catalog.read() as session:
            newest = select(MovieRow.id, MovieRow.path).order_by(MovieRow.id.desc())
            oldest = session.execute(newest.offset(kept)).all()
        for movie_id, path in oldest:
            with catalog.write() as session:
                file = remove_movie(session, movie_id)
            delete_keyframes(catalog.keyframes_folder, file)
            Path(path).unlink()


def search(catalog: Catalog) -> int:
    """Ask for scenes like the newest; returns how many films there are."""
    with catalog.read() as session:
        newest = session.scalar(select(func.max(SceneRow.id)))
        count = session.scalar(select(func.count()).select_from(MovieRow))
    with Searcher(catalog, use_gpu=False) as searcher:
        assert len(searcher.search_scene(int(newest or 0), 10).hits) == 10
    return int(count or 0)


def resident_mib() -> float:
    """Memory of this process that is in RAM."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def soak(catalog: Catalog, films: int, kept: int, scratch: Path) -> list[Measured]:
    """All rounds, measured."""
    films_folder = scratch / "films"
    films_folder.mkdir()
    looks = render(scratch)
    rounds: list[Measured] = []
    indexed = 0
    print(f"{'indexed':>9}{'kept':>9}{'MiB':>9}{'files':>7}{'s':>8}")
    while indexed < films:
        started = time.monotonic()
        for number in range(indexed, min(films, indexed + ROUND)):
            (films_folder / f"film {number}.mp4").write_bytes(looks[number % DISTINCT] + free_box(number))
        indexed += build(catalog, films_folder)
        search(catalog)
        remove_oldest(catalog, kept)
        assert build(catalog, films_folder) == 0
        left = search(catalog)
        gc.collect()
        open_files = len(list(Path("/proc/self/fd").iterdir()))
        rounds.append(Measured(indexed, left, resident_mib(), open_files, time.monotonic() - started))
        last = rounds[-1]
        print(f"{indexed:9,}{left:9,}{last.resident_mib:9.1f}{open_files:7}{last.seconds:8.1f}", flush=True)
    return rounds


def slope_per_thousand(rounds: list[Measured], name: str) -> float:
    """How much a figure grows in the course of a thousand films, by least squares."""
    settled = rounds[len(rounds) // 4 :]
    values = [getattr(measured, name) for measured in settled]
    return float(np.polyfit([measured.indexed / 1000 for measured in settled], values, 1)[0])


def main() -> None:
    """Run the rounds and check the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=2000)
    parser.add_argument("--kept", type=int, default=60, help="films left in the catalogue after each round")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, Catalog.open(Path(scratch) / "catalog", create=True) as catalog:
        rounds = soak(catalog, arguments.films, arguments.kept, Path(scratch))
        found = verify_catalog(catalog)
    print(f"{machine()}; {arguments.films} films, {time.monotonic() - started:.0f} s")
    memory, files = (slope_per_thousand(rounds, name) for name in ("resident_mib", "open_files"))
    print(f"memory: {memory:+.2f} MiB per 1,000 films; open files: {files:+.2f}")
    print("the catalogue is sound" if found.ok else f"the catalogue is not sound: {found.problems}")
    sys.exit(0 if found.ok and files < 1 and memory < MOST_MIB_PER_THOUSAND else 1)


if __name__ == "__main__":
    main()
