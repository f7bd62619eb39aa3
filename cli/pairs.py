"""``m2s pairs``: similar scenes of two films, or of all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from m2s_index.cli.estimate import duration
from m2s_index.cli.options import catalog_option, format_options
from m2s_index.cli.output import clock, print_csv, print_json, print_table, say
from m2s_index.cli.pair_files import PairFiles, file_options
from m2s_index.cli.query import scene_json
from m2s_index.cli.sentences import open_sentence_encoder, sentence_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m2s_index.catalog import Catalog
    from m2s_index.pairing.catalogue_pairs import CataloguePairs
    from m2s_index.pairing.film_pairs import Duplicates
    from m2s_index.types import Scene, ScenePair

SCENE_COLUMNS = ("scene_id", "movie", "movie_id", "index", "start_seconds", "end_seconds")
PAIR_COLUMNS = ("rank", "kind", "score", "percentile", "csls")
SAY_EVERY_SECONDS = 10.0


@click.command()
@click.argument("movies", metavar="[A B]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Instead of A and B: every film against every other.")
@click.option("--show", is_flag=True, help="Instead: what the last --all found.")
@catalog_option
@click.option("--encoder", "encoder_name", help="Whose embeddings to compare.  [default: the catalogue's]")
@click.option(
    "--keep", type=float, default=0.5, show_default=True, help="Share of two films' highest scores to pair."
)
@click.option("--top", type=int, help="Only so many pairs, the best.  [default: all; with --all 10000]")
@click.option("--min-score", type=float, help="Only pairs with at least this score.")
@click.option(
    "--min-percentile", type=float, help="Only pairs that score more than so many per cent of unrelated ones."
)
@click.option("--windows", is_flag=True, help="Of A and B: compare windows of nine shots instead of scenes.")
@click.option("--junk", is_flag=True, help="Also pair black and plain shots, title cards, logos and credits.")
@click.option(
    "--duplicates",
    type=click.Choice(["show", "hide", "only"]),
    default="show",
    show_default=True,
    help="The same pictures in both films (another encode, an excerpt, a trailer).",
)
@click.option(
    "--similar",
    type=click.Choice(["cowatch", "genre", "synopsis"]),
    help="With --all: only films that are similar by this metadata.",
)
@sentence_option
@click.option("--genre", "genres", multiple=True, help="With --all: only films of this genre; may be repeated.")
@click.option(
    "--route",
    type=click.Choice(["auto", "exact", "approximate"]),
    default="auto",
    help="With --all: compare every scene, or only nearest neighbours.  [default: by the number of scenes]",
)
@click.option("--year", "years", metavar="FROM:TO", help="With --all: only films of these years.")
@file_options
@format_options("table", "json", "csv")
def pairs(
    movies: tuple[str, ...], every: bool, show: bool, catalog_folder: Path, encoder_name: str | None,
    html: Path | None, otio: Path | None, edl: Path | None, output_format: str, **options: Any,
) -> None:  # fmt: skip
    """Find pairs of similar scenes of two films (A B), or of all films, best first.

    Each scene is in one pair at most of two films, and pairs are among the highest half of all their scores. What
    --all finds is kept in the catalogue, for --show; if it is interrupted, the next one goes on.
    """
    if (len(movies) == 2) + every + show != 1 or len(movies) not in (0, 2):
        raise click.UsageError("give two films (m2s pairs A B), or one of --all and --show")
    both = ("duplicates", "min_percentile", "top")
    ways = {
        "A B": {*both, "keep", "min_score", "windows", "junk"},
        "--all": {*both, "keep", "min_score", "junk", "similar", "sentence_encoder", "genres", "years", "route"},
        "--show": {*both},
    }
    way = "--all" if every else "--show" if show else "A B"
    given = {name: value for name, value in options.items() if _was_given(name)}
    if useless := sorted(given.keys() - ways[way]):
        names = {"genres": "genre", "years": "year"}
        flags = ", ".join("--" + names.get(name, name).replace("_", "-") for name in useless)
        raise click.UsageError(f"{flags} does not go with {way}")
    files = PairFiles(html, otio, edl)
    files.check()
    if way == "A B":
        _two_films(catalog_folder, encoder_name, output_format, files, *movies, **given)
    else:
        (_all_films if every else _show)(catalog_folder, encoder_name, output_format, files, **given)


def _was_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not click.core.ParameterSource.DEFAULT


def _two_films(
    folder: Path, encoder: str | None, output_format: str, files: PairFiles, first: str, second: str, **options: Any
) -> None:
    from m2s_index.catalog import Catalog
    from m2s_index.pairing.film_pairs import PairOptions, film_pairs

    wanted = PairOptions(**options)
    with Catalog.open(folder) as catalog:
        found = film_pairs(catalog, first, second, wanted, encoder)
        _say(found.notes)
        names = f"{found.a.movie.name} and {found.b.movie.name}"
        print_pairs(found.pairs, found.encoder, output_format, title=f"{names}, by {found.encoder}")
        files.write(catalog, found.pairs, f"Similar scenes of {names}", f"by {found.encoder}", found)


def _all_films(
    folder: Path, encoder: str | None, output_format: str, files: PairFiles, *, years: str | None = None,
    duplicates: Duplicates = "show", min_percentile: float | None = None, sentence_encoder: Path | None = None,
    **options: Any,
) -> None:  # fmt: skip
    from m2s_index.catalog import Catalog
    from m2s_index.filters import parse_years
    from m2s_index.lock import BuildLock
    from m2s_index.pairing.catalogue_pairs import CatalogueOptions, Shown, find_catalogue_pairs

    shown = Shown(duplicates, None, min_percentile)
    wanted = CatalogueOptions(**options, years=None if years is None else parse_years(years))
    sentences = open_sentence_encoder(sentence_encoder)
    with Catalog.open(folder, writable=True) as catalog, BuildLock(folder):
        found = find_catalogue_pairs(
            catalog, wanted, encoder, PairProgress().blocks, shown=shown, sentences=sentences
        )
        _print_run(found, output_format)
        _write_run(files, catalog, found)


def _show(folder: Path, encoder: str | None, output_format: str, files: PairFiles, **options: Any) -> None:
    from m2s_index.catalog import Catalog
    from m2s_index.pairing.catalogue_pairs import Shown, show_catalogue_pairs

    shown = Shown(**options)
    with Catalog.open(folder) as catalog, catalog.reader() as reader:
        found = show_catalogue_pairs(reader, encoder, shown)
        _print_run(found, output_format)
        _write_run(files, catalog, found)


class PairProgress:
    """Says now and then how far a run over all films is."""

    def __init__(self) -> None:
        self._started = self._said = time.monotonic()
        self._first: int | None = None

    def blocks(self, done: int, total: int) -> None:
        """So many blocks are done."""
        now = time.monotonic()
        if self._first is None:
            self._first = done - 1
        if now - self._said >= SAY_EVERY_SECONDS:
            self._said = now
            left = (now - self._started) / (done - self._first) * (total - done)
            say(f"pairs: block {done} of {total}; {duration(left)} left")


def _write_run(files: PairFiles, catalog: Catalog, found: CataloguePairs) -> None:
    files.write(
        catalog,
        found.pairs,
        "Similar scenes of all films",
        f"by {found.run.encoder}, found {found.run.finished_at}",
    )


def _print_run(found: CataloguePairs, output_format: str) -> None:
    _say(found.notes)
    run = found.run
    print_pairs(found.pairs, run.encoder, output_format, title=f"all films, by {run.encoder}, {run.finished_at}")


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        say(f"pairs: {note}")


def print_pairs(found: Sequence[ScenePair], encoder: str, output_format: str, *, title: str) -> None:
    """Pairs as a table, JSON or CSV."""
    if output_format == "json":
        print_json({"encoder": encoder, "pairs": [pair_json(pair) for pair in found]})
    elif output_format == "csv":
        header = (*PAIR_COLUMNS, *(f"{name}_{side}" for side in "ab" for name in SCENE_COLUMNS))
        rows = [pair_json(pair) for pair in found]
        ends = [(side, name) for side in "ab" for name in SCENE_COLUMNS]
        print_csv(header, ([*(row[n] for n in PAIR_COLUMNS), *(row[side][n] for side, n in ends)] for row in rows))
    else:
        print_table(
            ("rank", "", "score", "percentile", "csls", *2 * ("film", "scene", "from", "to")),
            ((pair.rank, *_measures(pair), *_cells(pair.a), *_cells(pair.b)) for pair in found),
            title=title,
        )


def pair_json(pair: ScenePair) -> dict[str, Any]:
    """A pair as JSON has it."""
    return {
        "rank": pair.rank,
        "kind": pair.kind,
        "score": pair.score,
        "percentile": pair.percentile,
        "csls": pair.csls,
        "a": scene_json(pair.a),
        "b": scene_json(pair.b),
    }


def _measures(pair: ScenePair) -> tuple[str, float, str | None, float | None]:
    percentile = None if pair.percentile is None else f"{pair.percentile:.1f}"
    return "same" if pair.kind == "duplicate" else "", pair.score, percentile, pair.csls


def _cells(scene: Scene) -> tuple[str, ...]:
    return scene.movie, f"#{scene.index}", clock(scene.start_seconds), clock(scene.end_seconds)
