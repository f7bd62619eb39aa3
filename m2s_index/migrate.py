"""Bringing a catalogue's schema up to date, with Alembic (imported only when there is something to do)."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    """Run the migrations that ``connection``'s database lacks, in its current transaction."""
    from alembic import command
    from alembic.config import Config

    from m2s_index import migrations

    config = Config()
    folder = str(Path(migrations.__file__).parent)
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
