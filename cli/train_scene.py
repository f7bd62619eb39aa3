"""``m2s train scene``: E_scene, the encoder of scenes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from m2s_index.cli.options import GivenPath
from m2s_index.cli.output import print_json, print_table, say
from m2s_index.cli.train_options import (
    TrainingOptions,
    finished_json,
    finished_line,
    run_training,
    training_options,
)

if TYPE_CHECKING:
    from m2s_index.encoders.training.held_out import PositiveRanks
    from m2s_index.encoders.training.scene_training import SceneTraining


@click.command()
@click.option(
    "--pairs",
    "pairs_file",
    required=True,
    type=GivenPath(exists=True, dir_okay=False, path_type=Path),
    help="Pairs of scenes, as 'm2s train mine' writes them.",
)
@click.option(
    "--architecture",
    type=click.Choice(["shots", "frames"]),
    default="shots",
    show_default=True,
    help="What is seen of a scene: its shots' stored features, or its key frames.",
)
@click.option(
    "--encoder", "encoder_name", help="Whose shot features, for shots.  [default: the catalogue's encoder]"
)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of films that are not trained on, to measure with.  [default: the preset's]",
)
@training_options
def scene(
    given: TrainingOptions,
    pairs_file: Path,
    architecture: Literal["frames", "shots"],
    encoder_name: str | None,
    held_out: float | None,
) -> None:
    """Train E_scene, the encoder of scenes: momentum contrast between the two scenes of mined pairs.

    Its state goes into FILE.training.safetensors and its curve into FILE.csv and FILE.svg, beside --out. Embed the
    catalogue with it by 'm2s index build --encoder FILE.safetensors', which decodes no video.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.encoders.training.scene_config import resolve_config
    from m2s_index.errors import UsageError

    if encoder_name and architecture == "frames":
        raise UsageError("--encoder names whose shot features are learned from, and 'frames' takes key frames")
    values = given.values() | ({} if held_out is None else {"held_out": held_out})
    config = resolve_config(given.preset, architecture, values)
    with Catalog.open(given.catalog_folder) as catalog, given.place() as place:
        from m2s_index.encoders.scene_encoder import read_scene_network
        from m2s_index.encoders.training.scene_training import prepare_scene_training
        from m2s_index.training_features import CatalogFeatures
        from m2s_index.training_pairs import numbered_pairs
        from m2s_index.training_source import KeyFrameSource

        shots = config.architecture == "shots"
        source = CatalogFeatures(catalog, encoder_name) if shots else KeyFrameSource(catalog)
        pairs = numbered_pairs(pairs_file, source.fingerprints, source.shots)
        training = prepare_scene_training(source, pairs, config, given.out, resume=given.resume)
        first = place.processes.is_first
        if first:
            announce_scenes(training)
            if not len(training.split.held_out):
                say("not enough held-out pairs: how well films are known that were not trained on is not measured")
        before = training.rank_held_out(training.new_network(), place) if first else None
        finished = run_training(training, given, place, unit="pairs")
        if not first:
            return
        after = training.rank_held_out(read_scene_network(given.out)[0], place)
    if given.output_format == "json":
        ranks = {name: found and asdict(found) for name, found in (("before", before), ("after", after))}
        print_json(finished_json(finished) | {"held_out": ranks})
        return
    click.echo(finished_line(finished))
    if before and after:
        print_table(
            ("held-out films", "queries", "AUC", "mean rank", "of"),
            [_cells("before", before), _cells("after", after)],
        )


def announce_scenes(training: SceneTraining) -> None:
    """Say what E_scene is trained on."""
    split, config = training.split, training.config
    said = f"{len(split.trained)} pairs of {split.scenes} scenes in {split.trained_films} films"
    if split.held_out_films:
        said += (
            f"; {len(split.held_out)} pairs of {split.held_out_films} films held out "
            f"({split.crossing} between both left out)"
        )
    say(said)
    if config.queue_size < training.queue_asked:
        say(f"queue: {config.queue_size} keys instead of {training.queue_asked}, as there are no more scenes")
    what = (
        f"{config.backbone} at {config.image_px} px over key frames"
        if training.shot_encoder is None
        else f"{config.layers} layers of {config.width} over shot features by {training.shot_encoder.name}"
    )
    say(f"{what}; {training.plan.steps} steps of {config.batch_pairs * config.accumulate} pairs")


def _cells(name: str, ranks: PositiveRanks) -> tuple[Any, ...]:
    return name, ranks.queries, ranks.auc, ranks.mean_rank, ranks.mean_candidates
