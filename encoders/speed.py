"""How fast an encoder is on a core of this machine, whatever else runs on it."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from m2s_index.encoder import Encoder

WIDTH_PX, HEIGHT_PX = 448, 252
"""A key frame of a small film, of noise: what is in a picture makes no difference to the encoders timed."""


def key_frames_per_second(encoder: Encoder, *, rounds: int = 5, frames: int = 4) -> float:
    """Key frames described in a second of processor time: the median of rounds, after one that is not counted.

    That is the speed of one core where NumPy uses one thread.
    """
    generator = np.random.default_rng(0)
    pictures = list(generator.integers(0, 256, (frames, HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8))
    encoder.encode_frames(pictures)
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        encoder.encode_frames(pictures)
        seconds.append(time.process_time() - start)
    return frames / median(seconds)
