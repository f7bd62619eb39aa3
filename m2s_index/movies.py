"""Films in the catalogue: storing one, taking one out, and movies, shots and scenes as values."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from m2s_index.errors import CatalogError
from m2s_index.matrix_writer import add_vectors
from m2s_index.names import display_name
from m2s_index.schema import GenreRow, LabelRow, MovieRow, SceneRow, ShotRow
from m2s_index.settings import options_text, read_options
from m2s_index.titles import guess_title
from m2s_index.types import BuildOptions, Crop, Film, FilmVectors, Movie, Scene, Shot, Transition, VideoInfo

ROWS_AT_ONCE = 500
"""Rows that are inserted together: a long film's shots are not all held a second time."""


def add_film(session: Session, film: Film, vectors: FilmVectors | None, *, replaces: int | None = None) -> int:
    """Store a film with its shots, scenes and matrices; returns its movie id.

    ``replaces`` is the movie id of an earlier reading of the same file: it goes, its labels move over, and
    what is known of it (title, year, genres) stays.
    """
    kept_labels: list[dict[str, Any]] = []
    if replaces is not None:
        film = _with_known(film, get_movie(session, replaces))
        columns = [c for c in LabelRow.__table__.columns if c.name not in ("id", "movie_id")]
        rows = session.execute(select(*columns).where(LabelRow.movie_id == replaces).order_by(LabelRow.id))
        kept_labels = [dict(row) for row in rows.mappings()]
        remove_movie(session, replaces)
    movie = _movie_row(film)
    session.add(movie)
    session.flush()
    if film.genres:
        session.execute(insert(GenreRow), [{"movie_id": movie.id, "genre": g} for g in film.genres])
    for start in range(0, len(film.shots), ROWS_AT_ONCE):
        part = film.shots[start : start + ROWS_AT_ONCE]
        session.execute(insert(ShotRow), [_shot_values(movie.id, film, shot) for shot in part])
    scene_ids = list(
        session.scalars(
            insert(SceneRow).returning(SceneRow.id, sort_by_parameter_order=True),
            [_scene_values(movie.id, film, index) for index in range(len(film.scenes))],
        )
    )
    if kept_labels:
        session.execute(insert(LabelRow), [{**label, "movie_id": movie.id} for label in kept_labels])
    if vectors is not None:
        add_vectors(session, movie.id, scene_ids[0], vectors)
    return movie.id


def remove_movie(session: Session, movie_id: int) -> str:
    """Take a movie and all that belongs to it out; returns its key-frame file's name, to be deleted."""
    file = session.scalar(select(MovieRow.keyframes_file).where(MovieRow.id == movie_id))
    if file is None:
        raise CatalogError(f"there is no movie {movie_id} in the catalogue")
    session.execute(delete(MovieRow).where(MovieRow.id == movie_id))
    return file


def move_movie(session: Session, movie_id: int, path: str, modified_ns: int) -> None:
    """Note that a film is now at ``path``. A title and year that were guessed are guessed again."""
    name = display_name(path)
    values: dict[str, Any] = {"path": path, "name": name, "modified_ns": modified_ns}
    columns = select(MovieRow.name, MovieRow.title, MovieRow.year).where(MovieRow.id == movie_id)
    old_name, *known = session.execute(columns).one()
    if tuple(known) == guess_title(old_name):
        values["title"], values["year"] = guess_title(name)
    session.execute(update(MovieRow).where(MovieRow.id == movie_id).values(**values))


def _with_known(film: Film, old: Movie) -> Film:
    """The film with the title, year and genres of its earlier reading, unless those were only guessed."""
    if (old.title, old.year) != guess_title(old.name):
        film = replace(film, title=old.title, year=old.year)
    return replace(film, genres=film.genres or old.genres)


def stored_options(session: Session, movie_id: int) -> BuildOptions:
    """The options that a movie was read with."""
    text = session.scalar(select(MovieRow.options).where(MovieRow.id == movie_id))
    return read_options(text, f"what movie {movie_id} was read with") if text else BuildOptions()


def list_movies(session: Session) -> list[Movie]:
    """All movies by id."""
    return _movies(session, None)


def get_movie(session: Session, movie_id: int) -> Movie:
    """One movie.

    Raises:
        CatalogError: there is none with that id.
    """
    movies = _movies(session, movie_id)
    if not movies:
        raise CatalogError(f"there is no movie {movie_id} in the catalogue")
    return movies[0]


def list_shots(session: Session, movie_id: int) -> list[Shot]:
    """A movie's shots in order."""
    rows = session.scalars(select(ShotRow).where(ShotRow.movie_id == movie_id).order_by(ShotRow.index))
    return [
        Shot(
            r.index, r.start_frame, r.end_frame, r.start_pts, r.end_pts, _transition(r.transition),
            r.transition_start_frame, r.transition_end_frame,
        )
        for r in rows
    ]  # fmt: skip


