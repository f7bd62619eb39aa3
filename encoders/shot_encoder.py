"""E_shot: the network that training makes, its file, and the file as an encoder.

The network is any image model of timm with a last linear layer of 512 numbers.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from m2s_index.encoders.placement import choose_device
from m2s_index.encoders.timm_image import TimmImageEncoder, describe, place, pretrained_config
from m2s_index.encoders.torchvision_shim import import_torchvision
from m2s_index.encoders.training.checkpoint import read_header, save_tensors
from m2s_index.encoders.training.config import with_values
from m2s_index.encoders.training.shot_config import FEATURES, ShotConfig
from m2s_index.encoders.weights import fill, read_weights, sha256
from m2s_index.errors import EncoderError, UsageError, WeightsError, first_line
from m2s_index.types import EncoderIdentity

_KIND = "shot encoder"


def make_shot_network(config: ShotConfig) -> nn.Module:
    """The network with random weights, drawn from torch's generator: [N, 3, px, px] to [N, 512].

    Raises:
        UsageError: timm has no such model, or it does not take pictures of this size.
    """
    import_torchvision()
    timm = importlib.import_module("timm")
    known = pretrained_config(f"timm:{config.backbone}", config.backbone)
    # Models whose position embedding has a size have to be told; others would not take the argument.
    size = {"img_size": config.image_px} if known.get("fixed_input_size") else {}
    try:
        network: nn.Module = timm.create_model(config.backbone, num_classes=FEATURES, **size)
        with torch.inference_mode():
            shape = tuple(network.eval()(torch.zeros(1, 3, config.image_px, config.image_px)).shape)
    except (RuntimeError, AssertionError, ValueError, TypeError) as exc:
        raise UsageError(
            f"backbone {config.backbone} does not take pictures of {config.image_px} pixels ({first_line(exc)}); "
            "set another image_px or backbone"
        ) from exc
    if shape != (1, FEATURES):
        raise UsageError(f"backbone {config.backbone} gives {list(shape)}, not one vector a picture; set another")
    return network.train()


def input_data(network: nn.Module, image_px: int) -> dict[str, Any]:
    """timm's data config for it: which mean and deviation the pictures are normalised by, and how they are cut."""
    timm = importlib.import_module("timm")
    data: dict[str, Any] = timm.data.resolve_model_data_config(network)
    size = (3, image_px, image_px)
    return data | {"input_size": size, "crop_pct": 1.0, "crop_mode": "center", "interpolation": "bicubic"}


def save_shot_encoder(path: Path, tensors: Mapping[str, Tensor], config: ShotConfig) -> None:
    """Write a trained network, and what it was trained with.

    Raises:
        TrainingError: the file cannot be written.
    """
    save_tensors(path, tensors, {"kind": _KIND, "config": config.as_dict()})


def load_shot_encoder(
    path: Path, *, device: str | None = None, precision: str | None = None, threads: int | None = None
) -> TimmImageEncoder:
    """A trained network as an encoder; its name is the path as it was given.

    Raises:
        UsageError: the device cannot be.
        WeightsError: the file is missing, damaged, or no encoder that 'm2s train shot' made.
    """
    chosen = choose_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    header = read_header(path)
    if header.get("kind") != _KIND:
        raise WeightsError(f"{path}: holds a {header.get('kind')!r}, not a {_KIND!r}; name the --out of a training")
    try:
        config = with_values(ShotConfig(), header["config"])
        network = make_shot_network(config)
    except (KeyError, AttributeError, EncoderError, UsageError) as exc:
        raise WeightsError(f"{path}: its network cannot be made ({exc}); train it again") from exc
    fill(network, read_weights(path), path)
    data = input_data(network, config.image_px)
    identity = EncoderIdentity(
        name=str(path),
        architecture=f"E_shot timm:{config.backbone}",
        weights_sha256=sha256(path),
        preprocessing=describe(data),
        dimension=FEATURES,
        metric="cosine",
    )
    prepare = importlib.import_module("timm").data.create_transform(**data, is_training=False)
    return TimmImageEncoder(network, prepare, identity, place(network, chosen, precision))
