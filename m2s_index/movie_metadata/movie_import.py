"""Movie metadata into the catalogue: titles, ratings, and what tables say of films that are indexed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from m2s_index.metadata import apply_metadata
from m2s_index.movie_metadata.known_titles import link_movies, store_titles
from m2s_index.movie_metadata.metadata_files import FoundMetadata
from m2s_index.movie_metadata.title_ratings import store_ratings


@dataclass(frozen=True)
class MovieImport:
    """What came in: movies that the files speak of, how many were new, ratings and who gave them; how many
    indexed films something is known of now; lines on what was left out, and files that are of no kind.
    """

    movies: int
    new: int
    ratings: int
    people: int
    indexed: int
    left_out: tuple[str, ...]
    passed_over: tuple[Path, ...]


def import_metadata(session: Session, found: FoundMetadata) -> MovieImport:
    """Store what files say, of movies that are not indexed as well. Ratings take the place of earlier ones.

    Films that are indexed get titles, years and genres from the tables that name their files, as they do from
    ``index build --metadata``, and from no other.
    """
    new = store_titles(session, found.movies)
    if found.ratings is not None:
        store_ratings(session, found.ratings)
    apply_metadata(session, found.named)
    ratings = found.ratings
    return MovieImport(
        len({record.imdb_id or record.movie for record in found.movies}),
        new,
        len(ratings.people) if ratings else 0,
        len(np.unique(ratings.people)) if ratings else 0,
        len(link_movies(session)),
        found.left_out,
        found.passed_over,
    )
