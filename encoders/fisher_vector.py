"""Fisher vectors: how a picture's local descriptors differ from those of all pictures.

After Perronnin, Sánchez and Mensink, "Improving the Fisher kernel for large-scale image classification", ECCV
2010. A vocabulary is a mixture of Gaussians over descriptors, reduced to their principal axes, with the place in
the picture appended (Sánchez, Perronnin and de Campos, PRL 33(16), 2012). A picture becomes the gradient of its
descriptors' log-likelihood by the mixture's means and deviations, each number's root taken with its sign kept.
The picture and its mirror image are described together. Fitting is ``m2s_index.encoders.training.fisher_fit``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from m2s_index.encoders.gradients import LocalDescriptors, mirrored
from m2s_index.types import Float32Array

PLACE = np.float32(2)
"""Weight of the place in the picture beside axes of deviation 1."""
_MIRROR = np.asarray([-1, 1], np.float32)


@dataclass(frozen=True)
class Vocabulary:
    """A mixture of K Gaussians with diagonal covariances over D principal axes and two numbers of place.

    ``axes`` float32 [128, D], scaled so that descriptors have deviation 1 along each; ``origin`` [D], the mean
    descriptor on them; ``weights`` [K], sum 1; ``means``, ``variances`` [K, D + 2].
    """

    axes: Float32Array
    origin: Float32Array
    weights: Float32Array
    means: Float32Array
    variances: Float32Array
    _both: Float32Array = field(init=False, repr=False)
    _linear: Float32Array = field(init=False, repr=False)
    _square: Float32Array = field(init=False, repr=False)
    _constant: Float32Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        inverse = 1 / self.variances
        known = {
            "_both": np.concatenate([self.axes, mirrored(self.axes)], axis=1),
            "_linear": (self.means * inverse).T,
            "_square": (-0.5 * inverse).T,
            "_constant": np.log(self.weights)
            - 0.5 * (np.log(2 * np.pi * self.variances) + self.means**2 * inverse).sum(axis=1),
        }
        for name, value in known.items():
            object.__setattr__(self, name, np.ascontiguousarray(value, np.float32))

    @property
    def size(self) -> int:
        """How many numbers a Fisher vector has."""
        return 2 * self.means.size

    def points(self, found: LocalDescriptors) -> Float32Array:
        """The descriptors of a picture, then those of its mirror image, on the axes, with their places:
        float32 [2 N, D + 2].
        """
        count, axes = len(found.numbers), len(self.origin)
        points = np.empty((2 * count, axes + 2), np.float32)
        projected = found.numbers @ self._both
        np.subtract(projected[:, :axes], self.origin, out=points[:count, :axes])
        np.subtract(projected[:, axes:], self.origin, out=points[count:, :axes])
        np.multiply(found.places, PLACE, out=points[:count, axes:])
        np.multiply(found.places, PLACE * _MIRROR, out=points[count:, axes:])
        return points

    def log_densities(self, points: Float32Array) -> Float32Array:
        """Logarithm of each Gaussian's weighted density at each point: float32 [N, K]."""
        return np.asarray(points @ self._linear + points**2 @ self._square + self._constant, np.float32)

    def posteriors(self, points: Float32Array) -> Float32Array:
        """Which Gaussian each point is of: float32 [N, K], rows sum to 1."""
        shares = self.log_densities(points)
        shares -= shares.max(axis=1, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def gradients(self, points: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Of the mean log-likelihood, by means and by deviations, in units of the Fisher information's root:
        two of float32 [K, D + 2].
        """
        shares = self.posteriors(points)
        count, first, second = shares.sum(axis=0)[:, None], shares.T @ points, shares.T @ points**2
        scale = len(points) * np.sqrt(self.weights)[:, None]
        by_mean = (first - count * self.means) / (scale * np.sqrt(self.variances))
        spread = second - 2 * first * self.means + count * (self.means**2 - self.variances)
        return by_mean, spread / (scale * np.sqrt(np.float32(2)) * self.variances)

    def fisher_vector(self, found: LocalDescriptors) -> Float32Array:
        """A picture and its mirror image: float32 [2 K (D + 2)], root taken, of unit length."""
        vector = np.concatenate([part.ravel() for part in self.gradients(self.points(found))])
        rooted = np.copysign(np.sqrt(np.abs(vector)), vector)
        return np.asarray(rooted / np.linalg.norm(rooted), np.float32)
