"""A film's shot features by an encoder, under whatever name the catalogue has it."""

from __future__ import annotations

from m2s_index.encoder import AnyEncoder, ShotFeatureEncoder
from m2s_index.errors import EncoderError, UsageError
from m2s_index.matrices import film_features, list_encoders
from m2s_index.reading import Reader, json_list
from m2s_index.types import EncoderIdentity, Float32Array


def shot_features(
    reader: Reader, identity: EncoderIdentity, movie_id: int, *, shots: int, name: str
) -> Float32Array:
    """A film's features by this encoder: float32 [shots, D]. Its name, the path of a file that may have been moved,
    does not count.

    Args:
        shots: how many the film has.
        name: what it is called in messages.

    Raises:
        EncoderError: there are none; the message says how to make them.
        CatalogDamagedError: they do not fit the film, or are not finite.
    """
    wanted = identity.as_dict() | {"name": ""}
    same = {
        stored.encoder_id: stored
        for stored in list_encoders(reader)
        if stored.identity.as_dict() | {"name": ""} == wanted
    }
    row = reader.first(
        "SELECT encoder_id FROM features WHERE movie_id = ? AND encoder_id IN (SELECT value FROM json_each(?))",
        (movie_id, json_list(same)),
    )
    if row is None:
        raise EncoderError(
            f"there are no shot features of '{name}' by {identity.name}; "
            f"run 'm2s index build --encoder {identity.name}' first"
        )
    return film_features(reader, same[row[0]], movie_id, shots=shots, name=name)


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
