"""The option that has synopses read by a sentence encoder, for the commands that compare movies by them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from m2s_index.cli.options import GivenPath
from m2s_index.cli.output import say

if TYPE_CHECKING:
    from m2s_index.encoders.sentences import SentenceTransformerEncoder

_SHOWN_SECONDS = 2.0
Function = TypeVar("Function", bound=Callable[..., Any])


def sentence_option(function: Function) -> Function:
    """``--sentence-encoder FOLDER``, as ``sentence_encoder``."""
    return click.option(
        "--sentence-encoder",
        metavar="FOLDER",
        type=GivenPath(path_type=Path),
        help="Compare synopses by this sentence-transformers model, from disk, instead of by their words.",
    )(function)


def open_sentence_encoder(folder: Path | None, device: str | None = None) -> SentenceTransformerEncoder | None:
    """The model of the folder, where one was named; it says how far it is.

    Raises:
        UsageError, WeightsError: as ``SentenceTransformerEncoder`` does.
    """
    if folder is None:
        return None
    from m2s_index.encoders.sentences import SentenceTransformerEncoder

    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _SHOWN_SECONDS and done < total:
            last = time.monotonic()
            say(f"[{done}/{total}] synopses read")

    return SentenceTransformerEncoder(folder, device=device, on_progress=tell)
