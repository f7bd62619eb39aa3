"""What a build will do: which files are films, which of them are new, and about what that will cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.cut_lists import LIST_PREFIX, find_list, list_name, read_cut_list
from m2s_index.errors import UsageError, VideoError
from m2s_index.failures import Failure, list_failures
from m2s_index.files import find_candidates, full_path, identify
from m2s_index.movies import move_movie, remove_movie
from m2s_index.schema import MovieRow
from m2s_index.settings import options_text
from m2s_index.shots import Boundary
from m2s_index.types import BuildOptions, FileIdentity, VideoInfo
from m2s_index.wire import Failed, Job
from m2s_index.workers import WorkerPool

DECODED_PX_PER_SECOND = 150e6
"""What one core decodes of H.264, cautiously: only used to estimate."""
SHOTS_PER_HOUR = 1200
KEYFRAME_BYTES = 26_000
"""Size of one stored key frame at the default 544 pixels: only used to estimate, until there are films."""


@dataclass(frozen=True)
class PlannedFilm:
    """A film to be read. ``replaces`` is the movie id of what an earlier version of the file gave;
    ``cuts`` say where its shots begin, and with what, where there is a cut list.
    """

    file: FileIdentity
    info: VideoInfo
    replaces: int | None
    options: BuildOptions
    cuts: tuple[Boundary, ...] | None = None


@dataclass(frozen=True)
class MovedFilm:
    """A film of the catalogue that is now somewhere else."""

    movie_id: int
    file: FileIdentity


@dataclass(frozen=True)
class BuildPlan:
    """What there is to do. ``unchanged`` are movie ids; ``copies`` (path, path of the film it copies).

    ``touched`` are films whose file has another time, but the same content.
    """

    films: tuple[PlannedFilm, ...] = ()
    unchanged: tuple[int, ...] = ()
    moved: tuple[MovedFilm, ...] = ()
    touched: tuple[MovedFilm, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()
    failures: tuple[Failure, ...] = ()
    other_files: int = 0

    @property
    def hours(self) -> float:
        """Hours of video to be read."""
        return sum(film.info.duration_seconds or 0.0 for film in self.films) / 3600

    def estimated_seconds(self, workers: int, seconds_per_frame: float, frames_per_shot: int) -> float:
        """About how long a build takes: decoding spread over ``workers``, embedding beside it."""
        decode = sum(
            (f.info.duration_seconds or 0.0) * float(f.info.frame_rate) * f.info.width_px * f.info.height_px
            for f in self.films
        )
        embed = self.hours * SHOTS_PER_HOUR * frames_per_shot * seconds_per_frame
        return max(decode / DECODED_PX_PER_SECOND / max(1, workers), embed)

    def estimated_bytes(self, bytes_per_hour: float | None, frames_per_shot: int) -> int:
        """About how much disk it takes; ``bytes_per_hour`` is what the catalogue's films took."""
        per_hour = bytes_per_hour or SHOTS_PER_HOUR * KEYFRAME_BYTES * frames_per_shot
        return round(self.hours * per_hour)


class _Planner:
    """Sorts files into what a plan holds."""

    def __init__(
        self, known: list[MovieRow], failed: list[Failure], options: BuildOptions, shots_from: Path | None
    ) -> None:
        self._options, self._shots_from = options, shots_from
        self._failed = {failure.path: failure for failure in failed}
        self._by_path = {row.path: row for row in known}
        self._by_fingerprint = {row.fingerprint: row for row in known}
        self._planned: dict[str, str] = {}
        self._new_home: dict[int, str] = {}
        self._to_read: list[tuple[FileIdentity, int | None, bool]] = []
        self.unchanged: list[int] = []
        self.moved: list[MovedFilm] = []
        self.touched: list[MovedFilm] = []
        self.copies: list[tuple[str, str]] = []
        self.twins: list[tuple[tuple[str, str], bool]] = []
        """Copies of files that are yet to be probed, and whether they claim to be film."""
        self.failures: list[Failure] = []

    def add(self, path: Path, claims_video: bool) -> None:
        row = self._by_path.get(full_path(path))
        if row and self._looks_the_same(row, path) and self._cut_the_same(row, path):
            self.unchanged.append(row.id)
            return
        if (failure := self._failed.get(full_path(path))) and self._looks_the_same(failure.file, path):
            self.failures.append(failure)
            return
        file = identify(path)
        twin = self._by_fingerprint.get(file.fingerprint)
        if row and row.fingerprint == file.fingerprint:
            self.touched.append(MovedFilm(row.id, file))
            self._again(row, file, claims_video)
        elif twin and (home := self._home(twin)):
            self.copies.append((file.path, home))
        elif twin:
            self.moved.append(MovedFilm(twin.id, file))
            self._new_home[twin.id] = file.path
            self._again(twin, file, claims_video)
        elif file.fingerprint in self._planned:
            self.twins.append(((file.path, self._planned[file.fingerprint]), claims_video))
        else:
            self._read(file, row.id if row else None, claims_video)

    def to_probe(self) -> list[tuple[FileIdentity, int | None, bool]]:
        """Files to be read: what each of them replaces, and whether it claims to be film."""
        return [
            # A film that was moved away is not replaced by what is now in its old place.
            (file, None if self._new_home.get(old or 0, file.path) != file.path else old, claims_video)
            for file, old, claims_video in self._to_read
        ]

    def _home(self, row: MovieRow) -> str | None:
        """Where a film of the catalogue is now, as far as is known; None where its file has gone or changed."""
        if row.id in self._new_home:
            return self._new_home[row.id]
        path = Path(row.path)
        try:
            there = self._looks_the_same(row, path) or identify(path).fingerprint == row.fingerprint
        except (VideoError, OSError):
            return None
        return row.path if there else None

    def _again(self, row: MovieRow, file: FileIdentity, claims_video: bool) -> None:
        """A file whose content is known: read again only if shots and scenes are to be cut otherwise."""
        if self._cut_the_same(row, Path(file.path)):
            self.unchanged.append(row.id)
        else:
            self._read(file, row.id, claims_video)

    def _read(self, file: FileIdentity, replaces: int | None, claims_video: bool) -> None:
        self._planned[file.fingerprint] = file.path
        self._to_read.append((file, replaces, claims_video))

    def options_for(self, path: Path) -> BuildOptions:
        """The options for one film: those of the build, its detector replaced by the film's cut list."""
        cut_list = find_list(self._shots_from, path) if self._shots_from else None
        return replace(self._options, detector=list_name(cut_list)) if cut_list else self._options

    def planned(self, file: FileIdentity, info: VideoInfo, replaces: int | None) -> PlannedFilm:
        """A film to be read.

        Raises:
            UsageError: its cut list cannot be read, or is not of this film.
        """
        path = Path(file.path)
        cut_list = find_list(self._shots_from, path) if self._shots_from else None
        cuts = read_cut_list(cut_list, info).boundaries if cut_list else None
        return PlannedFilm(file, info, replaces, self.options_for(path), cuts)

    def _cut_the_same(self, row: MovieRow, path: Path) -> bool:
        """Whether the film's shots and scenes would come out as they are."""
        wanted = self.options_for(path)
        if self._shots_from is None and row.detector.startswith(LIST_PREFIX):
            # Shots that came from a list stay until another list or detector is asked for.
            wanted = replace(wanted, detector=row.detector)
        return row.options == options_text(wanted)

    @staticmethod
    def _looks_the_same(known: MovieRow | FileIdentity | None, path: Path) -> bool:
        status = path.stat()
        return known is not None and (status.st_size, status.st_mtime_ns) == (known.size_bytes, known.modified_ns)


