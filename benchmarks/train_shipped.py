"""Fit the encoder that the package carries: procedural pictures and films, no labels, one command.

    python benchmarks/train_shipped.py VIDEO_FOLDER [--out encoders/data] [--sights 4200] [--seed 20261123] …

VIDEO_FOLDER holds the CC BY films that ``FILMS`` names. They go through ``m2s index build`` with many key frames a
shot, and those are what is learned from, besides as many pictures of ``m2s_index.procedural.sights``. The weights
and their record are written to the folder; on one thread of one machine, twice the same to the bit. Measure it
then with ``benchmarks/pictures.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy loads: more threads would sum in another order

from safetensors.numpy import save
from story_catalogs import m2s

from m2s_index.catalog import Catalog
from m2s_index.encoders.fisher import WEIGHTS
from m2s_index.encoders.training.fisher_fit import FisherConfig, fit_fisher
from m2s_index.encoders.weights import sha256
from m2s_index.movies import list_movies
from m2s_index.procedural.sights import sights
from m2s_index.stored_frames import film_frames
from m2s_index.types import Image

FILMS = {
    "big_buck_bunny_2008_full_252p.mp4": "Big Buck Bunny, © 2008 Blender Foundation, CC BY 3.0",
    "elephants_dream_2006_first72s_360p.ts": (
        "Elephants Dream (first 72 s), © 2006 Blender Foundation / Netherlands Media Art Institute, CC BY 2.5"
    ),
    "tears_of_steel_2012_battle_332p.webm": "Tears of Steel (70 s), (CC) Blender Foundation, CC BY 3.0",
    "sintel_2010_trailer_204p.mp4": "Sintel (trailer), © 2010 Blender Foundation, CC BY 3.0",
}
"""What is learned from, and whose it is."""
OWN = "Apache-2.0 (part of m2s)"
FRAMES_PER_SHOT = 8


def film_pictures(folder: Path) -> list[Image]:
    """The key frames of all films, as a build finds them."""
    missing = [name for name in FILMS if not (folder / name).is_file()]
    if missing:
        raise SystemExit(f"{folder}: {', '.join(missing)} is not there")
    with tempfile.TemporaryDirectory() as made:
        many = ("--frames-per-shot", str(FRAMES_PER_SHOT), "--keyframe-px", "256", "--workers", "1")
        for name in FILMS:  # one by one: films would be numbered as they finish
            m2s("index", "build", folder / name, "--encoder", "gist", *many, "--catalog", made)
        with Catalog.open(Path(made)) as catalog:
            with catalog.read() as session:
                movies = list_movies(session)
            return [picture for movie in movies for picture in film_frames(catalog, movie)]


def record(weights: Path, config: FisherConfig, films: int, procedural: int) -> dict[str, object]:
    """What the weights are and come from."""
    return {
        "name": "fisher",
        "dimension": config.numbers,
        "weights_bytes": weights.stat().st_size,
        "weights_sha256": sha256(weights),
        "licence": OWN,
        "data": [
            {
                "what": f"{procedural} pictures of m2s_index.procedural.sights",
                "licence": OWN,
            },
            *({"what": what, "licence": what.rpartition(", ")[2]} for what in FILMS.values()),
        ],
        "film_pictures": films,
        "procedural_pictures": procedural,
        "recipe": asdict(config),
        "command": "python benchmarks/train_shipped.py VIDEO_FOLDER",
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=WEIGHTS.parent, help="folder of the weights and their record")
    parser.add_argument("--sights", type=int, default=4200, help="procedural pictures")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--numbers", type=int, default=512, help="of the features")
    parser.add_argument("--gaussians", type=int, default=64, help="of the vocabulary")
    return parser.parse_args()


def main() -> None:
    """Make the pictures, fit, write."""
    arguments = parse()
    config = FisherConfig(seed=arguments.seed, numbers=arguments.numbers, gaussians=arguments.gaussians)
    films = film_pictures(arguments.folder)
    pictures = films + list(sights(arguments.seed, arguments.sights))
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / WEIGHTS.name
    path.write_bytes(save(fit_fisher(pictures, config).tensors()))
    said = record(path, config, len(films), arguments.sights)
    path.with_suffix(".json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {said['weights_bytes']} bytes, from {len(films)} film pictures and {arguments.sights} others")


if __name__ == "__main__":
    main()
