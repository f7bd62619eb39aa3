"""Catalogues of films that were never filmed: real SQLite files with vectors of one's choice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.matrix_writer import add_vectors
from m2s_index.movies import add_film, list_scenes
from m2s_index.schema import LabelRow
from m2s_index.types import (
    BuildOptions,
    EncoderIdentity,
    FileIdentity,
    Film,
    FilmVectors,
    Float32Array,
    Metric,
    Shot,
    VideoInfo,
)

TIME_BASE = Fraction(1, 1000)


def make_encoder(name: str = "test", dimension: int = 16, metric: Metric = "cosine") -> EncoderIdentity:
    """An identity for vectors that no network made."""
    return EncoderIdentity(name, "random numbers", "", "none", dimension, metric)


def fingerprint_of(path: str) -> str:
    """What stands for the contents of a film that was never filmed: the same in every process."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()


def make_film(
    path: str,
    scene_seconds: Sequence[float],
    *,
    title: str | None = None,
    year: int | None = None,
    genres: tuple[str, ...] = (),
) -> Film:
    """A film of so many scenes, each one shot of the given length, without gaps."""
    ends = np.cumsum([round(seconds * 1000) for seconds in scene_seconds]).tolist()
    starts = [0, *ends[:-1]]
    shots = tuple(
        Shot(i, start // 40, end // 40, start, end, "cut" if i else "start")
        for i, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    info = VideoInfo("matroska", "h264", 640, 360, Fraction(1), 0, TIME_BASE, Fraction(25), 0, ends[-1], None, 0)
    return Film(
        file=FileIdentity(path, 1, 1, fingerprint_of(path)),
        title=title,
        year=year,
        genres=genres,
        info=info,
        crop=None,
        start_pts=0,
        end_pts=ends[-1],
        frames=ends[-1] // 40,
        damaged_packets=0,
        options=BuildOptions(),
        shots=shots,
        keyframe_pts=tuple((start,) for start in starts),
        scenes=tuple((i, i + 1) for i in range(len(shots))),
        keyframes_file=f"{fingerprint_of(path)}.keyframes",
        keyframes_bytes=0,
        keyframes_sha256="",
    )


def add(
    catalog: Catalog,
    path: str,
    vectors: Float32Array,
    *,
    encoder: EncoderIdentity,
    scene_seconds: Sequence[float] | None = None,
    title: str | None = None,
    year: int | None = None,
    genres: tuple[str, ...] = (),
) -> int:
    """Store a film whose scenes have these vectors, as they are; returns the movie's id."""
    film = make_film(path, scene_seconds or [10.0] * len(vectors), title=title, year=year, genres=genres)
    with catalog.write() as session:
        return add_film(session, film, FilmVectors(encoder, vectors, vectors))


def add_encoder(catalog: Catalog, movie_id: int, vectors: Float32Array, encoder: EncoderIdentity) -> None:
    """A stored film's scenes by one more encoder."""
    with catalog.write() as session:
        first = list_scenes(session, movie_id=movie_id)[0].scene_id
        add_vectors(session, movie_id, first, FilmVectors(encoder, vectors, vectors))


def add_label(
    catalog: Catalog,
    movie_id: int,
    vocabulary: str,
    value: str,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    split: str | None = None,
) -> None:
    """Label a stretch of a film, or all of it."""
    with catalog.write() as session:
        session.add(
            LabelRow(
                movie_id=movie_id,
                start_seconds=start_seconds,
                end_seconds=end_seconds,
                vocabulary=vocabulary,
                value=value,
                split=split,
                source="test",
            )
        )


def unit_rows(random: np.random.Generator, rows: int, dimension: int) -> Float32Array:
    """Random directions: float32 [rows, dimension], normalised."""
    drawn = random.standard_normal((rows, dimension))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
