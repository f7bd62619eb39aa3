"""Building through the library, with any encoder: also with the simplest one there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from m2s_index.build import Builder, BuildResult
from m2s_index.catalog import Catalog
from m2s_index.encoder import AnyEncoder
from m2s_index.lock import BuildLock
from m2s_index.plan import plan_build, plan_stored
from m2s_index.settings import saved_options
from m2s_index.types import ClipSpec, EncoderIdentity, Float32Array, Image
from m2s_index.workers import WorkerPool


class MeanColour:
    """An encoder of three numbers a frame, as the protocol has it."""

    batch_size = 4

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("colour", "mean of the pixels", "", "none", 3, "l2")

    def encode_frames(self, frames: Sequence[Image]) -> Float32Array:
        return np.stack([frame.mean(axis=(0, 1)) for frame in frames]).astype(np.float32)

    def encode_scene(self, features: Float32Array) -> Float32Array:
        return features.mean(axis=0)


class MeanMotion:
    """An encoder of clips, as the protocol has it: the mean colour, and how much each colour changes."""

    clip = ClipSpec(frames=6, rate=Fraction(10), side_px=40)

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("motion", "mean and change of the pixels", "", "none", 6, "cosine")

    def encode_clip(self, frames: Image) -> Float32Array:
        means = frames.mean(axis=(1, 2))
        return np.concatenate([means.mean(axis=0), np.abs(np.diff(means, axis=0)).mean(axis=0)]).astype(np.float32)


class EdgeColours:
    """An encoder of scenes from key frames, as the protocol has it: the first one's mean colour, the last one's,
    and how many there are.
    """

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("edges", "mean of the pixels, first and last", "", "none", 7, "l2")

    def encode_key_frames(self, frames: Sequence[Image]) -> Float32Array:
        first, last = (frames[at].mean(axis=(0, 1)) for at in (0, -1))
        return np.concatenate([first, last, [len(frames)]]).astype(np.float32)


class ColourSteps:
    """An encoder of scenes from ``MeanColour``'s shot features, as the protocol has it: the first shot's, the
    last one's, and how many there are.
    """

    shot_encoder = replace(MeanColour().identity, name="colour as it was called elsewhere")

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("steps", "first and last of the shots", "", "none", 7, "l2")

    def encode_shot_features(self, features: Float32Array) -> Float32Array:
        return np.concatenate([features[0], features[-1], [len(features)]]).astype(np.float32)


def library_build(folder: Path, encoder: AnyEncoder, paths: Sequence[Path] = ()) -> BuildResult:
    """Build through the library, as the command line does."""
    with Catalog.open(folder, create=True) as catalog, BuildLock(folder), WorkerPool(1) as pool:
        with catalog.read() as session:
            options = saved_options(session)
        plan = plan_build(catalog, paths, options, pool) if paths else plan_stored(catalog)
        return Builder(catalog, encoder, options).run(plan, pool)
