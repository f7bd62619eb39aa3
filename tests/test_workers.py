"""Workers can crash, hang or be killed with their parent: only the film in hand is lost."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from film_factory import pictures, write_audio, write_film

from m2s_index.clips import ClipFound, ClipsRead, read_clips
from m2s_index.extract import FilmRead, ShotFound, extract
from m2s_index.types import BuildOptions, ClipSpec, Crop, VideoInfo
from m2s_index.wire import Failed, Job, Message, Progress
from m2s_index.workers import WorkerPool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as on Linux")
OPTIONS = BuildOptions()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A film that takes a worker long enough to be interrupted, and three short ones."""
    folder = tmp_path_factory.mktemp("films")
    part = write_film(folder / "part.ts", pictures((40,) * 8, (64, 36)))
    (folder / "long.ts").write_bytes(part.read_bytes() * 25)
    return [folder / "long.ts", *(write_film(folder / f"{n}.mp4", pictures()) for n in range(3))]


def jobs(films: list[Path]) -> list[Job]:
    return [Job("film", str(path), OPTIONS) for path in films]


def pids() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid and child.name == "m2s decoder"]


def outcome(said: list[tuple[Job, Message]]) -> dict[str, Message]:
    """What each film ended with."""
    ends: dict[str, Message] = {}
    for job, message in said:
        if isinstance(message, FilmRead | Failed | VideoInfo):
            assert job.path not in ends
            ends[job.path] = message
    return ends


def run_and(
    pool: WorkerPool, films: list[Path], act: Callable[[], None], when: type = Progress
) -> list[tuple[Job, Message]]:
    """Run all films; do something at the first message of a kind about the long one."""
    said = []
    done = False
    for job, message in pool.run(jobs(films)):
        said.append((job, message))
        if not done and isinstance(message, when) and job.path.endswith("long.ts"):
            done = True
            act()
    assert done
    return said


def test_what_workers_say_is_what_a_pass_says(films: list[Path]) -> None:
    """Shots, pictures and facts are the same through a worker, and complete for each film."""
    with WorkerPool(2) as pool:
        said = list(pool.run(jobs(films[1:])))
    for path in films[1:]:
        heard = [m for job, m in said if job.path == str(path) and not isinstance(m, Progress)]
        assert heard == list(extract(path, OPTIONS))
    assert pids() == []


def test_clips_of_a_film_whose_scenes_are_known(films: list[Path], tmp_path: Path) -> None:
    """They are those that are read without a worker, in order, and then the job ends; a bad file is named."""
    spec, spans = ClipSpec(4, Fraction(24), 32), ((0, 12288), (4096, 20480))
    known = {"clip": spec, "spans": spans, "crop": Crop(0, 10, 160, 60)}
    asked = [
        Job("clips", str(films[1]), OPTIONS, **known),
        Job("clips", str(tmp_path / "none.mp4"), OPTIONS, **known),
    ]
    with WorkerPool(1) as pool:
        said = [(job, message) for job, message in pool.run(asked) if not isinstance(message, Progress)]
    heard = [message for job, message in said if job == asked[0]]
    expected = list(read_clips(films[1], spans, spec, crop=known["crop"], keyframe_px=OPTIONS.keyframe_px))
    assert heard[2:] == [ClipsRead(2)]
    for got, clip in zip(heard[:2], expected, strict=True):
        assert isinstance(got, ClipFound)
        assert got.scene == clip.scene
        np.testing.assert_array_equal(got.frames, clip.frames)
    ((_, failed),) = [(job, message) for job, message in said if job == asked[1]]
    assert isinstance(failed, Failed)
    assert "none.mp4" in failed.error


def test_probes_and_films_share_a_pool(films: list[Path], tmp_path: Path) -> None:
    """A probe answers with what the container says; what is no film says so."""
    song = write_audio(tmp_path / "song.mp4")
    with WorkerPool(1) as pool:
        ends = outcome(list(pool.run([Job("probe", str(films[1]), OPTIONS), Job("probe", str(song), OPTIONS)])))
        assert isinstance(ends[str(films[1])], VideoInfo)
        refused = ends[str(song)]
        assert isinstance(refused, Failed)
        assert refused.no_video
        assert str(song) in refused.error
        assert isinstance(outcome(list(pool.run(jobs(films[2:3]))))[str(films[2])], FilmRead)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT], ids=lambda n: n.name)
def test_a_crash_costs_one_film(number: signal.Signals, films: list[Path]) -> None:
    """A worker that dies in the middle of a film fails that film by name; the others are read."""
    with WorkerPool(1) as pool:
        ends = outcome(run_and(pool, films, lambda: os.kill(pids()[0], number)))
    failed = ends.pop(str(films[0]))
    assert isinstance(failed, Failed)
    assert failed.error.startswith(f"{films[0]}: the decoder crashed ({number.name})")
    assert "; " in failed.error
    assert not failed.no_video
    assert [type(end) for end in ends.values()] == [FilmRead] * 3


def test_a_worker_that_dies_between_two_films_costs_none(films: list[Path]) -> None:
    """One that is found dead when it is to be given work is replaced."""
    with WorkerPool(1) as pool:
        list(pool.run(jobs(films[1:2])))
        (pid,) = pids()
        os.kill(pid, signal.SIGKILL)
        # A process is dead when its last thread is, which is later than when it looks so from outside.
        while any(child.pid == pid for child in multiprocessing.active_children()):
            time.sleep(0.01)
        assert isinstance(outcome(list(pool.run(jobs(films[1:2]))))[str(films[1])], FilmRead)
        assert pids() != [pid]


