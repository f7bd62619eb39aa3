"""A sentence-transformers model from a folder on disk, as a ``SentenceEncoder``.

Nothing is downloaded and nothing unpickled: weights are safetensors, and of code only sentence-transformers' own
modules are run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from m2s_index.encoders.placement import choose_device
from m2s_index.encoders.torchvision_shim import import_torchvision
from m2s_index.errors import EncoderError, MissingExtraError, WeightsError, first_line
from m2s_index.types import Float32Array

TEXTS_AT_ONCE = 256
"""Between one report of progress and the next; the model itself is given fewer."""
_PICKLES = "pytorch_model*.bin"
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_HASHED = {".json", ".txt", ".model", ".safetensors"}
"""Endings of files that a model is made of: settings, vocabularies and weights."""


class SentenceTransformerEncoder:
    """The model is loaded when the first text is encoded, which takes seconds."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str | None = None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Look at the folder.

        Args:
            folder: as sentence-transformers' ``save`` makes it.
            device: as in ``make_encoder``.
            on_progress: told how many texts of how many are encoded.

        Raises:
            UsageError: the device cannot be.
            WeightsError: the folder is missing, no such model, or has weights that are pickles.
        """
        self._folder = folder
        self._device = choose_device(device)
        self._on_progress = on_progress
        _check_folder(folder)

    @cached_property
    def sha256(self) -> str:
        """Of the names and contents of all files that the model is made of, in hexadecimal."""
        digest = hashlib.sha256()
        for path in sorted(self._folder.rglob("*")):
            if path.suffix in _HASHED and path.is_file():
                with path.open("rb") as stream:
                    content = hashlib.file_digest(stream, "sha256").hexdigest()
                digest.update(f"{path.relative_to(self._folder).as_posix()}\0{content}\0".encode())
        return digest.hexdigest()

    def encode_texts(self, texts: Sequence[str]) -> Float32Array:
        """One vector for each text: float32 [N, D], rows of length 1. What is longer than the model reads is cut.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            WeightsError: the model cannot be loaded.
            EncoderError: the model fails, or gives something else than one vector a text.
        """
        parts = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            some = list(texts[start : start + TEXTS_AT_ONCE])
            parts.append(self._encode(some))
            self._on_progress(start + len(some), len(texts))
        return np.concatenate(parts)

    def _encode(self, texts: list[str]) -> Float32Array:
        model = self._model
        try:
            found = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        except Exception as exc:  # models, tokenizers and torch each raise their own
            raise EncoderError(f"{self._folder}: the model fails on synopses ({first_line(exc)})") from exc
        vectors = np.asarray(found, np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise EncoderError(
                f"{self._folder}: gives {list(vectors.shape)} for {len(texts)} texts, or numbers that are not "
                "finite; expected one vector a text"
            )
        return vectors

    @cached_property
    def _model(self) -> Any:
        import_torchvision()  # transformers imports it too
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging
        except ImportError as exc:
            raise MissingExtraError(
                "a sentence encoder needs sentence-transformers: install the extra 'text' (pip install 'm2s[text]')"
            ) from exc
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            model = SentenceTransformer(
                str(self._folder),
                device=str(self._device),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except Exception as exc:  # as above
            reason = first_line(exc)
            raise WeightsError(f"{self._folder}: cannot be loaded as a sentence encoder ({reason})") from exc
        return model.float().eval()


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise WeightsError(f"{folder}: there is no such folder; name that of a sentence-transformers model")
    if not (folder / "modules.json").is_file():
        raise WeightsError(
            f"{folder}: is no sentence-transformers model: it has no modules.json; name a folder that its 'save' "
            "made"
        )
    if not any(any(folder.rglob(name)) for name in _VOCABULARIES):
        # transformers would go on with a tokenizer that knows no word.
        raise WeightsError(f"{folder}: has no vocabulary ({', '.join(_VOCABULARIES)}); copy the whole model again")
    for path in sorted(folder.rglob(_PICKLES)):
        if not any(path.parent.glob("*.safetensors")):
            raise WeightsError(
                f"{path}: is a pickle, which could run code, and there are no safetensors beside it; load the "
                "model where you trust it, and save it again with safe_serialization=True"
            )
