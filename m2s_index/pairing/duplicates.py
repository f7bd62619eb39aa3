"""The same pictures in two films: another encode, an excerpt, a trailer. Not pairs of scenes that are alike.

Shots are the same where their fingerprints are. A run is of such shots, in the same order in both films, with its
cuts at the same times but for a common offset; the rate of one film may be a few per cent off, as of films that
were sped up for television. Runs that soon follow each other at one offset are one stretch: between them a cut was
missed in one film, or a key frame taken elsewhere. A trailer jumps about: its shots may be stretches of their own.
Those count where the films share a longer one, or else where the pictures are as good as equal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

import numpy as np

from m2s_index.pairing.film_rows import ShotTimes
from m2s_index.selection import BoolArray
from m2s_index.types import Float32Array, Scene, ScenePair

SAME_SHOT = 0.5
"""The product of two shots' fingerprints from which on they are one shot."""
SAME_SHOT_ALONE = 0.7
"""For a shot without a neighbour that is the same too, in films that share no run."""
CUT_SECONDS, CUT_RATE = 0.5, 0.05
"""How much longer a shot between two cuts may be in one film than in the other: seconds, and a share."""


GAP_SHOTS = 3
"""So many shots of either film may lie between two runs of one stretch."""

Run = tuple[int, int, int]
"""First shot in either film, and how many."""


@dataclass(frozen=True)
class Stretch:
    """Shots ``first_a`` to ``end_a`` (exclusive) of one film show what ``first_b`` to ``end_b`` of the other do.

    ``same`` is how many shots are the same for sure, ``score`` the mean product of their fingerprints. The seconds
    are what both films have of them: where the first or last shot is longer in one film, what is beyond is cut off.
    Of a shot by itself nothing says where the shorter one lies in the longer: both are given whole.
    """

    first_a: int
    end_a: int
    first_b: int
    end_b: int
    same: int
    score: float
    start_a_seconds: float
    end_a_seconds: float
    start_b_seconds: float
    end_b_seconds: float

    def shown_in(self, a: Scene, b: Scene) -> bool:
        """Whether a scene of either film has a shot of it."""
        return (
            a.first_shot < self.end_a and self.first_a < a.end_shot
            and b.first_shot < self.end_b and self.first_b < b.end_shot
        )  # fmt: skip


def same_stretches(
    prints_a: Float32Array, prints_b: Float32Array, times_a: ShotTimes, times_b: ShotTimes
) -> list[Stretch]:
    """The stretches that two films share, longest first, then best. Each shot of the film with fewer shots is in
    one at most; those of the other may come again and again.

    Args:
        prints_a, prints_b: float32 [M, F] and [N, F], fingerprints; zeros are the same as nothing.
        times_a, times_b: when the shots begin and end.
    """
    if len(prints_a) > len(prints_b):
        turned = same_stretches(prints_b, prints_a, times_b, times_a)
        return [_turned(stretch) for stretch in turned]
    scores = prints_a @ prints_b.T
    runs = _runs(scores, times_a, times_b)
    free = np.ones(len(scores), np.bool_)
    chosen: list[Run] = []
    # The runs that are worth most take their shots first; what is left of others may still be a run.
    waiting = [(-_total(scores, run), run) for run in runs]
    heapify(waiting)
    while waiting:
        _, (i, j, shots) = heappop(waiting)
        if free[i : i + shots].all():
            free[i : i + shots] = False
            chosen.append((i, j, shots))
        else:
            for run in _parts(free, i, j, shots):
                heappush(waiting, (-_total(scores, run), run))
    groups = _groups(sorted(chosen), times_a, times_b)
    found = [_stretch(scores, group, times_a, times_b) for group in groups]
    if not any(stretch.same > 1 for stretch in found):
        found = [stretch for stretch in found if stretch.score >= SAME_SHOT_ALONE]
    return sorted(found, key=lambda stretch: (-stretch.same, -stretch.score, stretch.first_a, stretch.first_b))


def _runs(scores: Float32Array, times_a: ShotTimes, times_b: ShotTimes) -> list[Run]:
    """All longest runs of same shots whose cuts agree."""
    same = set(zip(*(index.tolist() for index in np.nonzero(scores >= SAME_SHOT)), strict=True))
    runs = []
    for i, j in sorted(same):
        if (i - 1, j - 1) in same and _goes_on(i - 1, j - 1, same, times_a, times_b):
            continue
        shots = 1
        while (i + shots, j + shots) in same and _goes_on(i + shots - 1, j + shots - 1, same, times_a, times_b):
            shots += 1
        runs.append((i, j, shots))
    return runs


