"""``m2s train``: encoders trained on a catalogue's own films."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import print_json, say, shown

if TYPE_CHECKING:
    from m2s_index.encoders.training.loop import StepDone
    from m2s_index.encoders.training.shot_training import ShotTraining

_SHOWN_SECONDS = 2.0


@click.group()
def train() -> None:
    """Train encoders on the films of a catalogue, from their stored key frames."""


@train.command()
@catalog_option
@click.option(
    "--out", required=True, type=GivenPath(dir_okay=False, path_type=Path), help="The encoder: FILE.safetensors."
)
@click.option("--preset", default="small", show_default=True, help="Where values come from first: small or paper.")
@click.option(
    "--recipe",
    type=click.Choice(["m2s", "shotcol"]),
    default="m2s",
    show_default=True,
    help="How positives are chosen; shotcol fixes a neighbourhood of 16 shots.",
)
@click.option(
    "--config", "config_file", type=GivenPath(path_type=Path), help="TOML: values in place of the preset's."
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="One value; goes before --config.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint, with the same values.")
@click.option(
    "--checkpoint-steps",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Steps from one checkpoint to the next.",
)
@click.option("--device", help="cpu, cuda or cuda:1.  [default: cuda where there is one]")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    help="What the networks compute in.  [default: bf16 on cuda, else fp32]",
)
@click.option("--threads", type=click.IntRange(1), help="Threads of the networks.  [default: all cores]")
@format_options("table", "json")
def shot(
    catalog_folder: Path,
    out: Path,
    preset: str,
    recipe: Literal["m2s", "shotcol"],
    config_file: Path | None,
    settings: tuple[str, ...],
    resume: bool,
    checkpoint_steps: int,
    device: str | None,
    precision: Literal["fp32", "bf16"] | None,
    threads: int | None,
    output_format: str,
) -> None:
    """Train E_shot, the encoder of single shots: momentum contrast between neighbouring shots.

    Its state goes into FILE.training.safetensors and its curve into FILE.csv and FILE.svg, beside --out. Embed the
    catalogue with it by 'm2s index build --encoder FILE.safetensors'.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.encoders.training.config import parse_settings, read_settings, resolve_config

    values = (read_settings(config_file) if config_file else {}) | parse_settings(settings)
    config = resolve_config(preset, recipe, values)
    with Catalog.open(catalog_folder) as catalog:
        import torch

        from m2s_index.encoders.training.shot_training import prepare_training, run_training
        from m2s_index.training_source import KeyFrameSource

        if threads is not None:
            torch.set_num_threads(threads)
        training = prepare_training(KeyFrameSource(catalog), config, out, resume=resume)
        _announce(training)
        begun = time.monotonic()
        curve = run_training(
            training,
            device=device,
            bf16=None if precision is None else precision == "bf16",
            resume=resume,
            checkpoint_steps=checkpoint_steps,
            on_step=_Lines().step,
        )
    seconds = time.monotonic() - begun
    if output_format == "json":
        print_json(
            {
                "out": shown(str(out)),
                "curve": shown(str(training.curve_path)),
                "steps": len(curve),
                "first_loss": curve[0].loss,
                "last_loss": curve[-1].loss,
                "seconds": round(seconds, 3),
                "config": config.as_dict(),
            }
        )
        return
    click.echo(
        f"{len(curve)} steps, loss {curve[0].loss:.3f} to {curve[-1].loss:.3f}, in {seconds:.1f} s → "
        f"{shown(str(out))}"
    )


def _announce(training: ShotTraining) -> None:
    sampler, config = training.sampler, training.config
    short = len(training.source.shots) - sampler.films
    left_out = f" ({short} films have fewer than {config.run_shots} shots and are left out)" if short else ""
    say(
        f"{sampler.films} films, {sampler.shots} shots{left_out}; {config.backbone} at {config.image_px} px, "
        f"{training.plan.steps} steps of {config.batch_shots * config.accumulate} shots"
    )


class _Lines:
    """A line on how it goes every few seconds, and for the last step."""

    def __init__(self) -> None:
        self._shown = 0.0

    def step(self, done: StepDone) -> None:
        """Say it, if it is time."""
        from m2s_index.cli.estimate import duration

        now = time.monotonic()
        if now - self._shown < _SHOWN_SECONDS and done.step < done.steps:
            return
        self._shown = now
        say(
            f"[{done.step}/{done.steps}] loss {done.point.loss:.4f}, learning rate {done.point.learning_rate:.2e}, "
            f"{done.samples_per_second:.0f} shots/s, {duration(done.seconds_left)} left"
        )
