"""What a build will take, measured where that is cheap: only to be said aloud before it starts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.encoder import AnyEncoder
    from m2s_index.types import BuildOptions


def seconds_per_frame(encoder: AnyEncoder, options: BuildOptions) -> float:
    """How long the encoder takes for one key frame, from one batch of noise after a warm-up; where it sees
    clips or whole scenes, how much of one's time falls to a key frame.
    """
    import numpy as np

    from m2s_index.encoder import ClipEncoder, SceneEncoder, ShotFeatureEncoder

    if isinstance(encoder, ShotFeatureEncoder):
        return 0.0  # it looks at none
    if isinstance(encoder, ClipEncoder):
        side = encoder.clip.side_px
        clip = np.random.default_rng(0).integers(0, 256, (encoder.clip.frames, side, side, 3), np.uint8)
        started = time.perf_counter()
        encoder.encode_clip(clip)
        return (time.perf_counter() - started) / (options.scene_stride * options.frames_per_shot)
    noise = np.random.default_rng(0).integers(0, 256, (306, 544, 3), np.uint8)
    if isinstance(encoder, SceneEncoder):
        started = time.perf_counter()
        encoder.encode_key_frames([noise] * options.scene_shots)
        return (time.perf_counter() - started) / (options.scene_stride * options.frames_per_shot)
    frames = [noise] * min(4, encoder.batch_size)
    encoder.encode_frames(frames)
    started = time.perf_counter()
    encoder.encode_frames(frames)
    return (time.perf_counter() - started) / len(frames)


def bytes_per_hour(catalog: Catalog | None) -> float | None:
    """Disk that an hour of the catalogue's films took, key frames and matrices; None without films."""
    if catalog is None:
        return None
    from m2s_index.status import catalog_status

    state = catalog_status(catalog)
    return state["bytes"] / state["hours"] if state["hours"] else None


def duration(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
