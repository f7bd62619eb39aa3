"""Where the camera looks in each frame of a shot, in output pixels over the painted place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from m2s_index.procedural.easel import Floats
from m2s_index.procedural.places import MASTER_HEIGHTS, MASTER_WIDTHS, Place
from m2s_index.procedural.spec import Framing, ShotSpec, whip_frames

WINDOW: dict[Framing, float] = {"wide": 2.0, "medium": 1.3, "close": 0.8}
"""How much of the painting a framing shows, in widths (and heights) of the film."""

_FEET: dict[Framing, float] = {"wide": 0.87, "medium": 0.95, "close": 1.5}
"""Where the ground lies in the frame, 0 at its top."""


@dataclass(frozen=True)
class CameraPath:
    """One row per frame from ``first_frame`` on (negative while a gradual transition brings the shot in).

    ``left`` and ``top`` are in pixels of the whole place at the framing's scale, ``zoom`` ≤ 1 is the
    part of the frame's size that is seen.
    """

    first_frame: int
    left: Floats
    top: Floats
    zoom: Floats


def camera_path(shot: ShotSpec, place: Place, size: tuple[int, int], rng: np.random.Generator) -> CameraPath:
    """The path of a shot's camera, kept inside the painting."""
    width, height = size
    scale = 1 / WINDOW[shot.framing]
    room_x, room_y = width * (MASTER_WIDTHS * scale - 1), height * (MASTER_HEIGHTS * scale - 1)
    before = shot.transition_frames
    frames = np.arange(-before, shot.length_frames, dtype=np.float32)
    middle = (len(frames) - 1) / 2 - before
    x = np.zeros_like(frames)
    y, zoom = x.copy(), np.ones_like(frames)
    sign = 1.0 if rng.integers(2) else -1.0
    if shot.camera == "slow_pan":
        speed = width * float(rng.uniform(0.0016, 0.004))
        x = (frames - middle) * min(speed, 0.5 * room_x / len(frames)) * sign
    elif shot.camera == "fast_pan":
        first, last = whip_frames(shot)
        turn = ((frames - first + 1) / (last - first)).clip(0, 1)
        x = (turn * turn * (3 - 2 * turn) - 0.5) * min(1.15 * width, room_x) * sign
    elif shot.camera == "handheld":
        x, y = _shake(len(frames), width, rng), _shake(len(frames), width * 0.7, rng)
    elif shot.camera == "zoom":
        share = np.linspace(0, 1, len(frames), dtype=np.float32)
        zoom = 1 - 0.32 * (share if sign > 0 else 1 - share)
    feet = _FEET[shot.framing] if place.people else min(_FEET[shot.framing], 0.85)
    top = place.ground * MASTER_HEIGHTS * scale * height - feet * height
    margin = (float(np.ptp(x)) + 1) / 2
    left = margin + shot.offset * max(room_x - 2 * margin, 0) + x - (x.max() + x.min()) / 2
    return CameraPath(-before, left.clip(0, room_x), (top + y).clip(0, room_y), zoom)


def _shake(length: int, width: float, rng: np.random.Generator) -> Floats:
    """A hand's slow drift with a tremor on it."""
    knots = max(length // 9, 3)
    drift = np.interp(np.linspace(0, knots - 1, length), np.arange(knots), rng.normal(0, 0.02 * width, knots))
    return (drift + rng.normal(0, 0.004 * width, length)).astype(np.float32)
