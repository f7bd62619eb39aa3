"""The catalogue's tables as SQLAlchemy models. Rows never leave the modules that query them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from fractions import Fraction

from sqlalchemy import (
    BigInteger,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from m2s_index.errors import CatalogDamagedError


class Base(DeclarativeBase):
    """Root of the models."""


class FilePath(TypeDecorator[str]):
    """A path as the bytes the file system gave: names that are not UTF-8 come back as they were."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """``str`` with surrogate escapes, to bytes."""
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Bytes to ``str`` with surrogate escapes."""
        return None if value is None else os.fsdecode(value)


class ExactFraction(TypeDecorator[Fraction]):
    """A rational number as text, "24000/1001"."""

    impl = String(48)
    cache_ok = True

    def process_bind_param(self, value: Fraction | None, dialect: Dialect) -> str | None:
        """Written with its denominator always."""
        return None if value is None else f"{value.numerator}/{value.denominator}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> Fraction | None:
        """Read back exactly.

        Raises:
            CatalogDamagedError: it is no such number.
        """
        try:
            return None if value is None else Fraction(value)
        except (TypeError, ValueError, ZeroDivisionError) as exc:
            raise CatalogDamagedError(f"'{value}' stands where a rate belongs: run 'm2s index verify'") from exc


def now_text() -> str:
    """The time, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class MovieRow(Base):
    """One film: where it is, what it is, how it was read."""

    __tablename__ = "movies"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(FilePath, unique=True)
    name: Mapped[str] = mapped_column(Text, index=True)
    title: Mapped[str | None] = mapped_column(Text)
    year: Mapped[int | None] = mapped_column(index=True)
    fingerprint: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    modified_ns: Mapped[int] = mapped_column(BigInteger)
    format: Mapped[str] = mapped_column(Text)
    codec: Mapped[str] = mapped_column(Text)
    stream_index: Mapped[int]
    width_px: Mapped[int]
    height_px: Mapped[int]
    sample_aspect: Mapped[Fraction] = mapped_column(ExactFraction)
    rotation_degrees: Mapped[int]
    frame_rate: Mapped[Fraction] = mapped_column(ExactFraction)
    time_base: Mapped[Fraction] = mapped_column(ExactFraction)
    start_pts: Mapped[int] = mapped_column(BigInteger)
    end_pts: Mapped[int] = mapped_column(BigInteger)
    container_duration_pts: Mapped[int | None] = mapped_column(BigInteger)
    container_frames: Mapped[int | None]
    frames: Mapped[int]
    damaged_packets: Mapped[int]
    crop_left_px: Mapped[int | None]
    crop_top_px: Mapped[int | None]
    crop_width_px: Mapped[int | None]
    crop_height_px: Mapped[int | None]
    detector: Mapped[str] = mapped_column(Text)
    options: Mapped[str] = mapped_column(Text)
    keyframes_file: Mapped[str] = mapped_column(Text)
    keyframes_bytes: Mapped[int] = mapped_column(BigInteger)
    keyframes_sha256: Mapped[str | None] = mapped_column(String(64))
    indexed_at: Mapped[str] = mapped_column(String(32), default=now_text)


class GenreRow(Base):
    """A movie's genres."""

    __tablename__ = "movie_genres"

    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="CASCADE"), primary_key=True)
    genre: Mapped[str] = mapped_column(Text, primary_key=True, index=True)


class ShotRow(Base):
    """A shot, and the frames kept of it (``keyframe_pts``: JSON list, in order).

    ``junk`` says why it is like shots of any film ("black", see ``m2s_index.junk``); empty where it is not, and
    null where nobody has looked yet.
    """

    __tablename__ = "shots"

    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(Integer, primary_key=True)
    start_frame: Mapped[int]
    end_frame: Mapped[int]
    start_pts: Mapped[int] = mapped_column(BigInteger)
    end_pts: Mapped[int] = mapped_column(BigInteger)
    transition: Mapped[str] = mapped_column(String(16))
    transition_start_frame: Mapped[int | None]
    transition_end_frame: Mapped[int | None]
    keyframe_pts: Mapped[str] = mapped_column(Text)
    junk: Mapped[str | None] = mapped_column(String(16))


class SceneRow(Base):
    """A run of shots. Its id is its FAISS id. The seconds follow from the pts, for filters in SQL."""

    __tablename__ = "scenes"
    __table_args__ = (UniqueConstraint("movie_id", "index"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="CASCADE"))
    index: Mapped[int]
    first_shot: Mapped[int]
    end_shot: Mapped[int]
    start_pts: Mapped[int] = mapped_column(BigInteger)
    end_pts: Mapped[int] = mapped_column(BigInteger)
    start_seconds: Mapped[float]
    end_seconds: Mapped[float]
    duration_seconds: Mapped[float] = mapped_column(index=True)


class LabelRow(Base):
    """A label of a stretch of a film, or of the whole film where the seconds are null.

    A scene carries it when the scene's middle lies in [start, end): labels outlive re-indexing.
    """

    __tablename__ = "labels"
    __table_args__ = (
        # Holds all that a filter by label asks of a row.
        Index("ix_labels_value", "vocabulary", "value", "movie_id", "start_seconds", "end_seconds"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="CASCADE"), index=True)
    start_seconds: Mapped[float | None]
    end_seconds: Mapped[float | None]
    vocabulary: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    split: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)


