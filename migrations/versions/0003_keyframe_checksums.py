"""The checksum of each film's key-frame file; none for those that were written before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("movies", sa.Column("keyframes_sha256", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("movies", "keyframes_sha256")