def plan_build(
    catalog: Catalog | None,
    paths: Iterable[Path],
    options: BuildOptions,
    pool: WorkerPool,
    *,
    shots_from: Path | None = None,
    retry_failed: bool = False,
    on_file: Callable[[int], None] = lambda count: None,
) -> BuildPlan:
    """Look at every file under ``paths``; films are opened, and none of their frames decoded.

    Args:
        catalog: what is known already; None where there is no catalogue yet.
        shots_from: a cut list, or a folder of them by the films' stems; films without one are looked at.
        retry_failed: also read the files that could not be read before and have not changed since; else
            they are failures again, without being opened.
        on_file: called with the number of files looked at so far.
    """
    known: list[MovieRow] = []
    failed: list[Failure] = []
    if catalog is not None:
        with catalog.read() as session:
            known = list(session.scalars(select(MovieRow)))
            failed = [] if retry_failed else list_failures(session)
            session.expunge_all()
    planner = _Planner(known, failed, options, shots_from)
    failures = planner.failures
    other_files = 0

    def fail(path: Path | str, error: str, file: FileIdentity | None = None) -> None:
        failures.append(Failure(str(path), error, file))

    found = find_candidates(paths, on_error=fail)
    for count, candidate in enumerate(found, start=1):
        on_file(count)
        try:
            planner.add(candidate.path, candidate.claims_video)
        except (VideoError, OSError) as exc:
            if candidate.claims_video:
                fail(candidate.path, str(exc))
            else:
                other_files += 1
    films, others = [], set()
    jobs = {file.path: (file, replaces, claims) for file, replaces, claims in planner.to_probe()}
    for job, message in pool.run(Job("probe", path, options) for path in jobs):
        file, replaces, claims_video = jobs[job.path]
        if isinstance(message, VideoInfo):
            try:
                films.append(planner.planned(file, message, replaces))
            except UsageError as exc:
                fail(job.path, f"{job.path}: {exc}")
        elif isinstance(message, Failed) and (claims_video or not message.no_video):
            fail(job.path, message.error, file)
        else:
            others.add(job.path)
    copies = planner.copies
    for (path, original), claims_video in planner.twins:
        if original not in others:
            copies.append((path, original))
        elif claims_video:
            fail(path, f"{path}: holds no film, as {original}, of which it is a copy")
        else:
            other_files += 1
    # Workers answer in any order; ids follow the order of the files.
    order = {path: number for number, path in enumerate(jobs)}
    films.sort(key=lambda film: order[film.file.path])
    return BuildPlan(
        films=tuple(films),
        unchanged=tuple(planner.unchanged),
        moved=tuple(planner.moved),
        touched=tuple(planner.touched),
        copies=tuple(copies),
        failures=tuple(failures),
        other_files=other_files + len(others),
    )


def note_moves(session: Session, plan: BuildPlan) -> None:
    """Write the new paths of films that moved, and the new times of those that were touched.

    A film whose file was overwritten by one that moved is gone, and is taken out.
    """
    moved = {film.movie_id: film.file.path for film in plan.moved}
    for path in moved.values():
        overwritten = session.scalar(select(MovieRow.id).where(MovieRow.path == path))
        if overwritten is not None and overwritten not in moved:
            remove_movie(session, overwritten)
    for movie_id in moved:
        # First out of each other's way: films may have changed places.
        session.execute(update(MovieRow).where(MovieRow.id == movie_id).values(path=f"moving {movie_id}"))
    for film in (*plan.moved, *plan.touched):
        move_movie(session, film.movie_id, film.file.path, film.file.modified_ns)


def plan_stored(catalog: Catalog) -> BuildPlan:
    """A plan that reads no film: all that the catalogue has is unchanged, and may lack an encoder."""
    with catalog.read() as session:
        return BuildPlan(unchanged=tuple(session.scalars(select(MovieRow.id).order_by(MovieRow.id))))
