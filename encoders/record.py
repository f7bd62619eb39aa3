"""What is known of an encoder before it is made: for lists and for error messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EncoderRecord:
    """One line of ``m2s encoders list``.

    ``dimension`` and ``input_px`` are None where they depend on the model; ``weights`` is ``none`` or says
    where they come from; ``mean`` and ``std`` are per RGB channel in [0, 1]; ``weights_sha256`` is None
    where no one file is prescribed (the file in use is in the encoder's identity). ``size_bytes`` is the weights',
    0 where there are none, None where it depends on the model. ``place`` is the precision on real photographs, in
    per cent, where it was measured; ``training`` what weights that ship were made from, and how.
    """

    name: str
    dimension: int | None
    weights: str
    licence: str
    source: str
    description: str
    input_px: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    weights_sha256: str | None = None
    size_bytes: int | None = None
    place: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
