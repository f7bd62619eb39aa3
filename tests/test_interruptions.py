"""What an interrupted build leaves: whole films, nothing stray, no process; the next build completes it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from catalog_contents import contents, sql
from plain_builds import library_build
from tiny_films import write_tiny_film

from m2s_index.catalog import Catalog
from m2s_index.encoders import DEFAULT
from m2s_index.encoders.registry import make_encoder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as on Linux")
M2S = (sys.executable, "-c", "from m2s_index.cli.main import main; main()")
KILLED_MIDWAY = Path(__file__).parent / "killed_midway"
KILLS = 60
"""At random moments; CI does every fifth."""
STEPS = 19
"""Times that a build of two new films opens, renames or deletes something in its catalogue."""


@pytest.fixture(scope="module")
def many_films(tmp_path_factory):
    """Seven films, enough to interrupt a build in their midst."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(7):
        write_tiny_film(folder / f"{number}.mp4", seed=40 + number, shots=18)
    return folder


@pytest.fixture(scope="module")
def whole_catalog(many_films, tmp_path_factory):
    """A build of them that nobody interrupts."""
    folder = tmp_path_factory.mktemp("whole") / "c"
    library_build(folder, make_encoder(DEFAULT), [many_films])
    return folder


@pytest.fixture(scope="module")
def whole_build(whole_catalog):
    """What it gives."""
    return contents(whole_catalog)


