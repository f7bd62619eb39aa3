"""A catalogue's key frames as training sees them: films by number, shots in order. No video is opened."""

from __future__ import annotations

import hashlib
import json

from sqlalchemy import select

from m2s_index.catalog import Catalog
from m2s_index.errors import KeyFrameError, UsageError
from m2s_index.keyframe_store import KeyFrameReader, decode_jpeg, keyframe_path
from m2s_index.movies import list_movies
from m2s_index.schema import MovieRow
from m2s_index.types import Image


class KeyFrameSource:
    """The films of a catalogue as they are when it is made, in an order that follows from their contents alone;
    several threads may read at once.
    """

    def __init__(self, catalog: Catalog) -> None:
        """Find the films and their key-frame files.

        Raises:
            UsageError: the catalogue holds no film.
            KeyFrameError: a film's key-frame file is missing.
        """
        self._folder = catalog.keyframes_folder
        with catalog.read() as session:
            movies = {movie.movie_id: movie for movie in list_movies(session)}
            columns = select(MovieRow.id, MovieRow.keyframes_file, MovieRow.fingerprint)
            # By content: films are stored in the order that decoders were done with them.
            rows = session.execute(columns.order_by(MovieRow.fingerprint)).all()
        if not rows:
            raise UsageError(f"the catalogue in {catalog.folder} holds no film; index some with 'm2s index build'")
        self._crops = [movies[row.id].crop for row in rows]
        self._files = [row.keyframes_file for row in rows]
        self._fingerprints = [row.fingerprint for row in rows]
        self._shots = tuple(movies[row.id].shots for row in rows)
        missing = [
            movies[row.id].name for row in rows if not keyframe_path(self._folder, row.keyframes_file).is_file()
        ]
        if missing:
            raise KeyFrameError(
                f"the key frames of {len(missing)} of {len(movies)} films are not in {self._folder} "
                f"({missing[0]} …); run 'm2s index repair'"
            )

    @property
    def shots(self) -> tuple[int, ...]:
        """How many shots each film has."""
        return self._shots

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Each film's, as in ``FileIdentity``."""
        return tuple(self._fingerprints)

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of which films these are and how they are cut."""
        return hashlib.sha256(json.dumps([self._fingerprints, self._shots]).encode()).hexdigest()

    def frames(self, film: int, first_shot: int, count: int) -> list[Image]:
        """The middle key frame of each of ``count`` shots, inside the film's bars.

        Raises:
            KeyFrameError: the film's file is missing or damaged.
        """
        found = []
        with KeyFrameReader(self._folder, self._files[film]) as reader:
            for shot in range(first_shot, first_shot + count):
                pictures = reader.read(shot)
                found.append(decode_jpeg(pictures[len(pictures) // 2], self._crops[film]))
        return found
