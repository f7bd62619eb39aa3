"""``m2s movies``: what is known of movies from elsewhere, and which are similar by it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import print_csv, print_json, print_table, say, shown
from m2s_index.cli.sentences import open_sentence_encoder, sentence_option

if TYPE_CHECKING:
    from m2s_index.catalog import Catalog
    from m2s_index.movie_metadata.known_titles import KnownTitle
    from m2s_index.movie_metadata.metadata_files import FoundMetadata
    from m2s_index.movie_metadata.movie_import import MovieImport
    from m2s_index.movie_metadata.movie_signals import TitlePair


@click.group()
def movies() -> None:
    """Movie metadata: ratings, genres and synopses, and what is similar by them."""


@movies.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=GivenPath(path_type=Path))
@catalog_option
@format_options("table", "json")
def import_command(files: tuple[Path, ...], catalog_folder: Path, output_format: str) -> None:
    """Import metadata of movies, indexed or not, from each FILE or folder; what it is shows from its first line.

    MovieLens (links.csv with ratings.csv, movies.csv), Condensed Movies (movies.csv, movie_info.csv,
    descriptions.csv, clips.csv), or a CSV movie,title,year,genres,synopsis,imdb_id whose movie is a file name.
    They are joined by IMDb id.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.movie_metadata.metadata_files import read_metadata_files

    found = read_metadata_files(files)
    with Catalog.open(catalog_folder, create=True) as catalog:
        result = import_found(catalog, found)
    if output_format == "json":
        print_json({**vars(result), "passed_over": [shown(str(path)) for path in result.passed_over]})
    else:
        click.echo(import_line(result))
    click.get_current_context().exit(1 if result.left_out else 0)


def import_found(catalog: Catalog, found: FoundMetadata) -> MovieImport:
    """Import what files say, and name what of it is of no use."""
    from m2s_index.movie_metadata.movie_import import import_metadata

    with catalog.write() as session:
        result = import_metadata(session, found)
    for path in result.passed_over:
        say(f"movies: {shown(str(path))} is of no use here, passed over")
    for line in result.left_out:
        say(f"movies: {line}")
    return result


def import_line(result: MovieImport) -> str:
    """What came in, for reading."""
    ratings = f", {result.ratings} ratings by {result.people} people" if result.ratings else ""
    return f"{result.movies} movies ({result.new} new){ratings}; {result.indexed} indexed films are of known movies"


@movies.command("similar")
@click.argument("movie", required=False)
@catalog_option
@click.option(
    "--signal",
    type=click.Choice(["cowatch", "genre", "synopsis"]),
    default="cowatch",
    show_default=True,
    help="Similar how: liked by the same people, of the same genres, or with like synopses.",
)
@click.option(
    "-n", "--count", type=click.IntRange(1), default=10, show_default=True, help="Similar movies of each."
)
@click.option("--indexed", is_flag=True, help="Without MOVIE: only pairs of movies that films are indexed of.")
@click.option("--seed", type=int, default=0, show_default=True, help="Without MOVIE: of the pairs not similar.")
@sentence_option
@format_options("table", "json", "csv")
def similar_command(
    movie: str | None, catalog_folder: Path, signal: str, count: int, indexed: bool, seed: int,
    sentence_encoder: Path | None, output_format: str,
) -> None:  # fmt: skip
    """Movies similar to MOVIE: a film's file name, a title with or without its year, or an IMDb id.

    Without MOVIE, the pairs of every movie with its most similar ones, and as many pairs that are not similar.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.movie_metadata.movie_signals import similar_titles, title_pairs

    sentences = open_sentence_encoder(sentence_encoder)
    with Catalog.open(catalog_folder) as catalog, catalog.read() as session:
        if movie is None:
            pairs = title_pairs(session, signal, count, indexed_only=indexed, seed=seed, sentences=sentences)
            _print_pairs(pairs, signal, output_format)
            return
        title, found = similar_titles(session, movie, signal, count, sentences=sentences)
    if not found:
        say(f"movies: nothing is similar to {title} by {signal}")
    hits = [
        {"rank": rank, "score": hit.score, **_fields(hit.title), "movies": hit.movies}
        for rank, hit in enumerate(found, 1)
    ]
    if output_format == "json":
        print_json({"movie": _fields(title), "signal": signal, "similar": hits})
        return
    header = ("rank", "score", "title", "year", "imdb_id", "movies")
    rows = [[{**hit, "movies": "|".join(hit["movies"])}[name] for name in header] for hit in hits]
    if output_format == "csv":
        print_csv(header, rows)
    else:
        print_table(header, rows, title=f"{title}, by {signal}")


def _print_pairs(pairs: list[TitlePair], signal: str, output_format: str) -> None:
    if not pairs:
        say(f"movies: no two movies are similar by {signal}")
    if output_format == "json":
        rows = [
            {"similar": p.similar, "score": p.score, "a": _fields(p.first), "b": _fields(p.second)} for p in pairs
        ]
        print_json({"signal": signal, "pairs": rows})
        return
    header = ("similar", "score", "title_a", "year_a", "imdb_id_a", "title_b", "year_b", "imdb_id_b")
    cells = [
        [
            "yes" if pair.similar else "no",
            pair.score,
            *(getattr(title, name) for title in (pair.first, pair.second) for name in ("title", "year", "imdb_id")),
        ]
        for pair in pairs
    ]
    (print_csv if output_format == "csv" else print_table)(header, cells)


def _fields(title: KnownTitle) -> dict[str, Any]:
    return {"title": title.title, "year": title.year, "imdb_id": title.imdb_id}
