"""The SlowFast network (Feichtenhofer et al., ICCV 2019), 8×8 ResNet-101, up to its pooled features.

Layers are laid out and named as in the authors' repository, so that their checkpoints fit as they are. The
published checkpoints are of several variants of one network (``Variant``): how many blocks of the fourth
stage look along time, whether non-local blocks stand between them, and whether the last stage keeps its
resolution, as for detection in AVA. No weights are read here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

FAST_FRAMES = 32
SLOW_FRAMES = 8
DIMENSION = 2304
"""2048 numbers of the slow pathway and 256 of the fast one."""
BLOCKS = (3, 4, 23, 3)
"""Residual blocks of stages 2 to 5, in each pathway."""

_SLOW, _FAST = 0, 1
_ALPHA = FAST_FRAMES // SLOW_FRAMES
_BETA = 8
"""The fast pathway has an eighth of the slow one's channels."""
_STEM_WIDTH = 64
_FUSION_KERNEL = 5
_NONLOCAL_POOL = (2, 2, 2)


@dataclass(frozen=True)
class Variant:
    """Which of the published networks: all else is the same in them.

    ``slow_temporal`` and ``fast_temporal``: so many of the fourth stage's 23 blocks begin with a kernel of
    3 frames, in each pathway; the rest see frame by frame. ``nonlocal_blocks``: after these blocks of its slow
    pathway comes a non-local one. ``dilated``: the fifth stage dilates its kernels instead of halving the
    resolution. ``classes`` is the classifier's number of outputs.
    """

    slow_temporal: int = 23
    fast_temporal: int = 23
    nonlocal_blocks: tuple[int, ...] = ()
    dilated: bool = False
    classes: int = 400


