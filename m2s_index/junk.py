"""Shots that are like shots of any film: black and plain pictures, title cards, logos, credits.

They match each other across all films and would drown what is worth finding. Key frames alone are looked at, their
brightness at 272 pixels on the longer side. A card is ink on a plain ground: most of it is one level, and where ink
begins the brightness jumps within a pixel or two, as it hardly ever does around what a camera saw. The thresholds
were set on the cards, and the pictures most like them, of nine open films (see docs/pairs.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m2s_index.keyframe_store import KeyFrameReader, decode_luma
from m2s_index.types import Crop, JunkKind

SIDE_PX = 272
"""Half of what key frames have by default: a JPEG is decoded at half its size in a third of the time."""
BLACK_LEVEL = 40
"""Of 255: brighter is no more than one pixel in 200 of a black picture."""
PLAIN_SPREAD = 5.0
"""The standard deviation of a plain picture's levels at most."""
GROUND_LEVELS = 12
"""The ground is what lies so close to the most common level."""
CARD_GROUND = 0.8
"""The share of the ground in any card; text and logos may leave less."""
TEXT_GROUND, TEXT_STROKE_PX = 0.62, 3.5
LOGO_GROUND, LOGO_INK = 0.5, 0.7
"""A logo's ink is mostly of one level."""
SHARP = 0.85
"""Jumps for each edge of ink: cards had 0.88 and more, figures on so plain a ground 0.81 and less."""
CREDIT_LINES = 5


def picture_junk(data: bytes, crop: Crop | None = None) -> JunkKind | None:
    """What kind of junk a stored picture is inside its bars; None for all others.

    Raises:
        KeyFrameError: it is no JPEG picture, or claims an absurd size.
    """
    levels = decode_luma(data, crop, SIDE_PX)
    if np.percentile(levels, 99.5) < BLACK_LEVEL:
        return "black"
    if levels.std() <= PLAIN_SPREAD:
        return "plain"
    common = np.convolve(np.bincount(levels.ravel(), minlength=256), np.ones(2 * GROUND_LEVELS + 1), "same")
    ground = common.max() / levels.size
    contrast = np.abs(levels - int(common.argmax()))
    drawn = contrast[contrast > GROUND_LEVELS]
    if not len(drawn):
        return "plain"
    full = float(np.percentile(drawn, 90))
    ink = contrast > full / 2
    strokes = int((np.diff(ink.astype(np.int8), axis=1) == 1).sum() + ink[:, 0].sum())
    jumps = int((np.abs(np.diff(levels, axis=1)) > 0.4 * full).sum())
    if jumps < SHARP * 2 * strokes:
        return None
    text = ground >= TEXT_GROUND and ink.sum() <= TEXT_STROKE_PX * strokes
    logo = ground >= LOGO_GROUND and np.mean(drawn > 0.8 * full) >= LOGO_INK
    if not (ground >= CARD_GROUND or text or logo):
        return None
    return "credits" if text and _lines(ink) >= CREDIT_LINES else "card"


def shot_junk(pictures: Sequence[bytes], crop: Crop | None) -> JunkKind | None:
    """What kind of junk a shot is, by its key frames as stored: all of them must be; the first says which."""
    kinds = [picture_junk(data, crop) for data in pictures]
    return kinds[0] if all(kinds) else None


def film_junk(folder: Path, file: str, shots: int, crop: Crop | None) -> tuple[JunkKind | None, ...]:
    """The kinds of a film's shots, from its key-frame file.

    Raises:
        KeyFrameError: the file is missing or damaged.
    """
    with KeyFrameReader(folder, file) as reader:
        return tuple(shot_junk(reader.read(shot), crop) for shot in range(shots))


def _lines(ink: NDArray[np.bool_]) -> int:
    """How many lines of ink there are, one above the other."""
    rows = ink.mean(axis=1) > 0.01
    return int((np.diff(rows.astype(np.int8)) == 1).sum() + rows[0])
