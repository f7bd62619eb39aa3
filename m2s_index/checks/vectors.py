"""Whether encoders, matrices and index files are what they were when they were written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.errors import CatalogDamagedError, IndexFileError
from m2s_index.index_file import IndexState, OpenedIndex, index_state, open_index, stored_vectors
from m2s_index.matrices import StoredEncoder, decode_matrix, identity_key, stored_encoder
from m2s_index.reading import Reader

NORM_TOLERANCE = 1e-3
ROW_TOLERANCE = 1e-6

_FEATURES = "SELECT movie_id, encoder_id, NULL, rows, columns, dtype, data FROM features"
_EMBEDDINGS = "SELECT movie_id, encoder_id, first_scene_id, rows, columns, dtype, data FROM embeddings"

Matrix = tuple[int, int]
"""Movie id and encoder id: what a movie's two matrices by one encoder are known by."""


def encoders_by_state(reader: Reader) -> tuple[list[StoredEncoder], dict[int, str]]:
    """Encoders whose record is sound, and the names of the others, by id."""
    sound, bad = [], {}
    for encoder_id, name, identity, key in reader.rows("SELECT id, name, identity, key FROM encoders ORDER BY id"):
        try:
            encoder = stored_encoder(encoder_id, name, identity)
        except CatalogDamagedError:
            encoder = None
        if encoder and identity_key(encoder.identity) == key:
            sound.append(encoder)
        else:
            bad[encoder_id] = name
    return sound, bad


def bad_matrices(reader: Reader, encoders: list[StoredEncoder]) -> dict[Matrix, str]:
    """Matrices of wrong shape or size, not finite or not normalised, not of these scenes, or without the other
    one of the two that belong together: with a name to show. An encoder that sees whole scenes has embeddings
    of scenes alone, in every film.
    """
    known = {encoder.encoder_id: encoder for encoder in encoders}
    movies = dict(reader.rows("SELECT id, name FROM movies"))
    shots = dict(reader.rows("SELECT movie_id, count(*) FROM shots GROUP BY movie_id"))
    counted = reader.rows("SELECT movie_id, count(*), min(id) FROM scenes GROUP BY movie_id")
    scenes = {movie_id: (count, first) for movie_id, count, first in counted}
    bad: dict[Matrix, str] = {}
    alone: dict[Matrix, str] = {}
    for query in (_FEATURES, _EMBEDDINGS):
        of_scenes = query is _EMBEDDINGS
        for movie_id, encoder_id, first_scene, *matrix in reader.rows(query):
            if movie_id not in movies or encoder_id not in known:
                continue
            encoder = known[encoder_id]
            key, name = (movie_id, encoder_id), f"{movies[movie_id]} by {encoder.name}"
            expected = scenes.get(movie_id, (0, None)) if of_scenes else (shots.get(movie_id, 0), None)
            if (matrix[0], first_scene) != expected or not _is_sound(matrix, encoder, of_scenes):
                bad[key] = name
            if alone.pop(key, None) is None:
                alone[key] = name
    of_shots = set(reader.ids("SELECT DISTINCT encoder_id FROM features").tolist())
    return bad | {key: name for key, name in alone.items() if key[1] in of_shots}


def _is_sound(matrix: list[Any], encoder: StoredEncoder, of_scenes: bool) -> bool:
    rows, columns, dtype, data = matrix
    try:
        vectors = decode_matrix(data, rows, columns, dtype, "")
    except (CatalogDamagedError, ValueError):
        return False
    if columns != encoder.identity.dimension or not np.isfinite(vectors).all():
        return False
    if not of_scenes or encoder.identity.metric != "cosine":
        return True
    # In double precision: damage may stand for numbers whose square is beyond the single one.
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    # A picture of one colour has no direction: its row is zero.
    return bool(((np.abs(norms - 1) < NORM_TOLERANCE) | (norms == 0)).all())


def index_faults(
    catalog: Catalog, reader: Reader, encoder: StoredEncoder, bad: dict[Matrix, str]
) -> tuple[str | None, dict[Matrix, str], list[str]]:
    """How an encoder's index file stands to the database.

    Returns:
        Why it cannot be used, or None; movies of which it holds other vectors than the database, by name (no
        telling which are right); and notes.
    """
    state = index_state(reader, encoder)
    if not len(state.embeddings) and state.file is None:
        return None, {}, []
    notes = []
    if len(state.fresh) or len(state.gone):
        notes.append(
            f"index of {encoder.name}: {state.fresh.scenes} scenes are newer than the file, "
            f"{state.gone.scenes} were removed since; both are allowed for"
        )
    if np.isin(state.gone.scene_ids, state.embeddings.scene_ids).any():
        return "is recorded wrongly", {}, notes
    try:
        opened = open_index(catalog, encoder)
    except IndexFileError as exc:
        return str(exc), {}, notes
    return None, dict(_other_vectors(reader, encoder, state, opened, bad)), notes


def _other_vectors(
    reader: Reader, encoder: StoredEncoder, state: IndexState, opened: OpenedIndex, bad: dict[Matrix, str]
) -> Iterator[tuple[Matrix, str]]:
    """Movies of which an index file that keeps its vectors holds others than the database."""
    if not opened.index.keeps_rows:
        return
    names = dict(reader.rows("SELECT id, name FROM movies"))
    entries = state.embeddings.less(state.fresh)
    sound = np.array([(movie, encoder.encoder_id) not in bad for movie in entries.movie_ids.tolist()], np.bool_)
    entries = entries.only(sound)
    for movie_id, part in zip(entries.movie_ids.tolist(), stored_vectors(reader, entries), strict=True):
        if not np.allclose(opened.index.rows(part.scene_ids), part.vectors, atol=ROW_TOLERANCE):
            yield (movie_id, encoder.encoder_id), f"{names[movie_id]} by {encoder.name}"
