"""Python loads this at its start where this folder is on PYTHONPATH: decoders then misbehave, each by its
film's name, in the middle of the film.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from m2s_index import extract

_read = extract.extract


def _spin() -> None:
    """Never ends, and holds the interpreter's lock all the while: no thread or signal handler runs."""
    re.match(r"(a+)+$", "a" * 200 + "b")


def _segfault() -> None:
    ctypes.string_at(0)


def _allocate() -> None:
    held = []
    while True:
        held.append(np.zeros(1 << 28, np.uint8))  # taken, but not written to: that could take seconds


def _print() -> None:
    while True:
        os.write(1, b"corrupt macroblock\n" * 1000)
        os.write(2, b"error while decoding\n" * 1000)


MISBEHAVE = {"spin": _spin, "segfault": _segfault, "allocate": _allocate, "print": _print}


def _extract(path: Path, *arguments: Any, **options: Any) -> Iterator[Any]:
    for number, found in enumerate(_read(path, *arguments, **options)):
        if number == 2 and path.stem in MISBEHAVE:
            MISBEHAVE[path.stem]()
        yield found


extract.extract = _extract
