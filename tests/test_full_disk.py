"""A disk that is full: what could not be written is told, the catalogue is as it was, and goes on later."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from catalog_contents import contents, sql
from tiny_films import write_tiny_film

M2S = (sys.executable, "-c", "from m2s_index.cli.main import main; main()")
ROOM_BYTES = 3 << 20


@pytest.fixture(scope="module")
def two_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films whose key frames take about a hundred kB each."""
    folder = tmp_path_factory.mktemp("two")
    for number in range(2):
        write_tiny_film(folder / f"{number}.mp4", seed=70 + number, shots=12)
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, left_bytes: int) -> Path:
    """Leave no more room than that."""
    filler = place / "filler"
    with filler.open("wb") as file:
        status = os.statvfs(place)
        file.write(bytes(max(0, status.f_bavail * status.f_frsize - left_bytes)))
    return filler


def build(films: Path, folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [*M2S, "index", "build", str(films), "--catalog", str(folder), "--workers", "1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("left_bytes", [0, 20_000, 60_000, 120_000, 200_000, 400_000])
def test_full_disk(two_films: Path, small_disk: Path, m2s, left_bytes: int) -> None:
    """A build on a disk that fills up, at the start or in the middle, fails with a line that says so; what was
    there is as it was and answers queries; with room again the same command completes it.
    """
    folder = small_disk / "c"
    first = build(two_films / "0.mp4", folder)
    assert first.returncode == 0, first.stderr
    before = contents(folder)
    filler = fill(small_disk, left_bytes)
    failed = build(two_films, folder)
    assert failed.returncode == 1
    said = failed.stderr.strip().splitlines()[-1]
    assert said.startswith("m2s: ")
    assert "No space left on device" in said or "disk is full" in said or "is the disk full" in said
    assert str(folder) in said
    assert "Traceback" not in failed.stderr
    answer = m2s("query", "--scene", "0#0", "--catalog", folder)
    assert answer.status == 0, answer.stderr
    filler.unlink()
    now = contents(folder)
    assert {name: film for name, film in now.items() if name in before} == before
    again = build(two_films, folder)
    assert again.returncode == 0, again.stderr
    assert m2s("index", "verify", "--catalog", folder).status == 0
    assert contents(folder).keys() == {"0.mp4", "1.mp4"}
    known = sql(folder, "SELECT keyframes_file FROM movies UNION SELECT file FROM index_files")
    there = {path.name for path in folder.rglob("*") if path.is_file()}
    assert there == {file for (file,) in known} | {"catalog.sqlite", "build.lock"}


def test_quota(two_films: Path, tmp_path: Path, m2s) -> None:
    """A limit on the size of files, which fails as a quota does, is told in one line; without it the same
    command goes on.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    folder = tmp_path / "c"
    failed = build(two_films, folder, preexec_fn=limit)
    assert failed.returncode == 1, failed.stderr
    assert "Traceback" not in failed.stderr
    assert failed.stderr.strip().splitlines()[-1].startswith("m2s: ")
    again = build(two_films, folder)
    assert again.returncode == 0, again.stderr
    assert contents(folder).keys() == {"0.mp4", "1.mp4"}
    assert m2s("index", "verify", "--catalog", folder).status == 0
