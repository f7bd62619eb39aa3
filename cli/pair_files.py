"""What ``m2s pairs`` writes beside its standard output: a page, and time lines for an editor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from m2s_index.cli.options import GivenPath
from m2s_index.cli.output import say, shown

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.pairing.film_pairs import FilmPairs
    from m2s_index.types import ScenePair

Function = TypeVar("Function", bound=Callable[..., object])
PAGE_PAIRS = 100


@dataclass(frozen=True)
class PairFiles:
    """The files that were asked for."""

    html: Path | None = None
    otio: Path | None = None
    edl: Path | None = None

    def check(self) -> None:
        """Say now what else would be said after hours.

        Raises:
            UsageError: a file's folder is not there.
            MissingExtraError: OpenTimelineIO is needed and not installed.
        """
        from m2s_index.errors import UsageError
        from m2s_index.timelines import opentimelineio

        for path in filter(None, (self.html, self.otio, self.edl)):
            if not path.parent.is_dir():
                raise UsageError(f"{path.parent}: there is no such folder to put {path.name} in; make it first")
        if self.otio or self.edl:
            opentimelineio()

    def write(
        self,
        catalog: Catalog,
        pairs: Sequence[ScenePair],
        heading: str,
        summary: str,
        films: FilmPairs | None = None,
    ) -> None:
        """Write them.

        Args:
            catalog: where the films and their key frames are.
            pairs: in order.
            heading: what they are pairs of.
            summary: a line on how they were found.
            films: where they are of two films, for the page's matrix and time line.

        Raises:
            UsageError: a file cannot be written, or an EDL not be made of these films.
        """
        from m2s_index.cli.contact_sheet import write_page

        if self.html:
            from m2s_index.cli.pairs_page import pairs_page

            shown_pairs = pairs[:PAGE_PAIRS]
            write_page(self.html, pairs_page(catalog, shown_pairs, heading, _counted(pairs, summary), films))
            say(f"page: {shown(str(self.html))}")
        for kind, path in (("otio", self.otio), ("edl", self.edl)):
            if path:
                from m2s_index.pairing.pair_timeline import EDL_PAIRS, pair_timeline

                write_page(path, pair_timeline(catalog, pairs, heading, kind))
                best = f", the best {EDL_PAIRS} pairs" if kind == "edl" and len(pairs) > EDL_PAIRS else ""
                say(f"time line: {shown(str(path))}{best}")


def _counted(pairs: Sequence[ScenePair], summary: str) -> str:
    same = sum(pair.kind == "duplicate" for pair in pairs)
    of_them = f", {same} of them the same pictures" if same else ""
    best = f"; the best {PAGE_PAIRS} are shown" if len(pairs) > PAGE_PAIRS else ""
    return f"{len(pairs)} pair{'' if len(pairs) == 1 else 's'} {summary}{of_them}{best}"


def file_options(function: Function) -> Function:
    """``--html``, ``--otio`` and ``--edl``."""
    for name, text in (
        ("edl", "Also the pairs as an edit list (CMX 3600): A's scene, then B's."),
        ("otio", "Also the pairs on a time line (OpenTimelineIO): A's scene, then B's."),
        ("html", f"Also a page with the key frames of the best {PAGE_PAIRS}."),
    ):
        function = click.option(f"--{name}", type=GivenPath(dir_okay=False, path_type=Path), help=text)(function)
    return function
