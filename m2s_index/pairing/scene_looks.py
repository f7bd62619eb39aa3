"""What scenes and films of a catalogue show the same pictures, for pairs that were found over all of it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.errors import KeyFrameError
from m2s_index.junk_marks import shots_junk
from m2s_index.pairing.duplicates import Stretch, same_stretches
from m2s_index.pairing.film_rows import ShotTimes, shot_times
from m2s_index.pairing.fingerprints import PRINT_SIZE, shot_fingerprints
from m2s_index.reading import Reader
from m2s_index.types import Float32Array, JunkKind, Scene

KEPT_SCENES, KEPT_FILMS = 10_000, 1_000
"""How many scenes' fingerprints (some 50 kB each) and films' shots are kept at hand."""
KEPT_WHOLE = 16
"""How many films' fingerprints (some 8 MB each) are."""


class SceneLooks:
    """Compares scenes and films of a catalogue. What has no key frames that can be read looks like nothing else;
    ``unreadable`` are the ids of such films.
    """

    def __init__(self, catalog: Catalog, reader: Reader) -> None:
        self._catalog, self._reader = catalog, reader
        self.unreadable: set[int] = set()
        self._scene_prints = lru_cache(KEPT_SCENES)(self._read_prints)
        self._film_prints = lru_cache(KEPT_WHOLE)(self._read_prints)
        self._shots = lru_cache(KEPT_FILMS)(self._read_shots)

    def same(self, first: Scene, second: Scene) -> bool:
        """Whether two scenes have a stretch in common."""
        prints, times = [], []
        for scene in (first, second):
            _, shots = self._shots(scene.movie_id)
            prints.append(self._scene_prints(scene.movie_id, scene.first_shot, scene.end_shot))
            times.append(shots.part(scene.first_shot, scene.end_shot))
        return bool(same_stretches(prints[0], prints[1], times[0], times[1]))

    def stretches(self, first_movie_id: int, second_movie_id: int) -> list[Stretch]:
        """All that two films have in common; see ``same_stretches``."""
        times = [self._shots(movie_id)[1] for movie_id in (first_movie_id, second_movie_id)]
        prints = [
            self._film_prints(movie_id, 0, len(shots.starts))
            for movie_id, shots in zip((first_movie_id, second_movie_id), times, strict=True)
        ]
        return same_stretches(prints[0], prints[1], times[0], times[1])

    def _read_shots(self, movie_id: int) -> tuple[tuple[JunkKind | None, ...] | None, ShotTimes]:
        """What kind of junk a film's shots are, None where that is not known; and their times."""
        times = shot_times(self._reader, movie_id)
        try:
            return shots_junk(self._catalog, self._reader, movie_id), times
        except KeyFrameError:
            self.unreadable.add(movie_id)
            return None, times

    def _read_prints(self, movie_id: int, first: int, end: int) -> Float32Array:
        junk, _ = self._shots(movie_id)
        try:
            if junk is not None:
                return shot_fingerprints(self._catalog, self._reader, movie_id, junk, range(first, end))
        except KeyFrameError:
            self.unreadable.add(movie_id)
        return np.zeros((end - first, PRINT_SIZE), np.float32)
