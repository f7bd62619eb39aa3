"""What is in a catalogue, as one JSON-ready value."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from m2s_index.catalog import Catalog
from m2s_index.failures import list_failures
from m2s_index.index_file import index_state
from m2s_index.matrices import default_encoder, list_encoders
from m2s_index.movies import list_movies
from m2s_index.names import display_path
from m2s_index.sessions import reader_of


def catalog_status(catalog: Catalog) -> dict[str, Any]:
    """Films, totals, failures, encoders, and how each encoder's index file stands to the database."""
    with catalog.read() as session:
        reader = reader_of(session)
        movies, failures = list_movies(session), list_failures(session)
        default = default_encoder(reader)
        encoders = []
        for encoder in list_encoders(reader):
            state = index_state(reader, encoder)
            encoders.append(
                {
                    "name": encoder.name,
                    "default": default is not None and default.encoder_id == encoder.encoder_id,
                    **{key: value for key, value in encoder.identity.as_dict().items() if key != "name"},
                    "movies": len(state.embeddings),
                    "scenes": state.embeddings.scenes,
                    "index": state.file.kind if state.file else None,
                    "index_reason": state.file.reason if state.file else None,
                    "fresh": state.fresh.scenes,
                    "gone": state.gone.scenes,
                }
            )
    sizes = 0
    for path in catalog.folder.rglob("*"):
        with suppress(OSError):  # a build may rename or delete files while they are counted
            sizes += path.stat().st_size if path.is_file() else 0
    return {
        "catalog": display_path(str(catalog.folder)),
        "hours": sum(movie.duration_seconds for movie in movies) / 3600,
        "shots": sum(movie.shots for movie in movies),
        "scenes": sum(movie.scenes for movie in movies),
        "bytes": sizes,
        "movies": [
            {
                "movie_id": movie.movie_id,
                "movie": movie.name,
                "path": display_path(movie.path),
                "title": movie.title,
                "year": movie.year,
                "genres": list(movie.genres),
                "seconds": movie.duration_seconds,
                "shots": movie.shots,
                "scenes": movie.scenes,
                "damaged_packets": movie.damaged_packets,
                "codec": movie.info.codec,
                "width": movie.info.width_px,
                "height": movie.info.height_px,
            }
            for movie in movies
        ],
        "failures": [
            {"path": display_path(f.path), "error": display_path(f.error), "failed_at": f.failed_at}
            for f in failures
        ],
        "encoders": encoders,
    }
