"""The first catalogue.

Types are written out here, not taken from ``m2s_index.db``: this step must stay as it was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _owned(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([f"{table[:-1]}_id"], [f"{table}.id"], ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "encoders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "movies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("modified_ns", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("codec", sa.Text(), nullable=False),
        sa.Column("stream_index", sa.Integer(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("sample_aspect", sa.String(48), nullable=False),
        sa.Column("rotation_degrees", sa.Integer(), nullable=False),
        sa.Column("frame_rate", sa.String(48), nullable=False),
        sa.Column("time_base", sa.String(48), nullable=False),
        sa.Column("start_pts", sa.BigInteger(), nullable=False),
        sa.Column("end_pts", sa.BigInteger(), nullable=False),
        sa.Column("container_duration_pts", sa.BigInteger(), nullable=True),
        sa.Column("container_frames", sa.Integer(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("damaged_packets", sa.Integer(), nullable=False),
        sa.Column("crop_left_px", sa.Integer(), nullable=True),
        sa.Column("crop_top_px", sa.Integer(), nullable=True),
        sa.Column("crop_width_px", sa.Integer(), nullable=True),
        sa.Column("crop_height_px", sa.Integer(), nullable=True),
        sa.Column("detector", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("keyframes_file", sa.Text(), nullable=False),
        sa.Column("keyframes_bytes", sa.BigInteger(), nullable=False),
        sa.Column("indexed_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_movies_fingerprint"), "movies", ["fingerprint"], unique=False)
    op.create_index(op.f("ix_movies_name"), "movies", ["name"], unique=False)
    op.create_index(op.f("ix_movies_year"), "movies", ["year"], unique=False)
    op.create_table(
        "settings",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "embeddings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("movie_id", sa.Integer(), nullable=False),
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("first_scene_id", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(16), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _owned("encoders"),
        _owned("movies"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("movie_id", "encoder_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_embeddings_encoder_id"), "embeddings", ["encoder_id"], unique=False)
    op.create_table(
        "features",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("movie_id", sa.Integer(), nullable=False),
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(16), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _owned("encoders"),
        _owned("movies"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("movie_id", "encoder_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_features_encoder_id"), "features", ["encoder_id"], unique=False)
    op.create_table(
        "index_files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("vectors", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        _owned("encoders"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("encoder_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "labels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("movie_id", sa.Integer(), nullable=False),
        sa.Column("start_seconds", sa.Double(), nullable=True),
        sa.Column("end_seconds", sa.Double(), nullable=True),
        sa.Column("vocabulary", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        _owned("movies"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_labels_movie_id"), "labels", ["movie_id"], unique=False)
    op.create_index(
        "ix_labels_value",
        "labels",
        ["vocabulary", "value", "movie_id", "start_seconds", "end_seconds"],
        unique=False,
    )
    op.create_table(
        "movie_genres",
        sa.Column("movie_id", sa.Integer(), nullable=False),
        sa.Column("genre", sa.Text(), nullable=False),
        _owned("movies"),
        sa.PrimaryKeyConstraint("movie_id", "genre"),
    )
    op.create_index(op.f("ix_movie_genres_genre"), "movie_genres", ["genre"], unique=False)
    op.create_table(
        "scenes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("movie_id", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("first_shot", sa.Integer(), nullable=False),
        sa.Column("end_shot", sa.Integer(), nullable=False),
        sa.Column("start_pts", sa.BigInteger(), nullable=False),
        sa.Column("end_pts", sa.BigInteger(), nullable=False),
        sa.Column("start_seconds", sa.Double(), nullable=False),
        sa.Column("end_seconds", sa.Double(), nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=False),
        _owned("movies"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("movie_id", "index"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_scenes_duration_seconds"), "scenes", ["duration_seconds"], unique=False)
    op.create_table(
        "shots",
        sa.Column("movie_id", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("start_frame", sa.Integer(), nullable=False),
        sa.Column("end_frame", sa.Integer(), nullable=False),
        sa.Column("start_pts", sa.BigInteger(), nullable=False),
        sa.Column("end_pts", sa.BigInteger(), nullable=False),
        sa.Column("transition", sa.String(16), nullable=False),
        sa.Column("transition_start_frame", sa.Integer(), nullable=True),
        sa.Column("transition_end_frame", sa.Integer(), nullable=True),
        sa.Column("keyframe_pts", sa.Text(), nullable=False),
        _owned("movies"),
        sa.PrimaryKeyConstraint("movie_id", "index"),
    )
    op.create_table(
        "index_entries",
        sa.Column("index_file_id", sa.Integer(), nullable=False),
        sa.Column("embedding_id", sa.Integer(), nullable=False),
        sa.Column("movie_id", sa.Integer(), nullable=False),
        sa.Column("first_scene_id", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        _owned("index_files"),
        sa.PrimaryKeyConstraint("index_file_id", "embedding_id"),
    )


def downgrade() -> None:
    for table in (
        "index_entries",
        "index_files",
        "embeddings",
        "features",
        "labels",
        "scenes",
        "shots",
        "movie_genres",
        "movies",
        "encoders",
        "settings",
    ):
        op.drop_table(table)
