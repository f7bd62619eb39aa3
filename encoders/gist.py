"""The encoder that needs no weights: GIST, oriented filter energies on a 4×4 grid, with NumPy alone.

After Oliva and Torralba, IJCV 42(3), 2001. A frame becomes grey and 128×128, its local contrast is
evened out, and the energy of each of 32 oriented filters (``m2s_index.encoders.gist_filters``) is averaged
in each cell of the grid: 512 numbers that say where the picture has which texture. A scene is the mean of
its frames. No torch is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from m2s_index.encoders.frames import check_frame, mean_feature
from m2s_index.encoders.gist_filters import ORIENTATIONS, SCALES, SIZE_PX, bank
from m2s_index.encoders.gist_prior import PRIOR, prior_sha256
from m2s_index.types import EncoderIdentity, Float32Array, Image

GRID = 4
DIMENSION = SCALES * ORIENTATIONS * GRID * GRID

_DARK = np.float32(16)
"""Added before the logarithm, of 255: keeps sensor noise and coding artefacts of dark pictures small."""
_CONTRAST_CYCLES = 4
"""Local mean and contrast are taken over Gaussians that halve at this many cycles a picture."""
_CONTRAST_FLOOR = np.float32(0.2)
_LOW = 16
"""Frequencies kept of the contrast Gaussian, whose gain at 16 cycles is 1e-5."""
_NORM_FLOOR = np.float32(4)
"""Descriptors shorter than this (photographs have 4.5 to 8) are not scaled up: blank frames hold noise."""
_PRIOR_SHARE = np.float32(0.75)
"""Not all of it: at 0.9 what is left of an ordinary picture is small, and its cosines are noise."""
_SAMPLED_ROWS = 256
"""Taller frames are thinned to this many rows at least before Pillow sees them: it pays for every pixel."""


class GistEncoder:
    """GIST as an ``Encoder``: 512 numbers a frame, compared by cosine."""

    @property
    def identity(self) -> EncoderIdentity:
        """Which descriptor this is; the subtracted constant is in it by its hash."""
        return EncoderIdentity(
            name="gist",
            architecture="gist-1: 4 octaves × 8 orientations × 4×4 cells",
            weights_sha256="",
            preprocessing=(
                f"grey {SIZE_PX}×{SIZE_PX}; log contrast normalised at {_CONTRAST_CYCLES} cycles; "
                f"square root of amplitude, unit length, minus {_PRIOR_SHARE:.2f} × constant "
                f"{prior_sha256()[:16]}"
            ),
            dimension=DIMENSION,
            metric="cosine",
        )

    @property
    def batch_size(self) -> int:
        """Frames are described one by one: this only bounds what the caller holds at once."""
        return 32

    def encode_frames(self, frames: Sequence[Image]) -> Float32Array:
        """Descriptors of frames of any size: float32 [N, 512], constant subtracted, not normalised.

        Raises:
            EncoderError: a frame is not uint8 [height, width, 3].
        """
        features = np.empty((len(frames), DIMENSION), np.float32)
        for row, frame in zip(features, frames, strict=True):
            check_frame(frame)
            row[:] = descriptor(frame)
        return features

    def encode_scene(self, features: Float32Array) -> Float32Array:
        """The mean over frames: float32 [512], not normalised."""
        return mean_feature(features)


def descriptor(frame: Image) -> Float32Array:
    """GIST of a frame, constant subtracted: float32 [512], not normalised."""
    rooted = np.sqrt(amplitudes(frame)).ravel()
    rooted /= max(np.float32(np.linalg.norm(rooted)), _NORM_FLOOR)
    return np.asarray(rooted - _constant(), np.float32)


def amplitudes(frame: Image) -> Float32Array:
    """Root mean square amplitude of each filter in each cell: float32 [4 scales, 8 orientations, 4, 4].

    Args:
        frame: uint8 [height, width, 3] of any size; its shape is squashed to a square, nothing is cut off.
    """
    rows = np.fft.rfft(even_contrast(grey_square(frame)), axis=1)
    half = np.fft.fft(rows, axis=0, out=rows).ravel()
    both = np.concatenate([half, half.conj()])
    out = np.empty((SCALES, ORIENTATIONS, GRID, GRID), np.float32)
    for scale, band in enumerate(bank()):
        parts = band.responses(both).view(np.float32)  # real and imaginary parts side by side
        cell = parts.shape[1] // GRID
        parts *= parts
        bands = np.add.reduce(parts.reshape(ORIENTATIONS, GRID, cell, -1), axis=2)
        cells = np.add.reduce(bands.reshape(ORIENTATIONS, GRID, GRID, 2 * cell), axis=3)
        out[scale] = np.sqrt(cells / np.float32(cell * cell))
    return out


def grey_square(frame: Image, side_px: int = SIZE_PX) -> NDArray[np.uint8]:
    """The frame as grey values (ITU-R BT.601 luma): uint8 [side, side], 128 of them if not said otherwise."""
    thinned = frame[:: max(1, len(frame) // _SAMPLED_ROWS)]
    picture = PILImage.fromarray(np.ascontiguousarray(thinned)).convert("L")
    # A box is the fastest filter to shrink with, but would draw steps when it enlarges.
    shrinks = min(picture.size) >= side_px
    box = PILImage.Resampling.BOX if shrinks else PILImage.Resampling.BILINEAR
    return np.asarray(picture.resize((side_px, side_px), box))


def even_contrast(grey: NDArray[np.uint8]) -> Float32Array:
    """Log-luminance less its local mean, over its local standard deviation: float32 [128, 128].

    The paper's prefilter, so that a dim corner counts as much as a sunlit one. The
    variance has no high frequencies, so only ``_LOW`` of them are transformed and back.
    """
    low = _low_pass()
    spectrum = np.fft.rfft2(np.log(grey.astype(np.float32) + _DARK))
    spectrum[:_LOW, :_LOW] *= 1 - low[:_LOW]
    spectrum[-_LOW:, :_LOW] *= 1 - low[_LOW:]
    detail = np.fft.irfft2(spectrum, s=(SIZE_PX, SIZE_PX))
    columns = np.fft.fft(np.fft.rfft(detail * detail, axis=1)[:, :_LOW], axis=0)
    columns[:_LOW] *= low[:_LOW]
    columns[_LOW:-_LOW] = 0
    columns[-_LOW:] *= low[_LOW:]
    variance = np.fft.irfft(np.fft.ifft(columns, axis=0), n=SIZE_PX, axis=1)
    return np.asarray(detail / (_CONTRAST_FLOOR + np.sqrt(np.maximum(variance, 0))), np.float32)


@cache
def _low_pass() -> Float32Array:
    """Gaussian gain at the low frequencies, rows 0…15 then −16…−1: float32 [32, 16]."""
    y = np.concatenate([np.arange(_LOW), np.arange(-_LOW, 0)])[:, None]
    x = np.arange(_LOW)[None, :]
    return np.asarray(0.5 ** ((x * x + y * y) / _CONTRAST_CYCLES**2), np.float32)


@cache
def _constant() -> Float32Array:
    """The shipped prior, one number a channel repeated over its cells, at its share of unit length: [512]."""
    prior = np.repeat(np.asarray(PRIOR, np.float32).ravel(), GRID * GRID)
    return np.asarray(_PRIOR_SHARE * prior / np.linalg.norm(prior), np.float32)
