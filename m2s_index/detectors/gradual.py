"""Gradual transitions in luma samples: dissolves and fades, with their extents.

A dissolve is a mixture: the frame in its middle is the mean of the pictures at its ends, which motion,
pans and cuts are not, and its contrast dips as the mixture's must. A fade runs through a flat picture,
black or white, and is found from the contrast alone. Pure functions; streaming lives in
``detectors.adaptive``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.detectors.luma import Samples

Floats = NDArray[np.float32]

FLAT_CONTRAST = 4.0
"""A picture whose standard deviation is below this, in grey levels, shows nothing."""
MIN_VARIANCE = 60.0
MIN_DISTANCE = 8.0
"""Root mean square difference, in grey levels, that the two pictures of a dissolve have at least."""
MAX_SURPRISE = 1.3
RAMP_SLOPE = 0.35
"""A fade ends where its slope falls below this share of its mean slope."""
FIRST_STEP = 0.2
"""A fade's first step, as a share of the contrast that it has reached, is at least this."""
MIN_RAMP_FRAMES = 2


@dataclass(frozen=True)
class Moments:
    """Per frame, float32 [T]: the mean, variance and mean square of its thumbnail."""

    mean: Floats
    variance: Floats
    square: Floats


def thumbnails(samples: Samples) -> Floats:
    """Means of 2 × 2 samples minus 128, float32 [T, cells]: motion of a few pixels hardly changes them."""
    quarter = samples[:, 0::2, 0::2].astype(np.uint16)
    for row, column in ((0, 1), (1, 0), (1, 1)):
        quarter += samples[:, row::2, column::2]
    thumbs: Floats = quarter.reshape(len(samples), -1) * np.float32(0.25) - np.float32(128)
    return thumbs


def moments(thumbs: Floats) -> Moments:
    """Moments of float32 [T, cells] thumbnails."""
    mean = np.einsum("ij->i", thumbs) / thumbs.shape[1]
    square = np.einsum("ij,ij->i", thumbs, thumbs) / thumbs.shape[1]
    return Moments(mean, np.maximum(square - mean * mean, 0), square)


def contrast(samples: Samples) -> Floats:
    """Standard deviation of each frame's middle, float32 [T]: bars around the picture do not count."""
    _, height, width = samples.shape
    top, left = height * 3 // 20, width // 10
    middle = samples[:, top : height - top : 2, left : width - left].reshape(len(samples), -1).astype(np.float32)
    middle -= 128
    size = middle.shape[1]
    mean = np.einsum("ij->i", middle) / size
    variance = np.einsum("ij,ij->i", middle, middle) / size - mean * mean
    deviation: Floats = np.sqrt(np.maximum(variance, 0))
    return deviation


def lag_products(thumbs: Floats, lag: int) -> Floats:
    """Mean product of each thumbnail with the one ``lag`` frames later, float32 [T − lag]."""
    if lag >= len(thumbs):
        return np.zeros(0, np.float32)
    products: Floats = np.einsum("ij,ij->i", thumbs[:-lag], thumbs[lag:]) / thumbs.shape[1]
    return products


