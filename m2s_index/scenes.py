"""Grouping shots into scenes, and choosing the shots that stand for a scene."""

from __future__ import annotations

from m2s_index.errors import UsageError
from m2s_index.types import BuildOptions


def group_scenes(shots: int, *, scene_shots: int = 9, scene_stride: int = 9) -> list[tuple[int, int]]:
    """Windows over a film's shots: (first, end) by shot index, end exclusive, in order.

    Windows of ``scene_shots`` start every ``scene_stride`` shots. Shots left over at the end join the
    last scene where they are fewer than half a window (fewer than 5 of 9), else form a scene; a film of
    fewer shots than one window is one scene.

    Raises:
        UsageError: a window or stride below 1, or a stride that would leave shots in no scene.
    """
    if scene_shots < 1 or scene_stride < 1:
        raise UsageError(f"scene shots and stride must be at least 1, not {scene_shots} and {scene_stride}")
    if scene_stride > scene_shots:
        raise UsageError(
            f"a stride of {scene_stride} shots over scenes of {scene_shots} would leave shots in no scene; "
            f"use a stride of at most {scene_shots}"
        )
    if shots <= 0:
        return []
    if shots <= scene_shots:
        return [(0, shots)]
    windows = [(i, i + scene_shots) for i in range(0, shots - scene_shots + 1, scene_stride)]
    first, end = windows[-1]
    left_over = shots - end
    if left_over >= (scene_shots + 1) // 2:
        windows.append((end, shots))
    elif left_over:
        windows[-1] = (first, shots)
    return windows


def film_scenes(shots: int, options: BuildOptions) -> list[tuple[int, int]]:
    """A film's scenes as the options have them: (first, end) by shot index, end exclusive, in order."""
    if options.scenes == "whole-file":
        return [(0, shots)]
    return group_scenes(shots, scene_shots=options.scene_shots, scene_stride=options.scene_stride)


def key_shots(first_shot: int, end_shot: int, limit: int) -> list[int]:
    """The shots that stand for a scene: all of them, or ``limit`` evenly spaced ones where it has more."""
    count = end_shot - first_shot
    if count <= limit:
        return list(range(first_shot, end_shot))
    return [first_shot + (2 * i + 1) * count // (2 * limit) for i in range(limit)]
