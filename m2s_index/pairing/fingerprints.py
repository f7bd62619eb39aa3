"""What a shot's key frame looks like, to be known again in another encode of the film: no encoder is asked.

A fingerprint is the picture's brightness at 48×27, less its blur: what is left are edges and textures, which
scaling and compression keep, and of which two different pictures have few in the same places. Of nine open films
pictures of one shot in two files had products of 0.54 and more, pictures of different films 0.30 at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.junk_marks import keyframes_of
from m2s_index.keyframe_store import KeyFrameReader, decode_luma
from m2s_index.reading import Reader
from m2s_index.types import Crop, Float32Array, JunkKind

WIDTH, HEIGHT = 48, 27
PRINT_SIZE = WIDTH * HEIGHT
BLUR = 4.0
"""The blur's radius in pixels of the fingerprint."""
FAINT = 16.0
"""Added to a picture's norm: half a level's noise all over a plain picture is not blown up to be a texture."""
DECODED_PX = 272


def fingerprint(data: bytes, crop: Crop | None) -> Float32Array:
    """A stored picture's fingerprint inside its bars: float32 [1296], of length below 1.

    Raises:
        KeyFrameError: it is no JPEG picture, or claims an absurd size.
    """
    from PIL import Image as PillowImage
    from PIL import ImageFilter

    levels = decode_luma(data, crop, DECODED_PX).astype(np.uint8)
    small = PillowImage.fromarray(levels).resize((WIDTH, HEIGHT), PillowImage.Resampling.BOX)
    blurred = small.filter(ImageFilter.GaussianBlur(BLUR))
    detail = np.asarray(small, np.float32) - np.asarray(blurred, np.float32)
    detail -= detail.mean()
    found: Float32Array = (detail / (np.linalg.norm(detail) + FAINT)).ravel()
    return found


def shot_fingerprints(
    catalog: Catalog,
    reader: Reader,
    movie_id: int,
    junk: Sequence[JunkKind | None],
    shots: Iterable[int] | None = None,
) -> Float32Array:
    """Fingerprints of some of a film's shots, or of all, by their first key frames: float32 [N, 1296]; zeros for
    junk, which is the same in any film.

    Args:
        catalog: whose key frames.
        reader: of the catalogue.
        movie_id: the film.
        junk: what kind of junk each of its shots is, or None.
        shots: which shots; all where it is None.

    Raises:
        KeyFrameError: the film's key frames are missing or damaged.
    """
    file, crop = keyframes_of(reader, movie_id)
    chosen = list(range(len(junk)) if shots is None else shots)
    found = np.zeros((len(chosen), PRINT_SIZE), np.float32)
    with KeyFrameReader(catalog.keyframes_folder, file) as frames:
        for place, shot in enumerate(chosen):
            if junk[shot] is None:
                found[place] = fingerprint(frames.read(shot)[0], crop)
    return found
