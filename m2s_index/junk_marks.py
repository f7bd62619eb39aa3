"""Which shots and scenes of the catalogue are junk (see ``junk``): as it was stored, or looked up in key frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import update

from m2s_index.catalog import Catalog
from m2s_index.errors import KeyFrameError
from m2s_index.junk import film_junk
from m2s_index.reading import Reader
from m2s_index.schema import ShotRow
from m2s_index.selection import BoolArray
from m2s_index.types import Crop, JunkKind, Scene

LOOKS_UNKNOWN = (
    "its key frames cannot be read: which scenes are junk or duplicates is not known; run 'm2s index verify'"
)


def shots_junk(catalog: Catalog, reader: Reader, movie_id: int) -> tuple[JunkKind | None, ...]:
    """What kind of junk each shot of a film is, in order; looked up in its key frames where it is not stored.

    Raises:
        KeyFrameError: it is not stored, and the key frames are missing or damaged.
    """
    stored = reader.texts('SELECT junk FROM shots WHERE movie_id = ? ORDER BY "index"', (movie_id,))
    if None not in stored:
        return tuple(kind or None for kind in stored)  # type: ignore[misc]  # the column holds what ``junk`` gave
    file, crop = keyframes_of(reader, movie_id)
    return film_junk(catalog.keyframes_folder, file, len(stored), crop)


def keyframes_of(reader: Reader, movie_id: int) -> tuple[str, Crop | None]:
    """The name of a film's key-frame file, and where the picture is inside its bars."""
    row = reader.first(
        "SELECT keyframes_file, crop_left_px, crop_top_px, crop_width_px, crop_height_px FROM movies WHERE id = ?",
        (movie_id,),
    )
    assert row is not None  # the film is of the reader's own state
    return row[0], None if row[1] is None else Crop(*row[1:])


def mark_junk(catalog: Catalog) -> list[str]:
    """Look at the shots of all films that nobody has looked at yet, and store what they are.

    Returns:
        The films whose key frames cannot be read, by name.
    """
    query = "SELECT id, name FROM movies WHERE id IN (SELECT movie_id FROM shots WHERE junk IS NULL) ORDER BY id"
    with catalog.reader() as reader:
        films = list(reader.rows(query))
    unreadable = []
    for movie_id, name in films:
        try:
            with catalog.reader() as reader:
                kinds = shots_junk(catalog, reader, movie_id)
        except KeyFrameError:
            unreadable.append(name)
            continue
        with catalog.write() as session:
            values = [{"movie_id": movie_id, "index": i, "junk": kind or ""} for i, kind in enumerate(kinds)]
            session.execute(update(ShotRow), values)
    return unreadable


def mostly_junk(scenes: Sequence[Scene], shots: Sequence[JunkKind | None]) -> BoolArray:
    """Of which scenes of one film most shots are junk: bool [N]."""
    junk = np.concatenate([[0], np.cumsum([kind is not None for kind in shots])])
    first = np.array([scene.first_shot for scene in scenes], np.int64)
    end = np.array([scene.end_shot for scene in scenes], np.int64)
    most: BoolArray = 2 * (junk[end] - junk[first]) > end - first
    return most


def junk_scenes(reader: Reader) -> set[int]:
    """The ids of all scenes most of whose shots are stored as junk."""
    query = (
        'SELECT s.id FROM scenes s JOIN shots t ON t.movie_id = s.movie_id AND t."index" >= s.first_shot '
        "AND t.\"index\" < s.end_shot GROUP BY s.id HAVING 2 * sum(coalesce(t.junk, '') != '') > count(*)"
    )
    return set(reader.ids(query).tolist())
