"""Is a catalogue sound, and making sound what can be made again.

Problems are what makes answers wrong or missing; notes are what a person may want to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.errors import CatalogDamagedError, IndexFileError, KeyFrameError
from m2s_index.index_file import REMEDY, Entries, index_state, open_index, stored_vectors
from m2s_index.index_writer import stray_files, write_index
from m2s_index.keyframe_store import KeyFrameReader, keyframe_path
from m2s_index.labels import LostLabel, delete_labels, lost_labels
from m2s_index.matrices import StoredEncoder, decode_matrix, list_encoders
from m2s_index.names import display_path
from m2s_index.reading import Reader
from m2s_index.schema import Base, EmbeddingRow, FeatureRow, MovieRow, SceneRow, ShotRow
from m2s_index.sessions import reader_of
from m2s_index.types import Float32Array

REBUILD = "run 'm2s index repair'"
REINDEX = "run 'm2s index repair', then 'm2s index build' on the film"
NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Problem:
    """Something wrong: what, where, and how to mend it."""

    what: str
    where: str
    remedy: str


@dataclass(frozen=True)
class Verification:
    """What a check found. Notes do not make a catalogue unsound."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def verify_catalog(catalog: Catalog) -> Verification:
    """Check the database's own integrity, every matrix, times, key frames, index files and source files."""
    problems: list[Problem] = []
    notes: list[str] = []
    with catalog.read() as session:
        problems += _database(session)
        if not problems:
            bad = _bad_matrices(session)
            problems += [*_times(session), *_matrices(bad), *_labels(session), *_keyframes(catalog, session)]
            notes += [*_sources(session), *_not_embedded(session)]
            for encoder in list_encoders(reader_of(session)):
                sound = not any(encoder_id == encoder.encoder_id for _, encoder_id in bad)
                found, told = _index(catalog, reader_of(session), encoder, compare=sound)
                problems += found
                notes += told
    notes += [f"a stray file: {path}" for path in stray_files(catalog)]
    return Verification(tuple(problems), tuple(notes))


def repair_catalog(catalog: Catalog) -> Iterator[str]:
    """Make again what is derived; what cannot be made again without the film is marked, so that the next
    build reads the film anew. Yields a line for each thing done.

    Raises:
        CatalogDamagedError: the database itself is damaged.
    """
    with catalog.read() as session:
        broken = _integrity(session)
        if broken:
            raise CatalogDamagedError(f"{broken[0].what}: {broken[0].where}; {broken[0].remedy}")
    with catalog.write() as session:
        for row in _orphans(session):
            session.execute(delete(Base.metadata.tables[row.table]).where(text("rowid = :row")), {"row": row.row})
            yield f"{row}: deleted"
    with catalog.read() as session:
        reread = {movie: where for movie, where, _ in _bad_times(session)} | _unreadable_movies(catalog, session)
        bad = _bad_matrices(session)
    with catalog.write() as session:
        for movie_id, name in reread.items():
            # No file has this fingerprint or these options: the next build takes it for changed.
            session.execute(update(MovieRow).where(MovieRow.id == movie_id).values(fingerprint="", options="{}"))
            yield f"{name}: marked; the next 'm2s index build' on its file reads it anew"
        for (movie_id, encoder_id), name in bad.items():
            for model in (FeatureRow, EmbeddingRow):
                session.execute(delete(model).where(model.movie_id == movie_id, model.encoder_id == encoder_id))
            yield f"{name}: damaged vectors dropped; 'm2s index build' with that encoder makes them again"
        lost = _lost_labels(session)
        delete_labels(session, lost)
        yield from (f"label {label}: deleted" for label in lost)
        encoders = list_encoders(reader_of(session))
    for path in stray_files(catalog):
        path.unlink(missing_ok=True)
        yield f"{path.name}: stray file deleted"
    for encoder in encoders:
        written = write_index(catalog, encoder)
        yield f"index of {encoder.name}: {written.kind}, {written.vectors} scenes ({written.reason})"


def _database(session: Session) -> list[Problem]:
    return _integrity(session) or [
        Problem("a row without its owner", str(row), REBUILD) for row in _orphans(session)
    ]


def _integrity(session: Session) -> list[Problem]:
    try:
        said = list(session.execute(text("PRAGMA integrity_check(20)")).scalars())
    except DatabaseError as exc:
        said = [str(exc.orig)]
    remedy = "restore a backup, or move it away and build again"
    return [Problem("the database is damaged", line, remedy) for line in said if line != "ok"]


@dataclass(frozen=True)
class _Orphan:
    """A row whose owner is gone; ``row`` is its rowid."""

    table: str
    row: int
    owner: str

    def __str__(self) -> str:
        return f"table {self.table}, row {self.row}, owner in {self.owner}"


