"""E_movie: its file, and the file as what maps the shots of a film into the space in which scenes are mined."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from m2s_index.encoders.movie_network import MovieNetwork
from m2s_index.encoders.placement import choose_device
from m2s_index.encoders.training.checkpoint import read_header, save_tensors
from m2s_index.encoders.training.config import with_values
from m2s_index.encoders.training.movie_config import MovieConfig, SignalName
from m2s_index.encoders.weights import fill, read_weights
from m2s_index.errors import UsageError, WeightsError
from m2s_index.types import EncoderIdentity, Float32Array

_KIND = "movie encoder"


class MovieEncoder:
    """A trained E_movie."""

    def __init__(
        self,
        path: Path,
        network: MovieNetwork,
        config: MovieConfig,
        features_of: EncoderIdentity,
        device: torch.device,
    ) -> None:
        self.features_of = features_of
        """The encoder whose shot features it takes."""
        self._path = path
        self._network = network.to(device).eval()
        self._config = config
        self._device = device

    @property
    def signal(self) -> SignalName:
        """What it was taught similarity by."""
        return self._config.signal

    @property
    def sentence_encoder(self) -> str:
        """The SHA-256 of what read its synopses; empty where nothing did."""
        return self._config.sentence_encoder

    @torch.inference_mode()
    def encode_shots(self, features: Float32Array) -> Float32Array:
        """All shots of a film in the space before the last fully connected layer.

        Args:
            features: float32 [M, D], of any M, as the encoder of ``features_of`` gives them.

        Returns:
            float32 [M, F], rows of length 1, each a function of its shot alone.

        Raises:
            UsageError: D is another.
        """
        rows: Float32Array = self._network.rows(self._tensor(features)).cpu().numpy()
        return rows

    @torch.inference_mode()
    def film(self, features: Float32Array) -> Float32Array:
        """A film as one vector, the mean of its rows: float32 [M, D], M ≥ 1, to float32 [F].

        Raises:
            UsageError: D is another.
        """
        mean: Float32Array = self._network.rows(self._tensor(features)).mean(dim=0).cpu().numpy()
        return mean

    @torch.inference_mode()
    def similarity(self, first: Float32Array, second: Float32Array) -> Float32Array:
        """How similar pairs of films are, above 0 for rather similar: [P, F] and [P, F], of ``film``, to [P]."""
        films = (torch.from_numpy(side).to(self._device) for side in (first, second))
        scores: Float32Array = self._network.pair(*films).cpu().numpy()
        return scores

    def _tensor(self, features: Float32Array) -> Tensor:
        wanted = self.features_of
        if features.ndim != 2 or features.shape[1] != wanted.dimension:
            raise UsageError(
                f"{self._path}: takes shot features by encoder {wanted.name}, {wanted.dimension} numbers a shot; "
                f"{list(features.shape)} are others"
            )
        return torch.from_numpy(features).to(self._device)


def save_movie_encoder(
    path: Path, tensors: Mapping[str, Tensor], config: MovieConfig, features_of: EncoderIdentity
) -> None:
    """Write a trained network, what it was trained with, and what it takes.

    Raises:
        TrainingError: the file cannot be written.
    """
    save_tensors(path, tensors, {"kind": _KIND, "config": config.as_dict(), "features_of": features_of.as_dict()})


def load_movie_encoder(path: Path, *, device: str | None = None) -> MovieEncoder:
    """A trained network.

    Args:
        path: its file.
        device: as in ``make_encoder``.

    Raises:
        UsageError: the device cannot be.
        WeightsError: the file is missing, damaged, or no encoder that 'm2s train movie' made.
    """
    chosen = choose_device(device)
    header = read_header(path)
    if header.get("kind") != _KIND:
        raise WeightsError(f"{path}: holds a {header.get('kind')!r}, not a {_KIND!r}; name the --out of a training")
    try:
        config = with_values(MovieConfig(), header["config"])
        features_of = EncoderIdentity(**header["features_of"])
        network = MovieNetwork(features_of.dimension, config.hidden, config.features)
    except (KeyError, AttributeError, TypeError, RuntimeError, UsageError) as exc:
        raise WeightsError(f"{path}: its network cannot be made ({exc}); train it again") from exc
    fill(network, read_weights(path), path)
    return MovieEncoder(path, network, config, features_of, chosen)
