"""The command as a process: its entry, exit statuses, encodings, and readers that go away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

M2S = Path(sys.executable).with_name("m2s")


def run(*arguments, **environment) -> subprocess.CompletedProcess[bytes]:
    if not M2S.exists():
        pytest.skip(f"m2s is not installed beside {sys.executable}")
    return subprocess.run([M2S, *arguments], capture_output=True, check=False, env={**os.environ, **environment})


def test_entry_point(built_catalog):
    """The installed command answers, with status 0."""
    ran = run("query", "--scene", "Short#0", "--json", "--catalog", built_catalog)
    assert ran.returncode == 0, ran.stderr
    assert len(json.loads(ran.stdout)["hits"]) == 4


def test_version_and_help(m2s):
    """``--version`` prints the version; ``--help`` and ``-h`` the commands."""
    import m2s_index

    assert m2s("--version").stdout.strip().endswith(m2s_index.__version__)
    assert m2s("-h").stdout == m2s("--help").stdout
    for command in ("demo", "index", "shots", "query", "labels", "movies", "eval", "encoders"):
        assert f"  {command} " in m2s("--help").stdout


@pytest.mark.parametrize("arguments", [("nothing",), ("--nothing",), ("index", "nothing"), ("query",), ("shots",)])
def test_wrong_usage(m2s, arguments):
    """Unknown commands and options, and what is missing, are wrong usage: status 2, nothing on stdout."""
    ran = m2s(*arguments)
    assert (ran.status, ran.stdout) == (2, "")
    assert "--help" in ran.stderr


def test_terminal_of_another_encoding(built_catalog):
    """A terminal that cannot show every character gets others in their place; JSON stays exact."""
    ran = run("index", "status", "--catalog", built_catalog, PYTHONIOENCODING="latin-1")
    assert ran.returncode == 0, ran.stderr
    assert "Short" in ran.stdout.decode("latin-1")
    ran = run("query", "--scene", "Short#0", "--catalog", built_catalog, PYTHONIOENCODING="ascii")
    assert ran.returncode == 0, ran.stderr
    ran = run("index", "status", "--json", "--catalog", built_catalog, PYTHONIOENCODING="ascii")
    assert len(json.loads(ran.stdout.decode("ascii"))["movies"]) == 4


def test_reader_that_goes_away(built_catalog):
    """When the reader of its output has gone the command ends, without a word."""
    if not M2S.exists():
        pytest.skip(f"m2s is not installed beside {sys.executable}")
    reading, writing = os.pipe()
    os.close(reading)
    command = [M2S, "index", "status", "--json", "--catalog", built_catalog]
    ran = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert ran.returncode == 1
    assert ran.stderr == b""


def test_a_full_disk_behind_the_output_is_said_in_a_line(built_catalog):
    """Not a traceback; and the exit status tells a script."""
    code = "from m2s_index.cli.main import main; main()"
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-c", code, "query", "--scene", "1", "--csv", "--catalog", str(built_catalog)],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert result.returncode == 1
    assert "m2s: the output: No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
