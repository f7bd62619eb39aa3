"""``m2s train movie``: E_movie, which learns from metadata what films have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from m2s_index.cli.output import print_json, print_table, say
from m2s_index.cli.sentences import open_sentence_encoder, sentence_option
from m2s_index.cli.train_options import (
    TrainingOptions,
    finished_json,
    finished_line,
    run_training,
    training_options,
)

if TYPE_CHECKING:
    from m2s_index.encoders.training.movie_training import MovieTraining, PairsScore
    from m2s_index.movie_source import LeftOut

_HELD_OUT = {"held_out_movies": "held-out movies", "held_out_pairs": "held-out pairs"}


@click.command()
@click.option(
    "--signal",
    type=click.Choice(["cowatch", "genre", "synopsis"]),
    default="cowatch",
    show_default=True,
    help="Similar how: liked by the same people, of the same genres, or with like synopses.",
)
@click.option("--encoder", "encoder_name", help="Whose shot features are learned from.  [default: the catalogue's]")
@sentence_option
@training_options
def movie(given: TrainingOptions, signal: str, encoder_name: str | None, sentence_encoder: Path | None) -> None:
    """Train E_movie, which says of two films whether they are similar, from their stored shot features.

    What is similar comes from 'm2s movies import'. Its state goes into FILE.training.safetensors and its curve into
    FILE.csv and FILE.svg, beside --out. Mine scenes with it by 'm2s train mine --movie-encoder FILE.safetensors'.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.encoders.training.movie_config import resolve_config

    sentences = open_sentence_encoder(sentence_encoder, given.device)
    config = resolve_config(given.preset, signal, given.values(), sentences.sha256 if sentences else "")
    with Catalog.open(given.catalog_folder) as catalog, given.place() as place:
        from m2s_index.encoders.movie_encoder import load_movie_encoder
        from m2s_index.encoders.training.movie_training import prepare_movie_training, score_pairs
        from m2s_index.movie_source import ShotFeatureSource

        source = ShotFeatureSource(
            catalog,
            signal=config.signal,
            similar=config.similar,
            encoder_name=encoder_name,
            seed=config.seed,
            sentences=sentences,
        )
        training = prepare_movie_training(source, config, given.out, resume=given.resume)
        if place.processes.is_first:
            announce_movies(training, source.left_out)
        finished = run_training(training, given, place, unit="pairs")
        if not place.processes.is_first:
            return
        trained = load_movie_encoder(given.out, device=given.device)
        scores = {name: score_pairs(trained, source, getattr(training.split, name)) for name in _HELD_OUT}
    if given.output_format == "json":
        print_json(finished_json(finished) | {name: vars(score) for name, score in scores.items()})
        return
    click.echo(finished_line(finished))
    print_table(("", "similar", "dissimilar", "AUC"), [_cells(name, score) for name, score in scores.items()])


def announce_movies(training: MovieTraining, left_out: LeftOut) -> None:
    """Say what E_movie is trained on."""
    split, config = training.split, training.config
    others = {
        "of no known movie": left_out.unknown,
        "without shot features": left_out.not_embedded,
        "of the same movie as another": left_out.again,
    }
    if any(others.values()):
        said = ", ".join(f"{count} {why}" for why, count in others.items() if count)
        say(f"films left out: {said}")
    say(
        f"{len(split.trained_films)} films, {len(split.trained)} pairs by {config.signal} "
        f"({len(split.held_out_films)} films and {len(split.held_out_pairs)} pairs held out); "
        f"{training.plan.steps} steps of {config.pairs * config.accumulate} pairs"
    )


def _cells(name: str, score: PairsScore) -> tuple[Any, ...]:
    found = "not enough held-out pairs" if score.auc is None else score.auc
    return _HELD_OUT[name], score.similar, score.dissimilar, found
