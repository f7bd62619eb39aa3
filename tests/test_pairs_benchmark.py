"""``benchmarks/pairs.py``: all that it is to measure comes of one command, here too small to mean much."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "pairs.py"


@pytest.mark.slow
def test_benchmark_measures_exactness_speed_memory_and_recall() -> None:
    """Machine, memory, the median ratio of exact pairs to the bare product; of either kind of index file its time
    and what it finds, of which 0.95 is promised.
    """
    command = [sys.executable, BENCHMARK, "--scenes", "4000", "--dimension", "32", "--top", "2000"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    machine, exactness, memory, speed, *kinds = ran.stdout.splitlines()
    assert machine.endswith("4,000 scenes × 32, best 2,000")
    assert exactness == "of 20 films, 2,000 of the best 2,000 pairs are those of the procedure as told"
    assert re.fullmatch(r"memory beyond the embeddings: \d+ MiB", memory)
    assert re.fullmatch(r"bare product [\d.]+ s; exact pairs [\d.]+ s, ratio [\d.]+", speed)
    found = [
        re.fullmatch(r"(\w+): [\d.]+ s, ratio to exact [\d.]+ \(.*\); ([\d.]+) of the best 1,000, .*", line)
        for line in kinds
    ]
    assert [match and match[1] for match in found] == ["graph", "compressed"]
    assert all(match and float(match[2]) >= 0.95 for match in found)
