"""``m2s train shot``: E_shot, the encoder of single shots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from m2s_index.cli.output import say
from m2s_index.cli.train_options import TrainingOptions, print_finished, run_training, training_options

if TYPE_CHECKING:
    from m2s_index.encoders.training.shot_training import ShotTraining


@click.command()
@click.option(
    "--recipe",
    type=click.Choice(["m2s", "shotcol"]),
    default="m2s",
    show_default=True,
    help="How positives are chosen; shotcol fixes a neighbourhood of 16 shots.",
)
@training_options
def shot(given: TrainingOptions, recipe: Literal["m2s", "shotcol"]) -> None:
    """Train E_shot, the encoder of single shots: momentum contrast between neighbouring shots.

    Its state goes into FILE.training.safetensors and its curve into FILE.csv and FILE.svg, beside --out. Embed the
    catalogue with it by 'm2s index build --encoder FILE.safetensors'.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.encoders.training.shot_config import resolve_config

    config = resolve_config(given.preset, recipe, given.values())
    with Catalog.open(given.catalog_folder) as catalog, given.place() as place:
        from m2s_index.encoders.training.shot_training import prepare_shot_training
        from m2s_index.training_source import KeyFrameSource

        training = prepare_shot_training(KeyFrameSource(catalog), config, given.out, resume=given.resume)
        if place.processes.is_first:
            _announce(training)
        finished = run_training(training, given, place, unit="shots")
    if place.processes.is_first:
        print_finished(finished, given.output_format)


def _announce(training: ShotTraining) -> None:
    sampler, config = training.sampler, training.config
    short = len(training.source.shots) - sampler.films
    left_out = f" ({short} films have fewer than {config.run_shots} shots and are left out)" if short else ""
    say(
        f"{sampler.films} films, {sampler.shots} shots{left_out}; {config.backbone} at {config.image_px} px, "
        f"{training.plan.steps} steps of {config.batch_shots * config.accumulate} shots"
    )
