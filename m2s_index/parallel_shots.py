"""A film's shots by several processes at once, which decode a segment each; one detector sees them in order.

The result is that of one pass. Where it could be another (a file that cannot be divided, is damaged or irregular, a
detector that wants whole frames), there is one pass.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from m2s_index.errors import WorkerError
from m2s_index.extract import FilmRead, find_shots, shots_of_samples
from m2s_index.segments import SampleBlock, SegmentRead, digest, divide
from m2s_index.shots import SampleDetector, ShotDetector
from m2s_index.types import BuildOptions, Shot

if TYPE_CHECKING:
    from m2s_index.workers import WorkerPool

MOST_WORKERS = 4
"""The detector sees frames one after the other: it could not follow more decoders."""


def find_shots_in_parallel(path: Path, detector: ShotDetector, workers: int) -> tuple[FilmRead, list[Shot]]:
    """``find_shots`` with up to ``workers`` processes that decode.

    Args:
        detector: one that has seen nothing; another of its kind does the work.

    Raises:
        VideoError: the file is no film, or too little of it can be decoded.
    """
    workers = min(workers, MOST_WORKERS)
    if workers > 1 and isinstance(detector, SampleDetector):
        info, segments = divide(path, workers)
        if len(segments) > 1:
            from m2s_index.workers import WorkerPool

            try:
                with WorkerPool(workers) as pool:
                    blocks = _blocks(path, segments, pool)
                    return shots_of_samples(path, info, copy.deepcopy(detector), blocks)
            except WorkerError:
                pass  # what is wrong with the film, one pass will say
    # Intra frames build on no others: each of the decoder's threads can take one.
    return find_shots(path, detector, threads=workers if detector.intra_only else 1)


def _blocks(path: Path, segments: list[tuple[int, int]], pool: WorkerPool) -> Iterator[SampleBlock]:
    """All segments' blocks, in order.

    Raises:
        WorkerError: a segment could not be read, or does not go on where the one before ends.
    """
    from m2s_index.wire import Job

    jobs = [Job("samples", str(path), BuildOptions(), spans=(segment,)) for segment in segments]
    said: dict[tuple[int, int], deque[SampleBlock | SegmentRead]] = {segment: deque() for segment in segments}
    following: str | None = None
    shape: tuple[int, ...] | None = None
    messages = pool.run(jobs)
    for segment in segments:
        begun = False
        while True:
            while not said[segment]:
                job, message = next(messages)
                if not isinstance(message, SampleBlock | SegmentRead):
                    raise WorkerError(f"{path}: cannot be read in segments: {message}")
                said[job.spans[0]].append(message)
            message = said[segment].popleft()
            if isinstance(message, SegmentRead):
                following = message.following
                break
            shape = shape or message.samples.shape[1:]
            if message.samples.shape[1:] != shape:
                raise WorkerError(f"{path}: its segments' samples differ in size")
            if not begun and following not in (None, digest(int(message.pts[0]), message.samples[0])):
                raise WorkerError(f"{path}: its segments do not fit together")
            begun = True
            yield message
        if (following is None) != (segment == segments[-1]):
            raise WorkerError(f"{path}: its segments do not fit together")
