"""What belongs to the catalogue as a whole: single values by name, and the options of its builds."""

from __future__ import annotations

import json
from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from m2s_index.errors import CatalogDamagedError
from m2s_index.schema import SettingRow
from m2s_index.types import BuildOptions


def get_setting(session: Session, key: str) -> str | None:
    """A setting of the catalogue, or None."""
    return session.scalar(select(SettingRow.value).where(SettingRow.key == key))


def set_setting(session: Session, key: str, value: str) -> None:
    """Set it, whether or not it was."""
    session.merge(SettingRow(key=key, value=value))


def saved_options(session: Session) -> BuildOptions:
    """The options of the catalogue's builds: the defaults until a build sets others."""
    value = get_setting(session, "build_options")
    return read_options(value, "the catalogue's build options") if value else BuildOptions()


def save_options(session: Session, options: BuildOptions) -> None:
    """Keep the options for the next build."""
    set_setting(session, "build_options", options_text(options))


def read_options(text: str, what: str) -> BuildOptions:
    """The inverse of ``options_text``.

    Raises:
        CatalogDamagedError: it is no such text.
    """
    try:
        return BuildOptions(**json.loads(text))
    except (TypeError, ValueError) as exc:
        raise CatalogDamagedError(f"{what} cannot be read ({exc}): run 'm2s index repair'") from exc


def options_text(options: BuildOptions) -> str:
    """Canonical JSON: equal options give equal text."""
    return json.dumps(asdict(options), sort_keys=True)
