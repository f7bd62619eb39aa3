"""Columns of the scene and label tables as arrays: what filters need of a million rows at once.

SQL takes half a second to read a million rows, and a filter may have to look at them all. So they are read
once, and then again only what changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.reading import Reader, json_list
from m2s_index.selection import BoolArray, Selection
from m2s_index.types import Int64Array

Float64Array = NDArray[np.float64]
CACHED_LABELS = 64
_LABELLED = (
    "FROM labels WHERE vocabulary IN (SELECT value FROM json_each(?)) AND value IN (SELECT value FROM json_each(?))"
)
FEW_RANGES = 20_000
"""Up to so many, setting slices is faster than a running sum over all scenes."""


@dataclass(frozen=True, eq=False)
class SceneRanges:
    """Where the scenes of each movie are, for one encoder: int64 [M] each, by first scene id.

    Movie ``movie_ids[i]`` has the scenes ``first_ids[i]`` to ``end_ids[i]`` (exclusive).
    """

    movie_ids: Int64Array
    first_ids: Int64Array
    end_ids: Int64Array

    @property
    def limit(self) -> int:
        """One more than the highest scene id."""
        return int(self.end_ids.max(initial=1))

    def of_movies(self, chosen: BoolArray) -> Selection:
        """The scenes of those movies for which ``chosen`` (bool [M]) holds."""
        if np.count_nonzero(chosen) == 1:
            at = int(chosen.argmax())
            return Selection(int(self.first_ids[at]), int(self.end_ids[at]))
        # Runs of ids by turns between movies (never selected) and of a movie.
        runs = np.zeros(2 * len(chosen), np.bool_)
        lengths = np.empty(len(runs), np.int64)
        runs[1::2] = chosen
        lengths[::2] = self.first_ids - np.append(0, self.end_ids[:-1])[: len(chosen)]
        lengths[1::2] = self.end_ids - self.first_ids
        return Selection(mask=np.repeat(runs, lengths))


NO_SCENES = SceneRanges(*(np.empty(0, np.int64),) * 3)


class SceneColumns:
    """Lengths and middles of all scenes by scene id, and the scenes that carry each label asked for.

    Scenes never change and their ids never come back, so that of scenes only new ones are read; those of
    removed movies stay, and are kept out elsewhere.
    """

    def __init__(self, ranges: SceneRanges) -> None:
        self.ranges = ranges
        self._seconds: Float64Array = np.full(1, np.nan)
        self._middles: Float64Array = np.full(1, np.nan)
        self._labels: dict[tuple[str, str], NDArray[np.uint8]] = {}

    def follow(self, ranges: SceneRanges) -> None:
        """The catalogue has changed: forget what may have, and hold to these scenes from now on."""
        self.ranges = ranges
        self._labels.clear()

    def seconds(self, reader: Reader) -> Float64Array:
        """How long each scene is: float64 [limit], by scene id; NaN where there is no such scene."""
        self._read_new(reader)
        return self._seconds[: self.ranges.limit]

    def labelled(self, reader: Reader, vocabulary: str, values: list[str]) -> Selection:
        """The scenes that carry one of the values."""
        bits = np.bitwise_or.reduce([self._of_label(reader, vocabulary, value) for value in values])
        return Selection(mask=np.unpackbits(bits, count=self.ranges.limit).view(np.bool_))

    def _of_label(self, reader: Reader, vocabulary: str, value: str) -> NDArray[np.uint8]:
        """The scenes that carry a label, as one bit for each id below the limit."""
        key = vocabulary, value
        if key not in self._labels:
            if len(self._labels) >= CACHED_LABELS:
                self._labels.pop(next(iter(self._labels)))
            starts, ends = self._read_label(reader, vocabulary, value)
            self._labels[key] = np.packbits(_covered(starts, ends, self.ranges.limit))
        return self._labels[key]

    def _read_label(self, reader: Reader, vocabulary: str, value: str) -> tuple[Int64Array, Int64Array]:
        """The ranges of scene ids that carry a label: their starts and ends (exclusive), int64 each."""
        self._read_new(reader)
        vocabularies, values = _spellings(reader, vocabulary, value)
        rows = reader.columns(
            f"SELECT movie_id, start_seconds, end_seconds {_LABELLED}",
            (json_list(vocabularies), json_list(values)),
            "i8,f8,f8",
        )
        rows = rows[np.isin(rows["f0"], self.ranges.movie_ids)]
        order = np.argsort(self.ranges.movie_ids)
        owners = order[np.searchsorted(self.ranges.movie_ids, rows["f0"], sorter=order)]
        first, end = self.ranges.first_ids[owners], self.ranges.end_ids[owners]
        starts = self._first_at_or_after(first, end, np.nan_to_num(rows["f1"], nan=-np.inf))
        ends = self._first_at_or_after(first, end, np.nan_to_num(rows["f2"], nan=np.inf))
        filled = starts < ends
        return starts[filled], ends[filled]

    def _first_at_or_after(self, first: Int64Array, end: Int64Array, seconds: Float64Array) -> Int64Array:
        """For each i the first scene from first[i] on whose middle is at or after seconds[i], else end[i].

        One binary search for all: a movie's scenes are in order of time.
        """
        low, high = first.copy(), end.copy()
        while (searching := low < high).any():
            middle = (low + high) // 2
            earlier = searching & (self._middles[np.minimum(middle, len(self._middles) - 1)] < seconds)
            low = np.where(earlier, middle + 1, low)
            high = np.where(searching & ~earlier, middle, high)
        return low

    def _read_new(self, reader: Reader) -> None:
        if len(self._seconds) >= self.ranges.limit:
            return
        rows = reader.columns(
            "SELECT id, duration_seconds, start_seconds, end_seconds FROM scenes WHERE id >= ? ORDER BY id",
            (len(self._seconds),),
            "i8,f8,f8,f8",
        )
        size = max(self.ranges.limit, int(rows["f0"][-1]) + 1 if len(rows) else 0)
        self._seconds = _longer(self._seconds, size, rows["f0"], rows["f1"])
        self._middles = _longer(self._middles, size, rows["f0"], (rows["f2"] + rows["f3"]) / 2)


def alike(known: Iterable[str], text: str) -> list[str]:
    """Those of the known texts which are ``text`` but for case."""
    return [stored for stored in known if stored.casefold() == text.casefold()]


def _spellings(reader: Reader, vocabulary: str, value: str) -> tuple[list[str], list[str]]:
    """How a label's vocabulary and value are stored: as they are written or, where no label is written so,
    without case.
    """
    if reader.value(f"SELECT 1 {_LABELLED}", (json_list([vocabulary]), json_list([value]))):
        return [vocabulary], [value]
    vocabularies = alike(reader.texts("SELECT DISTINCT vocabulary FROM labels"), vocabulary)
    values = reader.texts(
        "SELECT DISTINCT value FROM labels WHERE vocabulary IN (SELECT value FROM json_each(?))",
        (json_list(vocabularies),),
    )
    return vocabularies, alike(values, value)


def _longer(column: Float64Array, size: int, ids: Int64Array, values: Float64Array) -> Float64Array:
    grown = np.full(size, np.nan)
    grown[: len(column)] = column
    grown[ids] = values
    return grown


def _covered(starts: Int64Array, ends: Int64Array, limit: int) -> BoolArray:
    """Which ids below ``limit`` are in at least one of the ranges: bool [limit]."""
    if len(starts) <= FEW_RANGES:
        covered: BoolArray = np.zeros(limit, np.bool_)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            covered[start:end] = True
        return covered
    depth = np.zeros(limit + 1, np.int32)
    np.add.at(depth, starts, 1)
    np.subtract.at(depth, ends, 1)
    return np.cumsum(depth[:limit], dtype=np.int32) > 0
