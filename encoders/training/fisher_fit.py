"""Fitting the encoder ``fisher`` to pictures, without labels: principal axes, a mixture of Gaussians, and the
principal axes of what comes of it.

All of it is NumPy, drawn from one seed: on one thread of one machine the result is the same to the bit. Whether it
is of use is measured elsewhere (``benchmarks/pictures.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.encoders import gist
from m2s_index.encoders.fisher import FisherWeights, fisher_vector, joined
from m2s_index.encoders.fisher_vector import PLACE, Vocabulary
from m2s_index.encoders.gradients import SIDE_PX, local_descriptors
from m2s_index.errors import TrainingError
from m2s_index.types import Float32Array, Image

_LEAST_VARIANCE = 0.01
_LEAST_POINTS = 5
"""A Gaussian of fewer points is left as it was."""
_POWER_STEPS = 4
_MORE_AXES = 32


@dataclass(frozen=True)
class FisherConfig:
    """How it is fitted."""

    seed: int = 0
    numbers: int = 512
    """Of the features."""
    axes: int = 48
    gaussians: int = 64
    descriptors_a_picture: int = 60
    """Drawn of each picture for axes and mixture."""
    clustering_steps: int = 8
    mixture_steps: int = 10


def fit_fisher(pictures: Sequence[Image], config: FisherConfig) -> FisherWeights:
    """Fit to pictures, uint8 [height, width, 3] each.

    Raises:
        TrainingError: fewer pictures than the encoder has numbers.
    """
    if len(pictures) < config.numbers:
        raise TrainingError(f"{len(pictures)} pictures; {config.numbers} axes need at least as many: give more")
    generator = np.random.default_rng(config.seed)
    vocabulary = fit_vocabulary(pictures, config, generator)
    total = sum(fisher_vector(vocabulary, picture).astype(np.float64) for picture in pictures)
    centre = np.asarray(total / len(pictures), np.float32)
    rows = np.stack([joined(vocabulary, centre, picture) for picture in pictures])
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    # What is used is what the file holds: the axes in half precision.
    projection = principal_axes(rows - mean, config.numbers, generator).astype(np.float16).astype(np.float32)
    return FisherWeights(vocabulary, centre, projection, np.asarray(mean @ projection, np.float32))


def fit_vocabulary(pictures: Sequence[Image], config: FisherConfig, generator: np.random.Generator) -> Vocabulary:
    """Principal axes of descriptors, and a mixture of Gaussians on them by expectation and maximisation."""
    drawn, places = [], []
    for picture in pictures:
        found = local_descriptors(gist.grey_square(picture, SIDE_PX))
        chosen = generator.choice(len(found.numbers), config.descriptors_a_picture, replace=False)
        drawn.append(found.numbers[chosen])
        places.append(found.places[chosen])
    numbers = np.concatenate(drawn)
    mean = numbers.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(np.cov(numbers.T, dtype=np.float64))
    kept = slice(-1, -1 - config.axes, -1)
    axes = np.asarray(directions[:, kept] / np.sqrt(variances[kept]), np.float32)
    origin = np.asarray(mean @ axes, np.float32)
    points = np.concatenate([numbers @ axes - origin, np.concatenate(places) * PLACE], axis=1)
    return fit_mixture(axes, origin, np.asarray(points, np.float32), config, generator)


def fit_mixture(
    axes: Float32Array,
    origin: Float32Array,
    points: Float32Array,
    config: FisherConfig,
    generator: np.random.Generator,
) -> Vocabulary:
    """A mixture over points, float32 [N, D + 2]: begun from clusters, made likelier step by step."""
    shares = one_hot(clusters(points, config, generator), config.gaussians)
    start = np.ones((config.gaussians, points.shape[1]), np.float32)
    mixture = Vocabulary(
        axes, origin, np.full(config.gaussians, 1 / config.gaussians, np.float32), np.zeros_like(start), start
    )
    for _ in range(config.mixture_steps + 1):
        mixture = maximised(mixture, points, shares)
        shares = mixture.posteriors(points)
    return mixture


def maximised(mixture: Vocabulary, points: Float32Array, shares: Float32Array) -> Vocabulary:
    """The likeliest mixture where each point, float32 [N, D + 2], is of the Gaussians by its shares, [N, K]."""
    counts = shares.sum(axis=0, dtype=np.float64)[:, None]
    held = np.maximum(counts, _LEAST_POINTS)
    means = (shares.T @ points) / held
    variances = np.maximum((shares.T @ points**2) / held - means**2, _LEAST_VARIANCE)
    enough = counts >= _LEAST_POINTS
    weights = np.maximum(counts[:, 0], 1)
    return Vocabulary(
        mixture.axes,
        mixture.origin,
        np.asarray(weights / weights.sum(), np.float32),
        np.where(enough, means, mixture.means).astype(np.float32),
        np.where(enough, variances, mixture.variances).astype(np.float32),
    )


def clusters(points: Float32Array, config: FisherConfig, generator: np.random.Generator) -> NDArray[np.int64]:
    """Which of so many clusters each point is of, int64 [N], by Lloyd's algorithm from points drawn at random."""
    centres = points[generator.choice(len(points), config.gaussians, replace=False)]
    nearest = np.zeros(len(points), np.int64)
    for _ in range(config.clustering_steps):
        nearest = np.argmin((centres**2).sum(axis=1) - 2 * points @ centres.T, axis=1)
        shares = one_hot(nearest, config.gaussians)
        counts = shares.sum(axis=0)[:, None]
        centres = np.where(counts > 0, (shares.T @ points) / np.maximum(counts, 1), centres)
    return nearest


def one_hot(numbers: NDArray[np.int64], count: int) -> Float32Array:
    """float32 [N, count], 1 at each row's number."""
    return np.asarray(np.arange(count) == numbers[:, None], np.float32)


def principal_axes(rows: Float32Array, count: int, generator: np.random.Generator) -> Float32Array:
    """The directions of largest variance of centred rows, float32 [N, D]: float32 [D, count], orthonormal.

    By subspace iteration (Halko, Martinsson and Tropp, SIAM Review 53(2), 2011): the rows' covariance would have
    more numbers than all rows.
    """
    basis = generator.standard_normal((rows.shape[1], min(count + _MORE_AXES, *rows.shape)), dtype=np.float32)
    for _ in range(_POWER_STEPS):
        basis = np.linalg.qr(rows.T @ (rows @ basis))[0]
    _, _, turned = np.linalg.svd(rows @ basis, full_matrices=False)
    return np.asarray(basis @ turned[:count].T, np.float32)