def dissolve_strength(values: Moments, near: Floats, far: Floats, half: int) -> Floats:
    """How much the frames around each centre look like a dissolve of ``2 × half`` frames, 0 to 1.3.

    With A and B the thumbnails ``half`` frames before and after the centre's M, the product of

    - how different A and B are: 1 − their correlation;
    - how much M's variance dips below theirs, as a share of the dip of (A + B) / 2: 1 for any mixture,
      whatever moves in it, 0 for anything else;
    - ``MAX_SURPRISE`` − |M − (A + B) / 2|² / |(B − A) / 2|²: 0 for a perfect mixture, 1 for a cut, about
      3 for three unrelated pictures.

    Args:
        values: moments of T thumbnails.
        near: their ``lag_products`` at ``half``.
        far: their ``lag_products`` at ``2 × half``.
        half: half the length, in frames.

    Returns:
        float32 [T − 2 × half], for the centres from ``half`` on.
    """
    count = len(far)
    a, m, b = slice(0, count), slice(half, half + count), slice(2 * half, 2 * half + count)
    squares = values.square[a] + values.square[b]
    quarter_distance = (squares - 2 * far) / 4
    dot_ends = near[:count] + near[half : half + count]
    surprise = (values.square[m] + (squares + 2 * far) / 4 - dot_ends) / (quarter_distance + 0.5)
    covariance = far - values.mean[a] * values.mean[b]
    variances = values.variance[a] + values.variance[b]
    correlation = covariance / np.sqrt((values.variance[a] + 8) * (values.variance[b] + 8))
    dip = (variances / 2 - values.variance[m]) / ((variances - 2 * covariance) / 4 + 1)
    strength = np.clip(1 - correlation, 0, 1) * np.clip(dip, 0, 1) * np.clip(MAX_SURPRISE - surprise, 0, None)
    lowest = np.minimum(values.variance[a], values.variance[b])
    real = (quarter_distance > MIN_DISTANCE**2 / 4) & (lowest > MIN_VARIANCE)
    result: Floats = np.where(real, strength, 0).astype(np.float32)
    return result


def mixture_extent(thumbs: Floats, centre: int, half: int) -> tuple[int, int]:
    """First and last (exclusive) frame that hold both pictures of a dissolve around ``centre``.

    The share of the second picture, the projection of each frame onto the difference of the two, grows
    linearly; where it passes a quarter and three quarters gives the line.
    """
    first, end = max(0, centre - 2 * half), min(len(thumbs), centre + 2 * half + 1)
    before, after = thumbs[max(0, centre - half)], thumbs[min(len(thumbs) - 1, centre + half)]
    way = after - before
    share = (thumbs[first:end] - before) @ way / max(float(way @ way), 1.0)
    low = high = centre - first
    while low > 0 and share[low] > 0.25:
        low -= 1
    while high < len(share) - 1 and share[high] < 0.75:
        high += 1
    quarter = low + _crossing(share[low], share[min(low + 1, len(share) - 1)], 0.25)
    three_quarters = high - 1 + _crossing(share[high - 1], share[high], 0.75)
    # The line is at 0 in the last pure frame before, at 1 in the first one after.
    middle, half_length = first + (quarter + three_quarters) / 2, max(three_quarters - quarter, 1.0)
    start = int(np.floor(middle - half_length + 1e-3)) + 1
    end = int(np.ceil(middle + half_length - 1e-3))
    return max(start, 0), min(max(end, start + 1), len(thumbs))


def _crossing(before: float, after: float, level: float) -> float:
    """Where between two frames, 0 to 1, a value passes ``level``."""
    return float(np.clip((level - before) / (after - before), 0, 1)) if after > before else 0.0


def fade_out_start(contrasts: Floats, flat_start: int) -> int:
    """The first frame of a fade that becomes flat at ``flat_start``; ``flat_start`` if it is a cut."""
    length = _ramp_frames(contrasts[:flat_start][::-1])
    return flat_start - length


def fade_in_end(contrasts: Floats, flat_end: int) -> int:
    """The first frame at full contrast after a flat run's end; ``flat_end`` if it ends with a cut."""
    return flat_end + _ramp_frames(contrasts[flat_end:])


def _ramp_frames(away: Floats) -> int:
    """Frames, going away from the flat picture, before the contrast stops rising; 0 for fewer than
    ``MIN_RAMP_FRAMES``.
    """
    count = 0
    while count + 1 < len(away):
        # The first value lies anywhere above the flat threshold; a cut's first step is near its full height.
        mean_slope = (away[count] - away[0]) / count if count else away[0] * FIRST_STEP
        rise = away[count + 1] - away[count]
        # Two frames together: motion may hold the contrast up for one.
        later = (away[count + 2] - away[count]) / 2 if count + 2 < len(away) else rise
        if max(rise, later) < (RAMP_SLOPE if count else 1) * mean_slope:
            break
        count += 1
    return count if count >= MIN_RAMP_FRAMES else 0
