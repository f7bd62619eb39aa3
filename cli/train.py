"""``m2s train``: encoders trained on a catalogue's own films."""

from __future__ import annotations

import click

from m2s_index.cli.train_adapt import adapt
from m2s_index.cli.train_mine import mine
from m2s_index.cli.train_movie import movie
from m2s_index.cli.train_scene import scene
from m2s_index.cli.train_shot import shot


@click.group()
def train() -> None:
    """Train encoders on the films of a catalogue, from what is stored of them."""


train.add_command(shot)
train.add_command(movie)
train.add_command(mine)
train.add_command(scene)
train.add_command(adapt)
