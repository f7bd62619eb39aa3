"""``m2s train adapt``: all of the method on one's own catalogue, in one command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from m2s_index.cli.before_after import before_after_json, print_before_after
from m2s_index.cli.movies import import_found, import_line
from m2s_index.cli.options import GivenPath
from m2s_index.cli.output import print_json, say, shown
from m2s_index.cli.sentences import open_sentence_encoder, sentence_option
from m2s_index.cli.train_mine import mining_lines
from m2s_index.cli.train_movie import announce_movies
from m2s_index.cli.train_options import (
    StepLines,
    TrainingOptions,
    adaptation_options,
    finished_json,
    finished_line,
)
from m2s_index.cli.train_scene import announce_scenes

if TYPE_CHECKING:
    from m2s_index.adaptation import HeldOut
    from m2s_index.encoders.training.config import Value
    from m2s_index.encoders.training.loop import StepDone
    from m2s_index.encoders.training.training import Training

Group = Literal["movie", "scene"]


@click.command()
@click.argument("files", metavar="[FILE...]", nargs=-1, type=GivenPath(path_type=Path))
@click.option(
    "--signal",
    type=click.Choice(["cowatch", "genre", "synopsis"]),
    help="Which films are similar.  [default: what is known of most of them]",
)
@click.option("--encoder", "encoder_name", help="Whose shot features are learned from.  [default: the catalogue's]")
@click.option(
    "--held-out",
    "share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of films, of those with labels, that nothing is learned from: to measure with.",
)
@sentence_option
@adaptation_options
def adapt(
    given: TrainingOptions,
    files: tuple[Path, ...],
    signal: str | None,
    encoder_name: str | None,
    share: float,
    sentence_encoder: Path | None,
) -> None:
    """Teach a scene encoder what the films of this catalogue have in common, and embed them with it.

    FILE is metadata, as for 'm2s movies import'; without it, what was imported before counts. Then E_movie is
    trained, scene pairs are mined, E_scene is trained on them, all from stored shot features, and the films are
    embedded anew. Where there are labels, some labelled films are kept out of all that, and precision on them is
    measured before and after. Values are set by --set movie.NAME=VALUE and scene.NAME=VALUE.
    """
    from m2s_index.adaptation import CatalogAdaptation, choose_signal, embed_indexed, hold_out, measure_held_out
    from m2s_index.catalog import Catalog
    from m2s_index.encoders.training.movie_config import resolve_config as resolve_movie
    from m2s_index.encoders.training.scene_config import resolve_config as resolve_scene
    from m2s_index.movie_metadata.metadata_files import read_metadata_files

    values = _values_of_each(given.values())
    sentences = open_sentence_encoder(sentence_encoder, given.device)
    found = read_metadata_files(files) if files else None
    scene_config = resolve_scene(given.preset, "shots", {"held_out": 0.0} | values["scene"])
    with Catalog.open(given.catalog_folder, writable=True) as catalog, given.place() as place:
        from m2s_index.encoders.scene_encoder import ShotsSceneEncoder, load_scene_encoder
        from m2s_index.encoders.training.adapt import AdaptationFiles
        from m2s_index.encoders.training.adapt import adapt as adapt_to
        from m2s_index.encoders.training.movie_training import MovieTraining
        from m2s_index.encoders.training.scene_training import SceneTraining

        if found:
            say(import_line(import_found(catalog, found)))
        held_out = hold_out(catalog, encoder_name, share=share, seed=scene_config.seed)
        signal = signal or ("synopsis" if sentences else choose_signal(catalog))
        say(f"films are similar by {signal}; {_held_out_line(held_out, share)}")
        sha256 = sentences.sha256 if sentences else ""
        movie_config = resolve_movie(given.preset, signal, {"held_out": 0.0} | values["movie"], sha256)
        source = CatalogAdaptation(catalog, held_out, encoder_name, sentences, mining_lines)

        def begin(training: Training) -> Callable[[StepDone], None]:
            if isinstance(training, MovieTraining):
                announce_movies(training, source.left_out)
            elif isinstance(training, SceneTraining):
                announce_scenes(training)
            return StepLines("pairs").step

        written = AdaptationFiles(given.out)
        adapted = adapt_to(
            source,
            movie_config,
            scene_config,
            written,
            place,
            resume=given.resume,
            checkpoint_steps=given.checkpoint_steps,
            begin=begin,
        )
        encoder = load_scene_encoder(written.scene, device=given.device)
        assert isinstance(encoder, ShotsSceneEncoder)
        name, built = embed_indexed(catalog, encoder)
        report = measure_held_out(catalog, held_out, encoder_name, name, seed=scene_config.seed)
    for failure in built.failures:
        say(f"failed: {shown(failure.error)}")
    if given.output_format == "json":
        said = {
            "signal": signal,
            "encoder": shown(name),
            "movie": finished_json(adapted.movie),
            "pairs": {"out": shown(str(written.pairs)), "pairs": adapted.pairs},
            "scene": finished_json(adapted.scene),
            "embedded": built.embedded,
            "failures": [{"path": shown(f.path), "error": shown(f.error)} for f in built.failures],
        }
        print_json(said | {"held_out": report and before_after_json(report, len(held_out.movie_ids))})
    else:
        click.echo(f"E_movie: {finished_line(adapted.movie)}")
        click.echo(f"{adapted.pairs} scene pairs → {shown(str(written.pairs))}")
        click.echo(f"E_scene: {finished_line(adapted.scene)}")
        click.echo(f"{built.embedded} films embedded by {shown(name)}")
        if report:
            print_before_after(report, len(held_out.movie_ids))
    click.get_current_context().exit(1 if built.failures else 0)


def _values_of_each(values: Mapping[str, Any]) -> dict[Group, dict[str, Value]]:
    """What is set of each training: by names like ``movie.epochs``, or a table of a TOML file for each.

    Raises:
        UsageError: a name says neither.
    """
    from m2s_index.errors import UsageError

    found: dict[Group, dict[str, Value]] = {"movie": {}, "scene": {}}
    for name, value in values.items():
        group, _, rest = name.partition(".")
        if group not in found or isinstance(value, Mapping) == bool(rest):
            raise UsageError(f"setting {name!r}: write movie.NAME or scene.NAME; in TOML, in a table of that name")
        found[group] |= {rest: value} if rest else value
    return found


def _held_out_line(held_out: HeldOut, share: float) -> str:
    if held_out.vocabularies:
        return f"{len(held_out.movie_ids)} films held out, with labels of {', '.join(held_out.vocabularies)}"
    if not share:
        return "no film is held out: precision is not measured"
    return "fewer than two films have labels ('m2s labels import' adds some): precision is not measured"
