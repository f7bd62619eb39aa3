"""Encoders from timm: any of its image models, pooled, and CLIP's image encoder with its projection.

Which file the weights come from is ``m2s_index.encoders.weights``; this module makes the network, prepares
frames as the model was evaluated, and runs batches.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from m2s_index.encoders.frames import check_frame, mean_feature
from m2s_index.encoders.placement import Placement, choose_device, choose_dtype
from m2s_index.encoders.torchvision_shim import import_torchvision
from m2s_index.encoders.weights import hub_file, load_into, sha256
from m2s_index.errors import EncoderError, UsageError, WeightsError
from m2s_index.types import EncoderIdentity, Float32Array, Image

CLIP_MODEL = "vit_base_patch16_clip_quickgelu_224.openai"
"""OpenAI's ViT-B/16; timm keeps the 512-number projection as its classifier."""

_CPU_BATCH = 8
_CUDA_BATCH = 128
_LONGEST_ASPECT = 8
"""Longer frames lose their ends first: scaling the short side of a 1×5000 strip up would take gigabytes."""


class TimmImageEncoder:
    """A timm network as an ``Encoder``. Batches are padded to one size, so a frame's numbers do not depend
    on how many others came with it.
    """

    def __init__(
        self,
        network: nn.Module,
        prepare: Callable[[PILImage.Image], Tensor],
        identity: EncoderIdentity,
        placement: Placement,
    ) -> None:
        self._network = network
        self._prepare = prepare
        self._identity = identity
        self._placement = placement

    def __repr__(self) -> str:
        place = self._placement
        return f"TimmImageEncoder({self._identity.name}, {place.device}, {place.dtype}, batch {place.batch_size})"

    @property
    def identity(self) -> EncoderIdentity:
        """Architecture, weights, preprocessing, dimension; device and precision do not count."""
        return self._identity

    @property
    def placement(self) -> Placement:
        """Device, precision and batch in use."""
        return self._placement

    @property
    def batch_size(self) -> int:
        """Frames in one forward pass; shorter batches are padded with zeros."""
        return self._placement.batch_size

    def encode_frames(self, frames: Sequence[Image]) -> Float32Array:
        """Pooled features: float32 [N, D], C-contiguous, not normalised; any N.

        Raises:
            EncoderError: a frame is not uint8 [height, width, 3], or the device ran out of memory.
        """
        for frame in frames:
            check_frame(frame)
        step = self.batch_size
        parts = [self._batch(frames[start : start + step]) for start in range(0, len(frames), step)]
        parts = parts or [np.empty((0, self._identity.dimension), np.float32)]
        return np.ascontiguousarray(np.concatenate(parts), dtype=np.float32)

    def encode_scene(self, features: Float32Array) -> Float32Array:
        """The mean over frames: float32 [D], not normalised."""
        return mean_feature(features)

    def _batch(self, frames: Sequence[Image]) -> Float32Array:
        inputs = torch.stack([self._prepare(picture(frame)) for frame in frames])
        padded = inputs.new_zeros((self.batch_size, *inputs.shape[1:]))
        padded[: len(inputs)] = inputs
        try:
            return forward(self._network, padded, self._placement)[: len(inputs)]
        except torch.OutOfMemoryError as exc:
            raise EncoderError(
                f"{self._identity.name}: {self._placement.device} ran out of memory on a batch of "
                f"{self.batch_size}; free the device, or pass --device cpu"
            ) from exc


def load_timm(
    name: str,
    model: str,
    *,
    keep_head: bool = False,
    crop_fraction: float | None = None,
    weights: Path | None = None,
    device: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
) -> TimmImageEncoder:
    """Make an encoder from a timm model.

    Args:
        name: what the user calls it, for the identity and messages.
        model: timm's name, ``architecture`` or ``architecture.tag``.
        keep_head: keep the last linear layer (CLIP's projection) instead of pooled features.
        crop_fraction: overrides the share of the resized frame that the centre crop keeps.
        weights, device, precision, threads: as in ``make_encoder``.

    Raises:
        UsageError: timm has no such model, or the device is not there.
        WeightsError: the weights are missing, damaged or of another model.
    """
    placement_device = choose_device(device)
    timm = _timm()
    if threads is not None:
        torch.set_num_threads(threads)
    config = pretrained_config(name, model)
    path = weights if weights is not None else _hub_weights(name, config)
    with _NoRandomFill():
        network: nn.Module = timm.create_model(model, **({} if keep_head else {"num_classes": 0}))
    load_into(network, path, dropped=() if keep_head else _classifiers(config), convert=_converter(network))
    data: dict[str, Any] = timm.data.resolve_model_data_config(network)
    if crop_fraction is not None:
        data["crop_pct"] = crop_fraction
    placement = place(network, placement_device, precision)
    size = tuple(data["input_size"])
    dimension = forward(network, torch.zeros(1, *size), placement).shape[1]
    identity = EncoderIdentity(
        name=name,
        architecture=f"timm:{model}{'+head' if keep_head else ''}",
        weights_sha256=sha256(path),
        preprocessing=describe(data),
        dimension=dimension,
        metric="cosine",
    )
    prepare = timm.data.create_transform(**data, is_training=False)
    return TimmImageEncoder(network, prepare, identity, placement)