class SlowFast(nn.Module):
    """Both pathways. The classifier (``head``) has its place, so that a checkpoint's every number has one; it
    is not computed.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.s1 = _Stem()
        self.s1_fuse = _Fusion(_STEM_WIDTH)
        self.s2 = _Stage(0, (0, BLOCKS[0]))
        self.s2_fuse = _Fusion(4 * _STEM_WIDTH)
        self.s3 = _Stage(1, (0, BLOCKS[1]))
        self.s3_fuse = _Fusion(8 * _STEM_WIDTH)
        temporal = (variant.slow_temporal, variant.fast_temporal)
        self.s4 = _Stage(2, temporal, nonlocal_blocks=variant.nonlocal_blocks)
        self.s4_fuse = _Fusion(16 * _STEM_WIDTH)
        self.s5 = _Stage(3, (BLOCKS[3], BLOCKS[3]), dilated=variant.dilated)
        self.head = nn.Module()
        self.head.projection = nn.Linear(DIMENSION, variant.classes)

    def forward(self, clips: Tensor) -> Tensor:
        """The mean over time and place of both pathways, joined: [N, 2304].

        Args:
            clips: [N, 3, 32, height, width], normalised; the slow pathway takes 8 of the 32 frames.
        """
        slow, fast = self.s1(clips.index_select(2, slow_frames().to(clips.device)), clips)
        for number in range(2, 6):
            fuse, stage = getattr(self, f"s{number - 1}_fuse"), getattr(self, f"s{number}")
            slow, fast = stage(fuse(slow, fast), fast)
        return torch.cat([slow.mean(dim=(2, 3, 4)), fast.mean(dim=(2, 3, 4))], dim=1)


def slow_frames() -> Tensor:
    """Which of the fast pathway's 32 frames the slow one sees, as the authors take them: evenly, both ends in.

    int64 [8]: 0, 4, 8, 13, 17, 22, 26, 31.
    """
    return torch.arange(SLOW_FRAMES) * (FAST_FRAMES - 1) // (SLOW_FRAMES - 1)


class _Stem(nn.Module):
    """The first convolution of each pathway, and its pooling: a quarter of the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.pathway0_stem = _stem_layers(_STEM_WIDTH, kernel_frames=1)
        self.pathway1_stem = _stem_layers(_STEM_WIDTH // _BETA, kernel_frames=5)

    def forward(self, slow: Tensor, fast: Tensor) -> tuple[Tensor, Tensor]:
        return self._run(self.pathway0_stem, slow), self._run(self.pathway1_stem, fast)

    @staticmethod
    def _run(layers: nn.ModuleDict, frames: Tensor) -> Tensor:
        seen = functional.relu(layers["bn"](layers["conv"](frames)), inplace=True)
        return functional.max_pool3d(seen, (1, 3, 3), (1, 2, 2), (0, 1, 1))


def _stem_layers(width: int, kernel_frames: int) -> nn.ModuleDict:
    conv = nn.Conv3d(3, width, (kernel_frames, 7, 7), (1, 2, 2), (kernel_frames // 2, 3, 3), bias=False)
    return nn.ModuleDict({"conv": conv, "bn": nn.BatchNorm3d(width)})


class _Fusion(nn.Module):
    """Joins what the fast pathway saw, every fourth frame of it, to the slow pathway's channels."""

    def __init__(self, slow_width: int) -> None:
        super().__init__()
        width = slow_width // _BETA
        kernel, padding = (_FUSION_KERNEL, 1, 1), (_FUSION_KERNEL // 2, 0, 0)
        self.conv_f2s = nn.Conv3d(width, 2 * width, kernel, (_ALPHA, 1, 1), padding, bias=False)
        self.bn = nn.BatchNorm3d(2 * width)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        return torch.cat([slow, functional.relu(self.bn(self.conv_f2s(fast)), inplace=True)], dim=1)


class _Stage(nn.Module):
    """One of the four stages of residual blocks; its first block halves the resolution, save in the first."""

    def __init__(
        self, index: int, temporal: tuple[int, int], nonlocal_blocks: tuple[int, ...] = (), dilated: bool = False
    ) -> None:
        """Args:
        index: 0 for the stage called s2.
        temporal: how many blocks of each pathway have temporal kernels.
        """
        super().__init__()
        self._count = BLOCKS[index]
        stride = 1 if index == 0 or dilated else 2
        for pathway in (_SLOW, _FAST):
            share = _BETA if pathway == _FAST else 1
            width_out = 4 * _STEM_WIDTH * 2**index // share
            before = _STEM_WIDTH if index == 0 else 2 * _STEM_WIDTH * 2**index
            # The slow pathway's input has the fused channels as well: a quarter more.
            width_in = before // share + (before // 4 if pathway == _SLOW else 0)
            for number in range(self._count):
                block = _Block(
                    width_in if number == 0 else width_out,
                    width_out,
                    kernel_frames=3 if number < temporal[pathway] else 1,
                    stride=stride if number == 0 else 1,
                    dilation=2 if dilated else 1,
                )
                self.add_module(f"pathway{pathway}_res{number}", block)
                if pathway == _SLOW and number in nonlocal_blocks:
                    self.add_module(f"pathway{pathway}_nonlocal{number}", _NonLocal(width_out))

    def forward(self, slow: Tensor, fast: Tensor) -> tuple[Tensor, Tensor]:
        return self._run(_SLOW, slow), self._run(_FAST, fast)

    def _run(self, pathway: int, x: Tensor) -> Tensor:
        for number in range(self._count):
            x = self.get_submodule(f"pathway{pathway}_res{number}")(x)
            if (nonlocal_block := getattr(self, f"pathway{pathway}_nonlocal{number}", None)) is not None:
                x = nonlocal_block(x)
        return x


class _Block(nn.Module):
    """A bottleneck block: t×1×1, 1×3×3, 1×1×1, and a way past them, projected where the width changes."""

    def __init__(self, width_in: int, width_out: int, kernel_frames: int, stride: int, dilation: int) -> None:
        super().__init__()
        if width_in != width_out or stride != 1:
            self.branch1 = nn.Conv3d(width_in, width_out, 1, (1, stride, stride), bias=False)
            self.branch1_bn = nn.BatchNorm3d(width_out)
        inner = width_out // 4
        kernel, padding = (kernel_frames, 1, 1), (kernel_frames // 2, 0, 0)
        spread = (0, dilation, dilation), (1, dilation, dilation)
        self.branch2 = nn.Sequential()
        self.branch2.add_module("a", nn.Conv3d(width_in, inner, kernel, 1, padding, bias=False))
        self.branch2.add_module("a_bn", nn.BatchNorm3d(inner))
        self.branch2.add_module("a_relu", nn.ReLU(inplace=True))
        self.branch2.add_module("b", nn.Conv3d(inner, inner, (1, 3, 3), (1, stride, stride), *spread, bias=False))
        self.branch2.add_module("b_bn", nn.BatchNorm3d(inner))
        self.branch2.add_module("b_relu", nn.ReLU(inplace=True))
        self.branch2.add_module("c", nn.Conv3d(inner, width_out, 1, bias=False))
        self.branch2.add_module("c_bn", nn.BatchNorm3d(width_out))

    def forward(self, x: Tensor) -> Tensor:
        past = self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x
        return functional.relu(past + self.branch2(x), inplace=True)


class _NonLocal(nn.Module):
    """Every place and time sees every other, by dot product (Wang et al., CVPR 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 2
        self.conv_theta, self.conv_phi, self.conv_g = (nn.Conv3d(width, inner, 1) for _ in range(3))
        self.conv_out = nn.Conv3d(inner, width, 1)
        self.bn = nn.BatchNorm3d(width)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.max_pool3d(x, _NONLOCAL_POOL)
        query, key, value = (
            conv(seen).flatten(2)
            for conv, seen in ((self.conv_theta, x), (self.conv_phi, pooled), (self.conv_g, pooled))
        )
        # (θᵀφ)g / positions, bracketed so that no matrix of all pairs is held.
        seen = torch.bmm(value, key.transpose(1, 2)) @ query / key.shape[2]
        answer: Tensor = self.bn(self.conv_out(seen.unflatten(2, x.shape[2:])))
        return x + answer