def _goes_on(i: int, j: int, same: set[tuple[int, int]], times_a: ShotTimes, times_b: ShotTimes) -> bool:
    """Whether a run may go on after shots i and j: where they have a cut before them as well, they are as long."""
    if (i - 1, j - 1) not in same:
        return True
    return _as_long(times_a.ends[i] - times_a.starts[i], times_b.ends[j] - times_b.starts[j])


def _as_long(first_seconds: float, second_seconds: float) -> bool:
    return abs(first_seconds - second_seconds) <= CUT_SECONDS + CUT_RATE * min(first_seconds, second_seconds)


def _groups(runs: list[Run], times_a: ShotTimes, times_b: ShotTimes) -> list[list[Run]]:
    """Runs, in order, that are parts of one stretch."""
    groups: list[list[Run]] = []
    for run in runs:
        if groups and _follows(groups[-1][-1], run, times_a, times_b):
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups


def _follows(run: Run, following: Run, times_a: ShotTimes, times_b: ShotTimes) -> bool:
    """Whether a run begins soon after another one in both films, and from cut to cut as long after it."""
    (i, j, shots), (next_i, next_j, _) = run, following
    gaps = (next_i - i - shots, next_j - j - shots)
    if min(gaps) < 0 or not 0 < max(gaps) <= GAP_SHOTS:
        return False
    last_i, last_j = i + shots - 1, j + shots - 1
    # One of these shots may be two in the other film: then only its beginning or only its end is a cut of both.
    return any(
        _as_long(to_a[next_i] - from_a[last_i], to_b[next_j] - from_b[last_j])
        for from_a, from_b in ((times_a.starts, times_b.starts), (times_a.ends, times_b.ends))
        for to_a, to_b in ((times_a.starts, times_b.starts), (times_a.ends, times_b.ends))
    )


def _parts(free: BoolArray, i: int, j: int, shots: int) -> list[Run]:
    """What of a run is still free, as runs."""
    edges = np.flatnonzero(np.diff(free[i : i + shots].astype(np.int8), prepend=0, append=0))
    pairs = edges.reshape(-1, 2).tolist()
    return [(i + start, j + start, end - start) for start, end in pairs]


def _total(scores: Float32Array, run: Run) -> float:
    i, j, shots = run
    return float(np.trace(scores[i : i + shots, j : j + shots]))


def _stretch(scores: Float32Array, runs: list[Run], times_a: ShotTimes, times_b: ShotTimes) -> Stretch:
    """Some runs that follow each other as a stretch."""
    (first_a, first_b, _), (last_a, last_b, shots) = runs[0], runs[-1]
    end_a, end_b = last_a + shots, last_b + shots
    same = sum(run[2] for run in runs)
    starts, ends = (
        (times_a.starts[first_a], times_b.starts[first_b]),
        (times_a.ends[end_a - 1], times_b.ends[end_b - 1]),
    )
    if runs[0][2] > 1:
        before = min(times_a.ends[first_a] - starts[0], times_b.ends[first_b] - starts[1])
        starts = times_a.ends[first_a] - before, times_b.ends[first_b] - before
    if shots > 1:
        after = min(ends[0] - times_a.starts[end_a - 1], ends[1] - times_b.starts[end_b - 1])
        ends = times_a.starts[end_a - 1] + after, times_b.starts[end_b - 1] + after
    score = sum(_total(scores, run) for run in runs) / same
    return Stretch(first_a, end_a, first_b, end_b, same, score, starts[0], ends[0], starts[1], ends[1])


def stretch_pair(stretch: Stretch, scenes_a: Sequence[Scene], scenes_b: Sequence[Scene]) -> ScenePair:
    """A stretch of two films as a pair that has no rank yet; all scenes of either, or all windows, are given."""
    return ScenePair(
        0,
        stretch.score,
        _scene_from(scenes_a, stretch.first_a, stretch.end_a, stretch.start_a_seconds, stretch.end_a_seconds),
        _scene_from(scenes_b, stretch.first_b, stretch.end_b, stretch.start_b_seconds, stretch.end_b_seconds),
        "duplicate",
    )


def _scene_from(scenes: Sequence[Scene], first: int, end: int, start_seconds: float, end_seconds: float) -> Scene:
    """The last scene that begins at or before shot ``first``, with a stretch's shots and times."""
    scene = scenes[max(0, bisect_right(scenes, first, key=lambda scene: scene.first_shot) - 1)]
    return replace(scene, first_shot=first, end_shot=end, start_seconds=start_seconds, end_seconds=end_seconds)


def _turned(stretch: Stretch) -> Stretch:
    return Stretch(
        stretch.first_b, stretch.end_b, stretch.first_a, stretch.end_a, stretch.same, stretch.score,
        stretch.start_b_seconds, stretch.end_b_seconds, stretch.start_a_seconds, stretch.end_a_seconds,
    )  # fmt: skip