def _orphans(session: Session) -> list[_Orphan]:
    rows = session.execute(text("PRAGMA foreign_key_check")).all()
    return list(dict.fromkeys(_Orphan(*row[:3]) for row in rows))


def _times(session: Session) -> Iterator[Problem]:
    for _, where, what in _bad_times(session):
        yield Problem(what, where, REINDEX)


def _bad_times(session: Session) -> Iterator[tuple[int, str, str]]:
    """(movie id, where, what is wrong). Shots follow each other without a gap from the film's start to its
    end, scenes lie on them from the first to the last, and the ids of scenes follow each other.
    """
    names = {
        row[0]: row
        for row in session.execute(select(MovieRow.id, MovieRow.name, MovieRow.start_pts, MovieRow.end_pts))
    }
    shots: dict[int, list[tuple[int, int, int]]] = {}
    columns = (ShotRow.movie_id, ShotRow.index, ShotRow.start_pts, ShotRow.end_pts)
    for movie_id, index, start, end in session.execute(select(*columns).order_by(ShotRow.movie_id, ShotRow.index)):
        shots.setdefault(movie_id, []).append((index, start, end))
    for movie_id, (_, name, start_pts, end_pts) in names.items():
        found = shots.get(movie_id, [])
        edges = [start_pts, *(end for _, _, end in found)]
        in_order = all(
            shot == (number, before, shot[2]) and before < shot[2]
            for number, (shot, before) in enumerate(zip(found, edges, strict=False))
        )
        if not found or not in_order or edges[-1] != end_pts:
            yield movie_id, name, "shots that are not in order or leave the film"
    scenes: dict[int, list[tuple[int, int, int, int]]] = {movie_id: [] for movie_id in names}
    spans = (SceneRow.movie_id, SceneRow.id, SceneRow.index, SceneRow.first_shot, SceneRow.end_shot)
    for movie_id, *span in session.execute(select(*spans).order_by(SceneRow.movie_id, SceneRow.index)):
        scenes[movie_id].append((span[0], span[1], span[2], span[3]))
    for movie_id, of_movie in scenes.items():
        name, count = names[movie_id][1], len(shots.get(movie_id, ()))
        beyond = [index for _, index, first, end in of_movie if not 0 <= first < end <= count]
        for index in beyond:
            yield movie_id, f"{name}#{index}", "a scene of shots that are not there"
        in_order = all(
            (scene_id - of_movie[0][0], index) == (number, number)
            for number, (scene_id, index, _, _) in enumerate(of_movie)
        )
        if not of_movie or not in_order or (not beyond and (of_movie[0][2], of_movie[-1][3]) != (0, count)):
            yield movie_id, name, "scenes that are missing or not in order"


def _matrices(bad: dict[tuple[int, int], str]) -> Iterator[Problem]:
    for name in bad.values():
        yield Problem("vectors that are damaged", name, f"{REBUILD}, then 'm2s index build'")


def _bad_matrices(session: Session) -> dict[tuple[int, int], str]:
    """(movie id, encoder id) of matrices of wrong shape or size, not finite or not normalised, or without
    the other one of the two that belong together, with a name.
    """
    encoders = {encoder.encoder_id: encoder for encoder in list_encoders(reader_of(session))}
    counts: dict[type[FeatureRow] | type[EmbeddingRow], dict[int, int]] = {
        FeatureRow: _count(session, ShotRow.movie_id),
        EmbeddingRow: _count(session, SceneRow.movie_id),
    }
    first_ids = _first_scene_ids(session)
    found: dict[tuple[int, int], str] = {}
    bad, alone = {}, set[tuple[int, int]]()
    for model, expected in counts.items():
        query = select(model, MovieRow.name).join(MovieRow, MovieRow.id == model.movie_id)
        found_rows: Iterable[Any] = session.execute(query.execution_options(yield_per=16))
        for row, name in found_rows:
            encoder = encoders[row.encoder_id]
            sound = row.rows == expected.get(row.movie_id, 0) and row.columns == encoder.identity.dimension
            sound = sound and _sound(row, encoder)
            if isinstance(row, EmbeddingRow):
                sound = sound and row.first_scene_id == first_ids.get(row.movie_id)
            key = row.movie_id, row.encoder_id
            found[key] = f"{name} by {encoder.name}"
            alone ^= {key}
            if not sound:
                bad[key] = found[key]
            session.expunge(row)
    return bad | {key: found[key] for key in alone}


def _sound(row: FeatureRow | EmbeddingRow, encoder: StoredEncoder) -> bool:
    try:
        matrix = decode_matrix(row.data, row.rows, row.columns, row.dtype, "")
    except CatalogDamagedError:
        return False
    if not np.isfinite(matrix).all():
        return False
    if isinstance(row, FeatureRow) or encoder.identity.metric != "cosine":
        return True
    norms = np.linalg.norm(matrix, axis=1)
    return bool((np.abs(norms - 1) < NORM_TOLERANCE).all())


