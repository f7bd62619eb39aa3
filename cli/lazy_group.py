"""A group of commands whose modules are imported when they are asked for: no command waits for the others."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group with commands of its own and others that are named only."""

    def __init__(self, *args: Any, lazy: Mapping[str, str], **options: Any) -> None:
        """As click's, and ``lazy``: commands by name, as ``module:attribute`` within ``m2s_index.cli``."""
        super().__init__(*args, **options)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in alphabetical order."""
        return sorted({*self.commands, *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute = self._lazy[cmd_name].split(":")
        command: click.Command = getattr(import_module(f"m2s_index.cli.{module}"), attribute)
        return command
