"""The ``m2s`` command: its groups, and how errors become exit statuses."""

from __future__ import annotations

import io
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from m2s_index import __version__
from m2s_index.cli.lazy_group import LazyGroup
from m2s_index.cli.options import CATALOG_KEY
from m2s_index.cli.output import TYPED, say
from m2s_index.errors import M2SError, UsageError

INTERRUPTED = 130
COMMANDS = {
    "demo": "demo:demo",
    "encoders": "encoders:encoders",
    "eval": "eval:evaluation",
    "explain": "explain:explain",
    "index": "index:index",
    "labels": "labels:labels",
    "movies": "movies:movies",
    "pairs": "pairs:pairs",
    "query": "query:query",
    "shots": "shots:shots",
    "train": "train:train",
}


class _Command(LazyGroup):
    """Turns m2s errors into one line and an exit status: 2 for wrong usage, 1 for all else."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        # A terminal that cannot show a character shows another; it is no reason to stop.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        return super().main(*args, **kwargs)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        typed = shlex.join(["m2s", *args])
        ctx = super().make_context(info_name, args, parent, **extra)
        ctx.meta[TYPED] = typed
        return ctx

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as exc:
            say(f"m2s: {exc}")
            ctx.exit(2)
        except M2SError as exc:
            say(f"m2s: {exc}")
            ctx.exit(1)
        except BrokenPipeError:
            # The reader of our output has gone ("m2s … | head"); there is nobody left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(1)
        except OSError as exc:
            # An error about a file names it. One that does not is standard output's: a full disk, say,
            # behind a redirection; what is still buffered must not fail again on the way out.
            if exc.filename is None:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            say(f"m2s: {exc.filename or 'the output'}: {exc.strerror or exc}")
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("m2s: stopped", err=True)
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as exc:
            damage = _damage(ctx)
            if damage is None:
                raise
            say(f"m2s: {type(exc).__name__}: {damage}")
            ctx.exit(1)


def _damage(ctx: click.Context) -> str | None:
    """What is wrong with the command's catalogue, which an error that nobody foresaw may come from."""
    folder: Path | None = ctx.meta.get(CATALOG_KEY)
    if folder is None or not folder.is_dir():
        return None
    from m2s_index.verify import verify_folder

    try:
        problems = verify_folder(folder).problems
    except M2SError as exc:
        return str(exc)
    if not problems:
        return None
    first = problems[0]
    return f"the catalogue in {folder} is not sound ({first.what}: {first.where}); {first.remedy}"


@click.group(cls=_Command, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="m2s")
def main() -> None:
    """Find scenes in films: index folders of video, and search them for similar scenes.

    \b
    m2s demo                                a small catalogue to try, no films needed
    m2s index build ~/films                 index a folder of films
    m2s query --scene "Big Buck#3" -k 10    scenes like this one
    """
