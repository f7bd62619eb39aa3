"""``m2s train mine``: similar scene pairs of similar films, which E_scene is trained on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from m2s_index.cli.estimate import duration
from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import print_json, say, shown
from m2s_index.cli.sentences import open_sentence_encoder, sentence_option

if TYPE_CHECKING:
    from m2s_index.pairing.mining import MinedFilms
    from m2s_index.pairing.similar_films import SimilarFilms

_SHOWN_SECONDS = 2.0


@click.command()
@catalog_option
@click.option(
    "--out",
    required=True,
    type=GivenPath(dir_okay=False, path_type=Path),
    help="The pairs, best first: a CSV file.",
)
@click.option(
    "--signal",
    type=click.Choice(["cowatch", "genre", "synopsis"]),
    help="Which films are similar.  [default: what E_movie was trained on, else cowatch]",
)
@click.option(
    "--movie-encoder",
    "movie_encoder_path",
    type=GivenPath(dir_okay=False, path_type=Path),
    help="E_movie, a file of 'm2s train movie', which the features go through first.",
)
@click.option(
    "--encoder", "encoder_name", help="Whose shot features.  [default: those E_movie takes, else the catalogue's]"
)
@click.option(
    "--similar", "count", type=click.IntRange(1), default=10, show_default=True, help="Similar movies of each."
)
@click.option(
    "--per-pair",
    "limit",
    type=click.IntRange(1),
    help="Only so many scene pairs of two films.  [default: all]",
)
@sentence_option
@click.option(
    "--html", type=GivenPath(dir_okay=False, path_type=Path), help="Also a page with the key frames of the best."
)
@click.option("--top", type=click.IntRange(1), default=100, show_default=True, help="How many pairs it shows.")
@format_options("table", "json")
def mine(
    catalog_folder: Path,
    out: Path,
    signal: str | None,
    movie_encoder_path: Path | None,
    encoder_name: str | None,
    count: int,
    limit: int | None,
    sentence_encoder: Path | None,
    html: Path | None,
    top: int,
    output_format: str,
) -> None:
    """Find similar scenes, of nine shots each, in films that metadata says are similar.

    Of every two such films the best scene pairs are taken, none overlapping another, from the highest half.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.errors import UsageError
    from m2s_index.pairing.mining import mine as mine_films
    from m2s_index.pairing.mining import ranked
    from m2s_index.pairing.pairs_file import write_pairs
    from m2s_index.pairing.similar_films import similar_films

    for path in filter(None, (out, html)):
        # Said now, and not after hours.
        if not path.parent.is_dir():
            raise click.UsageError(f"{path.parent}: there is no such folder to put {path.name} in; make it first")
    sentences = open_sentence_encoder(sentence_encoder)
    encode = features_of = None
    if movie_encoder_path:
        from m2s_index.encoders.movie_encoder import load_movie_encoder

        movie_encoder = load_movie_encoder(movie_encoder_path)
        encode, features_of = movie_encoder.encode_shots, movie_encoder.features_of
        if signal is None:
            signal = movie_encoder.signal
            if movie_encoder.sentence_encoder != (sentences.sha256 if sentences else ""):
                raise UsageError(
                    f"{movie_encoder_path}: its synopses were read by another sentence encoder, with SHA-256 "
                    f"{movie_encoder.sentence_encoder or '(none: their words were compared)'}: name that one's "
                    "folder with --sentence-encoder, or say with --signal which films to mine"
                )
    with Catalog.open(catalog_folder) as catalog:
        similar = similar_films(
            catalog,
            signal or "cowatch",
            count,
            encoder_name=encoder_name,
            features_of=features_of,
            sentences=sentences,
        )
        begun = time.monotonic()
        mined = list(mining_lines(similar, mine_films(catalog, similar, encode=encode, limit=limit)))
        write_pairs(out, ranked(mined))
        found = sum(len(films.windows) for films in mined)
        summary = f"{found} scene pairs of {len(mined)} film pairs ({len(similar.films)} films) by {similar.signal}"
        if html:
            from m2s_index.cli.mined_page import write_mined_page

            movie_ids = {film.fingerprint: film.movie_id for film in similar.films}
            best = f", the best {top}" if top < found else ""
            features = f"{similar.encoder.name}, by E_movie" if encode else similar.encoder.name
            line = f"{summary}{best}; shot features of {features}"
            write_mined_page(html, catalog, islice(ranked(mined), top), movie_ids, line)
    if output_format == "json":
        print_json(
            {
                "out": shown(str(out)),
                "html": shown(str(html)) if html else None,
                "signal": similar.signal,
                "encoder": similar.encoder.name,
                "films": len(similar.films),
                "film_pairs": len(mined),
                "pairs": found,
                "too_short": similar.too_short,
                "not_embedded": similar.not_embedded,
                "seconds": round(time.monotonic() - begun, 3),
            }
        )
        return
    click.echo(f"{summary} → {shown(str(out))}")


def mining_lines(similar: SimilarFilms, mined: Iterator[MinedFilms]) -> Iterator[MinedFilms]:
    """The same, with a line on the films that are left out, and one on how it goes every few seconds."""
    if similar.too_short:
        say(f"train mine: films left out, of fewer than 9 shots: {similar.too_short}")
    if similar.not_embedded:
        name = similar.encoder.name
        say(
            f"train mine: films left out, without shot features by '{name}': {similar.not_embedded}; "
            f"'m2s index build --encoder {name}' makes them"
        )
    count = len(similar.pairs)
    begun = last = time.monotonic()
    for number, films in enumerate(mined, start=1):
        yield films
        now = time.monotonic()
        if now - last >= _SHOWN_SECONDS and number < count:
            last = now
            left = (now - begun) / number * (count - number)
            say(f"[{number}/{count}] {films.film.name} and {films.other.name}, {duration(left)} left")
