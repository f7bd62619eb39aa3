"""What runs in a worker: jobs in, messages out, in a process that its parent's death ends.

All that takes long to load is loaded after that is arranged: a worker whose parent dies in the moment of its start
does not outlive it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m2s_index.wire import Job

PROGRESS_EVERY_SECONDS = 0.25


def serve(connection: Connection, parent: int, memory_limit_bytes: int) -> None:
    """A worker's main function: jobs in, messages out, until the parent goes."""
    _live_no_longer_than(parent)
    _limit_memory(memory_limit_bytes)
    # The parent handles Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    from m2s_index.wire import receive_job

    # Whatever a decoder prints is dropped.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _do(connection, receive_job(connection))


def _do(connection: Connection, job: Job) -> None:
    from m2s_index.clips import ClipsRead, read_clips
    from m2s_index.errors import M2SError, NotVideoError
    from m2s_index.extract import ShotFound, extract
    from m2s_index.segments import read_segment
    from m2s_index.video import probe
    from m2s_index.wire import Failed, Progress, send

    said, shots = 0.0, 0

    def progress(frames: int, seconds: float) -> None:
        nonlocal said
        if (now := time.monotonic()) - said > PROGRESS_EVERY_SECONDS:
            said = now
            send(connection, Progress(frames, seconds, shots))

    path = Path(job.path)
    try:
        if job.kind == "probe":
            send(connection, probe(path))
            return
        if job.kind == "samples":
            for part in read_segment(path, *job.spans[0]):
                send(connection, part)
            return
        if job.kind == "clips" and job.clip:
            px, threads = job.options.keyframe_px, job.threads
            for clip in read_clips(
                path, job.spans, job.clip, crop=job.crop, keyframe_px=px, threads=threads, on_progress=progress
            ):
                send(connection, clip)
            send(connection, ClipsRead(len(job.spans)))
            return
        for found in extract(
            path, job.options, cuts=job.cuts, clip=job.clip, threads=job.threads, on_progress=progress
        ):
            shots += isinstance(found, ShotFound)
            send(connection, found)
    except M2SError as exc:
        send(connection, Failed(str(exc), isinstance(exc, NotVideoError)))
    except MemoryError:
        send(connection, Failed(f"{path}: reading it takes more memory than a worker may use"))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as exc:
        send(connection, Failed(f"{path}: unexpected {type(exc).__name__} while reading: {exc}"))


def _live_no_longer_than(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, even if it hangs in C code."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _limit_memory(limit_bytes: int) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit_bytes = min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, hard))
