"""On real films: the list made by eye, and agreement with PySceneDetect. Skipped without the data."""

from __future__ import annotations

import json
import os
from pathlib import Path

import av
import pytest

from m2s_index.shots import make_detector

DATA = Path(os.environ.get("M2S_TEST_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))
PENNY = DATA / "video" / "penny_and_chip_compilation_360p.mp4"
BUNNY = DATA / "video" / "big_buck_bunny_2008_full_252p.mp4"
LIST = Path(__file__).parent / "data" / "penny_and_chip_cuts.json"

pytestmark = pytest.mark.slow


def detect(path):
    if not path.exists():
        pytest.skip(f"{path} is not here; set M2S_TEST_DATA to the folder that holds video/")
    detector, found = make_detector("adaptive"), []
    with av.open(str(path)) as film:
        for index, frame in enumerate(film.decode(video=0)):
            found += detector.push(frame, index, frame.time)
    return [*found, *detector.finish()]


def test_penny_and_chip_all_certain_boundaries_and_few_others():
    found = detect(PENNY)
    certain = [clip["start"] for clip in json.loads(PENNY.with_suffix(".clips.json").read_text())][1:]
    assert len(certain) == 25
    assert all(any(abs(b.frame - frame) <= 2 for b in found) for frame in certain)
    listed = json.loads(LIST.read_text())["boundaries"]

    def is_real(boundary):
        return any(
            abs(boundary.frame - real["frame"]) <= 2
            or ("start" in real and boundary.first_frame <= real["end"] and real["start"] <= boundary.frame)
            for real in listed
        )

    # Those that viewers would not agree on count as wrong here.
    assert sum(map(is_real, found)) >= 0.8 * len(found)


def test_big_buck_bunny_agrees_with_the_adaptive_detector_of_pyscenedetect():
    scenedetect = pytest.importorskip("scenedetect")
    cuts = [b.frame for b in detect(BUNNY) if b.transition == "cut"]
    scenes = scenedetect.detect(str(BUNNY), scenedetect.AdaptiveDetector())
    reference = [start.frame_num for start, _ in scenes[1:]]
    agreed = sum(any(abs(frame - other) <= 1 for other in reference) for frame in cuts)
    assert 2 * agreed / (len(cuts) + len(reference)) >= 0.93
