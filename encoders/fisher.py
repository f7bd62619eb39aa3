"""The encoder that the package carries trained: Fisher vectors of local gradients beside GIST, on their principal
axes.

A frame becomes grey, 160×160; its local descriptors' Fisher vector (``m2s_index.encoders.fisher_vector``) says what
it is made of, and GIST (``m2s_index.encoders.gist``) where what is. Both are described together with the mirror
image, centred, scaled, joined and reduced to 512 numbers. A scene is the mean of its frames. All constants were
fitted, without labels, by ``benchmarks/train_shipped.py``; the record beside them says on what. No torch is
imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m2s_index.encoders import gist
from m2s_index.encoders.fisher_vector import Vocabulary
from m2s_index.encoders.frames import check_frame, mean_feature
from m2s_index.encoders.gist_filters import ORIENTATIONS, SCALES
from m2s_index.encoders.gradients import SIDE_PX, local_descriptors
from m2s_index.encoders.weights import sha256
from m2s_index.errors import WeightsError, first_line
from m2s_index.types import EncoderIdentity, Float32Array, Image

WEIGHTS = Path(__file__).with_name("data") / "fisher.safetensors"
GIST_SHARE = np.float32(0.7)
"""Length of GIST's part, beside one of 1 for the Fisher vector's."""


@dataclass(frozen=True)
class FisherWeights:
    """What was fitted. ``centre`` float32 [F] is the mean Fisher vector, ``projection`` float32 [F + 512, D] the
    principal axes of the joined parts, and ``origin`` float32 [D] their mean on them.
    """

    vocabulary: Vocabulary
    centre: Float32Array
    projection: Float32Array
    origin: Float32Array

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """By the names they have in the file; the projection, most of it, in half precision."""
        v = self.vocabulary
        return {
            "axes": v.axes,
            "axes_origin": v.origin,
            "weights": v.weights,
            "means": v.means,
            "variances": v.variances,
            "centre": self.centre,
            "projection": self.projection.astype(np.float16),
            "origin": self.origin,
        }

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[np.generic]]) -> FisherWeights:
        """From tensors by these names; KeyError where one is missing."""
        read = {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()}
        names = ("axes", "axes_origin", "weights", "means", "variances")
        return cls(Vocabulary(*(read[name] for name in names)), read["centre"], read["projection"], read["origin"])


class FisherEncoder:
    """Fisher vectors and GIST as an ``Encoder``, compared by cosine."""

    def __init__(self, weights: FisherWeights, weights_sha256: str) -> None:
        self._weights = weights
        self._sha256 = weights_sha256

    @property
    def identity(self) -> EncoderIdentity:
        """Which descriptor this is."""
        components, numbers = self._weights.vocabulary.means.shape
        return EncoderIdentity(
            name="fisher",
            architecture=f"fisher-1: {components} Gaussians × {numbers} numbers, beside gist-1",
            weights_sha256=self._sha256,
            preprocessing=(
                f"grey {SIDE_PX}×{SIDE_PX}, with its mirror image; {GIST_SHARE:.1f} × gist: "
                f"{gist.GistEncoder().identity.preprocessing}"
            ),
            dimension=len(self._weights.origin),
            metric="cosine",
        )

    @property
    def batch_size(self) -> int:
        """Frames are described one by one: this only bounds what the caller holds at once."""
        return 32

    def encode_frames(self, frames: Sequence[Image]) -> Float32Array:
        """Descriptors of frames of any size: float32 [N, D], not normalised.

        Raises:
            EncoderError: a frame is not uint8 [height, width, 3].
        """
        features = np.empty((len(frames), len(self._weights.origin)), np.float32)
        for row, frame in zip(features, frames, strict=True):
            check_frame(frame)
            # One by one: a product of many rows may round a row differently than of one.
            row[:] = joined(self._weights.vocabulary, self._weights.centre, frame) @ self._weights.projection
        return features - self._weights.origin

    def encode_scene(self, features: Float32Array) -> Float32Array:
        """The mean over frames: float32 [D], not normalised."""
        return mean_feature(features)


def joined(vocabulary: Vocabulary, centre: Float32Array, frame: Image) -> Float32Array:
    """Both parts of a frame, centred and scaled, before they are reduced: float32 [F + 512]."""
    local = fisher_vector(vocabulary, frame) - centre
    layout = mirror_mean(gist.descriptor(frame))
    return np.concatenate([_unit(local), GIST_SHARE * _unit(layout)])


def fisher_vector(vocabulary: Vocabulary, frame: Image) -> Float32Array:
    """The first part, of unit length: float32 [F]."""
    return vocabulary.fisher_vector(local_descriptors(gist.grey_square(frame, SIDE_PX)))


def mirror_mean(descriptor: Float32Array) -> Float32Array:
    """The mean of a GIST descriptor and its mirror image's: float32 [512]."""
    cells = descriptor.reshape(SCALES, ORIENTATIONS, gist.GRID, gist.GRID)
    mirror = cells[:, -np.arange(ORIENTATIONS) % ORIENTATIONS, :, ::-1]
    return np.asarray((cells + mirror).ravel() / 2, np.float32)


def _unit(row: Float32Array) -> Float32Array:
    return np.asarray(row / np.linalg.norm(row), np.float32)


def load_fisher(path: Path = WEIGHTS) -> FisherEncoder:
    """The encoder with the weights that the package carries, or those of another file of the same kind.

    Raises:
        WeightsError: the file is missing, damaged or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        weights = FisherWeights.of(load_file(path))
    except (OSError, SafetensorError, KeyError, ValueError) as exc:
        raise WeightsError(
            f"{path}: cannot be read as weights of the encoder fisher ({first_line(exc)}); install m2s again, "
            "or make them with benchmarks/train_shipped.py"
        ) from exc
    return FisherEncoder(weights, sha256(path))
