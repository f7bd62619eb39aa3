"""Python loads this at its start where this folder is on PYTHONPATH: the process then kills itself, before
the n-th time (M2S_KILL_AT) that it opens, renames or deletes something in one folder (M2S_KILL_IN). It
appends each of these to a file (M2S_KILL_LOG), where that is set.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from typing import Any

FOLDER, LOG = os.environ["M2S_KILL_IN"], os.environ.get("M2S_KILL_LOG")
LAST = int(os.environ.get("M2S_KILL_AT", "0"))
_count = 0


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    global _count
    if event not in ("open", "os.rename", "os.remove") or not str(arguments[0]).startswith(FOLDER):
        return
    if multiprocessing.parent_process() is not None:
        return  # a worker: they never touch the catalogue
    _count += 1
    if LOG:
        handle = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{event} {arguments[0]!s}\n".encode())
        os.close(handle)
    if _count == LAST:
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(_watch)
