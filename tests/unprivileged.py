"""Running ``m2s`` as someone to whom permissions apply."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def run_unprivileged(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``m2s`` as this user; as root, without its powers over other people's files."""
    command = [sys.executable, "-c", "from m2s_index.cli.main import main; main()", *map(str, arguments)]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("no setpriv here, and root may read and write everywhere")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    return subprocess.run(command, capture_output=True, text=True, check=False)
