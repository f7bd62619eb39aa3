"""How a picture is changed to make a view of it: MoCo v2's changes (Chen et al., 2020), on tensors, by kornia."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from m2s_index.encoders.torchvision_shim import import_torchvision
from m2s_index.errors import MissingExtraError


@dataclass(frozen=True)
class Changes:
    """How much is changed, from 0 to 1; the defaults are MoCo v2's.

    ``least_crop`` is the smallest share of a picture that a view shows. ``colour`` is by how much, at most,
    brightness, contrast and saturation change. ``grey`` is the share of views without colour.
    """

    least_crop: float = 0.2
    colour: float = 0.4
    grey: float = 0.2


class Augmentation:
    """Makes views of a batch; every picture is changed in its own way, drawn from torch's generator."""

    def __init__(
        self, image_px: int, mean: Sequence[float], std: Sequence[float], changes: Changes | None = None
    ) -> None:
        """The first args are those of the network: the side that it sees, and what its input is normalised by.

        Raises:
            MissingExtraError: kornia is not installed.
        """
        import_torchvision()
        try:
            from kornia import augmentation
        except ImportError as exc:
            raise MissingExtraError(
                "training needs kornia: install the extra 'train' (pip install 'm2s[train]')"
            ) from exc
        changes = changes or Changes()
        blur_px = (image_px // 10) | 1
        self._change = augmentation.AugmentationSequential(
            augmentation.RandomResizedCrop((image_px, image_px), scale=(changes.least_crop, 1.0)),
            augmentation.ColorJitter(changes.colour, changes.colour, changes.colour, 0.1, p=0.8),
            augmentation.RandomGrayscale(p=changes.grey),
            augmentation.RandomGaussianBlur((blur_px, blur_px), (0.1, 2.0), p=0.5),
            augmentation.RandomHorizontalFlip(),
        )
        self._mean, self._std = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))

    def __call__(self, pictures: Tensor) -> Tensor:
        """A view of each picture: uint8 [N, 3, H, W] to float32 [N, 3, px, px], normalised, on the same device."""
        with torch.no_grad():
            return self.normalise(self._change(pictures.float() / 255))

    def normalise(self, pictures: Tensor) -> Tensor:
        """Pictures in [0, 1], less the mean and over the deviation: float32 [N, 3, H, W]."""
        return (pictures - self._mean.to(pictures.device)) / self._std.to(pictures.device)
