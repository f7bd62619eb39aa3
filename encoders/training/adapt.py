"""All of the method on one's own films: E_movie, scene pairs by it, and E_scene over shot features.

What each of them learns from comes from an ``AdaptationSource``; the library's own is ``m2s_index.adaptation``.
Every step leaves a file, and what is there is gone on with: of the trainings their checkpoints, of mining its whole
result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from m2s_index.encoders.movie_encoder import load_movie_encoder
from m2s_index.encoders.training.loop import StepDone
from m2s_index.encoders.training.movie_config import MovieConfig
from m2s_index.encoders.training.movie_training import prepare_movie_training
from m2s_index.encoders.training.place import Place
from m2s_index.encoders.training.scene_config import SceneConfig
from m2s_index.encoders.training.scene_training import prepare_scene_training
from m2s_index.encoders.training.source import FeatureSource, MovieSource
from m2s_index.encoders.training.training import Finished, RunOptions, Training, checkpoint_path
from m2s_index.errors import UsageError
from m2s_index.types import EncoderIdentity, Float32Array, Int64Array


class AdaptationSource(Protocol):
    """Where films come from: the same ones at every step, and never those that are held out to measure with."""

    def movies(self, signal: str, similar: int, seed: int) -> MovieSource:
        """Films, and pairs: each with the ``similar`` most similar ones by ``signal``, and unlike ones."""
        ...

    def mine(
        self,
        path: Path,
        signal: str,
        similar: int,
        encode: Callable[[Float32Array], Float32Array],
        features_of: EncoderIdentity,
    ) -> None:
        """Write the scene pairs of similar films to a file, whole or not at all.

        Args:
            path: the file.
            signal: how films are similar.
            similar: similar movies of each.
            encode: what shot features go through first.
            features_of: whose they have to be.
        """
        ...

    def scenes(self) -> FeatureSource:
        """Films, for E_scene."""
        ...

    def pairs(self, path: Path) -> Int64Array:
        """The pairs of a file that ``mine`` wrote: int64 [P, 2], scenes of the films of ``scenes`` by number."""
        ...


@dataclass(frozen=True)
class AdaptationFiles:
    """What an adaptation leaves in its folder, besides checkpoints and curves."""

    folder: Path

    @property
    def movie(self) -> Path:
        """E_movie."""
        return self.folder / "e_movie.safetensors"

    @property
    def pairs(self) -> Path:
        """The scene pairs."""
        return self.folder / "pairs.csv"

    @property
    def scene(self) -> Path:
        """E_scene."""
        return self.folder / "e_scene.safetensors"

    def prepare(self, *, resume: bool) -> None:
        """Make the folder.

        Raises:
            UsageError: it cannot be made, or holds an adaptation that is not to be gone on with.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise UsageError(f"{self.folder}: cannot be made ({exc.strerror}); name another --out") from exc
        files = (self.movie, checkpoint_path(self.movie), self.pairs, self.scene, checkpoint_path(self.scene))
        there = [path for path in files if path.exists()]
        if there and not resume:
            raise UsageError(f"{there[0]}: is there already; go on with --resume, or give another --out")


@dataclass(frozen=True)
class Adaptation:
    """What came of it: two trainings, and how many scene pairs lie between them."""

    movie: Finished
    pairs: int
    scene: Finished


def adapt(
    source: AdaptationSource,
    movie_config: MovieConfig,
    scene_config: SceneConfig,
    files: AdaptationFiles,
    place: Place,
    *,
    resume: bool,
    checkpoint_steps: int,
    begin: Callable[[Training], Callable[[StepDone], None]],
) -> Adaptation:
    """Train E_movie, mine scene pairs with it, train E_scene on them.

    Args:
        source: what is learned from.
        movie_config: how E_movie is trained, and which films are similar.
        scene_config: how E_scene is trained; of the architecture ``shots``.
        files: where all of it goes.
        place: where trainings run, alone.
        resume: go on with what is there, wherever it ended.
        checkpoint_steps: from one checkpoint to the next.
        begin: told of a training before its first step; returns what is told of its steps.

    Raises:
        UsageError: there is too little to learn from, ``files`` are of another adaptation, other processes train
            too, or the architecture is another.
        TrainingError, WeightsError, CatalogError: as trainings and mining do.
    """
    if place.processes.count > 1:
        raise UsageError("an adaptation runs in one process: give torchrun train movie and train scene, one by one")
    if scene_config.architecture != "shots":
        raise UsageError(f"architecture {scene_config.architecture!r}: an adaptation is of shots; see train scene")
    files.prepare(resume=resume)

    def finish(training: Training) -> Finished:
        return training.finish(place, RunOptions(_begun(training.out), checkpoint_steps, begin(training)))

    signal, similar = movie_config.signal, movie_config.similar
    movies = source.movies(signal, similar, movie_config.seed)
    movie = finish(prepare_movie_training(movies, movie_config, files.movie, resume=_begun(files.movie)))
    if not files.pairs.exists():
        encoder = load_movie_encoder(files.movie, device=str(place.device))
        source.mine(files.pairs, signal, similar, encoder.encode_shots, encoder.features_of)
    pairs = source.pairs(files.pairs)
    resumed = _begun(files.scene)
    scene = prepare_scene_training(source.scenes(), pairs, scene_config, files.scene, resume=resumed)
    return Adaptation(movie, len(pairs), finish(scene))


def _begun(out: Path) -> bool:
    return checkpoint_path(out).exists()
