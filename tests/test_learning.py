"""``benchmarks/learning.py``: from rendered films to its tables, at a size at which nothing is learned yet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "learning.py"
TINY = (
    "--seeds", "1", "--films", "8", "--held-out", "4", "--movie-batch", "8", "--movie-epochs", "1",
    "--scene-steps", "2", "--scene-batch", "4", "--shot-epochs", "2",
)  # fmt: skip


@pytest.mark.slow
def test_benchmark_measures_every_row_and_keeps_what_a_seed_gave(tmp_path: Path) -> None:
    """Precision is there of each encoder and control, and a second run only prints."""
    command = [sys.executable, BENCHMARK, "--out", tmp_path, *TINY]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    found = json.loads((tmp_path / "seed-1.json").read_text())
    assert found.keys() == {
        "chance", "mean colours alone", "cut lengths alone", "gist", "E_scene untrained", "E_scene, same-film",
        "E_scene, cowatch", "E_scene, genre", "E_scene, synopsis", "E_shot untrained", "E_shot, ShotCoL's recipe",
        "E_shot, ours",
    }  # fmt: skip
    assert all(0 <= value <= 100 for row in found.values() for values in row.values() for value in values)
    assert found["gist"]["place"][0] > 2 * found["chance"]["place"][0]
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    tables = again.stdout.split("\n| theme |")[1]
    assert tables == first.stdout.split("\n| theme |")[1]
    assert f"| E_scene, genre | {found['E_scene, genre']['theme'][0]:.1f} |" in tables
    assert "| E_shot, ours − E_shot untrained |" in tables
