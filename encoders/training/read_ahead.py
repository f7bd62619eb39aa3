"""Batches that are read in threads, one batch ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

Part = TypeVar("Part")
Read = TypeVar("Read")


class ReadAhead(Generic[Part, Read]):
    """What loaders of batches have in common. Use one as a context manager, from one thread."""

    def __init__(
        self, parts: Callable[[int], Sequence[Part]], read: Callable[[Part], Read], *, threads: int
    ) -> None:
        """Args: what a batch is made of, by its number; what reads a part, in several threads at once; how many."""
        self._parts = parts
        self._read_part = read
        self._threads = ThreadPoolExecutor(threads, "m2s-batches")
        self._ahead: dict[int, list[Future[Read]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def read(self, number: int) -> list[Read]:
        """The parts of batch ``number``, in order; those of the next one are begun."""
        reading = self._ahead.pop(number, None) or self._start(number)
        self._ahead = {number + 1: self._start(number + 1)}
        return [part.result() for part in reading]

    def _start(self, number: int) -> list[Future[Read]]:
        return [self._threads.submit(self._read_part, part) for part in self._parts(number)]
