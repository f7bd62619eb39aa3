"""What is seen of a scene in training: its key frames or its shots' features, as stored, and changed."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from m2s_index.encoders.training.augmentation import Augmentation
from m2s_index.encoders.training.loader import base_px, square_pictures
from m2s_index.encoders.training.scene_pairs import Scenes
from m2s_index.encoders.training.source import FeatureSource, TrainingSource
from m2s_index.pairing.windows import WINDOW_SHOTS


class SceneViews(Protocol):
    """What an architecture sees of scenes."""

    def read(self, scene: int) -> Tensor:
        """A scene by number, to be changed: [S, …]. Several threads may read at once."""
        ...

    def change(self, scene: Tensor) -> Tensor:
        """A view of a scene as the network takes it, changed in a way drawn from torch's generator."""
        ...

    def plain(self, scene: int) -> Tensor:
        """A scene as the encoder will see it, unchanged: [S, …]."""
        ...


class FrameViews:
    """The architecture ``frames``: a key frame a shot.

    Each key frame is changed in its own way, not all of a scene in one: shots of a scene differ in framing and
    light as they are, and nothing is to be learned from a change that they share.
    """

    def __init__(self, source: TrainingSource, image_px: int, augmentation: Augmentation) -> None:
        """Args: key frames; the side that the network sees; what changes pictures."""
        self._source = source
        self._scenes = Scenes(source.shots)
        self._image_px = image_px
        self._augmentation = augmentation

    def read(self, scene: int) -> Tensor:
        """Squares: uint8 [S, 3, side, side]."""
        return self._squares(scene, base_px(self._image_px))

    def change(self, scene: Tensor) -> Tensor:
        """uint8 [S, 3, side, side] to float32 [S, 3, px, px]."""
        return self._augmentation(scene)

    def plain(self, scene: int) -> Tensor:
        """float32 [S, 3, px, px]."""
        return self._augmentation.normalise(self._squares(scene, self._image_px).float() / 255)

    def _squares(self, scene: int, side_px: int) -> Tensor:
        return square_pictures(self._source.frames(*self._scenes.place(scene), WINDOW_SHOTS), side_px)


class FeatureViews:
    """The architecture ``shots``: stored features, changed by noise."""

    def __init__(self, source: FeatureSource, noise: float) -> None:
        """Args: features; the noise's deviation as a share of a shot's root mean square."""
        self._source = source
        self._scenes = Scenes(source.shots)
        self._noise = noise

    def read(self, scene: int) -> Tensor:
        """float32 [S, D]."""
        film, first = self._scenes.place(scene)
        return torch.from_numpy(self._source.features(film)[first : first + WINDOW_SHOTS])

    def change(self, scene: Tensor) -> Tensor:
        """float32 [S, D] to the same."""
        size = scene.square().mean(dim=-1, keepdim=True).sqrt()
        return scene + self._noise * size * torch.randn_like(scene)

    def plain(self, scene: int) -> Tensor:
        """As it was read."""
        return self.read(scene)
