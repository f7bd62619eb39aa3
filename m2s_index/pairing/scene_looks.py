"""Whether two scenes show the same pictures somewhere, for pairs that were found over a whole catalogue."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.errors import KeyFrameError
from m2s_index.junk_marks import shots_junk
from m2s_index.pairing.duplicates import same_stretches
from m2s_index.pairing.film_rows import ShotTimes, shot_times
from m2s_index.pairing.fingerprints import PRINT_SIZE, shot_fingerprints
from m2s_index.reading import Reader
from m2s_index.types import Float32Array, JunkKind, Scene

KEPT_SCENES, KEPT_FILMS = 10_000, 1_000
"""How many scenes' fingerprints (some 50 kB each) and films' shots are kept at hand."""


class SceneLooks:
    """Compares scenes of a catalogue. Scenes whose key frames cannot be read look like nothing else."""

    def __init__(self, catalog: Catalog, reader: Reader) -> None:
        self._catalog, self._reader = catalog, reader
        self._prints = lru_cache(KEPT_SCENES)(self._read_prints)
        self._shots = lru_cache(KEPT_FILMS)(self._read_shots)

    def same(self, first: Scene, second: Scene) -> bool:
        """Whether two scenes have a stretch in common."""
        prints, times = [], []
        for scene in (first, second):
            shots = self._shots(scene.movie_id)
            if shots is None:
                return False
            prints.append(self._prints(scene.movie_id, scene.first_shot, scene.end_shot))
            times.append(shots[1].part(scene.first_shot, scene.end_shot))
        return bool(same_stretches(prints[0], prints[1], times[0], times[1]))

    def _read_shots(self, movie_id: int) -> tuple[tuple[JunkKind | None, ...], ShotTimes] | None:
        try:
            return shots_junk(self._catalog, self._reader, movie_id), shot_times(self._reader, movie_id)
        except KeyFrameError:
            return None

    def _read_prints(self, movie_id: int, first: int, end: int) -> Float32Array:
        shots = self._shots(movie_id)
        assert shots is not None
        try:
            return shot_fingerprints(self._catalog, self._reader, movie_id, shots[0], range(first, end))
        except KeyFrameError:
            return np.zeros((end - first, PRINT_SIZE), np.float32)
