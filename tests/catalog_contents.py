"""All that a catalogue says of its films, by file name and scene index: equal for equal builds, to the bit."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

_SCENES = "first_shot, end_shot, start_pts, end_pts, start_seconds, end_seconds"


def contents(folder: Path) -> dict[str, dict[str, Any]]:
    """Per film: facts, shots, scenes, labels, matrices by encoder, and the checksum of its key frames."""
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as db:
        films = db.execute(
            "SELECT id, path, title, year, fingerprint, frames, start_pts, end_pts, options, keyframes_file "
            "FROM movies"
        ).fetchall()
        return {Path(row[1].decode()).name: _film(db, folder, *row) for row in films}


def _film(db: sqlite3.Connection, folder: Path, movie_id: int, path: bytes, *facts: Any) -> dict[str, Any]:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return db.execute(query, (movie_id,)).fetchall()

    frames = folder / "keyframes" / facts[-1]
    matrix = (
        "SELECT e.identity, m.rows, m.columns, m.dtype, m.data FROM {} m JOIN encoders e ON e.id = m.encoder_id"
    )
    return {
        "facts": facts[:-1],
        "shots": rows('SELECT * FROM shots WHERE movie_id = ? ORDER BY "index"'.replace("*", _SHOTS)),
        "scenes": rows(f'SELECT "index", {_SCENES} FROM scenes WHERE movie_id = ? ORDER BY "index"'),
        "labels": rows("SELECT start_seconds, end_seconds, vocabulary, value FROM labels WHERE movie_id = ?"),
        "genres": rows("SELECT genre FROM movie_genres WHERE movie_id = ? ORDER BY genre"),
        "features": rows(f"{matrix.format('features')} WHERE m.movie_id = ? ORDER BY e.identity"),
        "embeddings": rows(f"{matrix.format('embeddings')} WHERE m.movie_id = ? ORDER BY e.identity"),
        "keyframes": hashlib.sha256(frames.read_bytes()).hexdigest() if frames.exists() else None,
    }


_SHOTS = '"index", start_frame, end_frame, start_pts, end_pts, transition, keyframe_pts'


def sql(folder: Path, *statements: str, foreign_keys: bool = True) -> list[tuple[Any, ...]]:
    """Run statements on a catalogue behind its back; returns the rows of the last one."""
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as db:
        db.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            rows = db.execute(statement).fetchall()
        db.commit()
        return rows
