"""Encoders and their matrices in the catalogue: shot features and scene embeddings, one matrix a movie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from m2s_index.errors import CatalogDamagedError, UsageError
from m2s_index.schema import EmbeddingRow, EncoderRow, FeatureRow, SettingRow
from m2s_index.types import EncoderIdentity, FilmVectors, Float32Array, SceneEmbeddings

DTYPES: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}
"""What a matrix may be stored as: by name, little-endian."""


@dataclass(frozen=True)
class StoredEncoder:
    """An encoder that the catalogue knows. ``name`` is unique in the catalogue."""

    encoder_id: int
    name: str
    identity: EncoderIdentity


def identity_key(identity: EncoderIdentity) -> str:
    """SHA-256 of the identity as canonical JSON: equal where vectors are comparable."""
    return hashlib.sha256(_identity_text(identity).encode()).hexdigest()


def _identity_text(identity: EncoderIdentity) -> str:
    return json.dumps(identity.as_dict(), sort_keys=True)


def list_encoders(session: Session) -> list[StoredEncoder]:
    """The catalogue's encoders by id."""
    return [_stored(row) for row in session.scalars(select(EncoderRow).order_by(EncoderRow.id))]


def default_encoder(session: Session) -> StoredEncoder | None:
    """The one that is used where none is named, or None before the first build."""
    value = session.scalar(select(SettingRow.value).where(SettingRow.key == "default_encoder"))
    row = session.get(EncoderRow, int(value)) if value else None
    return _stored(row) if row else None


def find_encoder(session: Session, name: str | None) -> StoredEncoder:
    """The encoder of that name, or the default.

    Raises:
        UsageError: the catalogue lacks it; the message names those it has.
    """
    if name is None:
        found = default_encoder(session)
        if found is None:
            raise UsageError("the catalogue has no embeddings yet: run 'm2s index build PATH' first")
        return found
    known = list_encoders(session)
    for encoder in known:
        if encoder.name == name:
            return encoder
    names = ", ".join(encoder.name for encoder in known) or "none"
    raise UsageError(
        f"the catalogue has no embeddings by encoder '{name}' (it has: {names}); 'm2s encoders list' names "
        f"those there are, 'm2s index build --encoder NAME' makes them"
    )


def register_encoder(session: Session, identity: EncoderIdentity) -> StoredEncoder:
    """The catalogue's entry for an encoder, made where it is new; the first one becomes the default.

    An encoder whose name is taken by another identity (other weights, say) is stored as "name@12345678".
    """
    key = identity_key(identity)
    row = session.scalar(select(EncoderRow).where(EncoderRow.key == key))
    if row is None:
        taken = session.scalar(select(EncoderRow.id).where(EncoderRow.name == identity.name))
        name = identity.name if taken is None else f"{identity.name}@{key[:8]}"
        row = EncoderRow(name=name, identity=_identity_text(identity), key=key)
        session.add(row)
        session.flush()
    if default_encoder(session) is None:
        session.merge(SettingRow(key="default_encoder", value=str(row.id)))
    return _stored(row)


def use_encoder(session: Session, name: str) -> StoredEncoder:
    """Make an encoder the catalogue's default."""
    encoder = find_encoder(session, name)
    session.merge(SettingRow(key="default_encoder", value=str(encoder.encoder_id)))
    return encoder


def add_vectors(session: Session, movie_id: int, first_scene_id: int, vectors: FilmVectors) -> None:
    """Store a movie's matrices by one encoder, registering the encoder where it is new."""
    encoder_id = register_encoder(session, vectors.encoder).encoder_id
    rows, columns = vectors.shots.shape
    shots, dtype = _compact(vectors.shots)
    owner = {"movie_id": movie_id, "encoder_id": encoder_id}
    session.add(FeatureRow(**owner, rows=rows, columns=columns, dtype=dtype, data=shots))
    rows, columns = vectors.scenes.shape
    scenes = np.ascontiguousarray(vectors.scenes, DTYPES["float32"]).tobytes()
    session.add(
        EmbeddingRow(
            **owner, first_scene_id=first_scene_id, rows=rows, columns=columns, dtype="float32", data=scenes
        )
    )


def _compact(matrix: Float32Array) -> tuple[bytes, str]:
    # Half precision is enough for features that are only compared; it must not overflow.
    half = matrix.astype(DTYPES["float16"]) if np.abs(matrix).max(initial=0) < 6e4 else None
    if half is not None:
        return half.tobytes(), "float16"
    return np.ascontiguousarray(matrix, DTYPES["float32"]).tobytes(), "float32"


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


def iter_embeddings(
    session: Session, encoder: StoredEncoder, embedding_ids: list[int] | None = None
) -> Iterator[tuple[int, SceneEmbeddings]]:
    """Scene embeddings movie by movie, by embedding id: (embedding id, its matrix with the scene ids)."""
    query = select(EmbeddingRow).where(EmbeddingRow.encoder_id == encoder.encoder_id)
    if embedding_ids is not None:
        query = query.where(EmbeddingRow.id.in_(embedding_ids))
    for row in session.scalars(query.order_by(EmbeddingRow.id).execution_options(yield_per=16)):
        matrix = decode_matrix(row.data, row.rows, row.columns, row.dtype, f"movie {row.movie_id}")
        ids = np.arange(row.first_scene_id, row.first_scene_id + row.rows, dtype=np.int64)
        yield row.id, SceneEmbeddings(ids, matrix)
        session.expunge(row)


def _stored(row: EncoderRow) -> StoredEncoder:
    return StoredEncoder(row.id, row.name, EncoderIdentity(**json.loads(row.identity)))
