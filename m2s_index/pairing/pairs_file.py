"""The file of mined scene pairs: a CSV table, one line a pair, best first. Whoever trains on it reads it here.

It may have been edited, or be of another catalogue: all of it is checked, and a complaint names the line.
"""

from __future__ import annotations

import contextlib
import csv
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from m2s_index.errors import UsageError
from m2s_index.files import sync_folder

COLUMNS = (
    "score", "movie", "first_shot", "last_shot", "start_seconds", "end_seconds", "other_movie", "other_first_shot",
    "other_last_shot", "other_start_seconds", "other_end_seconds", "fingerprint", "other_fingerprint",
)  # fmt: skip
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class MinedScene:
    """A run of shots of a film, by shot index; ``last_shot`` is its last one. Seconds count from the film's
    first frame. ``fingerprint`` says which film it is (``FileIdentity``), ``movie``, the file's stem, is for
    reading.
    """

    fingerprint: str
    movie: str
    first_shot: int
    last_shot: int
    start_seconds: float
    end_seconds: float

    @property
    def shots(self) -> int:
        """How many shots it has."""
        return self.last_shot - self.first_shot + 1


@dataclass(frozen=True)
class MinedPair:
    """Two scenes that are alike; ``score`` is higher for closer."""

    score: float
    scene: MinedScene
    other: MinedScene


def write_pairs(path: Path, pairs: Iterable[MinedPair]) -> None:
    """Write the file, whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(_cells(pair) for pair in pairs)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written ({exc.strerror})") from exc
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _cells(pair: MinedPair) -> list[str]:
    cells = [f"{pair.score:.9g}"]
    for scene in (pair.scene, pair.other):
        cells += [scene.movie, str(scene.first_shot), str(scene.last_shot)]
        cells += [f"{scene.start_seconds:.6f}", f"{scene.end_seconds:.6f}"]
    return [*cells, pair.scene.fingerprint, pair.other.fingerprint]


def read_pairs(path: Path, shots: Mapping[str, int]) -> Iterator[MinedPair]:
    """The pairs of a file in its order, read as they are asked for.

    Args:
        path: what ``write_pairs`` wrote; columns may be in another order, and others among them.
        shots: how many shots each film has, by its fingerprint.

    Raises:
        UsageError: while it is read: the file cannot be read, is no such table or holds no pair; or a line names
            a film that is none of ``shots``, a shot outside its film, or something else than a number where one
            belongs. The message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(
                    f"{path}: no column {', '.join(missing)}; a file of scene pairs comes from 'm2s train mine'"
                )
            empty = True
            for row in reader:
                empty = False
                where = f"{path}, line {reader.line_num}"
                if None in row.values():
                    raise UsageError(f"{where}: ends before its last column; mine again with 'm2s train mine'")
                yield _pair(where, row, shots)
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{path}: not a CSV table in UTF-8 ({exc})") from exc
    if empty:
        raise UsageError(f"{path}: holds no pair of scenes; make it again with 'm2s train mine'")


def _pair(where: str, row: Mapping[str, str], shots: Mapping[str, int]) -> MinedPair:
    return MinedPair(
        _number(where, row, "score"), _scene(where, row, "", shots), _scene(where, row, "other_", shots)
    )


def _scene(where: str, row: Mapping[str, str], side: str, shots: Mapping[str, int]) -> MinedScene:
    """The scene whose columns begin with ``side``."""
    movie, fingerprint = row[f"{side}movie"], row[f"{side}fingerprint"]
    if fingerprint not in shots:
        raise UsageError(
            f"{where}: the film '{movie}' (fingerprint '{fingerprint:.12}') is not in the catalogue, or has "
            "changed; mine again with 'm2s train mine'"
        )
    first, last = (_count(where, row, f"{side}{name}") for name in ("first_shot", "last_shot"))
    if not first <= last < shots[fingerprint]:
        raise UsageError(
            f"{where}: shots {first} to {last} of '{movie}', which has {shots[fingerprint]} (0 to "
            f"{shots[fingerprint] - 1}); mine again with 'm2s train mine'"
        )
    start, end = (_number(where, row, f"{side}{name}") for name in ("start_seconds", "end_seconds"))
    if not 0 <= start <= end:
        raise UsageError(f"{where}: a scene cannot last from {start:g} to {end:g} seconds")
    return MinedScene(fingerprint, movie, first, last, start, end)


def _count(where: str, row: Mapping[str, str], column: str) -> int:
    if not _COUNT.fullmatch(row[column]):
        raise UsageError(f"{where}: {column} is '{row[column]:.40}', not the number of a shot")
    return int(row[column])


def _number(where: str, row: Mapping[str, str], column: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: {column} is '{row[column]:.40}', not a number")
    return value
