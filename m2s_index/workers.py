"""Worker processes that decode films, and can be killed: one that hangs or dies costs only its film.

Workers are spawned, not forked, have no database handle, and read files with code that runs in C on
untrusted bytes. What they say comes through ``wire``.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Self

from m2s_index.errors import WorkerError
from m2s_index.wire import Failed, Job, Message, Progress, receive, send_job
from m2s_index.worker_process import serve

NO_PROGRESS_SECONDS = 120.0
"""A worker that says nothing for so long is killed, and its film fails."""
MEMORY_LIMIT_BYTES = 8 << 30
"""Address space of one worker: enough for 8K film, too little to bring the machine down."""
MESSAGE_SECONDS = 10
"""A worker that has begun a message is done with it by then: it is written in one go."""
REMEDY = "play the file to check, then convert it with another tool"


class _Worker:
    """One process and what it is doing."""

    def __init__(self, memory_limit_bytes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        _limit_waiting(self.connection)
        self.process = context.Process(
            target=serve, args=(theirs, os.getpid(), memory_limit_bytes), daemon=True, name="m2s decoder"
        )
        self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.heard = time.monotonic()

    def start(self, job: Job) -> None:
        """Hand it a job; OSError if it has died or takes nothing in."""
        if not self.process.is_alive():
            raise ProcessLookupError(f"process {self.process.pid} is gone")
        self.job, self.heard = job, time.monotonic()
        send_job(self.connection, job)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


class WorkerPool:
    """Runs jobs in up to ``workers`` processes. Use it as a context manager: leaving it kills them all."""

    def __init__(
        self,
        workers: int,
        *,
        no_progress_seconds: float = NO_PROGRESS_SECONDS,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        self.size = workers
        self._no_progress_seconds = no_progress_seconds
        self._memory_limit_bytes = memory_limit_bytes
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers.clear()

    def run(
        self, jobs: Iterable[Job], *, hold: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[Job, Message]]:
        """Do all jobs; yields what the workers say, as it comes. Every job ends with one of ``VideoInfo``
        (a probe), ``FilmRead``, ``ClipsRead``, ``SegmentRead`` or ``Failed``.

        Args:
            hold: while it returns true, nothing is taken from the workers, and they wait.
        """
        waiting = deque(jobs)
        while waiting or any(worker.job for worker in self._workers):
            self._hand_out(waiting)
            if hold():
                time.sleep(0.02)
                for worker in self._workers:
                    worker.heard = time.monotonic()
                continue
            busy = {worker.connection: worker for worker in self._workers if worker.job}
            for connection in wait(list(busy), timeout=0.5):
                assert isinstance(connection, Connection)
                yield self._hear(busy[connection])
            yield from self._kill_silent()

    def _hand_out(self, waiting: deque[Job]) -> None:
        for worker in list(self._workers):
            if waiting and not worker.job:
                try:
                    worker.start(waiting[0])
                    waiting.popleft()
                except OSError:
                    # It died, or hangs, between two films: the next one is another's.
                    self._drop(worker)
        while waiting and len(self._workers) < self.size:
            worker = _Worker(self._memory_limit_bytes)
            self._workers.append(worker)
            worker.start(waiting.popleft())

    def _hear(self, worker: _Worker) -> tuple[Job, Message]:
        job = worker.job
        assert job is not None
        message: Message
        try:
            message = receive(worker.connection)
        except (EOFError, OSError):
            worker.process.join(2)
            message = Failed(f"{job.path}: the decoder {_how_it_ended(worker.process.exitcode)}; {REMEDY}")
            self._drop(worker)
        except WorkerError as exc:
            message = Failed(f"{job.path}: {exc}; {REMEDY}")
            self._drop(worker)
        worker.heard = time.monotonic()
        if not isinstance(message, Progress) and _ends(job, message):
            worker.job = None
        return job, message

    def _kill_silent(self) -> Iterator[tuple[Job, Message]]:
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.job and now - worker.heard > self._no_progress_seconds and not worker.connection.poll():
                self._drop(worker)
                seconds = f"{self._no_progress_seconds:g}"
                error = f"{worker.job.path}: the decoder made no progress for {seconds} s; {REMEDY}"
                yield worker.job, Failed(error)

    def _drop(self, worker: _Worker) -> None:
        worker.stop()
        self._workers.remove(worker)


def _limit_waiting(connection: Connection) -> None:
    """Have reads and writes give up: a worker that hangs inside a message must not hang its parent."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as pipe:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            pipe.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", MESSAGE_SECONDS, 0))


def _ends(job: Job, message: Message) -> bool:
    ends = {"probe": "VideoInfo", "film": "FilmRead", "clips": "ClipsRead", "samples": "SegmentRead"}
    return isinstance(message, Failed) or type(message).__name__ == ends[job.kind]


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "stopped in the middle of a message"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"crashed ({name})"
    return f"ended unexpectedly (exit status {code})"
