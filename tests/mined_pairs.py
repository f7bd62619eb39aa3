"""Scene pairs of a catalogue's films, mined by its encoder's own shot features: a pairs file without E_movie."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.pairing.greedy import select_pairs
from m2s_index.pairing.pairs_file import MinedPair, MinedScene, write_pairs
from m2s_index.pairing.windows import WINDOW_SHOTS, window_scores
from m2s_index.training_features import CatalogFeatures
from m2s_index.types import Float32Array


def write_mined_pairs(folder: Path, path: Path) -> int:
    """Write the best-matching windows of every two films, by the catalogue's default encoder; returns how many."""
    with Catalog.open(folder) as catalog:
        source = CatalogFeatures(catalog, None)
        films = [unit(source.features(film)) for film in range(len(source.shots))]
        pairs = [
            MinedPair(float(scores[i, j]), scene(source, a, i), scene(source, b, j))
            for a, b in combinations(range(len(films)), 2)
            if (scores := window_scores(films[a], films[b])).size
            for i, j in select_pairs(scores, WINDOW_SHOTS).tolist()
        ]
    write_pairs(path, sorted(pairs, key=lambda pair: -pair.score))
    return len(pairs)


def scene(source: CatalogFeatures, film: int, first: int) -> MinedScene:
    return MinedScene(source.fingerprints[film], f"film {film}", first, first + WINDOW_SHOTS - 1, 0.0, 1.0)


def unit(rows: Float32Array) -> Float32Array:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
