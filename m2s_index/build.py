"""Building a catalogue: films in, shots, scenes, embeddings and an index out. Incremental and resumable.

Worker processes decode; one thread of this process embeds and stores, film by film; the calling thread
hears the workers. A film's key-frame file is in place before its rows are committed, and all its rows
appear together. The FAISS file is written at the end, and now and then on the way.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from m2s_index.assembly import FilmAssembly, StoredClips, embed_movie, movies_without, sweep_keyframes
from m2s_index.catalog import Catalog
from m2s_index.clips import ClipFound, ClipsRead
from m2s_index.encoder import AnyEncoder, ClipEncoder, ShotFeatureEncoder, StillEncoder
from m2s_index.errors import CatalogDamagedError, EncoderError, KeyFrameError, VideoError
from m2s_index.extract import FilmRead, ShotFound
from m2s_index.failures import Failure, forget_lost, record_failure
from m2s_index.index_file import IndexFile
from m2s_index.index_kinds import Kind
from m2s_index.index_writer import stray_files, write_index
from m2s_index.lost_labels import LostLabel
from m2s_index.matrix_writer import register_encoder
from m2s_index.metadata import MovieMetadata, apply_metadata
from m2s_index.movies import get_movie
from m2s_index.plan import BuildPlan, PlannedFilm, note_moves
from m2s_index.settings import save_options
from m2s_index.shot_features import check_encoder
from m2s_index.types import BuildOptions, FileIdentity
from m2s_index.wire import Failed, Job, Progress
from m2s_index.workers import WorkerPool

WRITE_INDEX_EVERY_SECONDS = 600.0
MOST_WAITING_BYTES = 48 << 20
"""Key frames and clips that wait for the encoder; beyond it the decoders wait too."""


@dataclass(frozen=True)
class BuildEvent:
    """Something a person may want to see. ``path`` names the film.

    ``kind`` is "progress" (frames, seconds and shots so far), "indexed", "embedded" or "failed".
    """

    kind: Literal["progress", "indexed", "embedded", "failed"]
    path: str
    frames: int = 0
    seconds: float = 0.0
    shots: int = 0
    scenes: int = 0
    damaged_packets: int = 0
    error: str = ""


@dataclass
class BuildResult:
    """What a build did. ``shots`` and ``scenes`` are those of the films that it indexed.

    ``damaged`` counts packets that were skipped, by path; ``lost_labels`` are gone, as films that were
    indexed anew no longer have what they marked.
    """

    indexed: int = 0
    embedded: int = 0
    unchanged: int = 0
    moved: int = 0
    copies: list[tuple[str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    damaged: dict[str, int] = field(default_factory=dict)
    lost_labels: list[LostLabel] = field(default_factory=list)
    shots: int = 0
    scenes: int = 0
    seconds: float = 0.0
    index: IndexFile | None = None
    metadata_unmatched: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Task:
    """Something for the embedding thread: one of a shot or clip to add, a film to store, one that failed or is
    to be dropped, one to embed.
    """

    assembly: FilmAssembly | StoredClips | None = None
    add: ShotFound | ClipFound | None = None
    store: FilmRead | ClipsRead | None = None
    failed: Failure | None = None
    embed: int | None = None

    @property
    def bytes(self) -> int:
        if isinstance(self.add, ClipFound):
            return self.add.frames.nbytes
        return sum(len(data) for data in self.add.pictures) if self.add else 0


class Builder:
    """One build of one catalogue with one encoder. The caller holds the catalogue's ``BuildLock``."""

    def __init__(
        self,
        catalog: Catalog,
        encoder: AnyEncoder,
        options: BuildOptions,
        *,
        index_kind: Kind | Literal["auto"] | None = None,
        metadata: dict[str, MovieMetadata] | None = None,
        on_event: Callable[[BuildEvent], None] = lambda event: None,
    ) -> None:
        self._catalog, self._encoder, self._options = catalog, encoder, options
        self._index_kind, self._metadata, self._on_event = index_kind, metadata or {}, on_event
        self._result = BuildResult()
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[BuildEvent] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._counting = threading.Lock()
        self._fatal: Exception | None = None
        self._stopping = False
        self._index_written = time.monotonic()

    def run(self, plan: BuildPlan, pool: WorkerPool, *, decode_threads: int = 1) -> BuildResult:
        """Do what ``plan`` says, then embed the films it found unchanged that this encoder lacks.

        One bad film is a failure in the result and never stops the build.

        Raises:
            UsageError: the encoder cannot embed films that are not indexed yet.
            CatalogError: the catalogue cannot be written (a full disk, say); what is whole is kept.
        """
        check_encoder(self._encoder, len(plan.films))
        started = time.monotonic()
        self._prepare(plan)
        thread = threading.Thread(target=self._work, name="m2s embedding", daemon=True)
        thread.start()
        try:
            self._decode(plan.films, pool, decode_threads)
            self._embed_stored(self._to_embed(plan.unchanged), pool, decode_threads)
            self._tasks.put(None)
            while thread.is_alive():
                thread.join(0.1)
                self._tell()
        except BaseException:
            # Also on Ctrl-C: what is being stored is finished, nothing more is begun.
            self._stopping = True
            self._tasks.put(None)
            thread.join()
            raise
        self._tell()
        if self._fatal:
            raise self._fatal
        self._finish()
        self._result.seconds = time.monotonic() - started
        return self._result

    # --- in the calling thread ------------------------------------------------------------------------

    def _prepare(self, plan: BuildPlan) -> None:
        result = self._result
        result.failures = list(plan.failures)
        result.copies = list(plan.copies)
        result.unchanged = len(plan.unchanged)
        result.moved = len(plan.moved)
        with self._catalog.write() as session:
            save_options(session, self._options)
            note_moves(session, plan)
            forget_lost(session)
            for failure in plan.failures:
                if failure.failed_at is None:
                    record_failure(session, failure)
            self._stored_encoder = register_encoder(session, self._encoder.identity)
        sweep_keyframes(self._catalog)
        for path in stray_files(self._catalog):
            path.unlink(missing_ok=True)

    def _to_embed(self, movie_ids: Sequence[int]) -> list[int]:
        with self._catalog.read() as session:
            return movies_without(session, self._encoder.identity, movie_ids)

    def _decode(self, films: Sequence[PlannedFilm], pool: WorkerPool, threads: int) -> None:
        encoder = self._encoder
        if isinstance(encoder, ShotFeatureEncoder):
            return  # there is no film to read: see check_encoder
        by_path = {film.file.path: film for film in films}
        clip = encoder.clip if isinstance(encoder, ClipEncoder) else None
        jobs = [Job("film", path, film.options, threads, film.cuts, clip) for path, film in by_path.items()]
        files = {path: film.file for path, film in by_path.items()}
        self._hear(pool, jobs, lambda path: FilmAssembly(self._catalog, encoder, by_path[path]), files)

    def _embed_stored(self, movie_ids: Sequence[int], pool: WorkerPool, threads: int) -> None:
        """Films that are indexed already: from their key frames, or from clips, which workers read."""
        if not isinstance(self._encoder, ClipEncoder):
            for movie_id in movie_ids:
                self._tasks.put(_Task(embed=movie_id))
            return
        by_path, jobs = {}, []
        for movie_id in movie_ids:
            with self._catalog.read() as session:
                path = get_movie(session, movie_id).path
            try:
                stored = StoredClips(self._catalog, self._encoder, movie_id)
                jobs.append(stored.job(threads))
                by_path[path] = stored
            except CatalogDamagedError as exc:
                self._tasks.put(_Task(failed=Failure(path, f"{path}: {exc}")))
            except VideoError as exc:
                self._tasks.put(_Task(failed=Failure(path, str(exc))))
        self._hear(pool, jobs, by_path.__getitem__, {})

    def _hear(
        self,
        pool: WorkerPool,
        jobs: Sequence[Job],
        begin: Callable[[str], FilmAssembly | StoredClips],
        files: Mapping[str, FileIdentity],
    ) -> None:
        """Run jobs, and hand what the workers say to the embedding thread; failures of reading ``files`` are
        remembered.
        """
        assemblies: dict[str, FilmAssembly | StoredClips] = {}
        try:
            for job, message in pool.run(jobs, hold=self._must_wait):
                self._tell()
                if self._fatal:
                    return
                if isinstance(message, Progress):
                    self._on_event(BuildEvent("progress", job.path, message.frames, message.seconds, message.shots))
                    continue
                if isinstance(message, Failed):
                    failure = Failure(job.path, message.error, files.get(job.path))
                    self._tasks.put(_Task(assemblies.pop(job.path, None), failed=failure))
                    continue
                assembly = assemblies.get(job.path)
                if assembly is None:
                    assembly = assemblies[job.path] = begin(job.path)
                if isinstance(message, FilmRead | ClipsRead):
                    self._tasks.put(_Task(assemblies.pop(job.path), store=message))
                elif isinstance(message, ShotFound | ClipFound):
                    task = _Task(assembly, add=message)
                    self._count(task.bytes)
                    self._tasks.put(task)
        finally:
            for unfinished in assemblies.values():
                self._tasks.put(_Task(unfinished))

    def _count(self, change: int) -> None:
        with self._counting:
            self._waiting_bytes += change

    def _must_wait(self) -> bool:
        self._tell()
        return self._waiting_bytes > MOST_WAITING_BYTES and not self._fatal

    def _tell(self) -> None:
        while not self._events.empty():
            self._on_event(self._events.get())

    def _finish(self) -> None:
        if self._metadata:
            with self._catalog.write() as session:
                self._result.metadata_unmatched = apply_metadata(session, self._metadata)
        self._write_index()

    # --- in the embedding thread ----------------------------------------------------------------------

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                if self._stopping or self._fatal:
                    if task.assembly:
                        task.assembly.discard()
                    continue
                self._do(task)
                if time.monotonic() - self._index_written > WRITE_INDEX_EVERY_SECONDS:
                    self._write_index()
            except Exception as exc:  # handed to the calling thread, which raises it
                self._fatal = self._fatal or exc
            finally:
                self._count(-task.bytes)

    def _do(self, task: _Task) -> None:
        if task.failed:
            self._fail(task.failed)
        if task.embed is not None and not isinstance(self._encoder, ClipEncoder):
            self._embed(self._encoder, task.embed)
        if task.assembly is None or task.assembly.ended:
            return
        try:
            if task.add:
                task.assembly.add(task.add)
            elif isinstance(task.assembly, StoredClips) and isinstance(task.store, ClipsRead):
                self._embedded(task.assembly.path, task.assembly.store())
            elif isinstance(task.assembly, FilmAssembly) and isinstance(task.store, FilmRead):
                self._store(task.assembly, task.store)
            else:
                task.assembly.discard()
        except EncoderError as exc:
            task.assembly.discard()
            self._fail(Failure(task.assembly.path, f"{task.assembly.path}: {exc}"))

    def _fail(self, failure: Failure) -> None:
        with self._catalog.write() as session:
            record_failure(session, failure)
        self._result.failures.append(failure)
        self._events.put(BuildEvent("failed", failure.path, error=failure.error))

    def _store(self, assembly: FilmAssembly, read: FilmRead) -> None:
        film = assembly.store(read)
        result = self._result
        result.indexed += 1
        result.shots += len(film.shots)
        result.scenes += len(film.scenes)
        result.lost_labels += assembly.lost_labels
        if film.damaged_packets:
            result.damaged[assembly.path] = film.damaged_packets
        counts = (len(film.shots), len(film.scenes), film.damaged_packets)
        self._events.put(BuildEvent("indexed", assembly.path, film.frames, film.duration_seconds, *counts))

    def _embed(self, encoder: StillEncoder, movie_id: int) -> None:
        try:
            path, scenes = embed_movie(self._catalog, encoder, movie_id)
        except (KeyFrameError, CatalogDamagedError, EncoderError) as exc:
            with self._catalog.read() as session:
                path = get_movie(session, movie_id).path
            self._fail(Failure(path, f"{path}: {exc}"))
            return
        self._embedded(path, scenes)

    def _embedded(self, path: str, scenes: int) -> None:
        self._result.embedded += 1
        self._events.put(BuildEvent("embedded", path, scenes=scenes))

    def _write_index(self) -> None:
        self._result.index = write_index(self._catalog, self._stored_encoder, kind=self._index_kind)
        self._index_written = time.monotonic()
