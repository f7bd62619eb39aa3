"""The oriented band-pass filters of the GIST descriptor, applied to the spectrum of a square picture.

After Oliva and Torralba, "Modeling the shape of the scene: a holistic representation of the spatial
envelope", IJCV 42(3), 2001: four octaves by eight orientations. Their Gabor filters never end; ours are
raised cosines in log-frequency and in angle, which do, so each response is computed on a grid just large
enough for its band and is still exactly the full-size response at those points.

Pooling and everything before the spectrum live in ``m2s_index.encoders.gist``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from m2s_index.types import Float32Array

SIZE_PX = 128
SCALES = 4
ORIENTATIONS = 8
TOP_FREQUENCY = 0.25
"""Centre of the finest band, in cycles a pixel; each scale's centre is half the one before."""
HALF_WIDTH_DEGREES = 30.0
"""A filter's response falls to zero this far from its orientation (neighbours are 22.5 degrees apart)."""
SMALLEST_GRID = 16

Complex64Array = NDArray[np.complex64]


@dataclass(frozen=True)
class Band:
    """The eight filters of one scale, packed for gathering from a half spectrum.

    ``source`` int64 [8, n, n] indexes the flattened half spectrum followed by its conjugate; ``weight``
    float32 [8, n, n] is the filter's gain there, zero outside its support.
    """

    source: NDArray[np.int64]
    weight: Float32Array

    def responses(self, spectrum_and_conjugate: Complex64Array) -> Complex64Array:
        """Complex filter responses [8, n, n]: every (SIZE_PX / n)-th pixel of the full-size ones."""
        packed = spectrum_and_conjugate[self.source]
        packed *= self.weight
        # In place: a fresh array of this size costs more in page faults than the transform itself. NumPy's
        # stubs know complex128 output only; single precision goes through since 2.0.
        np.fft.ifft(packed, axis=1, out=packed)  # type: ignore[arg-type]
        np.fft.ifft(packed, axis=2, out=packed)  # type: ignore[arg-type]
        return packed


def transfer(scale: int, orientation: int) -> NDArray[np.float64]:
    """One filter's gain at each frequency of ``np.fft.fft2``: [SIZE_PX, SIZE_PX], in [0, 2].

    A product of two raised cosines, cos²(π/2 · log₂(f/f_s)) within an octave of the centre f_s and
    cos²(π/2 · d/30°) within 30 degrees of the orientation; one-sided and doubled, so that the modulus of
    the response is the local amplitude.
    """
    frequency = np.fft.fftfreq(SIZE_PX)
    fx, fy = frequency[None, :], frequency[:, None]
    radius = np.hypot(fx, fy)
    radius[0, 0] = 1e-9  # no logarithm of zero; the octave window is zero there in any case
    octaves = np.log2(radius / (TOP_FREQUENCY / 2**scale))
    angle = np.arctan2(fy, fx) - np.pi * orientation / ORIENTATIONS
    turn = np.abs((angle + np.pi) % (2 * np.pi) - np.pi) / np.deg2rad(HALF_WIDTH_DEGREES)
    radial: NDArray[np.float64] = np.where(np.abs(octaves) < 1, np.cos(np.pi / 2 * octaves) ** 2, 0.0)
    return 2 * radial * np.where(turn < 1, np.cos(np.pi / 2 * turn) ** 2, 0.0)


@cache
def bank() -> tuple[Band, ...]:
    """The filters of all scales, finest first. Built once in a process (a few milliseconds)."""
    return tuple(_band(scale) for scale in range(SCALES))


def _band(scale: int) -> Band:
    n = max(SMALLEST_GRID, SIZE_PX >> (scale + 1))
    source = np.zeros((ORIENTATIONS, n, n), np.int64)
    weight = np.zeros((ORIENTATIONS, n, n), np.float32)
    columns = SIZE_PX // 2 + 1
    for orientation in range(ORIENTATIONS):
        gain = transfer(scale, orientation)
        y, x = np.nonzero(gain)
        left = x > SIZE_PX // 2
        # The half spectrum has no negative x frequencies: there Y(y, x) is the conjugate of Y(-y, -x).
        row = np.where(left, -y, y) % SIZE_PX
        column = np.where(left, SIZE_PX - x, x)
        # Folding a support that fits the small grid only takes every (SIZE_PX / n)-th pixel.
        at = (orientation, y % n, x % n)
        source[at] = row * columns + column + left * (SIZE_PX * columns)
        weight[at] = gain[y, x] * (n / SIZE_PX) ** 2
    return Band(source, weight)
