"""What trainings ask of whoever has the films. The library's own are ``m2s_index.training_source``, of key
frames, ``m2s_index.training_features``, of shot features, and ``m2s_index.movie_source``, of those and film pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from m2s_index.types import EncoderIdentity, FilmPairs, Float32Array, Image


class TrainingSource(Protocol):
    """Films by number, each with its shots in order; several threads may read at once."""

    @property
    def shots(self) -> Sequence[int]:
        """How many shots each film has."""
        ...

    @property
    def digest(self) -> str:
        """What tells these films from others: a training is only continued on the same."""
        ...

    def frames(self, film: int, first_shot: int, count: int) -> list[Image]:
        """A picture of each of ``count`` neighbouring shots: RGB, uint8 [height, width, 3], of any size."""
        ...


@runtime_checkable
class FeatureSource(Protocol):
    """Films by number, as one encoder sees their shots; several threads may read at once."""

    @property
    def shots(self) -> Sequence[int]:
        """How many shots each film has: at least one."""
        ...

    @property
    def digest(self) -> str:
        """What tells these films from others: a training is only continued on the same."""
        ...

    @property
    def identity(self) -> EncoderIdentity:
        """The encoder's."""
        ...

    def features(self, film: int) -> Float32Array:
        """A film's shots: float32 [shots, D]."""
        ...


class MovieSource(FeatureSource, Protocol):
    """Moreover, which of the films are similar."""

    @property
    def pairs(self) -> FilmPairs:
        """Some similar pairs of films, and some that are not."""
        ...
