"""E_scene: its file, and the file as an encoder of scenes, from key frames or from shot features."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor

from m2s_index.encoders.frames import check_frame
from m2s_index.encoders.placement import Placement, choose_device
from m2s_index.encoders.scene_frames_network import FramesNetwork
from m2s_index.encoders.scene_shots_network import ShotsNetwork
from m2s_index.encoders.shot_encoder import input_data
from m2s_index.encoders.timm_image import describe, picture, place
from m2s_index.encoders.training.checkpoint import read_header, save_tensors
from m2s_index.encoders.training.config import with_values
from m2s_index.encoders.training.scene_config import SceneConfig
from m2s_index.encoders.weights import fill, read_weights, sha256
from m2s_index.errors import EncoderError, UsageError, WeightsError
from m2s_index.types import EncoderIdentity, Float32Array, Image

KIND = "scene encoder"
SceneNetwork = FramesNetwork | ShotsNetwork


def make_scene_network(config: SceneConfig, shot_encoder: EncoderIdentity | None) -> SceneNetwork:
    """The network with random weights, drawn from torch's generator.

    Args:
        config: of which architecture.
        shot_encoder: whose features the architecture ``shots`` takes.

    Raises:
        UsageError: timm has no such backbone, or none that can be E_scene's.
    """
    if shot_encoder is not None:
        return ShotsNetwork(shot_encoder.dimension, config.width, config.layers, config.heads)
    return FramesNetwork(config.backbone, config.image_px)


def save_scene_encoder(
    path: Path, tensors: Mapping[str, Tensor], config: SceneConfig, shot_encoder: EncoderIdentity | None
) -> None:
    """Write a trained network, what it was trained with and, for the architecture ``shots``, on whose features.

    Raises:
        TrainingError: the file cannot be written.
    """
    taken = shot_encoder.as_dict() if shot_encoder else None
    save_tensors(path, tensors, {"kind": KIND, "config": config.as_dict(), "shot_encoder": taken})


class FramesSceneEncoder:
    """E_scene over key frames, as a ``SceneEncoder``."""

    def __init__(
        self,
        network: FramesNetwork,
        prepare: Callable[[PILImage.Image], Tensor],
        identity: EncoderIdentity,
        placement: Placement,
    ) -> None:
        self._network = network
        self._prepare = prepare
        self._identity = identity
        self._placement = placement

    @property
    def identity(self) -> EncoderIdentity:
        """Architecture, weights, preprocessing, dimension; device and precision do not count."""
        return self._identity

    def encode_key_frames(self, frames: Sequence[Image]) -> Float32Array:
        """One vector for a scene: float32 [D], not normalised.

        Raises:
            EncoderError: there is no frame, one is not uint8 [height, width, 3], or the device ran out of memory.
        """
        if not frames:
            raise EncoderError(f"{self._identity.name}: a scene without key frames")
        for frame in frames:
            check_frame(frame)
        inputs = torch.stack([self._prepare(picture(frame)) for frame in frames])
        return _encode(self._network, inputs, self._placement, self._identity)


class ShotsSceneEncoder:
    """E_scene over shot features, as a ``ShotFeatureEncoder``."""

    def __init__(
        self, network: ShotsNetwork, shot_encoder: EncoderIdentity, identity: EncoderIdentity, placement: Placement
    ) -> None:
        self._network = network
        self._shot_encoder = shot_encoder
        self._identity = identity
        self._placement = placement

    @property
    def identity(self) -> EncoderIdentity:
        """Architecture, weights, whose features, dimension; device and precision do not count."""
        return self._identity

    @property
    def shot_encoder(self) -> EncoderIdentity:
        """Whose shot features it was trained on, and takes."""
        return self._shot_encoder

    def encode_shot_features(self, features: Float32Array) -> Float32Array:
        """One vector for a scene: float32 [D], not normalised.

        Raises:
            EncoderError: there are no shots, or not so many numbers a shot.
        """
        if features.ndim != 2 or not len(features) or features.shape[1] != self._shot_encoder.dimension:
            raise EncoderError(
                f"{self._identity.name}: features of shape {list(features.shape)}; expected [shots, "
                f"{self._shot_encoder.dimension}], one shot at least"
            )
        inputs = torch.from_numpy(np.ascontiguousarray(features, np.float32))
        return _encode(self._network, inputs, self._placement, self._identity)


def read_scene_network(path: Path) -> tuple[SceneNetwork, SceneConfig, EncoderIdentity | None]:
    """A trained network, what it was trained with and, for the architecture ``shots``, on whose features.

    Raises:
        WeightsError: the file is missing, damaged, or no encoder that 'm2s train scene' made.
    """
    header = read_header(path)
    if header.get("kind") != KIND:
        raise WeightsError(f"{path}: holds a {header.get('kind')!r}, not a {KIND!r}; name the --out of a training")
    try:
        config = with_values(SceneConfig(), header["config"])
        taken = EncoderIdentity(**header["shot_encoder"]) if config.architecture == "shots" else None
        network = make_scene_network(config, taken)
    except (KeyError, TypeError, AttributeError, RuntimeError, EncoderError, UsageError) as exc:
        raise WeightsError(f"{path}: its network cannot be made ({exc}); train it again") from exc
    fill(network, read_weights(path), path)
    return network, config, taken


def load_scene_encoder(
    path: Path, *, device: str | None = None, precision: str | None = None, threads: int | None = None
) -> FramesSceneEncoder | ShotsSceneEncoder:
    """A trained network as an encoder; its name is the path as it was given.

    Raises:
        UsageError: the device cannot be.
        WeightsError: as ``read_scene_network`` does.
    """
    chosen = choose_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    network, config, taken = read_scene_network(path)
    placement = place(network, chosen, precision)

    def identity(architecture: str, preprocessing: str) -> EncoderIdentity:
        return EncoderIdentity(str(path), architecture, sha256(path), preprocessing, network.width, "cosine")

    if isinstance(network, FramesNetwork):
        data = input_data(network.vit, config.image_px)
        frames = identity(f"E_scene frames timm:{config.backbone}", describe(data))
        prepare = importlib.import_module("timm").data.create_transform(**data, is_training=False)
        return FramesSceneEncoder(network, prepare, frames, placement)
    assert taken is not None
    seen = f"shot features by {taken.architecture} {taken.weights_sha256}; {taken.preprocessing}"
    shots = identity(f"E_scene shots, {config.layers} layers of {config.width}, {config.heads} heads", seen)
    return ShotsSceneEncoder(network, taken, shots, placement)


def _encode(network: SceneNetwork, inputs: Tensor, placement: Placement, identity: EncoderIdentity) -> Float32Array:
    """One scene alone, so that its numbers depend on no other: float32 [S, …] to float32 [D]."""
    scenes = inputs[None].to(placement.device)
    present = torch.ones(scenes.shape[:2], dtype=torch.bool, device=placement.device)
    try:
        with torch.inference_mode(), placement.autocast():
            vector = network(scenes, present)[0]
    except torch.OutOfMemoryError as exc:
        raise EncoderError(
            f"{identity.name}: {placement.device} ran out of memory on a scene of {len(inputs)} shots; free the "
            "device, or pass --device cpu"
        ) from exc
    return np.ascontiguousarray(vector.float().cpu().numpy(), dtype=np.float32)
