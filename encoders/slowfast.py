"""SlowFast 8×8 R101 as an encoder of scenes: the paper's baseline that sees motion.

The network is in ``m2s_index.encoders.slowfast_network``, its checkpoints in ``slowfast_weights``; here a
clip is prepared as the authors test, and run.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from m2s_index.encoders.placement import Placement, choose_device, choose_dtype
from m2s_index.encoders.slowfast_network import DIMENSION, FAST_FRAMES, SlowFast, Variant, slow_frames
from m2s_index.encoders.slowfast_weights import load_slowfast
from m2s_index.encoders.weights import sha256
from m2s_index.errors import EncoderError, WeightsError
from m2s_index.types import ClipSpec, EncoderIdentity, Float32Array, Image

CLIP = ClipSpec(frames=64, rate=Fraction(30), side_px=256)
MEAN, STD = 0.45, 0.225
"""Of each of the three colours, in [0, 1]."""
KINETICS_URL = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/SLOWFAST_8x8_R101.pyth"
AVA_URL = "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/ava/SLOWFAST_32x2_R101_50_50.pkl"

_STRIDE = CLIP.frames // FAST_FRAMES


class SlowFastEncoder:
    """SlowFast as a ``ClipEncoder``: 2304 numbers a scene, compared by cosine."""

    def __init__(self, network: SlowFast, identity: EncoderIdentity, placement: Placement) -> None:
        self._network = network.eval().requires_grad_(False).to(placement.device)
        self._identity = identity
        self._placement = placement

    def __repr__(self) -> str:
        return f"SlowFastEncoder({self._identity.architecture}, {self._placement.device}, {self._placement.dtype})"

    @property
    def identity(self) -> EncoderIdentity:
        """Architecture, weights, preprocessing; device and precision do not count."""
        return self._identity

    @property
    def placement(self) -> Placement:
        """Device and precision in use; clips go through one by one."""
        return self._placement

    @property
    def clip(self) -> ClipSpec:
        """64 frames, 30 a second, 256×256."""
        return CLIP

    def encode_clip(self, frames: Image) -> Float32Array:
        """Both pathways, pooled and joined: float32 [2304], not normalised.

        Args:
            frames: RGB, uint8 [64, 256, 256, 3]; the fast pathway sees every second one.

        Raises:
            EncoderError: they are something else, or the device ran out of memory.
        """
        wanted = (CLIP.frames, CLIP.side_px, CLIP.side_px, 3)
        if frames.dtype != np.uint8 or frames.shape != wanted:
            raise EncoderError(f"a clip is {frames.dtype} {list(frames.shape)}; expected uint8 {list(wanted)}")
        try:
            with torch.inference_mode(), self._placement.autocast():
                seen = torch.from_numpy(np.ascontiguousarray(frames[::_STRIDE])).to(self._placement.device)
                clip = (seen.permute(3, 0, 1, 2).float().div_(255) - MEAN) / STD
                features = self._network(clip[None])[0]
        except torch.OutOfMemoryError as exc:
            raise EncoderError(
                f"{self._identity.name}: {self._placement.device} ran out of memory on one clip; "
                "free the device, or pass --device cpu"
            ) from exc
        return np.ascontiguousarray(features.float().cpu().numpy(), dtype=np.float32)


def load(
    name: str,
    *,
    weights: Path | None,
    device: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
) -> SlowFastEncoder:
    """Make the encoder from a published checkpoint.

    Args:
        name: what the user calls it, for the identity and messages.
        weights, device, precision, threads: as in ``make_encoder``; weights there must be.

    Raises:
        UsageError: the device is not there.
        WeightsError: the weights are missing, unsafe, damaged or of another model.
    """
    chosen = choose_device(device)
    if weights is None:
        raise WeightsError(
            f"{name}: no hub has its weights; fetch {KINETICS_URL} (Kinetics) or {AVA_URL} (Kinetics, then AVA) "
            "and pass the file with --weights"
        )
    if threads is not None:
        torch.set_num_threads(threads)
    network, variant = load_slowfast(weights)
    placement = Placement(chosen, choose_dtype(chosen, precision), batch_size=1, channels_last=False)
    identity = EncoderIdentity(
        name=name,
        architecture=_architecture(variant),
        weights_sha256=sha256(weights),
        preprocessing=_preprocessing(),
        dimension=DIMENSION,
        metric="cosine",
    )
    return SlowFastEncoder(network, identity, placement)


def _architecture(variant: Variant) -> str:
    parts = [f"SlowFast 8×8 R101, temporal {variant.slow_temporal}+{variant.fast_temporal}"]
    parts += [f"non-local after {list(variant.nonlocal_blocks)}"] if variant.nonlocal_blocks else []
    parts += ["dilated"] if variant.dilated else []
    return ", ".join(parts)


def _preprocessing() -> str:
    slow = " ".join(str(number) for number in slow_frames().tolist())
    return (
        f"the middle {CLIP.frames} frames of a scene at {CLIP.rate} a second, the last one repeated; shorter side "
        f"and middle square {CLIP.side_px}; RGB; fast: every {_STRIDE}nd frame; slow: of these {slow}; "
        f"mean {MEAN}; std {STD}"
    )