def list_scenes(session: Session, *, movie_id: int | None = None, ids: list[int] | None = None) -> list[Scene]:
    """Scenes of one movie in order, or those with the given ids, by id; all where neither is given."""
    query = select(SceneRow, MovieRow.name).join(MovieRow, MovieRow.id == SceneRow.movie_id)
    if movie_id is not None:
        query = query.where(SceneRow.movie_id == movie_id)
    if ids is not None:
        query = query.where(SceneRow.id.in_(ids))
    return [
        Scene(
            row.id, row.movie_id, name, row.index, row.first_shot, row.end_shot, row.start_seconds, row.end_seconds
        )
        for row, name in session.execute(query.order_by(SceneRow.id))
    ]  # fmt: skip


def _transition(value: str) -> Transition:
    return value  # type: ignore[return-value]  # the column holds what _shot_values wrote


def _movie_row(film: Film) -> MovieRow:
    info, crop = film.info, film.crop
    return MovieRow(
        path=film.file.path,
        name=display_name(film.file.path),
        title=film.title,
        year=film.year,
        fingerprint=film.file.fingerprint,
        size_bytes=film.file.size_bytes,
        modified_ns=film.file.modified_ns,
        format=info.format,
        codec=info.codec,
        stream_index=info.stream_index,
        width_px=info.width_px,
        height_px=info.height_px,
        sample_aspect=info.sample_aspect,
        rotation_degrees=info.rotation_degrees,
        frame_rate=info.frame_rate,
        time_base=info.time_base,
        start_pts=film.start_pts,
        end_pts=film.end_pts,
        container_duration_pts=info.duration_pts,
        container_frames=info.frames,
        frames=film.frames,
        damaged_packets=film.damaged_packets,
        crop_left_px=crop.left_px if crop else None,
        crop_top_px=crop.top_px if crop else None,
        crop_width_px=crop.width_px if crop else None,
        crop_height_px=crop.height_px if crop else None,
        detector=film.options.detector,
        options=options_text(film.options),
        keyframes_file=film.keyframes_file,
        keyframes_bytes=film.keyframes_bytes,
        keyframes_sha256=film.keyframes_sha256,
    )


def _shot_values(movie_id: int, film: Film, shot: Shot) -> dict[str, Any]:
    return {
        **vars(shot),
        "movie_id": movie_id,
        "keyframe_pts": json.dumps(film.keyframe_pts[shot.index]),
        "junk": (film.junk[shot.index] or "") if film.junk else None,
    }


def _scene_values(movie_id: int, film: Film, index: int) -> dict[str, Any]:
    first, end = film.scenes[index]
    start_pts, end_pts = film.shots[first].start_pts, film.shots[end - 1].end_pts
    time_base = film.info.time_base
    return {
        "movie_id": movie_id,
        "index": index,
        "first_shot": first,
        "end_shot": end,
        "start_pts": start_pts,
        "end_pts": end_pts,
        "start_seconds": float((start_pts - film.start_pts) * time_base),
        "end_seconds": float((end_pts - film.start_pts) * time_base),
        "duration_seconds": float((end_pts - start_pts) * time_base),
    }


def _movies(session: Session, movie_id: int | None) -> list[Movie]:
    shots = select(func.count()).where(ShotRow.movie_id == MovieRow.id).scalar_subquery()
    scenes = select(func.count()).where(SceneRow.movie_id == MovieRow.id).scalar_subquery()
    query = select(MovieRow, shots, scenes).order_by(MovieRow.id)
    genres: dict[int, list[str]] = {}
    genre_query = select(GenreRow.movie_id, GenreRow.genre).order_by(GenreRow.genre)
    if movie_id is not None:
        query = query.where(MovieRow.id == movie_id)
        genre_query = genre_query.where(GenreRow.movie_id == movie_id)
    for owner, genre in session.execute(genre_query):
        genres.setdefault(owner, []).append(genre)
    return [
        _as_movie(row, shot_count, scene_count, tuple(genres.get(row.id, ())))
        for row, shot_count, scene_count in session.execute(query)
    ]


def _as_movie(row: MovieRow, shots: int, scenes: int, genres: tuple[str, ...]) -> Movie:
    crop = None
    if row.crop_left_px is not None and row.crop_top_px is not None:
        crop = Crop(row.crop_left_px, row.crop_top_px, row.crop_width_px or 0, row.crop_height_px or 0)
    info = VideoInfo(
        row.format, row.codec, row.width_px, row.height_px, row.sample_aspect, row.rotation_degrees,
        row.time_base, row.frame_rate, row.start_pts, row.container_duration_pts, row.container_frames,
        row.stream_index,
    )  # fmt: skip
    seconds = float((row.end_pts - row.start_pts) * row.time_base)
    facts = (row.id, row.path, row.name, row.title, row.year, genres, info, crop)
    return Movie(*facts, shots, scenes, seconds, row.damaged_packets)
