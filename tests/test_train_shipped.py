"""``benchmarks/train_shipped.py``: films and procedural pictures to weights and their record, at a toy size."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from m2s_index.encoders.fisher import load_fisher

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "train_shipped.py"
NAMES = (
    "big_buck_bunny_2008_full_252p.mp4",
    "elephants_dream_2006_first72s_360p.ts",
    "tears_of_steel_2012_battle_332p.webm",
    "sintel_2010_trailer_204p.mp4",
)


@pytest.mark.slow
def test_twice_the_same_weights_with_a_record_that_is_theirs(films: Path, tmp_path: Path) -> None:
    """Films that are called as the real ones are; both runs write the same bytes, and the record has their hash."""
    for name, film in zip(NAMES, sorted(films.glob("*.mp4")), strict=True):
        shutil.copy(film, tmp_path / name)
    made = []
    for out in (tmp_path / "first", tmp_path / "again"):
        size = ("--sights", "7", "--numbers", "12", "--gaussians", "3")
        command = [sys.executable, BENCHMARK, tmp_path, "--out", out, *size]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        made.append((out / "fisher.safetensors").read_bytes())
        assert (
            json.loads((out / "fisher.json").read_text())["weights_sha256"] == hashlib.sha256(made[-1]).hexdigest()
        )
    assert made[0] == made[1]
    assert (tmp_path / "first/fisher.json").read_text() == (tmp_path / "again/fisher.json").read_text()
    record = json.loads((tmp_path / "first/fisher.json").read_text())
    assert record["procedural_pictures"] == 7
    assert record["film_pictures"] > 20
    assert load_fisher(tmp_path / "first/fisher.safetensors").identity.dimension == record["dimension"] == 12


@pytest.mark.slow
def test_films_that_are_missing_are_named(tmp_path: Path) -> None:
    """Before anything is computed."""
    ran = subprocess.run([sys.executable, BENCHMARK, tmp_path], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "big_buck_bunny_2008_full_252p.mp4" in ran.stderr
