"""Place retrieval on real photographs, through every part of the system: films, shots, scenes, labels, table.

    python benchmarks/place.py FOLDER [--encoder gist]… [--weights clip=FILE]… [--html FILE] [--keep DIR]

FOLDER holds train/<place>/*.jpg (the gallery) and test/<place>/*.jpg (the queries). They are made into films: a
scene is nine photographs of one place in the order of their names, each a shot in which the view pans slowly,
between hard cuts; a film has five scenes of different places; what is left over of a place is dropped. The films
are encoded with H.264, and then only m2s's own commands run: ``index build`` with its detector, ``labels import``
of a table with the scenes' times, ``eval retrieval``.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import machine, timed
from PIL import Image as PILImage

from m2s_index.procedural import write_video
from m2s_index.types import Image

M2S = [sys.executable, "-c", "from m2s_index.cli.main import main; main()"]
SIZE = (256, 192)
RATE, SHOT_FRAMES = 24, 18
SCENE_SHOTS, FILM_SCENES = 9, 5
VIEW = 0.85
"""How much of the photograph's width and height the view shows at a time."""


@dataclass(frozen=True)
class PlaceScene:
    """Nine photographs of one place."""

    place: str
    photographs: tuple[Path, ...]


def scenes(folder: Path) -> list[PlaceScene]:
    """All whole scenes of a split, places by turns: neighbours in a film are of different places."""
    found: list[tuple[int, PlaceScene]] = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        photographs = sorted(place.glob("*.jpg"))
        for number in range(len(photographs) // SCENE_SHOTS):
            nine = photographs[number * SCENE_SHOTS : (number + 1) * SCENE_SHOTS]
            found.append((number, PlaceScene(place.name, tuple(nine))))
    if not found:
        raise SystemExit(f"{folder}: no <place>/*.jpg in it, or fewer than nine of each place")
    return [scene for _, scene in sorted(found, key=lambda pair: (pair[0], pair[1].place))]


def frames(film: Sequence[PlaceScene]) -> Iterator[Image]:
    """The film's frames: the view goes to and fro, up or down a little."""
    for scene in film:
        for number, path in enumerate(scene.photographs):
            with PILImage.open(path) as opened:
                yield from pan(opened.convert("RGB"), number)


def pan(photograph: PILImage.Image, number: int) -> Iterator[Image]:
    """One shot: a view of ``VIEW`` of the photograph that crosses it, in a direction that ``number`` gives."""
    width, height = photograph.size
    for frame in range(SHOT_FRAMES):
        share = frame / (SHOT_FRAMES - 1)
        across = share if number % 2 else 1 - share
        down = (0.5, share, 1 - share)[number % 3]
        left, top = across * (1 - VIEW) * width, down * (1 - VIEW) * height
        box = (left, top, left + VIEW * width, top + VIEW * height)
        yield np.asarray(photograph.resize(SIZE, PILImage.Resampling.BILINEAR, box))


def render(source: Path, target: Path) -> tuple[int, int]:
    """Write the films of both splits and ``labels.csv``; returns how many films and shots there are."""
    films = shots = 0
    with (target / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("movie", "start", "end", "vocabulary", "value", "split"))
        for split, name in (("test", "val"), ("train", "train")):
            every = scenes(source / split)
            for number, start in enumerate(range(0, len(every), FILM_SCENES)):
                film = every[start : start + FILM_SCENES]
                path = target / "films" / f"{split}-{number:02}.mp4"
                write_video(path, frames(film), rate=RATE)
                films, shots = films + 1, shots + SCENE_SHOTS * len(film)
                length = SCENE_SHOTS * SHOT_FRAMES / RATE
                for index, scene in enumerate(film):
                    times = (f"{index * length:.3f}", f"{(index + 1) * length:.3f}")
                    table.writerow((path.name, *times, "place", scene.place, name))
    return films, shots


def m2s(*arguments: str | Path) -> str:
    """Run a command, its standard error shown; returns what it wrote to standard output."""
    command = [*M2S, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", action="append", help="may be repeated (default: gist)")
    parser.add_argument("--weights", action="append", default=[], metavar="ENCODER=FILE")
    parser.add_argument("--html", type=Path, help="also write the report with pictures")
    parser.add_argument("--keep", type=Path, help="keep films and catalogue in this folder")
    return parser.parse_args()


def run(arguments: argparse.Namespace, folder: Path) -> None:
    """Render, index, label, measure, print."""
    (folder / "films").mkdir(parents=True, exist_ok=True)
    catalog = ("--catalog", folder / "catalog")
    encoders = arguments.encoder or ["gist"]
    weights = dict(given.split("=", 1) for given in arguments.weights)
    counts = (0, 0)

    def make() -> None:
        nonlocal counts
        counts = render(arguments.folder, folder)

    print(f"{machine()}\nfilms rendered in {timed(make):.1f} s: {counts[0]} films of {counts[1]} shots together")
    for number, encoder in enumerate(encoders):
        given = ("--weights", weights[encoder]) if encoder in weights else ()
        films = (folder / "films",) if number == 0 else ()
        print(f"{encoder}: {m2s('index', 'build', *films, '--encoder', encoder, *given, *catalog)}", end="")
    print(m2s("labels", "import", folder / "labels.csv", *catalog))
    chosen = [word for encoder in encoders for word in ("--encoder", encoder)]
    html = ("--html", arguments.html) if arguments.html else ()
    print(m2s("eval", "retrieval", "--label", "place", *chosen, *html, *catalog, "--format", "markdown"))


def main() -> None:
    """In the folder to keep, or one that goes."""
    arguments = parse()
    if arguments.keep:
        run(arguments, arguments.keep)
        return
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, Path(folder))


if __name__ == "__main__":
    main()
