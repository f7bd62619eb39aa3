"""Stretches of the same pictures that a run over all films found: their shots and times in either film."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SHOTS, SECONDS = ("first_shot", "end_shot"), ("start_seconds", "end_seconds")


def upgrade() -> None:
    for side in "ab":
        for name in SHOTS:
            op.add_column("scene_pairs", sa.Column(f"{name}_{side}", sa.Integer(), nullable=True))
        for name in SECONDS:
            op.add_column("scene_pairs", sa.Column(f"{name}_{side}", sa.Double(), nullable=True))


def downgrade() -> None:
    for side in "ab":
        for name in (*SHOTS, *SECONDS):
            op.drop_column("scene_pairs", f"{name}_{side}")
