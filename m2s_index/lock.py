"""One builder at a time: a lock on the catalogue's folder that goes when its holder does."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from m2s_index.db import NETWORK_FILE_SYSTEMS, file_system_type
from m2s_index.errors import CatalogError
from m2s_index.schema import now_text

LOCK_NAME = "build.lock"


class BuildLock:
    """Held while a process changes the catalogue. The kernel drops it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            CatalogError: another process holds it (which, on which host, since when), the folder cannot be
                written, or something else has the lock's name.
        """
        self._folder = folder
        try:
            # It is emptied when it is taken: a link in someone else's catalogue must not lead to another file.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._handle = os.open(folder / LOCK_NAME, flags, 0o644)
        except OSError as exc:
            if exc.errno in (errno.EISDIR, errno.ELOOP):
                raise CatalogError(f"{folder / LOCK_NAME} is not the lock's file: delete it") from exc
            raise CatalogError(f"cannot write to the catalogue in {folder}: {exc.strerror}") from exc
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = self._holder()
            os.close(self._handle)
            raise CatalogError(f"the catalogue in {folder} is being changed by {holder}; wait for it") from exc
        except OSError as exc:
            os.close(self._handle)
            kind = file_system_type(folder)
            hint = " (a network folder without locks?)" if kind in NETWORK_FILE_SYSTEMS else ""
            raise CatalogError(f"cannot lock the catalogue in {folder}{hint}: {exc.strerror}") from exc
        record = {"process": os.getpid(), "host": socket.gethostname(), "since": now_text()}
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(record).encode(), 0)
        except OSError as exc:
            os.close(self._handle)
            raise CatalogError(f"cannot write to the catalogue in {folder}: {exc.strerror}") from exc

    def _holder(self) -> str:
        try:
            record = json.loads(os.pread(self._handle, 4096, 0))
            return f"process {record['process']} on {record['host']} since {record['since']}"
        except (ValueError, KeyError, TypeError):
            return "another process"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.ftruncate(self._handle, 0)
        os.close(self._handle)
