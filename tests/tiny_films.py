"""Procedural films small enough to index in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m2s_index.procedural import Mix, film_frames, make_film, write_video


def write_tiny_film(
    path: Path,
    seed: int,
    shots: int,
    *,
    shot_frames: tuple[int, int] = (10, 14),
    places: Sequence[str] | None = None,
) -> Path:
    """A film of hard cuts, 160×90, about half a second a shot, without its truth beside it."""
    mix = Mix(shot_frames=shot_frames, transitions=(("cut", 1.0),), cameras=(("static", 1.0),), event_share=0)
    write_video(path, film_frames(make_film(seed, shots=shots, size=(160, 90), mix=mix, places=places)), rate=24)
    return path