def start_build(films: Path, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """A build in a process group of its own."""
    return subprocess.Popen(
        [*M2S, "index", "build", str(films), "--catalog", str(folder), "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, **environment},
    )  # fmt: skip


def gone(group: int) -> bool:
    """Whether all processes of a group end within two seconds."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        if not any(alive(group)):
            return True
        time.sleep(0.02)
    return False


def alive(group: int):
    """The processes of a group that are neither dead nor waiting to be buried."""
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            yield place


def indexed(folder: Path) -> int:
    """How many films are in the catalogue now."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'catalog.sqlite'}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM movies").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def wait_for_films(process: subprocess.Popen[str], folder: Path, wanted: int) -> None:
    until = time.monotonic() + 60
    while indexed(folder) < wanted and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


def stray_files(folder: Path) -> list[str]:
    """What is in the catalogue's folder and belongs to nothing."""
    known = {
        file for (file,) in sql(folder, "SELECT keyframes_file FROM movies UNION SELECT file FROM index_files")
    }
    known |= {"catalog.sqlite", "build.lock"}
    return [str(path) for path in folder.rglob("*") if path.is_file() and path.name not in known]


def hits(m2s, folder: Path) -> list[tuple[object, ...]]:
    """The answers to one query, without ids."""
    ran = m2s("query", "--scene", "3#0", "-k", "50", "--json", "--catalog", folder)
    assert ran.status == 0, ran.stderr
    return [tuple(hit[name] for name in ("rank", "movie", "index", "distance")) for hit in ran.json()["hits"]]


def check_is_completed(m2s, films: Path, folder: Path, whole_catalog: Path) -> None:
    """What was left can be read, is whole films only, and the next build makes the catalogue what it would
    have been: movies, shots, scenes, embeddings to the bit, hits, and no files besides.
    """
    whole = contents(whole_catalog)
    if (folder / "catalog.sqlite").exists() and indexed(folder):
        kept = contents(folder)
        assert all(film == whole[name] for name, film in kept.items())
        assert m2s("query", "--scene", f"{Path(next(iter(kept))).stem}#0", "--catalog", folder).status == 0
    done = m2s("index", "build", films, "--catalog", folder, "--workers", "1")
    assert done.status == 0, done.stderr
    assert contents(folder) == whole
    assert hits(m2s, folder) == hits(m2s, whole_catalog)
    assert stray_files(folder) == []
    verified = m2s("index", "verify", "--catalog", folder)
    assert verified.status == 0, verified.stdout


def test_interrupt(many_films, whole_build, tmp_path, m2s):
    """Ctrl-C stops a build within two seconds: what is whole is kept and can be queried, the way on is named,
    and the next build completes it to what it would have been.
    """
    folder = tmp_path / "c"
    process = start_build(many_films, folder)
    wait_for_films(process, folder, 2)
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - started < 2
    assert process.returncode == 130
    assert "run the same command to go on" in said
    assert "Traceback" not in said
    kept = contents(folder)
    assert 2 <= len(kept) < len(whole_build)
    assert all(film == whole_build[name] for name, film in kept.items())
    query = m2s("query", "--scene", f"{Path(next(iter(kept))).stem}#0", "--json", "--catalog", folder)
    assert query.json()["hits"]
    done = m2s("index", "build", many_films, "--catalog", folder, "--json", "--workers", "1").json()["movies"]
    assert (done["unchanged"], done["indexed"]) == (len(kept), len(whole_build) - len(kept))
    assert contents(folder) == whole_build
    assert stray_files(folder) == []


@pytest.mark.slow
def test_interrupt_of_a_single_process(many_films, tmp_path):
    """An interrupt that reaches the main process alone (kill -INT) stops it as well, and its decoders."""
    process = start_build(many_films, tmp_path / "c")
    wait_for_films(process, tmp_path / "c", 1)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert time.monotonic() - started < 2
    assert process.returncode == 130
    assert gone(process.pid)


def some(count: int, every: int) -> list[object]:
    """Numbers, of which CI takes every so manieth, and ``make kills`` all."""
    return [pytest.param(n, marks=pytest.mark.slow if n % every == 0 else pytest.mark.long) for n in range(count)]


@pytest.mark.parametrize("seed", some(KILLS, 5))
def test_killed_build(many_films, whole_catalog, tmp_path, m2s, seed):
    """A build that is killed at any moment, with its group or alone, leaves no process for two seconds, and
    only what the next build completes.
    """
    moment = random.Random(seed)
    folder = tmp_path / "c"
    process = start_build(many_films, folder)
    if films := moment.choice([0, 0, 1, 2, 4, 6]):
        wait_for_films(process, folder, films)
    # From the first file looked at to the end of the index write, which takes about half a second.
    time.sleep(moment.uniform(0, 0.6 if films else 2.5))
    if seed % 2:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    assert gone(process.pid)
    process.communicate()
    check_is_completed(m2s, many_films, folder, whole_catalog)


@pytest.fixture(scope="module")
def three_films(many_films, tmp_path_factory):
    """Enough to have an old index file replaced."""
    folder = tmp_path_factory.mktemp("three")
    for number in (2, 3, 4):
        shutil.copy2(many_films / f"{number}.mp4", folder)
    return folder


@pytest.fixture(scope="module")
def first_of_three(three_films, tmp_path_factory):
    """A catalogue of one of them, with an index file."""
    folder = tmp_path_factory.mktemp("one") / "c"
    library_build(folder, make_encoder(DEFAULT), [three_films / "2.mp4"])
    return folder


@pytest.fixture(scope="module")
def steps(three_films, first_of_three, tmp_path_factory):
    """What a build that nobody kills opens, renames and deletes in its catalogue, in order; and the catalogue."""
    place = tmp_path_factory.mktemp("steps")
    folder = Path(shutil.copytree(first_of_three, place / "c"))
    process = start_build(
        three_films, folder, PYTHONPATH=str(KILLED_MIDWAY), M2S_KILL_IN=str(folder), M2S_KILL_LOG=str(place / "log")
    )
    assert process.wait() == 0, process.communicate()
    process.communicate()
    return (place / "log").read_text().splitlines(), folder


@pytest.mark.parametrize("number", some(STEPS, 3))
def test_killed_before_each_step(three_films, first_of_three, steps, tmp_path, m2s, number):
    """A build that is killed just before any file of its catalogue is opened, renamed or deleted - key frames,
    the index file that replaces an older one - leaves only what the next build completes.
    """
    log, whole = steps
    assert len(log) == STEPS
    renamed = [line.split()[-1] for line in log if line.startswith("os.rename")]
    assert [Path(name).suffix for name in renamed] == [".tmp"] * 3  # two films' key frames and an index
    assert any(line.startswith("os.remove") and line.endswith(".faiss") for line in log)
    folder = Path(shutil.copytree(first_of_three, tmp_path / "c"))
    process = start_build(
        three_films, folder,
        PYTHONPATH=str(KILLED_MIDWAY), M2S_KILL_IN=str(folder), M2S_KILL_AT=str(number + 1),
    )  # fmt: skip
    said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said
    assert gone(process.pid)
    check_is_completed(m2s, three_films, folder, whole)


@pytest.mark.slow
def test_queries_during_a_build_see_whole_films(many_films, whole_build, tmp_path, m2s):
    """While a build runs, queries answer, and see films with all their scenes or not at all."""
    folder = tmp_path / "c"
    process = start_build(many_films, folder)
    wait_for_films(process, folder, 1)
    scenes = {Path(name).stem: len(film["scenes"]) for name, film in whole_build.items()}
    seen = set()
    while process.poll() is None:
        with Catalog.open(folder) as catalog, catalog.read() as session:
            from m2s_index.movies import list_scenes

            found = [scene.movie for scene in list_scenes(session)]
        assert {name: found.count(name) for name in found} == {name: scenes[name] for name in found}
        ran = m2s("query", "--scene", f"{found[0]}#0", "-k", "1000", "--json", "--catalog", folder)
        assert ran.status == 0, ran.stderr
        near = [hit["movie"] for hit in ran.json()["hits"]]
        assert {n: near.count(n) + (n == found[0]) for n in near} == {n: scenes[n] for n in near}
        assert m2s("index", "status", "--json", "--catalog", folder).status == 0
        seen.add(len(set(near)))
    assert process.wait() == 0
    process.communicate()
    assert len(seen) > 1
