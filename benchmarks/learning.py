"""Does it learn? Trained encoders against untrained ones, on films of a world whose themes and places are known.

    python benchmarks/learning.py --out DIR [--seeds 5] [--films 112] [--held-out 56] [--scene-steps 600] …

Each seed is another world and another training; the first is 1, as settings were chosen on world 0. A world's films
are rendered, cut into their true shots and indexed with the untaught encoder ``gist``; some are held out. On the
others m2s's own commands run: ``train movie``, ``train mine`` and ``train scene`` for each of the three signals,
and ``train shot`` for both recipes. Held-out scenes are then the queries and the gallery (other films only), and
precision at 1, 5 and 10 is measured for themes and places. What a seed gave is kept in DIR/seed-N.json and not made
again; tables of all seeds are printed.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from machine import machine, timed
from scipy.stats import t as student
from story_catalogs import BASE, StoryCatalogs, m2s, make_catalogs

from m2s_index.catalog import Catalog
from m2s_index.encoders.scene_encoder import make_scene_network, save_scene_encoder
from m2s_index.encoders.shot_encoder import make_shot_network, save_shot_encoder
from m2s_index.encoders.training.scene_config import resolve_config as scene_config
from m2s_index.encoders.training.shot_config import resolve_config as shot_config
from m2s_index.evaluation.labelled_scenes import LabelledScenes, read_splits, read_vectors
from m2s_index.evaluation.ranking import WholeRanking
from m2s_index.evaluation.retrieval import search_splits
from m2s_index.matrices import film_features, find_encoder
from m2s_index.pairing.greedy import select_pairs
from m2s_index.pairing.mining import MinedFilms, WindowPairs, ranked, unit_rows
from m2s_index.pairing.pairs_file import write_pairs
from m2s_index.pairing.similar_films import similar_films
from m2s_index.pairing.windows import WINDOW_SHOTS, window_means
from m2s_index.stored_frames import shot_frames
from m2s_index.types import Float32Array, Metric

SIGNALS = ("cowatch", "genre", "synopsis")
RANKS = (1, 5, 10)
Table = dict[str, dict[str, list[float]]]
"""Precision at ``RANKS`` in percent, by row and vocabulary."""


@dataclass(frozen=True)
class Budget:
    """How large worlds are, and how long is trained."""

    films: int
    held_out: int
    movie_batch: int
    movie_epochs: int
    scene_steps: int
    scene_batch: int
    shot_epochs: int
    threads: int


def one_seed(seed: int, budget: Budget, folder: Path) -> Table:
    """Make a world, train on it, and measure every row."""
    catalogs = make_catalogs(seed, trained=budget.films, held_out=budget.held_out, folder=folder)
    torch.set_num_threads(budget.threads)
    with Catalog.open(catalogs.held_out) as catalog:
        table = {
            "mean colours alone": measured(catalog, lambda movie_id: mean_colours(catalog, movie_id)),
            "cut lengths alone": measured(catalog, lambda movie_id: cut_lengths(catalog, movie_id)),
            "chance": chance(catalog),
        }
    encoders = dict(scene_encoders(seed, budget, catalogs, folder)) | dict(
        shot_encoders(seed, budget, catalogs, folder)
    )
    for path in encoders.values():
        m2s("index", "build", "--encoder", path, "--catalog", catalogs.held_out)
    with Catalog.open(catalogs.held_out) as catalog:
        for row, name in {BASE: BASE, **{row: str(path) for row, path in encoders.items()}}.items():
            table[row] = measured_encoder(catalog, name)
    return table


def scene_encoders(seed: int, budget: Budget, catalogs: StoryCatalogs, folder: Path) -> Iterator[tuple[str, Path]]:
    """E_scene untrained, from pairs of the same film, and from each signal's pairs: rows and files."""
    given = ("--catalog", catalogs.trained, "--threads", str(budget.threads))
    config = scene_config("small", "shots", {"seed": seed})
    with Catalog.open(catalogs.trained) as catalog, catalog.reader() as reader:
        identity = find_encoder(reader, BASE).identity
        torch.manual_seed(seed)
        network = make_scene_network(config, identity)
        save_scene_encoder(folder / "scene-untrained.safetensors", network.state_dict(), config, identity)
        pairs = same_film_pairs(catalog)
        write_pairs(folder / "same-film.csv", ranked(pairs))
    yield "E_scene untrained", folder / "scene-untrained.safetensors"
    counts = {"same-film": sum(len(found.windows) for found in pairs)}
    for signal in SIGNALS:
        movie, mined = folder / f"movie-{signal}.safetensors", folder / f"{signal}.csv"
        values = {"seed": seed, "held_out": 0, "pairs": budget.movie_batch, "epochs": budget.movie_epochs}
        m2s("train", "movie", "--signal", signal, "--out", movie, *settings(values), *given)
        found = m2s(
            "train", "mine", "--movie-encoder", movie, "--out", mined, "--json", "--catalog", catalogs.trained
        )
        counts[signal] = json.loads(found)["pairs"]
    for name, count in counts.items():
        encoder = folder / f"scene-{name}.safetensors"
        batch = min(budget.scene_batch, count)
        values = {
            "seed": seed,
            "held_out": 0,
            "batch_pairs": batch,
            "epochs": max(math.ceil(budget.scene_steps * batch / count), config.warmup_epochs + 1),
        }
        m2s("train", "scene", "--pairs", folder / f"{name}.csv", "--out", encoder, *settings(values), *given)
        yield f"E_scene, {name}", encoder


