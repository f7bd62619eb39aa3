"""Writing encoders and their matrices to the catalogue; ``matrices`` reads them."""

from __future__ import annotations

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from m2s_index.matrices import DTYPES, StoredEncoder, default_encoder, find_encoder, identity_key, identity_text
from m2s_index.schema import EmbeddingRow, EncoderRow, FeatureRow
from m2s_index.sessions import reader_of
from m2s_index.settings import set_setting
from m2s_index.types import EncoderIdentity, FilmVectors, Float32Array


def register_encoder(session: Session, identity: EncoderIdentity) -> StoredEncoder:
    """The catalogue's entry for an encoder, made where it is new; the first one becomes the default.

    A name is that of the identity which had it last: a file that was trained anew goes by its path, and what the
    catalogue has of its old weights is then called "name@12345678".
    """
    key = identity_key(identity)
    row = session.scalar(select(EncoderRow).where(EncoderRow.key == key))
    named = session.scalar(select(EncoderRow).where(EncoderRow.name == identity.name))
    if named is not None and named is not row:
        named.name = f"{identity.name}@{named.key[:8]}"
        session.flush()
    if row is None:
        row = EncoderRow(identity=identity_text(identity), key=key)
        session.add(row)
    row.name = identity.name
    session.flush()
    if default_encoder(reader_of(session)) is None:
        set_setting(session, "default_encoder", str(row.id))
    return StoredEncoder(row.id, row.name, identity)


def use_encoder(session: Session, name: str) -> StoredEncoder:
    """Make an encoder the catalogue's default."""
    encoder = find_encoder(reader_of(session), name)
    set_setting(session, "default_encoder", str(encoder.encoder_id))
    return encoder


def add_vectors(session: Session, movie_id: int, first_scene_id: int, vectors: FilmVectors) -> None:
    """Store a movie's matrices by one encoder, registering the encoder where it is new."""
    encoder_id = register_encoder(session, vectors.encoder).encoder_id
    owner = {"movie_id": movie_id, "encoder_id": encoder_id}
    if vectors.shots is not None:
        rows, columns = vectors.shots.shape
        shots, dtype = _compact(vectors.shots)
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
    largest = max(matrix.max(initial=0), -matrix.min(initial=0))
    half = matrix.astype(DTYPES["float16"]) if largest < 6e4 else None
    if half is not None:
        return half.tobytes(), "float16"
    return np.ascontiguousarray(matrix, DTYPES["float32"]).tobytes(), "float32"
