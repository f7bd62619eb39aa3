"""Scenes are runs of shots that leave none out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2s_index.errors import UsageError
from m2s_index.scenes import group_scenes, key_shots

windows = st.integers(1, 30).flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size)))


@given(st.integers(0, 400), windows)
def test_every_shot_is_in_a_scene_and_scenes_are_in_order(shots: int, window: tuple[int, int]) -> None:
    """Whatever the window and stride, scenes cover all shots, rise strictly and stay inside the film."""
    size, stride = window
    scenes = group_scenes(shots, scene_shots=size, scene_stride=stride)
    assert {shot for first, end in scenes for shot in range(first, end)} == set(range(shots))
    assert all(first < end for first, end in scenes)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(scenes))


@given(st.integers(1, 400), windows)
def test_all_scenes_but_the_last_are_whole_windows(shots: int, window: tuple[int, int]) -> None:
    """Windows of the asked-for length start every stride; only the last scene may differ from one."""
    size, stride = window
    scenes = group_scenes(shots, scene_shots=size, scene_stride=stride)
    for number, (first, end) in enumerate(scenes[:-1]):
        assert (first, end) == (number * stride, number * stride + size)
    length = scenes[-1][1] - scenes[-1][0]
    if shots > size:
        assert (size + 1) // 2 <= length <= size + (size - 1) // 2


@given(st.integers(1, 400))
def test_remainder_rule_by_nine(shots: int) -> None:
    """Of windows of 9, a remainder of fewer than 5 shots joins the last scene, else forms one."""
    scenes = group_scenes(shots)
    whole, rest = divmod(shots, 9)
    assert len(scenes) == max(1, whole + (rest >= 5))
    assert scenes[-1][1] == shots


def test_examples_by_hand() -> None:
    """What the rule means for films of a few lengths."""
    assert group_scenes(0) == []
    assert group_scenes(1) == [(0, 1)]
    assert group_scenes(9) == [(0, 9)]
    assert group_scenes(13) == [(0, 13)]
    assert group_scenes(14) == [(0, 9), (9, 14)]
    assert group_scenes(22) == [(0, 9), (9, 22)]
    assert group_scenes(12, scene_shots=9, scene_stride=3) == [(0, 9), (3, 12)]
    assert group_scenes(3, scene_shots=1, scene_stride=1) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(("size", "stride"), [(0, 1), (9, 0), (-1, 1), (9, 10)])
def test_windows_that_would_lose_shots_are_refused(size: int, stride: int) -> None:
    """A stride beyond the window, or a size below 1, is a usage error that says so."""
    with pytest.raises(UsageError, match=r"at least 1|would leave shots in no scene"):
        group_scenes(20, scene_shots=size, scene_stride=stride)


@given(st.integers(0, 500), st.integers(1, 300), st.integers(1, 20))
def test_key_shots_are_evenly_spaced(first: int, count: int, limit: int) -> None:
    """A scene is seen through all its shots, or through as many as asked for, spread over its length."""
    chosen = key_shots(first, first + count, limit)
    assert len(chosen) == min(count, limit) == len(set(chosen))
    assert chosen == sorted(chosen)
    assert all(first <= shot < first + count for shot in chosen)
    if count > limit:
        # One from the middle of each of ``limit`` equal stretches, to within a shot.
        middles = [first + (i + 0.5) * count / limit for i in range(limit)]
        assert all(abs(shot - middle) <= 1 for shot, middle in zip(chosen, middles, strict=True))
