"""Fitting the encoder ``fisher``: against exact and independent versions, and twice the same."""

from itertools import pairwise

import numpy as np
import pytest
from safetensors.numpy import load, save

from m2s_index.encoders.fisher import FisherEncoder, FisherWeights
from m2s_index.encoders.training.fisher_fit import (
    FisherConfig,
    clusters,
    fit_fisher,
    fit_mixture,
    maximised,
    one_hot,
    principal_axes,
)
from m2s_index.errors import TrainingError
from m2s_index.procedural.sights import sights

TOY = FisherConfig(seed=1, numbers=12, axes=10, gaussians=4, mixture_steps=3)


@pytest.fixture(scope="module")
def pictures():
    return list(sights(seed=5, pictures=14))


def groups(generator, count=4000):
    """Points of three known Gaussians, 5 numbers each, and which is which."""
    means = np.asarray([[4, 0, 0, 0, 0], [0, 4, 0, 0, 0], [0, 0, 4, 0, 0]])
    deviations = np.asarray([0.5, 1, 1.5])
    kinds = generator.choice(3, count, p=[0.5, 0.3, 0.2])
    points = means[kinds] + deviations[kinds, None] * generator.standard_normal((count, 5))
    return points.astype(np.float32), kinds


def mean_log_likelihood(mixture, points):
    return float(np.logaddexp.reduce(mixture.log_densities(points).astype(np.float64), axis=1).mean())


def nothing_before(numbers):
    """Axes and origin of no consequence: the points are given."""
    return np.zeros((128, numbers - 2), np.float32), np.zeros(numbers - 2, np.float32)


def test_principal_axes_are_those_of_the_exact_decomposition():
    """Where variances differ clearly, each axis is that of the exact decomposition, up to its sign."""
    generator = np.random.default_rng(0)
    rows = (
        generator.standard_normal((300, 80)) @ np.diag(0.8 ** np.arange(80)) @ generator.standard_normal((80, 80))
    )
    rows = (rows - rows.mean(0)).astype(np.float32)
    found = principal_axes(rows, 10, np.random.default_rng(1))
    exact = np.linalg.svd(rows.astype(np.float64), full_matrices=False)[2][:10].T
    np.testing.assert_allclose(np.abs((found * exact).sum(axis=0)), 1, atol=1e-3)
    np.testing.assert_allclose(found.T @ found, np.eye(10), atol=1e-5)


def test_every_step_makes_the_mixture_likelier():
    """Expectation and maximisation never lower the likelihood."""
    points, _ = groups(np.random.default_rng(0))
    config = FisherConfig(gaussians=3, mixture_steps=0)
    mixture = fit_mixture(*nothing_before(5), points, config, np.random.default_rng(2))
    found = [mean_log_likelihood(mixture, points)]
    for _ in range(6):
        mixture = maximised(mixture, points, mixture.posteriors(points))
        found.append(mean_log_likelihood(mixture, points))
    assert all(b >= a - 1e-5 for a, b in pairwise(found))


def test_the_mixture_is_as_likely_as_that_of_scikit_learn():
    """On points of three Gaussians, whose weights it finds."""
    other = pytest.importorskip("sklearn.mixture")
    points, kinds = groups(np.random.default_rng(0))
    config = FisherConfig(gaussians=3, clustering_steps=20, mixture_steps=40)
    mixture = fit_mixture(*nothing_before(5), points, config, np.random.default_rng(2))
    fitted = other.GaussianMixture(3, covariance_type="diag", random_state=0).fit(points)
    assert mean_log_likelihood(mixture, points) == pytest.approx(fitted.score(points), abs=2e-3)
    np.testing.assert_allclose(np.sort(mixture.weights), np.sort(np.bincount(kinds)) / len(kinds), atol=0.02)


def test_clusters_are_of_the_nearest_centre():
    """Well-parted groups are told apart, and every point is nearest to its own cluster's mean."""
    points, _ = groups(np.random.default_rng(0))
    found = clusters(points, FisherConfig(gaussians=3, clustering_steps=30), np.random.default_rng(2))
    centres = np.stack([points[found == k].mean(0) for k in range(3)])
    nearest = np.argmin(((points[:, None] - centres) ** 2).sum(-1), axis=1)
    assert (nearest == found).mean() > 0.999


def test_a_gaussian_without_points_stays_as_it_was():
    """It is neither divided by zero nor lost."""
    points, _ = groups(np.random.default_rng(0), count=100)
    start = fit_mixture(*nothing_before(5), points, FisherConfig(gaussians=3), np.random.default_rng(2))
    shares = one_hot(np.zeros(100, np.int64), 3)
    after = maximised(start, points, shares)
    np.testing.assert_array_equal(after.means[1:], start.means[1:])
    np.testing.assert_array_equal(after.variances[1:], start.variances[1:])
    assert np.isfinite(after.log_densities(points)).all()
    assert after.weights.sum() == pytest.approx(1)


def test_twice_the_same_to_the_bit(pictures):
    """The same pictures and seed give the same file; another seed gives another."""
    first, again = (save(fit_fisher(pictures, TOY).tensors()) for _ in range(2))
    assert first == again
    other = FisherConfig(seed=2, numbers=12, axes=10, gaussians=4, mixture_steps=3)
    assert save(fit_fisher(pictures, other).tensors()) != first


def test_a_file_gives_back_the_encoder(pictures):
    """What was fitted and what is read again describe pictures alike to the bit; its features are centred."""
    fitted = fit_fisher(pictures, TOY)
    read = FisherWeights.of(load(save(fitted.tensors())))
    features = FisherEncoder(fitted, "").encode_frames(pictures)
    np.testing.assert_array_equal(FisherEncoder(read, "").encode_frames(pictures), features)
    assert features.shape == (14, 12)
    assert FisherEncoder(read, "").identity.dimension == 12
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-3)


def test_too_few_pictures(pictures):
    """There are no more axes than pictures: it says so."""
    with pytest.raises(TrainingError, match="14 pictures; 15 axes"):
        fit_fisher(pictures, FisherConfig(numbers=15))
