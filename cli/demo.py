"""``m2s demo``: a small catalogue of procedural films, from nothing, offline."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from m2s_index.cli.options import GivenPath
from m2s_index.cli.output import clock, say


@click.command()
@click.option(
    "--folder",
    default="m2s-demo",
    show_default=True,
    type=GivenPath(file_okay=False, path_type=Path),
    help="Where the films and the catalogue go.",
)
@click.pass_context
def demo(ctx: click.Context, folder: Path) -> None:
    """Render a few small films, index them, ask for similar scenes, and write a contact sheet."""
    from m2s_index.cli.build import build
    from m2s_index.cli.query import query
    from m2s_index.procedural import demo_films, render, truth_path

    films, catalog, sheet = folder / "films", folder / "catalog", folder / "similar-scenes.html"
    films.mkdir(parents=True, exist_ok=True)
    specs = demo_films()
    for number, spec in enumerate(specs, start=1):
        path = films / spec.file_name
        if truth_path(path).exists():
            continue
        truth = render(spec, path)
        length = clock(truth.frames / float(truth.frame_rate))
        say(f"rendered {number} of {len(specs)}: {path.name}, {length}")
    say("")
    status = _run(ctx, build, [str(films), "--catalog", str(catalog)])
    if status:
        ctx.exit(status)
    scene = f"{films.joinpath(specs[0].file_name).stem}#1"
    program = _program()
    click.echo(f'\n$ {program} query --scene "{scene}" --other-movies -k 5 --catalog {catalog}')
    arguments = ["--scene", scene, "--other-movies", "-k", "5", "--catalog", str(catalog), "--html", str(sheet)]
    status = _run(ctx, query, arguments)
    if status:
        ctx.exit(status)
    click.echo(
        f"\nLook at the contact sheet: {sheet.resolve()}\n\nNext, on your own films:\n"
        f"  {program} index build ~/films\n"
        f'  {program} query --scene "Part of a title#3" -k 10 --html similar.html'
    )


def _program() -> str:
    """What to type for this program: its name where the shell finds it, else the path it was called by."""
    found = shutil.which("m2s")
    return "m2s" if found and Path(found).samefile(sys.argv[0]) else sys.argv[0]


def _run(ctx: click.Context, command: click.Command, arguments: list[str]) -> int:
    """Run another command as if it had been typed; returns its exit status."""
    try:
        with command.make_context(command.name, arguments, parent=ctx) as inner:
            command.invoke(inner)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    return 0