def place(network: nn.Module, device: torch.device, precision: str | None) -> Placement:
    """Move a network to its device for inference and say how it is to run."""
    # One convolution only is a transformer's patch embedding, which gains nothing from channels-last.
    channels_last = sum(isinstance(module, nn.Conv2d) for module in network.modules()) > 1
    network.eval().requires_grad_(False).to(device)
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch_size = _CUDA_BATCH if device.type == "cuda" else _CPU_BATCH
    return Placement(device, choose_dtype(device, precision), batch_size, channels_last)


def forward(network: nn.Module, inputs: Tensor, placement: Placement) -> Float32Array:
    """One pass: float32 [N, 3, H, W] on the CPU to float32 [N, D], C-contiguous.

    Raises:
        EncoderError: the network gives something else than one vector a picture.
    """
    layout = torch.channels_last if placement.channels_last else torch.contiguous_format
    with torch.inference_mode(), placement.autocast():
        outputs = network(inputs.to(placement.device).contiguous(memory_format=layout))
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        came = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise EncoderError(f"the network gives {came}, not one vector a picture; choose another timm model")
    return np.ascontiguousarray(outputs.float().cpu().numpy(), dtype=np.float32)


def picture(frame: Image) -> PILImage.Image:
    """A frame as a Pillow picture; the ends of a frame more than eight times as long as wide are cut."""
    height, width = frame.shape[:2]
    most = _LONGEST_ASPECT * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return PILImage.fromarray(np.ascontiguousarray(frame[top : top + most, left : left + most]))


def describe(data: dict[str, Any]) -> str:
    """timm's data config in one line, the same for the same config."""
    mean, std = (", ".join(f"{value:.6g}" for value in data[key]) for key in ("mean", "std"))
    size = "×".join(str(value) for value in data["input_size"])
    return (
        f"RGB; {data['interpolation']} resize and {data['crop_mode']} crop to {size} of {data['crop_pct']:g}; "
        f"mean {mean}; std {std}"
    )


def pretrained_config(name: str, model: str) -> dict[str, Any]:
    """timm's record of a model: its hub repository, classifier and data config.

    Raises:
        UsageError: timm has no such model or no such tag; near names are shown.
    """
    timm = _timm()
    tags = timm.list_pretrained(model.partition(".")[0] + ".*") if "." in model else []
    if not timm.is_model(model) or ("." in model and model not in tags):
        near = ", ".join(f"timm:{other}" for other in _near(model))
        hint = f"near it: {near}" if near else "timm.list_pretrained() names them"
        raise UsageError(f"unknown encoder {name!r}: timm has no model {model!r}; {hint}")
    config = timm.get_pretrained_cfg(model)
    return {} if config is None else dict(config.to_dict())


def _near(model: str) -> list[str]:
    timm = _timm()
    return get_close_matches(model, timm.list_pretrained() + timm.list_models(), n=4, cutoff=0.6)


def _timm() -> Any:
    """timm, imported; Any, for its annotations are partial."""
    import_torchvision()
    return importlib.import_module("timm")


def _classifiers(config: dict[str, Any]) -> tuple[str, ...]:
    named = config.get("classifier") or ()
    return (named,) if isinstance(named, str) else tuple(named)


def _hub_weights(name: str, config: dict[str, Any]) -> Path:
    repository = config.get("hf_hub_id")
    if repository and not config.get("custom_load"):
        return hub_file(str(repository), config.get("hf_hub_filename"))
    where = f" (the original is at {config['url']})" if config.get("url") else ""
    raise WeightsError(f"{name}: timm names no hub weights for it{where}; pass --weights FILE.safetensors")


class _NoRandomFill(TorchFunctionMode):
    """Leaves new parameters as they are: filling ViT-B with random numbers that the file then overwrites
    takes five seconds. ``load_into`` lets no parameter go unfilled.
    """

    _FILLS = frozenset({torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_})

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func in self._FILLS else func(*args, **(kwargs or {}))


def _converter(network: nn.Module) -> Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]] | None:
    """timm's own translation of other layouts (OpenAI's for CLIP), which by its convention stands beside
    the model's class.
    """
    found = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    return found if callable(found) else None
