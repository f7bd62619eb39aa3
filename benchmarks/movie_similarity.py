"""What E_movie finds in films that it never saw, where their shots tell what is similar, and where nothing does.

    python benchmarks/movie_similarity.py

A film is 30 to 300 shots of a few subjects of its own. It is of one of six groups, and a fifth of its shots show
its group's subject: pairs of one group are similar. In the second run the groups are dealt out anew, so that shots
say nothing of them: a measure that is not fooled gives 0.5.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from machine import machine, timed

from m2s_index.encoders.movie_encoder import load_movie_encoder
from m2s_index.encoders.training.config import with_values
from m2s_index.encoders.training.movie_config import PRESETS
from m2s_index.encoders.training.movie_training import prepare_movie_training, score_pairs
from m2s_index.encoders.training.place import training_place
from m2s_index.encoders.training.training import RunOptions
from m2s_index.types import EncoderIdentity, FilmPairs, Float32Array

FILMS, GROUPS, DIMENSION, SUBJECTS = 300, 6, 128, 8
SHARE = 0.2
SETTINGS = {"epochs": 20, "shots": 128, "hidden": 128, "features": 128}
"""In place of the paper's, so that a run takes half a minute on two cores."""


class Films:
    """Shot features in memory, as E_movie's training asks for them."""

    digest = ""
    identity = EncoderIdentity("drawn", "", "", "", DIMENSION, "cosine")

    def __init__(self, *, dealt_anew: bool) -> None:
        random = np.random.default_rng(0)
        groups = random.integers(GROUPS, size=FILMS)
        shown, common = random.standard_normal((GROUPS, DIMENSION)), 5 * random.standard_normal(DIMENSION)
        self._films = [self._film(random, shown[group]) + common for group in groups]
        self.shots = [len(film) for film in self._films]
        self.pairs = self._pairs(random, random.permutation(groups) if dealt_anew else groups)

    def features(self, film: int) -> Float32Array:
        """A film's shots."""
        return self._films[film].astype(np.float32)

    def _film(self, random: np.random.Generator, subject: np.ndarray) -> np.ndarray:
        shots = int(random.integers(30, 300))
        film = random.standard_normal((SUBJECTS, DIMENSION))[random.integers(SUBJECTS, size=shots)]
        film[random.random(shots) < SHARE] = subject
        return film + random.standard_normal(film.shape)

    def _pairs(self, random: np.random.Generator, groups: np.ndarray) -> FilmPairs:
        """Every film with ten of its group, and as many pairs of two groups."""
        similar = {
            (min(film, other), max(film, other))
            for film in range(FILMS)
            for other in random.choice(np.flatnonzero(groups == groups[film]), 10, replace=False).tolist()
            if other != film
        }
        first, second = np.triu_indices(FILMS, 1)
        apart = random.choice(np.flatnonzero(groups[first] != groups[second]), len(similar), replace=False)
        ends = np.concatenate([np.array(sorted(similar)), np.stack([first[apart], second[apart]], axis=1)])
        return FilmPairs(ends[:, 0], ends[:, 1], np.arange(len(ends)) < len(similar))


def main() -> None:
    """Train twice and print the AUCs."""
    print(machine())
    config = with_values(PRESETS["paper"], SETTINGS)
    for dealt_anew in (False, True):
        films = Films(dealt_anew=dealt_anew)
        with tempfile.TemporaryDirectory() as folder, training_place("cpu", None) as place:
            training = prepare_movie_training(films, config, Path(folder) / "e.safetensors", resume=False)
            options = RunOptions(resume=False, checkpoint_steps=training.plan.steps, on_step=lambda _: None)
            seconds = timed(lambda: training.run(place, options))  # noqa: B023
            encoder = load_movie_encoder(training.out, device="cpu")
        print(f"groups dealt out anew: {dealt_anew}; {training.plan.steps} steps in {seconds:.0f} s")
        for name in ("trained", "held_out_pairs", "held_out_movies"):
            print(f"    {name}: {score_pairs(encoder, films, getattr(training.split, name))}")


if __name__ == "__main__":
    main()
