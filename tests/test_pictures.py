"""``benchmarks/pictures.py``: photographs to figures, and the figures recorded of encoders that ship."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2s_index.encoders.registry import list_encoders, make_encoder
from m2s_index.procedural.sights import KINDS, sights

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "pictures.py"


def photographs(folder: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """The pictures of a split, as the benchmark's films show them, and the numbers of their places."""
    found, places = [], []
    for number, place in enumerate(sorted(folder.iterdir())):
        for path in sorted(place.glob("*.jpg")):
            with Image.open(path) as opened:
                found.append(np.asarray(opened.convert("RGB").resize((256, 256), Image.Resampling.BICUBIC)))
            places.append(number)
    return found, np.asarray(places)


def precision_at_1(name: str, folder: Path) -> float:
    """Nearest by cosine, in per cent, straight from the pictures: no films, no catalogue."""
    encoder, rows = make_encoder(name), {}
    for split in ("test", "train"):
        pictures, places = photographs(folder / split)
        features = encoder.encode_frames(pictures)
        rows[split] = features / np.linalg.norm(features, axis=1, keepdims=True), places
    nearest = np.argmax(rows["test"][0] @ rows["train"][0].T, axis=1)
    return 100 * float((rows["train"][1][nearest] == rows["test"][1]).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gist", "fisher"])
def test_the_recorded_precision_is_that_on_the_photographs(name: str, shared_data: Path) -> None:
    """But for what H.264 changes, which is not much."""
    (record,) = (record for record in list_encoders() if record.name == name)
    found = precision_at_1(name, shared_data / "place" / "scene15_small")
    assert found == pytest.approx(record.place["all"]["photograph"]["p@1"], abs=1.0)


@pytest.mark.slow
def test_every_encoder_is_measured_on_photographs_and_scenes(tmp_path: Path) -> None:
    """On procedural photographs of two places: figures are those straight from the pictures; pages are written."""
    names, every = list(KINDS), list(sights(seed=8, pictures=18 * len(KINDS)))
    for kind in ("room", "wood"):
        for number, picture in enumerate(every[names.index(kind) :: len(names)]):
            path = tmp_path / "photographs" / ("train" if number % 2 else "test") / kind / f"{number:02}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path, quality=95)
    command = [sys.executable, BENCHMARK, tmp_path / "photographs", "--html", tmp_path / "pages"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    table = ran.stdout.split("| all |")[1].split("| chosen on |")[0]
    rows = dict(re.findall(r"\| `(\w+)` \| ([\d.]+) / ", table))
    assert rows.keys() == {"tiny", "untrained", "gist"}
    assert float(rows["gist"]) == pytest.approx(precision_at_1("gist", tmp_path / "photographs"), abs=6)
    assert "| `gist` | 100.0 / 100.0 / 90.0 | 100.0 / 20.0 / 10.0 |" in ran.stdout.split("| chosen on |")[1]
    assert len(list((tmp_path / "pages").glob("*.html"))) == 8