def _count(session: Session, column: object) -> dict[int, int]:
    rows = session.execute(select(column, func.count()).group_by(column))  # type: ignore[call-overload]
    return {int(row[0]): int(row[1]) for row in rows}


def _first_scene_ids(session: Session) -> dict[int, int]:
    rows = session.execute(select(SceneRow.movie_id, SceneRow.id).where(SceneRow.index == 0))
    return {int(row[0]): int(row[1]) for row in rows}


def _labels(session: Session) -> Iterator[Problem]:
    for label in _lost_labels(session):
        yield Problem("a label of what its film does not have", str(label), f"{REBUILD}, which deletes it")


def _lost_labels(session: Session) -> list[LostLabel]:
    films = session.execute(select(MovieRow.id, MovieRow.start_pts, MovieRow.end_pts, MovieRow.time_base))
    return lost_labels(session, {movie_id: float((end - start) * base) for movie_id, start, end, base in films})


def _keyframes(catalog: Catalog, session: Session) -> Iterator[Problem]:
    for name in _unreadable_movies(catalog, session).values():
        yield Problem("key frames that are missing or damaged", name, REINDEX)


def _unreadable_movies(catalog: Catalog, session: Session) -> dict[int, str]:
    """Movies whose key-frame file is missing, of another size or incomplete."""
    shots = _count(session, ShotRow.movie_id)
    unreadable = {}
    rows = session.execute(select(MovieRow.id, MovieRow.name, MovieRow.keyframes_file, MovieRow.keyframes_bytes))
    for movie_id, name, file, size in rows:
        try:
            with KeyFrameReader(catalog.keyframes_folder, file) as reader:
                whole = keyframe_path(catalog.keyframes_folder, file).stat().st_size == size and reader.is_whole()
                if not whole or reader.pictures < shots.get(movie_id, 0):
                    unreadable[movie_id] = name
        except KeyFrameError:
            unreadable[movie_id] = name
    return unreadable


def _index(
    catalog: Catalog, reader: Reader, encoder: StoredEncoder, *, compare: bool
) -> tuple[list[Problem], list[str]]:
    """Whether the index file can be used, and, with ``compare``, whether it holds the database's vectors."""
    state = index_state(reader, encoder)
    where = f"index of {encoder.name}"
    if not len(state.embeddings) and state.file is None:
        return [], []
    notes = []
    if len(state.fresh) or len(state.gone):
        fresh, gone = state.fresh.scenes, state.gone.scenes
        notes.append(
            f"{where}: {fresh} scenes are newer than the file, {gone} were removed since; both are allowed for"
        )
    try:
        opened = open_index(catalog, encoder)
    except IndexFileError as exc:
        return [
            Problem("an index file that cannot be used", f"{where}: {exc}".removesuffix(f": {REMEDY}"), REBUILD)
        ], notes
    ids = opened.entries.less(state.gone).scene_ids
    sample = ids[:: max(1, len(ids) // 1000)]
    if compare and opened.index.keeps_rows and len(sample):
        stored = _vectors_of(reader, state.embeddings, {int(i) for i in sample})
        held = opened.index.rows(sample)
        if not np.allclose(held, np.stack([stored[int(i)] for i in sample]), atol=1e-6):
            return [Problem("an index file whose vectors are not the database's", where, REBUILD)], notes
    return [], notes


def _vectors_of(reader: Reader, entries: Entries, wanted: set[int]) -> dict[int, Float32Array]:
    found: dict[int, Float32Array] = {}
    for part in stored_vectors(reader, entries):
        for scene_id, vector in zip(part.scene_ids, part.vectors, strict=True):
            if int(scene_id) in wanted:
                found[int(scene_id)] = vector
    return found


def _not_embedded(session: Session) -> Iterator[str]:
    movies = set(session.scalars(select(MovieRow.id)))
    for encoder in list_encoders(reader_of(session)):
        have = select(EmbeddingRow.movie_id).where(EmbeddingRow.encoder_id == encoder.encoder_id)
        if lacking := len(movies.difference(session.scalars(have))):
            yield (
                f"{lacking} of {len(movies)} films have no embeddings by {encoder.name}: "
                f"make them with 'm2s index build --encoder {encoder.identity.name}'"
            )


def _sources(session: Session) -> Iterator[str]:
    for path, size, modified in session.execute(select(MovieRow.path, MovieRow.size_bytes, MovieRow.modified_ns)):
        try:
            status = Path(path).stat()
        except OSError:
            yield f"source file gone or moved: {display_path(path)}"
            continue
        if (status.st_size, status.st_mtime_ns) != (size, modified):
            yield f"source file changed: {display_path(path)}"
