"""Pairs of similar scenes over the whole catalogue, the runs that found them, and which shots are junk."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("shots", sa.Column("junk", sa.String(16), nullable=True))
    op.create_table(
        "pair_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("generation", sa.String(48), nullable=False),
        sa.Column("scenes_key", sa.String(64), nullable=False),
        sa.Column("route", sa.String(16), nullable=False),
        sa.Column("blocks", sa.Integer(), nullable=False),
        sa.Column("blocks_done", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32), nullable=True),
        sa.ForeignKeyConstraint(["encoder_id"], ["encoders.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("encoder_id", "parameters"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "scene_pairs",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("scene_a", sa.Integer(), nullable=False),
        sa.Column("scene_b", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("percentile", sa.Double(), nullable=True),
        sa.Column("csls", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["pair_runs.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["scene_a"], ["scenes.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["scene_b"], ["scenes.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "rank"),
    )
    op.create_index("ix_scene_pairs_scene_a", "scene_pairs", ["scene_a"])
    op.create_index("ix_scene_pairs_scene_b", "scene_pairs", ["scene_b"])


def downgrade() -> None:
    for table in ("scene_pairs", "pair_runs"):
        op.drop_table(table)
    op.drop_column("shots", "junk")
