"""What the commands that train have in common: their options, the run itself, and what is said of it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import print_json, say, shown

if TYPE_CHECKING:
    from m2s_index.encoders.training.config import Value
    from m2s_index.encoders.training.loop import StepDone
    from m2s_index.encoders.training.place import Place
    from m2s_index.encoders.training.training import Finished, Training

_SHOWN_SECONDS = 2.0


@dataclass(frozen=True)
class TrainingOptions:
    """What was given on the command line to a training of any kind."""

    catalog_folder: Path
    out: Path
    preset: str
    config_file: Path | None
    settings: tuple[str, ...]
    resume: bool
    checkpoint_steps: int
    device: str | None
    precision: Literal["fp32", "bf16"] | None
    threads: int | None
    output_format: str

    def values(self) -> dict[str, Value]:
        """The values that go in place of the preset's: the file's, then single ones.

        Raises:
            UsageError: one cannot be read.
        """
        from m2s_index.encoders.training.config import parse_settings, read_settings

        return (read_settings(self.config_file) if self.config_file else {}) | parse_settings(self.settings)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Where the training runs.

        Raises:
            UsageError: the device cannot be.
        """
        import torch

        from m2s_index.encoders.training.place import training_place

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        with training_place(self.device, None if self.precision is None else self.precision == "bf16") as place:
            yield place


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every training; the command is given them as one ``TrainingOptions``, and its own by name."""
    return _given(command, (OUT_FILE, *_OPTIONS))


def adaptation_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same where ``--out`` is a folder."""
    return _given(command, (OUT_FOLDER, *_OPTIONS))


def _given(command: Callable[..., None], options: Iterable[Any]) -> Callable[..., None]:
    @functools.wraps(command)
    def with_given(**values: Any) -> None:
        given = TrainingOptions(**{name: values.pop(name) for name in TrainingOptions.__dataclass_fields__})
        command(given, **values)

    decorated: Callable[..., None] = with_given
    for option in reversed([*options]):
        decorated = option(decorated)
    return decorated


OUT_FILE = click.option(
    "--out",
    required=True,
    type=GivenPath(dir_okay=False, path_type=Path),
    help="The encoder: FILE.safetensors.",
)
OUT_FOLDER = click.option(
    "--out",
    required=True,
    type=GivenPath(file_okay=False, path_type=Path),
    help="A folder for the encoders, the scene pairs and all checkpoints; made if it is not there.",
)
_OPTIONS = (
    catalog_option,
    click.option(
        "--preset", default="small", show_default=True, help="Where values come from first: small or paper."
    ),
    click.option(
        "--config", "config_file", type=GivenPath(path_type=Path), help="TOML: values in place of the preset's."
    ),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="One value; goes before --config."),
    click.option("--resume", is_flag=True, help="Go on from the last checkpoint, with the same values."),
    click.option(
        "--checkpoint-steps",
        type=click.IntRange(1),
        default=100,
        show_default=True,
        help="Steps from one checkpoint to the next.",
    ),
    click.option("--device", help="cpu, cuda or cuda:1.  [default: cuda where there is one]"),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16"]),
        help="What the networks compute in.  [default: bf16 on cuda, else fp32]",
    ),
    click.option("--threads", type=click.IntRange(1), help="Threads of the networks.  [default: all cores]"),
    format_options("table", "json"),
)


def finished_line(finished: Finished) -> str:
    """What came of a training, for reading."""
    first, last = finished.curve[0].loss, finished.curve[-1].loss
    return (
        f"{len(finished.curve)} steps, loss {first:.3f} to {last:.3f}, in {finished.seconds:.1f} s → "
        f"{shown(str(finished.training.out))}"
    )


def finished_json(finished: Finished) -> dict[str, Any]:
    """What came of a training, for JSON."""
    return {
        "out": shown(str(finished.training.out)),
        "curve": shown(str(finished.training.curve_path)),
        "steps": len(finished.curve),
        "first_loss": finished.curve[0].loss,
        "last_loss": finished.curve[-1].loss,
        "seconds": round(finished.seconds, 3),
        "config": finished.training.config.as_dict(),
    }


def run_training(training: Training, given: TrainingOptions, place: Place, *, unit: str) -> Finished:
    """Run it, with lines on how it goes; ``unit`` names its samples, "shots" say."""
    from m2s_index.encoders.training.training import RunOptions

    lines = StepLines(unit, speaks=place.processes.is_first)
    return training.finish(place, RunOptions(given.resume, given.checkpoint_steps, lines.step, place.processes))


def print_finished(finished: Finished, output_format: str) -> None:
    """Say what came of a training."""
    if output_format == "json":
        print_json(finished_json(finished))
    else:
        click.echo(finished_line(finished))


class StepLines:
    """A line on how it goes every few seconds, and for the last step."""

    def __init__(self, unit: str, *, speaks: bool = True) -> None:
        self._unit = unit
        self._speaks = speaks
        self._shown = 0.0

    def step(self, done: StepDone) -> None:
        """Say it, if it is time."""
        from m2s_index.cli.estimate import duration

        now = time.monotonic()
        is_time = now - self._shown >= _SHOWN_SECONDS or done.step == done.steps
        if not (self._speaks and is_time):
            return
        self._shown = now
        say(
            f"[{done.step}/{done.steps}] loss {done.point.loss:.4f}, learning rate {done.point.learning_rate:.2e}, "
            f"{done.samples_per_second:.0f} {self._unit}/s, {duration(done.seconds_left)} left"
        )
