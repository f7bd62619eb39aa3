"""How fast the scene pairs of two films are mined, against the machine's own matrix product.

    python benchmarks/mining.py [--shots 1500] [--dimension 512] [--rounds 21]

Two synthetic films of scenes: shots of a scene are alike, and some scenes of the two are. Each round runs, one
after the other: NumPy's product of two matrices of the windows' shapes, nothing else; "windows", the window means
of both films and their product; and "mining", all of it: that, the choice of the highest half and the greedy
selection. The share is of the machine's own rate: the product's operations, 2·(M−8)·(N−8)·D, over the part's time,
as a share of the same over the bare product's time. Medians of paired rounds.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
from machine import machine, median_ratio, timed

from m2s_index.pairing.mining import best_windows, unit_rows
from m2s_index.pairing.windows import WINDOW_SHOTS, window_means, window_scores
from m2s_index.types import Float32Array

SCENES, NOISE = 60, 0.5
"""How many kinds of scenes there are, and how unlike shots of a kind are, as a share of the kinds' own spread."""


def film(random: np.random.Generator, kinds: Float32Array, shots: int) -> Float32Array:
    """Scenes of nine shots, each of a kind drawn at random: normalised rows."""
    scenes = np.repeat(random.integers(len(kinds), size=shots // WINDOW_SHOTS + 1), WINDOW_SHOTS)[:shots]
    noise = random.standard_normal((shots, kinds.shape[1])) * NOISE
    return unit_rows((kinds[scenes] + noise).astype(np.float32))


def main() -> None:
    """Make two films, run the rounds, print medians and shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=int, default=1500)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    kinds = random.standard_normal((SCENES, options.dimension)).astype(np.float32)
    first, second = (film(random, kinds, options.shots) for _ in range(2))
    left, right = window_means(first), window_means(second)
    calls = {
        "bare product": lambda: left @ right.T,
        "windows": lambda: window_scores(first, second),
        "mining": lambda: best_windows(window_means(first), window_means(second)),
    }
    for call in calls.values():
        call()
    rounds = [{name: timed(call) for name, call in calls.items()} for _ in range(options.rounds)]
    operations = 2 * len(left) * len(right) * options.dimension
    pairs = len(best_windows(left, right))
    print(f"{machine()}, NumPy {np.__version__}; {options.shots} × {options.shots} shots of {options.dimension},")
    print(f"{pairs} pairs; medians of {options.rounds} rounds")
    for name in calls:
        seconds = [times[name] for times in rounds]
        share = median_ratio([times["bare product"] for times in rounds], seconds)
        median = statistics.median(seconds)
        print(f"{name:14} {median * 1e3:7.1f} ms {operations / median / 1e9:7.1f} GFLOP/s   share {share:.2f}")


if __name__ == "__main__":
    main()
