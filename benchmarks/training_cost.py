"""What trainings of the preset ``paper`` cost: parameters, operations, memory, rate of steps, hours for many films.

    python benchmarks/training_cost.py CATALOG [--pairs 1] [--shots 8] [--rounds 3]

Operations are counted of one scene of nine key frames (E_scene, architecture ``frames``) and of one shot (E_shot),
forward; a multiply-add is two. Batches are cut to --pairs pairs and --shots shots from the preset's 128, since a
step of those takes long; views, forward passes, gradients and the optimiser are of the real size. Seconds are
processor seconds of all threads, the median of --rounds steps: those of the clock would be other programs' too
where a machine is shared. Reading is that of such a batch's key frames from CATALOG, scaled and not yet changed.
Memory is the most that the process has held.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from machine import machine
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from m2s_index.catalog import Catalog
from m2s_index.encoders.scene_encoder import make_scene_network
from m2s_index.encoders.shot_encoder import input_data, make_shot_network
from m2s_index.encoders.training.augmentation import Augmentation
from m2s_index.encoders.training.loader import BatchLoader, base_px, square_pictures
from m2s_index.encoders.training.pair_loader import PairLoader
from m2s_index.encoders.training.place import Place
from m2s_index.encoders.training.sampler import RunSampler
from m2s_index.encoders.training.scene_config import PRESETS as SCENE_PRESETS
from m2s_index.encoders.training.scene_contrast import SceneContrast
from m2s_index.encoders.training.scene_pairs import ScenePairSampler, Scenes
from m2s_index.encoders.training.scene_views import FrameViews
from m2s_index.encoders.training.shot_config import PRESETS as SHOT_PRESETS
from m2s_index.encoders.training.shot_contrast import ShotContrast
from m2s_index.pairing.windows import WINDOW_SHOTS
from m2s_index.training_source import KeyFrameSource

FILMS, FILM_SHOTS, FILM_PAIRS = 30_000, 1_000, 50
RUN_SHOTS = 8
PLACE = Place(torch.device("cpu"), bf16=False)


@dataclass(frozen=True)
class Cost:
    """Of a training: processor seconds of a step and of reading are those of one sample, a pair or a shot."""

    name: str
    sample: str
    parameters: int
    gflop: float
    step_seconds: float
    reading_seconds: float
    memory_gib: float
    epoch_samples: int
    epochs: int

    @property
    def hours(self) -> float:
        """For all epochs at the measured rate, where all cores that torch uses are free."""
        return self.epochs * self.epoch_samples * self.step_seconds / torch.get_num_threads() / 3600


def scene_cost(source: KeyFrameSource, batch: int, rounds: int) -> Cost:
    """E_scene over key frames."""
    config = replace(SCENE_PRESETS["paper"], batch_pairs=batch)
    network = make_scene_network(config, None)
    present = torch.ones(1, WINDOW_SHOTS, dtype=torch.bool)
    gflop = operations(network, torch.zeros(1, WINDOW_SHOTS, 3, config.image_px, config.image_px), present)
    views = FrameViews(source, config.image_px, augmentation(network.vit, config.image_px))
    scenes = [
        Scenes(source.shots).number(film, first)
        for film, shots in enumerate(source.shots)
        for first in range(0, shots - WINDOW_SHOTS + 1, WINDOW_SHOTS)
    ]
    half = len(scenes) // 2
    pairs = np.stack([scenes[:half], scenes[half : 2 * half]], axis=1)
    sampler = ScenePairSampler(pairs, batch_pairs=batch, seed=0)
    with PairLoader(sampler, views.read) as loader:
        task = SceneContrast(network, config, loader, views, PLACE)
        step = step_seconds(task, rounds) / batch
    reading = seconds_of(lambda: [views.read(scene) for scene in sampler.batch(0).ravel().tolist()]) / batch
    return cost("E_scene, `frames`", "pair", network, gflop, step, reading, FILMS * FILM_PAIRS, config.epochs)


def shot_cost(source: KeyFrameSource, batch: int, rounds: int) -> Cost:
    """E_shot."""
    config = replace(SHOT_PRESETS["paper"], run_shots=RUN_SHOTS, films_per_batch=math.ceil(batch / RUN_SHOTS))
    network = make_shot_network(config)
    gflop = operations(network.eval(), torch.zeros(1, 3, config.image_px, config.image_px))
    network.train()
    sampler = RunSampler(source.shots, run_shots=RUN_SHOTS, films=config.films_per_batch, seed=0)
    side_px = base_px(config.image_px)
    with BatchLoader(source, sampler, RUN_SHOTS, side_px) as loader:
        task = ShotContrast(network, config, loader, augmentation(network, config.image_px), PLACE)
        step = step_seconds(task, rounds) / config.batch_shots
    runs = sampler.batch(0)
    frames = seconds_of(
        lambda: [square_pictures(source.frames(run.film, run.first_shot, RUN_SHOTS), side_px) for run in runs]
    )
    reading = frames / config.batch_shots
    return cost("E_shot", "shot", network, gflop, step, reading, FILMS * FILM_SHOTS, config.epochs)


def cost(
    name: str,
    sample: str,
    network: nn.Module,
    gflop: float,
    step: float,
    reading: float,
    epoch_samples: int,
    epochs: int,
) -> Cost:
    """Put together, with the memory that the process has held so far."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Cost(name, sample, parameters, gflop, step, reading, memory, epoch_samples, epochs)


def augmentation(network: nn.Module, image_px: int) -> Augmentation:
    """The views that the network's training takes."""
    data = input_data(network, image_px)
    return Augmentation(image_px, data["mean"], data["std"])


def operations(network: nn.Module, *inputs: torch.Tensor) -> float:
    """Gflop of one forward pass, its attention spelt out: the counter sees nothing of the CPU's fused one."""
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network(*inputs)
    return counter.get_total_flops() / 1e9


def step_seconds(task: SceneContrast | ShotContrast, rounds: int) -> float:
    """The median of some steps after a first one; the queue is left unfilled, which saves no work."""
    optimiser = torch.optim.AdamW([p for p in task.parameters() if p.requires_grad])

    def step(number: int) -> None:
        optimiser.zero_grad()
        task.batch_loss(number).backward()
        optimiser.step()
        task.after_step()

    step(0)
    return statistics.median(seconds_of(partial(step, number)) for number in range(1, rounds + 1))


def seconds_of(work: Callable[[], object]) -> float:
    """Processor seconds of all threads of this process while it does some work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("catalog", type=Path, help="a catalogue of real films")
    arguments.add_argument("--pairs", type=int, default=1, help="pairs in a step of E_scene")
    arguments.add_argument("--shots", type=int, default=8, help="shots in a step of E_shot")
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    with Catalog.open(given.catalog) as catalog:
        source = KeyFrameSource(catalog)
        costs = [shot_cost(source, given.shots, given.rounds), scene_cost(source, given.pairs, given.rounds)]
    print(f"{machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{FILMS:,} films of {FILM_SHOTS:,} shots, {FILM_PAIRS} pairs a film, 100 epochs\n")
    print("| `paper` | parameters | Gflop, forward | core-seconds | reading | memory | hours |")
    print("|---|---|---|---|---|---|---|")
    for c in costs:
        print(
            f"| {c.name} | {c.parameters / 1e6:.1f} M | {c.gflop:.1f} | {c.step_seconds:.2f} a {c.sample} "
            f"| {100 * c.reading_seconds / c.step_seconds:.1f} % | {c.memory_gib:.1f} GiB | {c.hours:,.0f} |"
        )


if __name__ == "__main__":
    main()
