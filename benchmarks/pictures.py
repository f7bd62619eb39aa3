"""Encoders on real photographs, one by one and nine a scene, through ``index build`` and ``eval retrieval``.

    python benchmarks/pictures.py FOLDER [--encoder NAME|FILE]… [--html FOLDER] [--record]

FOLDER holds train/<place>/*.jpg (the gallery) and test/<place>/*.jpg (the queries). The photographs of a place
become a film, each a shot of a few frames, squashed to one size; cut lists say where shots begin, so that nothing
but the encoder is measured (``benchmarks/place.py`` measures detector and all). One catalogue has a scene for
each photograph, another for each nine in the order of their names; the remainder of a place is dropped from that.
Precision is given over all places and over halves of them: by turns, in alphabetical order, the half that choices
were made on and the half that is reported, each by itself, and the latter's queries with all places in the gallery.

Always measured: the tiny image (16×16 grey values less the gallery's mean), an untrained E_shot, and the encoder
``gist``. ``--encoder`` adds others by name or by the file that a training wrote. ``--record`` writes the figures of
encoders that ship into the package, where ``m2s encoders list`` finds them.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy loads: equal figures on every machine

import numpy as np
import torch
from machine import machine
from PIL import Image as PILImage
from story_catalogs import m2s

from m2s_index.encoder import AnyEncoder
from m2s_index.encoders.frames import mean_feature
from m2s_index.encoders.record import EncoderRecord
from m2s_index.encoders.registry import ENCODERS, Entry, Options, shipped_encoders
from m2s_index.encoders.shipped import PLACE
from m2s_index.encoders.shot_encoder import make_shot_network, save_shot_encoder
from m2s_index.encoders.training.shot_config import resolve_config
from m2s_index.procedural import write_video
from m2s_index.types import EncoderIdentity, Float32Array, Image

SIZE = (256, 256)
RATE, SHOT_FRAMES = 24, 6
SCENE_SHOTS = 9
TINY_PX = 16
CHOSEN, REPORTED, AMONG_ALL = "chosen on", "reported", "reported among all"
HALVES = ("all", CHOSEN, REPORTED, AMONG_ALL)
KINDS = ("photograph", "scene")
Figures = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Precision in per cent, by encoder, half, kind and rank."""


class TinyImage:
    """The baseline: grey values at 16×16 less a mean, as an ``Encoder``."""

    batch_size = 32

    def __init__(self, mean: Float32Array) -> None:
        self._mean = mean

    @property
    def identity(self) -> EncoderIdentity:
        """Which baseline this is."""
        return EncoderIdentity(
            "tiny", f"grey {TINY_PX}×{TINY_PX}", "", "less the gallery's mean", TINY_PX**2, "cosine"
        )

    def encode_frames(self, frames: Sequence[Image]) -> Float32Array:
        """Grey values less the mean, float32 [N, 256]."""
        return np.stack([tiny(PILImage.fromarray(frame)) for frame in frames]) - self._mean

    def encode_scene(self, features: Float32Array) -> Float32Array:
        """The mean over frames."""
        return mean_feature(features)


def tiny(picture: PILImage.Image) -> Float32Array:
    """Grey values at 16×16: float32 [256]."""
    return np.asarray(picture.convert("L").resize((TINY_PX, TINY_PX)), np.float32).ravel()


def register_baselines(folder: Path, photographs: Path) -> tuple[str, ...]:
    """Make the tiny image known by name in this process, and an untrained E_shot as a file; returns both names."""
    gallery = [path for place in sorted((photographs / "train").iterdir()) for path in sorted(place.glob("*.jpg"))]
    mean = np.mean([tiny(PILImage.open(path)) for path in gallery], axis=0, dtype=np.float32)

    def make(name: str, options: Options) -> AnyEncoder:
        return TinyImage(mean)

    record = EncoderRecord("tiny", TINY_PX**2, "none", "Apache-2.0", "benchmarks/pictures.py", "grey values")
    ENCODERS["tiny"] = Entry(record, make)
    config = resolve_config("small", "m2s", {"seed": 0})
    torch.manual_seed(0)
    untrained = folder / "untrained.safetensors"
    save_shot_encoder(untrained, make_shot_network(config).state_dict(), config)
    return "tiny", str(untrained)


@dataclass(frozen=True)
class Films:
    """Where the films of a kind, their cut lists and their labels are."""

    folder: Path

    @property
    def cuts(self) -> Path:
        """The folder of cut lists."""
        return self.folder / "cuts"

    @property
    def labels(self) -> Path:
        """The table of places: one vocabulary for each half and one for both."""
        return self.folder / "labels.csv"


