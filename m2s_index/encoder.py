"""The protocols that encoders satisfy, so that the library never imports a network.

``build`` takes any object with the members of one: an ``Encoder`` sees key frames one by one, a ``SceneEncoder``
those of a scene together, a ``ShotFeatureEncoder`` what another encoder made of a scene's shots, and a
``ClipEncoder`` motion. A ``SentenceEncoder`` reads what is known of movies. ``m2s_index.encoders`` has those that
ship.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from m2s_index.types import ClipSpec, EncoderIdentity, Float32Array, Image


class Encoder(Protocol):
    """Turns key frames into numbers."""

    @property
    def identity(self) -> EncoderIdentity:
        """What makes this encoder's vectors comparable with others."""
        ...

    @property
    def batch_size(self) -> int:
        """How many frames ``encode_frames`` is given at once (the last call of a film has fewer)."""
        ...

    def encode_frames(self, frames: Sequence[Image]) -> Float32Array:
        """Features of each frame: float32 [N, D], C-contiguous, not normalised.

        Args:
            frames: N RGB pictures, uint8 [height, width, 3], of any size, 1 ≤ N ≤ ``batch_size``.
                A frame's features do not depend on the others in the call.
        """
        ...

    def encode_scene(self, features: Float32Array) -> Float32Array:
        """One vector for a scene: float32 [D], not normalised (the catalogue normalises cosine rows).

        Args:
            features: float32 [N, D], the features of the scene's key frames in order.
        """
        ...


@runtime_checkable
class ClipEncoder(Protocol):
    """Turns the middle of a scene, frame by frame, into numbers. It has no features of single shots."""

    @property
    def identity(self) -> EncoderIdentity:
        """What makes this encoder's vectors comparable with others."""
        ...

    @property
    def clip(self) -> ClipSpec:
        """Which frames of a scene it is to be given."""
        ...

    def encode_clip(self, frames: Image) -> Float32Array:
        """One vector for a scene: float32 [D], not normalised (the catalogue normalises cosine rows).

        Args:
            frames: RGB, uint8 [``clip.frames``, ``clip.side_px``, ``clip.side_px``, 3], in order.
        """
        ...


@runtime_checkable
class SceneEncoder(Protocol):
    """Turns a scene's key frames, seen together, into numbers. It has no features of single shots."""

    @property
    def identity(self) -> EncoderIdentity:
        """What makes this encoder's vectors comparable with others."""
        ...

    def encode_key_frames(self, frames: Sequence[Image]) -> Float32Array:
        """One vector for a scene: float32 [D], not normalised (the catalogue normalises cosine rows).

        Args:
            frames: a key frame of each shot that stands for the scene, in order, at least one: RGB, uint8
                [height, width, 3], of any size.
        """
        ...


@runtime_checkable
class ShotFeatureEncoder(Protocol):
    """Turns the features that another encoder made of a scene's shots into numbers: no picture is looked at."""

    @property
    def identity(self) -> EncoderIdentity:
        """What makes this encoder's vectors comparable with others."""
        ...

    @property
    def shot_encoder(self) -> EncoderIdentity:
        """The encoder whose shot features it takes; what that one is called does not count."""
        ...

    def encode_shot_features(self, features: Float32Array) -> Float32Array:
        """One vector for a scene: float32 [D], not normalised (the catalogue normalises cosine rows).

        Args:
            features: float32 [S, ``shot_encoder.dimension``], the shots that stand for the scene in order, S ≥ 1.
        """
        ...


class SentenceEncoder(Protocol):
    """Turns texts into numbers."""

    @property
    def sha256(self) -> str:
        """What makes its vectors comparable with others: a hash of all that it is made of, in hexadecimal."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Float32Array:
        """One vector for each text: float32 [N, D], rows of length 1.

        Args:
            texts: N ≥ 1 texts that are not empty, each of any length.

        Raises:
            EncoderError: it cannot be loaded or run.
        """
        ...


StillEncoder = Encoder | SceneEncoder | ShotFeatureEncoder
"""Those that embed an indexed film from what is stored of it, without its file."""
AnyEncoder = StillEncoder | ClipEncoder
