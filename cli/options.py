"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from m2s_index.encoders import DEFAULT

Function = TypeVar("Function", bound=Callable[..., Any])


class GivenPath(click.Path):
    """A path that is not empty: an unset variable in a script is not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; an error of usage where it is empty."""
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


CATALOG_KEY = "m2s.catalog"


def _remember(ctx: click.Context, _param: click.Parameter, folder: Path) -> Path:
    # For whoever explains an error that nobody foresaw.
    ctx.meta[CATALOG_KEY] = folder
    return folder


catalog_option = click.option(
    "--catalog",
    "catalog_folder",
    envvar="M2S_CATALOG",
    default="m2s-catalog",
    show_default=True,
    show_envvar=True,
    type=GivenPath(file_okay=False, path_type=Path),
    callback=_remember,
    help="The catalogue's folder.",
)


def format_options(*formats: str) -> Callable[[Function], Function]:
    """``--format`` with the given choices, the first being the default, and a short form of json and csv."""

    def decorate(function: Function) -> Function:
        for name in reversed([name for name in formats if name in ("json", "csv")]):
            function = click.option(
                f"--{name}", "output_format", flag_value=name, help=f"Short for --format {name}."
            )(function)
        return click.option(
            "--format",
            "output_format",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="How to write the result to standard output.",
        )(function)

    return decorate


def encoder_options(function: Function) -> Function:
    """The options that make an encoder: its name, weights, device, precision and threads."""
    for option in reversed(
        [
            click.option(
                "--encoder",
                "encoder_name",
                help=f"See 'm2s encoders list'.  [default: the catalogue's, else {DEFAULT}]",
            ),
            click.option(
                "--weights",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                help="The encoder's weights: safetensors, or a state dict (.pt, .pth, .bin).",
            ),
            click.option("--device", help="cpu, cuda or cuda:1.  [default: cuda where there is one]"),
            click.option(
                "--precision",
                type=click.Choice(["fp32", "bf16"]),
                help="What the network computes in.  [default: bf16 on cuda, else fp32]",
            ),
            click.option("--threads", type=click.IntRange(1), help="Threads of the encoder.  [default: all cores]"),
        ]
    ):
        function = option(function)
    return function
