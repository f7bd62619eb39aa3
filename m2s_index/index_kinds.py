"""The kinds of index, how much memory they take, and which one suits a catalogue."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Literal

Kind = Literal["exact", "graph", "compressed"]
KINDS: tuple[Kind, ...] = ("exact", "graph", "compressed")

EXACT_VECTORS = 200_000
"""Up to here an exact search takes some 50 ms, and nothing else is needed."""

GRAPH_LINKS = 32

TRAINING_VECTORS = 131_072
"""A compressed index learns from at most so many."""


def available_memory_bytes() -> int:
    """Memory that can be had without swapping: the least of what the machine and the container leave."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [pages]
    with contextlib.suppress(OSError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        limits += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or no limit ("max")
        limits.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return max(0, min(limits))


def index_bytes(kind: Kind, count: int, dimension: int) -> int:
    """About how much memory an index takes."""
    if kind == "exact":
        return count * (4 * dimension + 8)
    if kind == "graph":
        return count * (4 * dimension + 8 * GRAPH_LINKS + 24)
    return count * (dimension + 8) + list_count(count) * dimension * 4


def choose_kind(count: int, dimension: int, memory_bytes: int) -> tuple[Kind, str]:
    """The kind of index for so many vectors, and why, in words to be shown and stored."""
    if count <= EXACT_VECTORS:
        return "exact", f"{count:,} scenes: up to {EXACT_VECTORS:,} are searched exactly"
    need = index_bytes("graph", count, dimension)
    sizes = f"{count:,} scenes: a graph needs {need / 1e9:.1f} GB of {memory_bytes / 1e9:.1f} GB free memory"
    if need <= memory_bytes // 2:
        return "graph", sizes
    return "compressed", f"{sizes}, more than half of it"


def list_count(count: int) -> int:
    """Inverted lists for so many vectors: 2√N, while the training sample has 32 vectors for each."""
    return max(1, min(int(2 * count**0.5), count // 32, TRAINING_VECTORS // 32))