def test_a_hang_costs_one_film(films: list[Path]) -> None:
    """A worker that makes no progress is killed after the time allowed; its film fails, the others are read."""
    stopped = []

    def stop() -> None:
        stopped.extend(pids())
        os.kill(stopped[0], signal.SIGSTOP)

    started = time.monotonic()
    with WorkerPool(1, no_progress_seconds=5) as pool:
        ends = outcome(run_and(pool, films, stop))
    assert time.monotonic() - started < 30
    failed = ends.pop(str(films[0]))
    assert isinstance(failed, Failed)
    assert failed.error.startswith(f"{films[0]}: the decoder made no progress for 5 s")
    assert [type(end) for end in ends.values()] == [FilmRead] * 3
    assert not _alive(stopped[0])


@pytest.mark.slow
def test_a_reader_that_holds_back_is_not_a_hang(films: list[Path]) -> None:
    """While the parent asks for a pause, however long, no worker is taken for hung."""
    until = float("inf")

    def hold() -> bool:
        return time.monotonic() < until < float("inf")

    said = []
    with WorkerPool(1, no_progress_seconds=6) as pool:
        for said_now in pool.run(jobs(films), hold=hold):
            said.append(said_now)
            until = min(until, time.monotonic() + 7)
    assert time.monotonic() > until
    assert [type(end) for end in outcome(said).values()] == [FilmRead] * 4


def test_leaving_the_pool_kills_workers_at_work(films: list[Path]) -> None:
    """An exception in the parent leaves no process behind, not even a stopped one."""
    with contextlib.suppress(KeyboardInterrupt), WorkerPool(2) as pool:
        for _ in pool.run(jobs([films[0], films[0]])):
            working = pids()
            os.kill(working[0], signal.SIGSTOP)
            raise KeyboardInterrupt
    assert len(working) == 2
    assert not any(_alive(pid) for pid in working)


def test_what_a_worker_prints_goes_nowhere(films: list[Path]) -> None:
    """Decoders may print as they like, and ask: a worker's streams all lead to the null device."""
    seen: list[str] = []
    with WorkerPool(1) as pool:
        for _, message in pool.run(jobs(films[:1])):
            if isinstance(message, Progress | ShotFound) and not seen:
                seen = [str(Path(f"/proc/{pids()[0]}/fd/{number}").readlink()) for number in (0, 1, 2)]
                break
    assert seen == ["/dev/null"] * 3


def test_a_worker_s_memory_is_bounded(films: list[Path]) -> None:
    """A film that takes more memory than a worker may use fails by name; the parent's own is not limited."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with WorkerPool(1, memory_limit_bytes=1 << 30) as pool:
        for _ in pool.run(jobs(films[:1])):
            limits = Path(f"/proc/{pids()[0]}/limits").read_text()
            break
    assert any(line.startswith("Max address space") and str(1 << 30) in line for line in limits.splitlines())
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    with WorkerPool(1, memory_limit_bytes=180 << 20) as pool:
        (end,) = outcome(list(pool.run(jobs(films[1:2])))).values()
    assert isinstance(end, Failed)
    assert str(films[1]) in end.error


PARENT = """
import sys
from m2s_index.types import BuildOptions
from m2s_index.wire import Job
from m2s_index.workers import WorkerPool
import multiprocessing

if __name__ == "__main__":
    with WorkerPool(2) as pool:
        jobs = [Job("film", path, BuildOptions()) for path in sys.argv[1:]]
        at_work = set()
        for job, _ in pool.run(jobs):
            if len(at_work) < 2 and len(at_work := at_work | {id(job)}) == 2:
                print(*(child.pid for child in multiprocessing.active_children()), flush=True)
"""


@pytest.fixture
def parent(films: list[Path], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A real process with two workers at work, which prints their ids."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), str(films[0]), str(films[0])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
@pytest.mark.parametrize("stopped", [False, True], ids=["working", "hanging"])
def test_workers_die_with_their_parent(
    parent: subprocess.Popen[str], number: signal.Signals, stopped: bool
) -> None:
    """However the parent ends, its workers are gone within two seconds, also one that hangs."""
    assert parent.stdout
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    if stopped:
        os.kill(workers[0], signal.SIGSTOP)
    parent.send_signal(number)
    deadline = time.monotonic() + 2
    while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(_alive(pid) for pid in workers)


def test_a_worker_that_is_just_starting_dies_with_its_parent(parent: subprocess.Popen[str]) -> None:
    """The parent is killed as soon as it has a worker: what has hardly begun to load ends as well."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    started: list[str] = []
    # Python's own resource tracker is a child too, and the first.
    while not any(b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in started):
        assert parent.poll() is None
        started = children.read_text().split()
    parent.kill()
    deadline = time.monotonic() + 2
    while any(_alive(int(pid)) for pid in started) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(_alive(int(pid)) for pid in started)


def test_a_worker_arranges_its_end_before_it_loads_anything_large() -> None:
    """The module of its main function brings neither NumPy nor a decoder."""
    script = "import sys, m2s_index.worker_process; print({'numpy', 'av'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False  # the latter where it ends between open and read
    return state not in "ZX"
