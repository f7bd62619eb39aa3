"""What runs over a whole catalogue compare: which films, which scenes of them, and how to know them again."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from m2s_index.errors import UsageError
from m2s_index.filters import SceneFilter, chosen_movies
from m2s_index.index_file import Entries, embedding_entries, stored_vectors
from m2s_index.matrices import StoredEncoder
from m2s_index.pairing.best_pairs import Block, CatalogueRows
from m2s_index.reading import Reader
from m2s_index.types import Int64Array


def films_left(reader: Reader, encoder: StoredEncoder, wanted: SceneFilter) -> Entries:
    """The films that an encoder was run on and a filter leaves.

    Raises:
        UsageError: they are fewer than two.
    """
    entries = embedding_entries(reader, encoder)
    if len(entries) < 2:
        raise UsageError(f"{_films_by(len(entries))} by encoder '{encoder.name}': pairs are of two films")
    left = entries.only(chosen_movies(reader, wanted, entries.movie_ids))
    if len(left) < 2:
        raise UsageError(f"{wanted.describe()} leaves {_films_by(len(left))}: pairs are of two films")
    return left


def usable_scenes(
    reader: Reader, encoder: StoredEncoder, entries: Entries, left_out: set[int]
) -> tuple[CatalogueRows, Int64Array]:
    """All scenes of the films but some, each vector read once; and the films that have any, int64 [F], in order.

    Raises:
        UsageError: fewer than two films have any.
    """
    usable = ~np.isin(entries.scene_ids, list(left_out))
    vectors = np.empty((np.count_nonzero(usable), encoder.identity.dimension), np.float32)
    lengths, at, end = [], 0, 0
    for part in stored_vectors(reader, entries):
        kept = part.vectors[usable[end : end + len(part.vectors)]]
        vectors[at : at + len(kept)] = kept
        lengths.append(len(kept))
        at, end = at + len(kept), end + len(part.vectors)
    counts = np.array(lengths, np.int64)
    movie_ids = entries.movie_ids[counts > 0]
    if len(movie_ids) < 2:
        raise UsageError(
            f"{_films_by(len(movie_ids))} with a scene that can be paired: most shots are junk (see --junk)"
        )
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[counts > 0])])
    return CatalogueRows(entries.scene_ids[usable], vectors, starts, encoder.identity.metric), movie_ids


def generation_of(reader: Reader, encoder: str) -> str:
    """Which embeddings an encoder has: how many films', and the highest id among them, which never comes back."""
    query = (
        "SELECT count(*), coalesce(max(m.id), 0) FROM embeddings m JOIN encoders e ON e.id = m.encoder_id "
        "WHERE e.name = ?"
    )
    return "{}-{}".format(*next(reader.rows(query, (encoder,))))


def scenes_key(rows: CatalogueRows, blocks: list[Block]) -> str:
    """What is compared with what: equal where a run can be gone on with."""
    digest = hashlib.sha256(rows.scene_ids.tobytes() + rows.starts.tobytes())
    digest.update(json.dumps([list(vars(block).values()) for block in blocks]).encode())
    return digest.hexdigest()


def _films_by(count: int) -> str:
    return f"{count or 'no'} film{'' if count == 1 else 's'}"
