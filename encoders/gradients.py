"""Local descriptors of a picture: histograms of gradient directions on a dense grid, and those of its mirror image.

After Lowe (IJCV 60(2), 2004) and Lazebnik, Schmid and Ponce (CVPR 2006), which took them densely: a window of 4×4
cells with eight directions each, 128 numbers, normalised so that light counts little, and square-rooted
(Arandjelović and Zisserman, CVPR 2012). Gradients are of log-luminance. What becomes of the descriptors is in
``m2s_index.encoders.fisher_vector``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from m2s_index.types import Float32Array

SIDE_PX = 160
DIRECTIONS = 8
WINDOW = 4
NUMBERS = WINDOW * WINDOW * DIRECTIONS
GRIDS = ((4, 2), (8, 1), (10, 1))
"""Side of a cell in pixels and step between windows in cells; cells and steps fill ``SIDE_PX`` symmetrically."""

_DARK = np.float32(16)
"""Added before the logarithm, of 255: keeps sensor noise and coding artefacts of dark pictures small."""
_FLAT = np.float32(0.15)
"""Added to a window's length before it is divided by: flat windows stay short."""


@dataclass(frozen=True)
class LocalDescriptors:
    """Descriptors float32 [N, 128], in 0…1, and their windows' centres float32 [N, 2], across and down, −½…½."""

    numbers: Float32Array
    places: Float32Array


@dataclass(frozen=True)
class Gradients:
    """Of each pixel's log-luminance: length, the direction below its own (0…7, by eighths of a turn) and how much
    of the way to the next one it goes; each [160, 160].
    """

    length: Float32Array
    lower: NDArray[np.int32]
    share: Float32Array

    def histograms(self, cell_px: int) -> Float32Array:
        """Mean gradient of each cell by direction: float32 [cells, cells, 8]; a gradient is shared between the
        two directions next to its own.
        """
        cells = SIDE_PX // cell_px
        at, upper = _first_bins(cell_px), (self.lower + 1) % DIRECTIONS
        size = cells * cells * DIRECTIONS
        total = np.bincount((at + self.lower).ravel(), (self.length * (1 - self.share)).ravel(), size)
        total += np.bincount((at + upper).ravel(), (self.length * self.share).ravel(), size)
        return (total / cell_px**2).astype(np.float32).reshape(cells, cells, DIRECTIONS)


def gradients_of(grey: NDArray[np.uint8]) -> Gradients:
    """Central differences; none at the picture's edge."""
    light = np.log(grey.astype(np.float32) + _DARK)
    across, down = np.zeros_like(light), np.zeros_like(light)
    across[:, 1:-1] = light[:, 2:] - light[:, :-2]
    down[1:-1] = light[2:] - light[:-2]
    turn = np.arctan2(down, across) * np.float32(DIRECTIONS / (2 * np.pi))
    lower = np.floor(turn)
    return Gradients(np.sqrt(across**2 + down**2), lower.astype(np.int32) % DIRECTIONS, turn - lower)


def local_descriptors(grey: NDArray[np.uint8]) -> LocalDescriptors:
    """All windows of all grids.

    Args:
        grey: uint8 [160, 160].
    """
    gradients = gradients_of(grey)
    parts = [_windows(gradients.histograms(cell_px), step) for cell_px, step in GRIDS]
    return LocalDescriptors(
        np.concatenate([part.numbers for part in parts]), np.concatenate([part.places for part in parts])
    )


def mirrored(axes: Float32Array) -> Float32Array:
    """Axes [128, D] that give of a descriptor what ``axes`` give of the mirror image's."""
    turned = axes.reshape(DIRECTIONS, WINDOW, WINDOW, -1)[(DIRECTIONS // 2 - np.arange(DIRECTIONS)) % DIRECTIONS]
    return np.ascontiguousarray(turned[:, :, ::-1].reshape(NUMBERS, -1))


@cache
def _first_bins(cell_px: int) -> NDArray[np.int32]:
    """The number of the first bin of each pixel's cell."""
    cell = np.arange(SIDE_PX, dtype=np.int32) // cell_px
    return np.asarray((cell[:, None] * (SIDE_PX // cell_px) + cell) * DIRECTIONS, np.int32)


def _windows(cells: Float32Array, step: int) -> LocalDescriptors:
    """The windows of a grid: directions first, then rows and columns of cells."""
    windows = np.lib.stride_tricks.sliding_window_view(cells, (WINDOW, WINDOW), axis=(0, 1))[::step, ::step]
    count = len(windows)
    numbers = np.ascontiguousarray(windows).reshape(count * count, NUMBERS)
    numbers = numbers / (np.linalg.norm(numbers, axis=1, keepdims=True) + _FLAT)
    centre = (np.arange(count, dtype=np.float32) * step + WINDOW / 2) / len(cells) - np.float32(0.5)
    places = np.stack(np.broadcast_arrays(centre[None, :], centre[:, None]), axis=-1).reshape(-1, 2)
    return LocalDescriptors(np.sqrt(numbers), np.asarray(places, np.float32))