def settings(values: dict[str, int]) -> list[str]:
    """Values as options of a training."""
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def same_film_pairs(catalog: Catalog) -> list[MinedFilms]:
    """Of every film the pairs of its own windows that are most alike and do not overlap, as between films."""
    similar = similar_films(catalog, "genre", 10, encoder_name=BASE)
    found = []
    for film in sorted(similar.films, key=lambda film: film.fingerprint):
        with catalog.reader() as reader:
            features = film_features(reader, similar.encoder, film.movie_id, shots=film.shots, name=film.name)
        found.append(MinedFilms(film, film, own_windows(features)))
    return found


def own_windows(features: Float32Array) -> WindowPairs:
    """Pairs of one film's windows, of float32 [M, D], chosen as those of two films are: they share no shot."""
    means = window_means(unit_rows(features))
    scores = means @ means.T
    first, second = np.indices(scores.shape)
    apart = second - first >= WINDOW_SHOTS
    scores[~apart] = -2
    pairs = select_pairs(scores, WINDOW_SHOTS, share=float(apart.mean()) / 2)
    return WindowPairs(scores[pairs[:, 0], pairs[:, 1]], pairs)


def shot_encoders(seed: int, budget: Budget, catalogs: StoryCatalogs, folder: Path) -> Iterator[tuple[str, Path]]:
    """E_shot untrained, and by both recipes: rows and files."""
    given = ("--catalog", catalogs.trained, "--threads", str(budget.threads))
    untrained = folder / "shot-untrained.safetensors"
    config = shot_config("small", "m2s", {"seed": seed})
    torch.manual_seed(seed)
    save_shot_encoder(untrained, make_shot_network(config).state_dict(), config)
    yield "E_shot untrained", untrained
    for row, recipe in (("E_shot, ShotCoL's recipe", "shotcol"), ("E_shot, ours", "m2s")):
        path = folder / f"shot-{recipe}.safetensors"
        values = {"seed": seed, "epochs": budget.shot_epochs}
        m2s("train", "shot", "--recipe", recipe, "--out", path, *settings(values), *given)
        yield row, path


def measured_encoder(catalog: Catalog, name: str) -> dict[str, list[float]]:
    """Precision of an encoder's stored vectors."""
    with catalog.reader() as reader:
        encoder = find_encoder(reader, name)
        return {
            vocabulary: precision(
                catalog, vocabulary, encoder.identity.metric, lambda s: read_vectors(reader, encoder, s)
            )
            for vocabulary in ("theme", "place")
        }


