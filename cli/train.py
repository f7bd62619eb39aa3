"""``m2s train``: encoders trained on a catalogue's own films."""

from __future__ import annotations

import click

from m2s_index.cli.lazy_group import LazyGroup

COMMANDS = {name: f"train_{name}:{name}" for name in ("adapt", "mine", "movie", "scene", "shot")}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def train() -> None:
    """Train encoders on the films of a catalogue, from what is stored of them."""
