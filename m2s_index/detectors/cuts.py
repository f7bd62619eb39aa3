"""Hard cuts in luma samples: how much each frame differs from the one before, against its neighbourhood.

A cut must stand out in three ways: from the change between frames nearby (so that pans and hand-held
cameras are not cuts), in structure and not in brightness alone (so that explosions and lamps are not),
and all over the picture (so that an object that rushes in is not). Pictures that come back within the
shortest shot (flashes, strobes) are no cut at all. Pure functions; streaming lives in
``detectors.adaptive``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.detectors.luma import TILES, Samples

Floats = NDArray[np.float32]

NEIGHBOURS = 6
"""Frames on either side that a change is compared with."""
MOVING = 3
"""… of which the largest count, so that repeated frames (telecine, animation on twos) do not."""
REACH = 3
"""Frames on either side that must all differ across a cut."""
QUIET_TILES = 0.3
"""The share of the picture that may stay as it was in a cut."""
NOISE_VARIANCE = 8.0
"""Added to both variances in a correlation: near-black frames are alike whatever their noise."""

# Logistic model of a cut from log(change ratio), structure, log(quiet-tile ratio), bias. Fitted to the cuts,
# listed by eye, of Elephants Dream, Tears of Steel and the Sintel trailer; checked on procedural films.
WEIGHTS = (3.4, 6.5, 1.9, -8.0)
RATIO_RANGE = (0.3, 8.0)
MIN_CHANGE = 4.0


@dataclass(frozen=True)
class Changes:
    """Each frame against the one before, float32 [T]; 0 for the first of all.

    ``mean`` is the mean absolute difference in grey levels; ``quiet`` the same in the tile at the
    ``QUIET_TILES`` quantile; ``structure`` is 1 − correlation, 0 (same picture) to 2.
    """

    mean: Floats
    quiet: Floats
    structure: Floats


def frame_changes(samples: Samples) -> Changes:
    """Changes from frame to frame of uint8 [T, height, width] samples; T − 1 values for frames 1 to T − 1."""
    count, height, width = samples.shape
    difference = np.subtract(samples[1:], samples[:-1], dtype=np.int16)
    np.abs(difference, out=difference)
    # Row sums first, along contiguous memory; whole tiles from them.
    columns = np.add.reduceat(difference, np.arange(0, width, width // TILES), axis=2, dtype=np.int32)
    tiles = columns.reshape(count - 1, TILES, height // TILES, TILES).sum(axis=2).reshape(count - 1, TILES * TILES)
    per_tile = height * width / TILES**2
    rank = int(QUIET_TILES * TILES**2)
    return Changes(
        mean=(tiles.sum(axis=1) / (height * width)).astype(np.float32),
        quiet=(np.partition(tiles, rank, axis=1)[:, rank] / per_tile).astype(np.float32),
        structure=_successive_structure(samples),
    )


def _successive_structure(samples: Samples) -> Floats:
    """``structure_distance`` of each frame and the next, float32 [T − 1], at half the cost."""
    flat = samples.reshape(len(samples), -1).astype(np.float32)
    size = flat.shape[1]
    mean = np.einsum("ij->i", flat) / size
    # Not far from the middle grey, so that little is lost when the means' product is taken away.
    flat -= 128
    mean -= 128
    deviation = np.sqrt(np.einsum("ij,ij->i", flat, flat) / size - mean * mean + NOISE_VARIANCE)
    covariance = np.einsum("ij,ij->i", flat[:-1], flat[1:]) / size - mean[:-1] * mean[1:]
    distance: Floats = 1 - covariance / (deviation[:-1] * deviation[1:])
    return distance


def structure_distance(first: Samples, second: Samples) -> Floats:
    """1 − Pearson correlation of frames of the same index, 0 to 2, float32 [T]; see NOISE_VARIANCE."""
    a = first.reshape(len(first), -1).astype(np.float32)
    b = second.reshape(len(second), -1).astype(np.float32)
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    size = a.shape[1]
    covariance = np.einsum("ij,ij->i", a, b) / size
    variance_a = np.einsum("ij,ij->i", a, a) / size + NOISE_VARIANCE
    variance_b = np.einsum("ij,ij->i", b, b) / size + NOISE_VARIANCE
    distance: Floats = 1 - covariance / np.sqrt(variance_a * variance_b)
    return distance


def neighbourhood(changes: Floats) -> Floats:
    """What changes around each frame, float32 [T]: the mean of the largest ``MOVING`` of the ``NEIGHBOURS``
    before it and of those after it. Beyond the ends there are zeros.
    """
    padded = np.pad(changes, NEIGHBOURS)
    windows = np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS)
    largest = np.partition(windows, NEIGHBOURS - MOVING, axis=1)[:, -MOVING:].mean(axis=1)
    around: Floats = (largest[: len(changes)] + largest[NEIGHBOURS + 1 :]) / 2
    return around


def cut_candidates(changes: Changes, around: Floats) -> NDArray[np.intp]:
    """Frames whose change is the largest within two frames and stands out a little from ``around``, the
    neighbourhood of ``changes.mean``.
    """
    mean, structure = changes.mean, changes.structure
    peaks = _local_maximum(mean) | _local_maximum(structure)
    wanted = peaks & (mean > MIN_CHANGE) & (structure > 0.15) & (mean > 1.2 * (around + 1))
    return np.flatnonzero(wanted)


def _local_maximum(values: Floats, reach: int = 2) -> NDArray[np.bool_]:
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, reach), 2 * reach + 1)
    peaks: NDArray[np.bool_] = values >= windows.max(axis=1)
    return peaks


def cut_score(
    samples: Samples, frame: int, flash_frames: int, quiet_change: float, around: tuple[float, float]
) -> float:
    """Probability, 0 to 1, that a shot begins at ``frame``.

    Args:
        samples: uint8 [T, height, width], with at least one frame before ``frame``.
        frame: the candidate.
        flash_frames: a picture that returns within so many frames was not left by a cut.
        quiet_change: ``Changes.quiet`` at ``frame``.
        around: the neighbourhoods of ``Changes.mean`` and ``Changes.quiet`` there.
    """
    change, structure = across(samples, frame, flash_frames)
    ratio = change / (around[0] + 1)
    quiet = quiet_change / (around[1] + 1)
    logit = (
        WEIGHTS[0] * np.log(np.clip(ratio, *RATIO_RANGE))
        + WEIGHTS[1] * min(structure, 1.0)
        + WEIGHTS[2] * np.log(np.clip(quiet, *RATIO_RANGE))
        + WEIGHTS[3]
    )
    return float(1 / (1 + np.exp(-logit)))


def across(samples: Samples, frame: int, flash_frames: int) -> tuple[float, float]:
    """The smallest change and structure distance between pictures before ``frame`` and from it on.

    Compared are any of the ``REACH`` frames before with any of the ``REACH`` after, and the frames next to
    the cut with those up to ``flash_frames`` away: whatever comes back within that time was never gone.
    """
    before = np.arange(max(0, frame - flash_frames), frame)
    after = np.arange(frame, min(len(samples), frame + flash_frames))
    first, second = (grid.ravel() for grid in np.meshgrid(before[-REACH:], after[:REACH]))
    first = np.concatenate([first, np.full(len(after[REACH:]), frame - 1), before[:-REACH]])
    second = np.concatenate([second, after[REACH:], np.full(len(before[:-REACH]), frame)])
    one, other = samples[first], samples[second]
    change = np.abs(np.subtract(one, other, dtype=np.int16)).mean(axis=(1, 2)).min()
    return float(change), float(structure_distance(one, other).min())