def write_films(photographs: Path, folder: Path, kind: str) -> Films:
    """A film of each place and split."""
    films = Films(folder)
    films.cuts.mkdir(parents=True)
    rows: list[tuple[str, ...]] = [("movie", "start", "end", "vocabulary", "value", "split")]
    for split, name in (("test", "val"), ("train", "train")):
        places = sorted(path for path in (photographs / split).iterdir() if path.is_dir())
        for number, place in enumerate(places):
            every = sorted(place.glob("*.jpg"))
            count = len(every) if kind == "photograph" else len(every) // SCENE_SHOTS * SCENE_SHOTS
            if not count:
                raise SystemExit(f"{place}: fewer photographs than a scene has")
            stem = f"{split}-{place.name}"
            write_video(folder / f"{stem}.mp4", frames(every[:count]), rate=RATE, options={"crf": "12"})
            write_cuts(films.cuts / f"{stem}.csv", count)
            for half in halves(number, split):
                rows.append((f"{stem}.mp4", "", "", half, place.name, name))
    with films.labels.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return films


def halves(place: int, split: str) -> tuple[str, ...]:
    """Which tables the photographs of the place of that number, in alphabetical order, are in."""
    if place % 2 == 0:
        return ("all", CHOSEN) if split == "test" else ("all", CHOSEN, AMONG_ALL)
    return ("all", REPORTED, AMONG_ALL)


def frames(photographs: Sequence[Path]) -> Iterator[Image]:
    """The same picture ``SHOT_FRAMES`` times, then the next."""
    for path in photographs:
        with PILImage.open(path) as opened:
            picture = np.asarray(opened.convert("RGB").resize(SIZE, PILImage.Resampling.BICUBIC))
        yield from [picture] * SHOT_FRAMES


def write_cuts(path: Path, shots: int) -> None:
    """The cut list of a film of ``shots`` shots."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("start_frame", "end_frame", "transition", "end_seconds"))
        for index in range(shots):
            start, end = index * SHOT_FRAMES, (index + 1) * SHOT_FRAMES
            table.writerow((start, end, "cut" if index else "start", end / RATE))


def measure(films: Films, kind: str, encoders: Sequence[str], folder: Path, html: Path | None) -> Figures:
    """Index the films with each encoder, and have the test photographs ask for the training ones."""
    catalog = ("--catalog", folder / f"{kind}s")
    shots = ("--scene-shots", "1" if kind == "photograph" else str(SCENE_SHOTS))
    paths: tuple[str | Path, ...] = (films.folder, "--shots-from", films.cuts, *shots)
    for encoder in encoders:
        m2s("index", "build", *paths, "--encoder", encoder, *catalog)
        paths = ()
    m2s("labels", "import", films.labels, *catalog)
    chosen = [word for encoder in encoders for word in ("--encoder", encoder)]
    found: Figures = {encoder: {} for encoder in encoders}
    for half in HALVES:
        page = ("--html", html / f"{kind}-{half.replace(' ', '-')}.html") if html else ()
        asked = ("--label", half, "--query-split", "val", "--gallery-split", "train")
        table = json.loads(m2s("eval", "retrieval", *asked, *chosen, *page, *catalog, "--json"))
        for row in table["encoders"]:
            found[row["name"]][half] = {kind: {f"p@{k}": row["all"][f"p@{k}"] for k in (1, 5, 10)}}
    return found


def run(photographs: Path, encoders: Sequence[str], folder: Path, html: Path | None) -> Figures:
    """All figures, by encoder; baselines first."""
    found: Figures = {}
    baselines = register_baselines(folder, photographs)
    names = list(dict.fromkeys((*baselines, "gist", *encoders)))
    for kind in KINDS:
        films = write_films(photographs, folder / f"{kind}-films", kind)
        for name, tables in measure(films, kind, names, folder, html).items():
            for half, kinds in tables.items():
                found.setdefault(name, {}).setdefault(half, {}).update(kinds)
    return {"untrained" if name == baselines[1] else name: found[name] for name in names}


def print_tables(found: Figures) -> None:
    """A table for each half, in Markdown."""
    for half in HALVES:
        print(f"\n| {half} | photograph P@1 / 5 / 10 | nine-photograph scene P@1 / 5 / 10 |\n|---|---|---|")
        for name, tables in found.items():
            cells = (" / ".join(f"{value:.1f}" for value in tables[half][kind].values()) for kind in KINDS)
            print(f"| `{name}` | {' | '.join(cells)} |")


def write_record(found: Figures) -> None:
    """Keep the figures of the encoders that ship, and of which weights and settings they are."""
    kept = {}
    for encoder in shipped_encoders():
        name = encoder.identity.name
        if name in found:
            kept[name] = {**found[name], "identity": asdict(encoder.identity)}
    said = {"command": "python benchmarks/pictures.py FOLDER --record", "photographs": "15-Scene", "encoders": kept}
    PLACE.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", action="append", default=[], help="a name or a file; may be repeated")
    parser.add_argument("--html", type=Path, help="also write reports with pictures into this folder")
    parser.add_argument("--record", action="store_true", help="keep the figures of encoders that ship")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    arguments = parse()
    if arguments.html:
        arguments.html.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        found = run(arguments.folder, arguments.encoder, Path(folder), arguments.html)
    print(machine())
    print_tables(found)
    if arguments.record:
        write_record(found)


if __name__ == "__main__":
    main()
