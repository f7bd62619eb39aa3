"""A file of mined pairs as training sees it: scenes by number. Films that the file is of have to be there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from m2s_index.errors import UsageError
from m2s_index.pairing.pairs_file import MinedScene, read_pairs
from m2s_index.pairing.windows import WINDOW_SHOTS
from m2s_index.types import Int64Array


def numbered_pairs(path: Path, fingerprints: Sequence[str], shots: Sequence[int]) -> Int64Array:
    """The pairs of a file: int64 [P, 2], of each scene its first shot's number, counted through all films.

    Args:
        path: the file.
        fingerprints: each film's.
        shots: how many shots each film has.

    Raises:
        UsageError: the file is none, or a scene of it is in none of the films, or no window of nine shots; the
            message names the line.
    """
    first_of_film = dict(zip(fingerprints, accumulate(shots, initial=0), strict=False))

    def number(scene: MinedScene) -> int:
        if scene.shots != WINDOW_SHOTS:
            raise UsageError(
                f"{path}: a scene of '{scene.movie}' has {scene.shots} shots from shot {scene.first_shot} on; "
                f"E_scene is trained on windows of {WINDOW_SHOTS}, as 'm2s train mine' makes them"
            )
        return first_of_film[scene.fingerprint] + scene.first_shot

    pairs = read_pairs(path, dict(zip(fingerprints, shots, strict=True)))
    return np.array([(number(pair.scene), number(pair.other)) for pair in pairs], np.int64)
