"""A set of scene ids that a search is held to: a range, all but a range, or one bit for each id."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m2s_index.types import Int64Array

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Selection:
    """Ids from ``start`` to ``end`` (exclusive), or with ``negated`` all others; or, where ``mask`` is
    given, the ids i with ``mask[i]`` (bool [M]; ids beyond it are not selected).
    """

    start: int = 0
    end: int = 0
    negated: bool = False
    mask: BoolArray | None = None

    def contains(self, ids: Int64Array) -> BoolArray:
        """Which of ``ids`` (int64 [N], increasing) are selected: bool [N]."""
        if self.mask is None:
            inside = np.full(len(ids), self.negated)
            first, end = np.searchsorted(ids, (self.start, self.end))
            inside[first:end] = not self.negated
            return inside
        if not len(ids):
            return np.empty(0, np.bool_)
        first, last = int(ids[0]), int(ids[-1])
        if last - first + 1 == len(ids):  # no gaps: a slice, not a million look-ups
            inside = np.zeros(len(ids), np.bool_)
            part = self.mask[first : last + 1]
            inside[: len(part)] = part
            return inside
        known = int(np.searchsorted(ids, len(self.mask)))
        inside = np.zeros(len(ids), np.bool_)
        inside[:known] = self.mask[ids[:known]]
        return inside

    def count(self, ids: Int64Array) -> int:
        """How many of ``ids`` (int64 [N], increasing) are selected."""
        if self.mask is None:
            first, end = np.searchsorted(ids, (self.start, self.end))
            return len(ids) - int(end - first) if self.negated else int(end - first)
        return int(np.count_nonzero(self.contains(ids)))

    def at(self, ids: Int64Array) -> Selection:
        """The same set as positions in ``ids`` (int64 [N], increasing)."""
        if self.mask is None:
            first, end = np.searchsorted(ids, (self.start, self.end))
            return Selection(int(first), int(end), self.negated)
        return Selection(mask=self.contains(ids))

    def and_also(self, other: Selection, limit: int) -> Selection:
        """The ids in both, of those below ``limit``."""
        return Selection(mask=self.as_mask(limit) & other.as_mask(limit))

    def as_mask(self, limit: int) -> BoolArray:
        """One bool for each id below ``limit``: bool [limit]."""
        if self.mask is None:
            mask = np.full(limit, self.negated)
            mask[self.start : self.end] = not self.negated
            return mask
        mask = np.zeros(limit, np.bool_)
        mask[: len(self.mask)] = self.mask[:limit]
        return mask


def of_ranges(starts: Int64Array, ends: Int64Array, limit: int) -> Selection:
    """The ids of several ranges (int64 [R] each, ends exclusive), all below ``limit``."""
    if len(starts) == 1:
        return Selection(int(starts[0]), int(ends[0]))
    mask = np.zeros(limit, np.bool_)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        mask[start:end] = True
    return Selection(mask=mask)
