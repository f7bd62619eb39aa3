"""Is a catalogue sound? Problems make answers wrong or missing; notes are what a person may want to know."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from m2s_index.catalog import DATABASE_NAME, Catalog
from m2s_index.checks.films import film_faults, marked_films
from m2s_index.checks.values import missing_columns, wrong_values
from m2s_index.checks.vectors import bad_matrices, encoders_by_state, index_faults
from m2s_index.errors import CatalogDamagedError, KeyFrameError
from m2s_index.index_file import REMEDY
from m2s_index.index_writer import stray_files
from m2s_index.keyframe_store import KeyFrameReader, StoredKeyFrames, keyframe_path, stored_keyframes
from m2s_index.lock import LOCK_NAME
from m2s_index.lost_labels import LostLabel, lost_labels
from m2s_index.matrices import StoredEncoder
from m2s_index.names import display_path
from m2s_index.reading import Reader
from m2s_index.types import BuildOptions

RESTORE = "restore a backup, or move it away and build again"
REBUILD = "run 'm2s index repair'"
REINDEX = "run 'm2s index repair', then 'm2s index build' on the film"
MOST_DAMAGE = 20
"""Of a damaged database no more is told: it cannot be mended."""
EMBED = "run 'm2s index repair', then 'm2s index build' with that encoder"


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


def verify_folder(folder: Path) -> Verification:
    """``verify_catalog`` of a folder's catalogue; damage that keeps it from being read is a problem too.

    Raises:
        CatalogError: there is none, or it cannot be opened for a reason other than damage.
    """
    try:
        with Catalog.open(folder) as catalog:
            return verify_catalog(catalog)
    except CatalogDamagedError as exc:
        where, _, remedy = str(exc).rpartition(": ")
        return Verification((Problem("the catalogue cannot be read", where, remedy),), ())


def verify_catalog(catalog: Catalog) -> Verification:
    """Check the database's own integrity, what it says of films, encoders and labels, every matrix, key frames,
    index files and source files.
    """
    with catalog.reader() as reader:
        problems = [
            Problem("the database is damaged", f"{DATABASE_NAME}: {line}", RESTORE) for line in integrity(reader)
        ]
        problems = problems or [
            Problem("a value of the wrong kind", str(wrong), REBUILD) for wrong in wrong_values(reader)
        ]
        if problems:
            return Verification(tuple(problems), ("nothing else was checked: that has to be mended first",))
        encoders, bad_encoders = encoders_by_state(reader)
        bad = bad_matrices(reader, encoders)
        problems += [Problem("a row without its owner", str(row), REBUILD) for row in orphans(reader)]
        problems += [Problem(fault.what, fault.where, REINDEX) for fault in film_faults(reader)]
        problems += [Problem("an encoder whose record is damaged", n, EMBED) for n in bad_encoders.values()]
        problems += [Problem("vectors that are damaged", name, EMBED) for name in bad.values()]
        problems += [Problem("a setting that makes no sense", key, REBUILD) for key in bad_settings(reader)]
        for label in misplaced_labels(reader):
            problems.append(Problem("a label of what its film does not have", str(label), f"{REBUILD}: it goes"))
        for name in unreadable_films(catalog, reader).values():
            problems.append(Problem("key frames that are missing or damaged", name, REINDEX))
        notes = [f"{name} is to be read anew: run 'm2s index build' on its file" for name in marked_films(reader)]
        notes += [*_sources(reader), *_not_embedded(reader, encoders)]
        for encoder in encoders:
            error, others, told = index_faults(catalog, reader, encoder, bad)
            if error:
                where = f"index of {encoder.name}: {error}".removesuffix(f": {REMEDY}")
                problems.append(Problem("an index file that cannot be used", where, REBUILD))
            problems += [Problem("vectors that are not those of the index file", n, EMBED) for n in others.values()]
            notes += told
        notes += [f"a stray file: {path}" for path in stray_files(catalog)]
    lock = catalog.folder / LOCK_NAME
    if lock.is_symlink() or (lock.exists() and not lock.is_file()):
        problems.append(Problem("something else where the lock belongs", str(lock), "delete it"))
    return Verification(tuple(problems), tuple(notes))


def integrity(reader: Reader) -> list[str]:
    """What SQLite itself finds wrong with its file, and what it lacks of the schema."""
    try:
        broken = [line for line in reader.texts(f"PRAGMA integrity_check({MOST_DAMAGE})") if line != "ok"]
        return broken or list(missing_columns(reader))
    except sqlite3.DatabaseError as exc:
        return [str(exc)]


@dataclass(frozen=True)
class Orphan:
    """A row whose owner is gone; ``row`` is its rowid."""

    table: str
    row: int
    owner: str

    def __str__(self) -> str:
        return f"table {self.table}, row {self.row}, owner in {self.owner}"


def orphans(reader: Reader) -> list[Orphan]:
    """Rows whose owner is gone."""
    return list(dict.fromkeys(Orphan(*row[:3]) for row in reader.rows("PRAGMA foreign_key_check")))


def bad_settings(reader: Reader) -> list[str]:
    """Names of settings that cannot be: options that are none, a default encoder that is not there."""
    bad, encoders = [], set(reader.ids("SELECT id FROM encoders").tolist())
    for key, value in reader.rows("SELECT key, value FROM settings ORDER BY key"):
        try:
            if key == "build_options":
                BuildOptions(**json.loads(value))
            elif key == "default_encoder" and int(value) not in encoders:
                bad.append(key)
        except (TypeError, ValueError):
            bad.append(str(key))
    return bad


def misplaced_labels(reader: Reader) -> list[LostLabel]:
    """Labels of times that their films do not have."""
    return lost_labels(reader, dict(reader.rows("SELECT movie_id, max(end_seconds) FROM scenes GROUP BY movie_id")))


def unreadable_films(catalog: Catalog, reader: Reader) -> dict[int, str]:
    """Movies whose key-frame file is missing or not the one that was written: by id, with their names."""
    shots = dict(reader.rows("SELECT movie_id, count(*) FROM shots GROUP BY movie_id"))
    unreadable = {}
    for movie_id, name, fingerprint, file, size, sha256 in reader.rows(
        "SELECT id, name, fingerprint, keyframes_file, keyframes_bytes, keyframes_sha256 FROM movies"
    ):
        # The file's name begins as the fingerprint of the film that it was made from.
        sound = str(file).startswith(str(fingerprint)[:16])
        try:
            sound &= _are_those_written(catalog.keyframes_folder, str(file), size, sha256, shots.get(movie_id, 0))
        except (KeyFrameError, OSError):
            sound = False
        if not sound:
            unreadable[movie_id] = str(name)
    return unreadable


def _are_those_written(folder: Path, file: str, size: int, sha256: str | None, shots: int) -> bool:
    path = keyframe_path(folder, file)
    if sha256 is not None:
        return stored_keyframes(path) == StoredKeyFrames(size, sha256)
    # Written before checksums were recorded: the ZIP has one for each picture.
    with KeyFrameReader(folder, file) as frames:
        return path.stat().st_size == size and frames.is_whole() and frames.pictures >= shots


def _not_embedded(reader: Reader, encoders: list[StoredEncoder]) -> Iterator[str]:
    movies = reader.value("SELECT count(*) FROM movies")
    for encoder in encoders:
        have = reader.value(
            "SELECT count(*) FROM movies WHERE id IN (SELECT movie_id FROM embeddings WHERE encoder_id = ?)",
            (encoder.encoder_id,),
        )
        if have < movies:
            yield (
                f"{movies - have} of {movies} films have no embeddings by {encoder.name}: "
                f"make them with 'm2s index build --encoder {encoder.identity.name}'"
            )


def _sources(reader: Reader) -> Iterator[str]:
    for stored, size, modified in reader.rows("SELECT path, size_bytes, modified_ns FROM movies ORDER BY id"):
        path = os.fsdecode(stored)
        try:
            status = Path(path).stat()
        except (OSError, ValueError):
            yield f"source file gone or moved: {display_path(path)}"
            continue
        if (status.st_size, status.st_mtime_ns) != (size, modified):
            yield f"source file changed: {display_path(path)}"