class FailureRow(Base):
    """A file that could not be read, as it then was, and why. Not tried again until it changes."""

    __tablename__ = "failures"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(FilePath, unique=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    modified_ns: Mapped[int] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(Text)
    failed_at: Mapped[str] = mapped_column(String(32), default=now_text)


class TitleRow(Base):
    """A movie that metadata speaks of, indexed or not. Which films are of it is worked out when asked."""

    __tablename__ = "titles"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    imdb_id: Mapped[str | None] = mapped_column(String(16), unique=True)
    title: Mapped[str | None] = mapped_column(Text)
    year: Mapped[int | None]
    synopsis: Mapped[str | None] = mapped_column(Text)


class TitleGenreRow(Base):
    """A title's genres."""

    __tablename__ = "title_genres"

    title_id: Mapped[int] = mapped_column(ForeignKey("titles.id", ondelete="CASCADE"), primary_key=True)
    genre: Mapped[str] = mapped_column(Text, primary_key=True)


class TitleFileRow(Base):
    """A file name that a table gives for a title, as it is written there."""

    __tablename__ = "title_files"

    file: Mapped[str] = mapped_column(Text, primary_key=True)
    title_id: Mapped[int] = mapped_column(ForeignKey("titles.id", ondelete="CASCADE"), index=True)


class TitleRatingsRow(Base):
    """Who rated a title, and how: little-endian int32 numbers of people, ascending, and a float16 of each."""

    __tablename__ = "title_ratings"

    title_id: Mapped[int] = mapped_column(ForeignKey("titles.id", ondelete="CASCADE"), primary_key=True)
    people: Mapped[bytes] = mapped_column(LargeBinary)
    ratings: Mapped[bytes] = mapped_column(LargeBinary)


class EncoderRow(Base):
    """An encoder that has been used here. ``identity`` is canonical JSON, ``key`` its SHA-256."""

    __tablename__ = "encoders"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    identity: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[str] = mapped_column(String(32), default=now_text)


class FeatureRow(Base):
    """One movie's shot features by one encoder: a [rows, columns] matrix, little-endian, row i for shot i."""

    __tablename__ = "features"
    __table_args__ = (UniqueConstraint("movie_id", "encoder_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="CASCADE"))
    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"), index=True)
    rows: Mapped[int]
    columns: Mapped[int]
    dtype: Mapped[str] = mapped_column(String(16))
    data: Mapped[bytes] = mapped_column(LargeBinary)


class EmbeddingRow(Base):
    """One movie's scene embeddings by one encoder: row i for the scene whose index is i.

    ``first_scene_id`` is the id of scene 0; a movie's scene ids follow each other without a gap.
    """

    __tablename__ = "embeddings"
    __table_args__ = (UniqueConstraint("movie_id", "encoder_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="CASCADE"))
    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"), index=True)
    first_scene_id: Mapped[int]
    rows: Mapped[int]
    columns: Mapped[int]
    dtype: Mapped[str] = mapped_column(String(16))
    data: Mapped[bytes] = mapped_column(LargeBinary)


class IndexFileRow(Base):
    """The FAISS file of one encoder: a cache, trusted only while all of this holds of it."""

    __tablename__ = "index_files"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"), unique=True)
    generation: Mapped[int]
    file: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    vectors: Mapped[int]
    columns: Mapped[int]
    created_at: Mapped[str] = mapped_column(String(32), default=now_text)


class IndexEntryRow(Base):
    """Which embedding matrices went into a FAISS file. Kept when a movie goes, so that what is gone shows."""

    __tablename__ = "index_entries"

    index_file_id: Mapped[int] = mapped_column(ForeignKey("index_files.id", ondelete="CASCADE"), primary_key=True)
    embedding_id: Mapped[int] = mapped_column(primary_key=True)
    movie_id: Mapped[int]
    first_scene_id: Mapped[int]
    rows: Mapped[int]


class PairRunRow(Base):
    """One search of the whole catalogue for similar scenes: by which encoder, how (canonical JSON), and how far.

    ``generation`` tells which embeddings there were, ``scenes_key`` (SHA-256) which scenes of which films were
    compared; ``finished_at`` is null until it ends.
    """

    __tablename__ = "pair_runs"
    __table_args__ = (UniqueConstraint("encoder_id", "parameters"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"))
    parameters: Mapped[str] = mapped_column(Text)
    generation: Mapped[str] = mapped_column(String(48))
    scenes_key: Mapped[str] = mapped_column(String(64))
    route: Mapped[str] = mapped_column(String(16))
    blocks: Mapped[int]
    blocks_done: Mapped[int]
    started_at: Mapped[str] = mapped_column(String(32), default=now_text)
    finished_at: Mapped[str | None] = mapped_column(String(32))


class ScenePairRow(Base):
    """A pair that a run found; while it goes on, the best so far. It goes with either of its scenes.

    Of a duplicate the last columns say which shots and times of either film show the same pictures; of other pairs
    they are NULL.
    """

    __tablename__ = "scene_pairs"

    run_id: Mapped[int] = mapped_column(ForeignKey("pair_runs.id", ondelete="CASCADE"), primary_key=True)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True)
    score: Mapped[float]
    scene_a: Mapped[int] = mapped_column(ForeignKey("scenes.id", ondelete="CASCADE"), index=True)
    scene_b: Mapped[int] = mapped_column(ForeignKey("scenes.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    percentile: Mapped[float | None]
    csls: Mapped[float | None]
    first_shot_a: Mapped[int | None]
    end_shot_a: Mapped[int | None]
    start_seconds_a: Mapped[float | None]
    end_seconds_a: Mapped[float | None]
    first_shot_b: Mapped[int | None]
    end_shot_b: Mapped[int | None]
    start_seconds_b: Mapped[float | None]
    end_seconds_b: Mapped[float | None]


class SettingRow(Base):
    """What belongs to the catalogue as a whole: its default encoder, the options of its builds."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
