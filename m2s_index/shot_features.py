"""The shot features that a catalogue has of an encoder: one matrix a film, by whatever name it was stored."""

from __future__ import annotations

from m2s_index.encoder import AnyEncoder, ShotFeatureEncoder
from m2s_index.errors import EncoderError, UsageError
from m2s_index.matrices import decode_matrix, list_encoders
from m2s_index.reading import Reader, json_list
from m2s_index.types import EncoderIdentity, Float32Array


def stored_names(reader: Reader, identity: EncoderIdentity) -> dict[int, str]:
    """What the catalogue calls this encoder, by id: its name is the path of a file, which may have been moved."""
    wanted = identity.as_dict() | {"name": ""}
    return {
        stored.encoder_id: stored.name
        for stored in list_encoders(reader)
        if stored.identity.as_dict() | {"name": ""} == wanted
    }


def shot_features(reader: Reader, movie_id: int, identity: EncoderIdentity) -> Float32Array:
    """A film's features by this encoder, under any name: float32 [S, D], row i for shot i.

    Raises:
        EncoderError: there are none; the message says how to make them.
        CatalogDamagedError: the matrix does not fit its shape.
    """
    row = reader.first(
        "SELECT rows, columns, dtype, data FROM features "
        "WHERE movie_id = ? AND encoder_id IN (SELECT value FROM json_each(?)) ORDER BY encoder_id",
        (movie_id, json_list(stored_names(reader, identity))),
    )
    if row is None:
        raise EncoderError(
            f"there are no shot features of it by {identity.name}; "
            f"run 'm2s index build --encoder {identity.name}' first"
        )
    rows, columns, dtype, data = row
    return decode_matrix(data, rows, columns, dtype, f"the shots of movie {movie_id}")


def check_encoder(encoder: AnyEncoder, films: int) -> None:
    """See whether the encoder can embed so many films that are to be read.

    Raises:
        UsageError: there are any, and it takes what another encoder makes of them.
    """
    if films and isinstance(encoder, ShotFeatureEncoder):
        name = encoder.shot_encoder.name
        raise UsageError(
            f"encoder {encoder.identity.name} takes shot features by {name}, which {films} films lack: "
            f"index them with --encoder {name} first, then run 'm2s index build --encoder {encoder.identity.name}'"
        )