def measured(catalog: Catalog, describe: Callable[[int], Float32Array]) -> dict[str, list[float]]:
    """Precision of what ``describe`` says of a movie's shots, float32 [M, D]; a scene is nine of them in order."""

    def vectors(scenes: LabelledScenes) -> Float32Array:
        films = [describe(movie_id) for movie_id in dict.fromkeys(scenes.movie_ids.tolist())]
        return np.concatenate([film.reshape(len(film) // WINDOW_SHOTS, -1) for film in films])

    return {name: precision(catalog, name, "l2", vectors) for name in ("theme", "place")}


def mean_colours(catalog: Catalog, movie_id: int) -> Float32Array:
    """The mean colour of each shot's key frame."""
    frames = shot_frames(catalog, movie_id, range(len(cut_lengths(catalog, movie_id))))
    return np.stack([frame.mean(axis=(0, 1)) for frame in frames]).astype(np.float32)


def cut_lengths(catalog: Catalog, movie_id: int) -> Float32Array:
    """How many frames each shot has."""
    with catalog.reader() as reader:
        query = 'SELECT end_frame - start_frame FROM shots WHERE movie_id = ? ORDER BY "index"'
        return np.array(list(reader.rows(query, (movie_id,))), np.float32)


def precision(
    catalog: Catalog, vocabulary: str, metric: Metric, vectors: Callable[[LabelledScenes], Float32Array]
) -> list[float]:
    """Precision at ``RANKS``, each labelled scene asking for those of other films."""
    with catalog.reader() as reader:
        splits = read_splits(reader, vocabulary, "all", "all")
    rows = vectors(splits.queries)
    ranking = WholeRanking(rows, metric)
    scored = search_splits(splits, rows, ranking, exclude_same_movie=True, on_progress=lambda count: None)
    return [100 * float(scored.all_queries.precision[:, rank - 1].mean()) for rank in RANKS]


def chance(catalog: Catalog) -> dict[str, list[float]]:
    """Precision of any order, on average."""
    found = {}
    for vocabulary in ("theme", "place"):
        with catalog.reader() as reader:
            carries = read_splits(reader, vocabulary, "all", "all").queries
        same = carries.carries.T.astype(int) @ carries.carries
        others = carries.films[:, None] != carries.films
        share = 100 * float(((same * others).sum(axis=1) / others.sum(axis=1)).mean())
        found[vocabulary] = [share] * len(RANKS)
    return found


THEME_ROWS = (
    "chance", "mean colours alone", "cut lengths alone", BASE, "E_scene untrained", "E_scene, same-film",
    *(f"E_scene, {signal}" for signal in SIGNALS),
)  # fmt: skip
PLACE_ROWS = ("chance", BASE, "E_shot untrained", "E_shot, ShotCoL's recipe", "E_shot, ours")
THEME_DIFFERENCES = (
    ("mean colours alone", "chance"), ("cut lengths alone", "chance"), ("E_scene, same-film", "E_scene untrained"),
    *((f"E_scene, {signal}", "E_scene, same-film") for signal in SIGNALS),
    *((f"E_scene, {signal}", "E_scene untrained") for signal in SIGNALS),
)  # fmt: skip
PLACE_DIFFERENCES = (
    ("E_shot, ShotCoL's recipe", "E_shot untrained"), ("E_shot, ours", "E_shot, ShotCoL's recipe"),
    ("E_shot, ours", "E_shot untrained"),
)  # fmt: skip


def interval(values: list[float]) -> str:
    """The mean and its 95 % interval over seeds, by Student's t."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.1f}"
    reach = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return f"{mean:.1f} [{mean - reach:.1f}, {mean + reach:.1f}]"


def print_tables(seeds: list[Table]) -> None:
    """Means and paired differences, in Markdown."""
    for vocabulary, rows, pairs in (
        ("theme", THEME_ROWS, THEME_DIFFERENCES),
        ("place", PLACE_ROWS, PLACE_DIFFERENCES),
    ):
        lines = [(row, [[seed[row][vocabulary][k] for seed in seeds] for k in range(len(RANKS))]) for row in rows]
        for first, second in pairs:
            found = [
                [seed[first][vocabulary][k] - seed[second][vocabulary][k] for seed in seeds]
                for k in range(len(RANKS))
            ]
            lines.append((f"{first} − {second}", found))
        print(f"\n| {vocabulary} | {' | '.join(f'P@{rank}' for rank in RANKS)} |\n|---|" + "---|" * len(RANKS))
        for name, columns in lines:
            print(f"| {name} | {' | '.join(interval(column) for column in columns)} |")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of what each seed gave")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1, help="on world 0 settings were chosen")
    parser.add_argument("--films", type=int, default=112, help="to train on")
    parser.add_argument("--held-out", type=int, default=56, help="to measure with")
    parser.add_argument("--movie-batch", type=int, default=16)
    parser.add_argument("--movie-epochs", type=int, default=20)
    parser.add_argument("--scene-steps", type=int, default=600, help="the same for all pairs")
    parser.add_argument("--scene-batch", type=int, default=32)
    parser.add_argument("--shot-epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Make the seeds that are not there yet, and print the tables of all."""
    arguments = parse()
    budget = Budget(**{name: getattr(arguments, name) for name in Budget.__dataclass_fields__})
    arguments.out.mkdir(parents=True, exist_ok=True)
    seeds: list[Table] = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        path = arguments.out / f"seed-{seed}.json"
        if not path.exists():

            def make(seed: int = seed, path: Path = path) -> None:
                with tempfile.TemporaryDirectory() as folder:
                    path.write_text(json.dumps(one_seed(seed, budget, Path(folder)), indent=1))

            print(f"seed {seed}: {timed(make):.0f} s", flush=True)
        seeds.append(json.loads(path.read_text()))
    print(f"\n{machine()}; {len(seeds)} seeds; {budget}")
    print_tables(seeds)


if __name__ == "__main__":
    main()
