"""Stretches of the same pictures that a run over all films found: their shots and times in either film."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

COLUMNS = tuple(
    (f"{name}_{side}", kind)
    for side in "ab"
    for name, kind in (
        ("first_shot", sa.Integer()),
        ("end_shot", sa.Integer()),
        ("start_seconds", sa.Double()),
        ("end_seconds", sa.Double()),
    )
)


def upgrade() -> None:
    for name, kind in COLUMNS:
        op.add_column("scene_pairs", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name, _ in COLUMNS:
        op.drop_column("scene_pairs", name)
