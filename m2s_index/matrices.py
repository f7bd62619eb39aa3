"""Encoders and their matrices in the catalogue: shot features and scene embeddings, one matrix a movie.

Reading alone, which a search does; ``matrix_writer`` writes them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from m2s_index.errors import CatalogDamagedError, CatalogError, UsageError
from m2s_index.reading import Reader
from m2s_index.types import EncoderIdentity, Float32Array, Metric

DTYPES: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}
"""What a matrix may be stored as: by name, little-endian."""
MatrixTable = Literal["features", "embeddings"]
"""Where a film's matrices are: one row a shot, one row a scene."""


@dataclass(frozen=True)
class StoredEncoder:
    """An encoder that the catalogue knows. ``name`` is unique in the catalogue."""

    encoder_id: int
    name: str
    identity: EncoderIdentity


def identity_key(identity: EncoderIdentity) -> str:
    """SHA-256 of the identity as canonical JSON: equal where vectors are comparable."""
    return hashlib.sha256(identity_text(identity).encode()).hexdigest()


def identity_text(identity: EncoderIdentity) -> str:
    """The identity as canonical JSON."""
    return json.dumps(identity.as_dict(), sort_keys=True)


def list_encoders(reader: Reader) -> list[StoredEncoder]:
    """The catalogue's encoders by id."""
    return [stored_encoder(*row) for row in reader.rows("SELECT id, name, identity FROM encoders ORDER BY id")]


def default_encoder(reader: Reader) -> StoredEncoder | None:
    """The one that is used where none is named, or None before the first build."""
    row = reader.first(
        "SELECT id, name, identity FROM encoders "
        "WHERE id = (SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'default_encoder')"
    )
    return stored_encoder(*row) if row else None


def find_encoder(reader: Reader, name: str | None) -> StoredEncoder:
    """The encoder of that name, or the default.

    Raises:
        UsageError: the catalogue lacks it; the message names those it has.
        CatalogDamagedError: it has encoders, and a default that is none of them.
    """
    if name is None and (default := default_encoder(reader)):
        return default
    known = list_encoders(reader)
    names = ", ".join(encoder.name for encoder in known) or "none"
    if name is None:
        if known:
            raise CatalogDamagedError(
                f"the catalogue's default encoder is not there (it has: {names}): run 'm2s index repair'"
            )
        raise UsageError("the catalogue has no embeddings yet: run 'm2s index build PATH' first")
    for encoder in known:
        if encoder.name == name:
            return encoder
    raise UsageError(
        f"the catalogue has no embeddings by encoder '{name}' (it has: {names}); 'm2s encoders list' names "
        f"those there are, 'm2s index build --encoder NAME' makes them"
    )


def decode_matrix(data: bytes, rows: int, columns: int, dtype: str, where: str) -> Float32Array:
    """A stored matrix as float32 [rows, columns].

    Raises:
        CatalogDamagedError: its size does not fit its shape, or its dtype is unknown.
    """
    kind = DTYPES.get(dtype)
    if kind is None or len(data) != rows * columns * kind.itemsize:
        raise CatalogDamagedError(
            f"the matrix of {where} is damaged ({len(data)} bytes for {rows}×{columns} {dtype}): "
            "run 'm2s index repair'"
        )
    matrix: Float32Array = np.frombuffer(data, kind).reshape(rows, columns).astype(np.float32)
    return matrix


def featured_films(reader: Reader, encoder: StoredEncoder) -> dict[int, int]:
    """Films of which there are shot features by an encoder, by movie id, with how many shots they have.

    Raises:
        UsageError: there is none.
    """
    query = (
        "SELECT f.movie_id, (SELECT count(*) FROM shots s WHERE s.movie_id = f.movie_id) "
        "FROM features f WHERE f.encoder_id = ?"
    )
    found = dict(reader.rows(query, (encoder.encoder_id,)))
    if not found:
        raise UsageError(
            f"the catalogue has no shot features by encoder '{encoder.name}', which sees whole scenes; name one "
            "that sees shots with --encoder"
        )
    return found


def film_features(reader: Reader, encoder: StoredEncoder, movie_id: int, *, shots: int, name: str) -> Float32Array:
    """A film's shots as an encoder sees them: float32 [shots, D], as they are stored.

    Args:
        shots: how many the film has.
        name: what it is called in messages.

    Raises:
        CatalogError: there are none, or no longer.
        CatalogDamagedError: they do not fit the film, or are not finite.
    """
    features = film_matrix(reader, encoder, "features", movie_id, rows=shots, name=name)
    if features is None:
        raise CatalogError(
            f"the catalogue has no shot features of '{name}' by '{encoder.name}', or no longer: "
            f"'m2s index build --encoder {encoder.name}' makes them"
        )
    return features


def film_matrix(
    reader: Reader, encoder: StoredEncoder, table: MatrixTable, movie_id: int, *, rows: int, name: str
) -> Float32Array | None:
    """A film's shots or scenes by an encoder: float32 [rows, D], as they are stored; None where there are none.

    Args:
        rows: how many shots or scenes the film has.
        name: what it is called in messages.

    Raises:
        CatalogDamagedError: they do not fit the film, or are not finite.
    """
    query = f"SELECT rows, columns, dtype, data FROM {table} WHERE movie_id = ? AND encoder_id = ?"  # noqa: S608
    row = reader.first(query, (movie_id, encoder.encoder_id))
    if row is None:
        return None
    stored_rows, columns, dtype, data = row
    where = f"'{name}' by '{encoder.name}'"
    matrix = decode_matrix(data, stored_rows, columns, dtype, where)
    if matrix.shape != (rows, encoder.identity.dimension) or not np.isfinite(matrix).all():
        raise CatalogDamagedError(f"the {table} of {where} are damaged: run 'm2s index repair'")
    return matrix


def stored_encoder(encoder_id: int, name: str, identity: str) -> StoredEncoder:
    """An encoder from its row.

    Raises:
        CatalogDamagedError: its identity cannot be read.
    """
    try:
        known = EncoderIdentity(**json.loads(identity))
        if known.dimension < 1 or known.metric not in get_args(Metric):
            raise ValueError(identity)
    except (TypeError, ValueError) as exc:
        raise CatalogDamagedError(f"the record of encoder '{name}' is damaged: run 'm2s index repair'") from exc
    return StoredEncoder(encoder_id, name, known)
