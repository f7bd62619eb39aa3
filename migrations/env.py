"""Alembic's entry: runs the migrations on the connection that ``migrate.upgrade`` hands over."""

from __future__ import annotations

from alembic import context

from m2s_index.schema import Base

# SQLite can roll back DDL: a migration that is killed half way leaves the catalogue as it was.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
