"""Presets, what the paper publishes of them, and how values are given."""

import re
from pathlib import Path

import pytest

from m2s_index.encoders.training import movie_config, scene_config
from m2s_index.encoders.training.config import parse_settings, read_settings, with_values
from m2s_index.encoders.training.shot_config import FEATURES, PRESETS, ShotConfig, resolve_config
from m2s_index.errors import UsageError
from m2s_index.pairing.windows import WINDOW_SHOTS

PAPER, MOVIE, SCENE = (presets["paper"] for presets in (PRESETS, movie_config.PRESETS, scene_config.PRESETS))
PUBLISHED = [
    (SCENE.dimension, 128, r"feature dimension of (128)"),
    (SCENE.queue_size, 65_536, r"queue size of (65, 536)"),
    (SCENE.momentum, 0.999, r"MoCo momentum of (0\.999)"),
    (SCENE.temperature, 0.07, r"softmax temperature of (0\.07)"),
    (SCENE.learning_rate, 1.5e-4, r"use learning rate of (1\.5e-4)"),
    (SCENE.weight_decay, 0.01, r"weight decay of (0\.01)"),
    (SCENE.warmup_epochs, 40, r"number of warm-up epochs of (40)"),
    (SCENE.batch_pairs * SCENE.accumulate, 128, r"batch size of (128) and number of epoch of 100\.\n\nHyper"),
    (SCENE.epochs, 100, r"batch size of 128 and number of epoch of (100)"),
    (WINDOW_SHOTS, 9, r"go through all (9).9 windows"),
    (FEATURES, 512, r"matrix of \$M \\times (512)\$"),
    (PAPER.dimension, 128, r"feature dimension of (128)"),
    (PAPER.queue_size, 65_536, r"queue size of (65, 536)"),
    (PAPER.momentum, 0.999, r"MoCo momentum of (0\.999)"),
    (PAPER.temperature, 0.07, r"softmax temperature of (0\.07)"),
    (PAPER.learning_rate, 1.5e-4, r"use learning rate of (1\.5e-4)"),
    (PAPER.weight_decay, 0.01, r"weight decay of (0\.01)"),
    (PAPER.warmup_epochs, 40, r"number of warm-up epochs of (40)"),
    (PAPER.batch_shots * PAPER.accumulate, 128, r"batch size of (128) and number of epoch of 100\.\n\nHyper"),
    (PAPER.epochs, 100, r"batch size of 128 and number of epoch of (100)"),
    (MOVIE.learning_rate, 0.1, r"SGD to optimize with a learning rate of (0\.1)"),
    (MOVIE.pairs * MOVIE.accumulate, 256, r"batch size of (256)"),
    (MOVIE.epochs, 100, r"batch size of 256 and epoch number of (100)"),
    (MOVIE.shots, 1024, r"dimension of each feature matrix is (1024)"),
    (MOVIE.features, 512, r"is 1024×(512)"),
    (resolve_config("paper", "shotcol", {}).neighbourhood, 16, r"relatively large \(e\.g\., (16)\)"),
]


@pytest.mark.parametrize(("value", "published", "words"), PUBLISHED)
def test_the_preset_paper_is_what_the_paper_publishes(value, published, words, shared_data):
    """Each value against a table, and the table against the seed's own words."""
    assert value == published
    seed = Path(shared_data).parent / "seed" / "movies2scenes_supplementary.txt"
    if not seed.exists():
        pytest.skip(f"no seed in {seed}")
    found = re.search(words, seed.read_text("utf-8"))
    assert found, words
    assert float(found[1].replace(", ", "")) == published


def test_the_scene_encoder_of_the_paper():
    """The seed's network and optimiser for scenes: a ViT-B/16 over key frames, AdamW."""
    assert (SCENE.architecture, SCENE.backbone, SCENE.optimiser) == ("frames", "vit_base_patch16_224", "adamw")


def test_the_optimiser_and_the_neighbourhood():
    """AdamW, and SGD for E_movie; a neighbourhood smaller than ShotCoL's, which the seed says without a number."""
    assert PAPER.optimiser == "adamw"
    assert PAPER.neighbourhood == 6 < 16
    assert (MOVIE.optimiser, MOVIE.warmup_epochs) == ("sgd", 0)


def test_values_take_their_places_in_order():
    """Preset, then recipe, then what is given; numbers of either kind for a number."""
    config = resolve_config("small", "m2s", parse_settings(["epochs=7", "temperature=1", "backbone=test_vit"]))
    assert (config.epochs, config.temperature, config.backbone) == (7, 1.0, "test_vit")
    assert config.queue_size == PRESETS["small"].queue_size
    assert isinstance(config.temperature, float)
    assert with_values(ShotConfig(), config.as_dict()) == config


@pytest.mark.parametrize("preset", PRESETS)
def test_the_recipe_shotcol(preset):
    """Sixteen neighbours, in runs that hold them; with the paper's preset all else stays as it is."""
    config = resolve_config(preset, "shotcol", {})
    assert config.neighbourhood == 16 < config.run_shots
    assert config.films_per_batch >= 2
    if preset == "paper":
        changed = {"recipe": "shotcol", "neighbourhood": 16}
        assert config.as_dict() == PAPER.as_dict() | changed


def test_toml(tmp_path):
    """A file of settings is read as the command line is."""
    file = tmp_path / "own.toml"
    file.write_text('backbone = "test_vit"\nepochs = 3\nwarmup_epochs = 1\nlearning_rate = 0.1\n')
    config = resolve_config("small", "m2s", read_settings(file))
    assert (config.backbone, config.epochs, config.learning_rate) == ("test_vit", 3, 0.1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["epoch=5"], "unknown setting 'epoch'; choose one of: accumulate, optimiser"),
        (["epochs"], "write NAME=VALUE"),
        (["epochs=2.5"], "epochs 2.5: must be a whole number"),
        (["epochs=many"], "epochs 'many': must be a whole number"),
        (["epochs=0"], "epochs 0: must be at least 1"),
        (["backbone=5"], "backbone 5: must be a word"),
        (["neighbourhood=5"], "neighbourhood 5: must be even"),
        (["neighbourhood=0"], "neighbourhood 0: must be even and at least 2"),
        (["run_shots=6"], r"run_shots 6: must be above the neighbourhood \(6\)"),
        (["queue_size=8"], r"queue_size 8: must be at least a batch \(48\)"),
        (["momentum=1"], "momentum 1.0: must be at least 0 and below 1"),
        (["least_crop=0"], "least_crop 0.0: must be above 0 and at most 1"),
        (["colour=1.5"], "colour 1.5: must be from 0 to 1"),
        (["grey=-0.1"], "grey -0.1: must be from 0 to 1"),
        (["temperature=0"], "temperature 0.0: must be above 0"),
        (["temperature=nan"], "temperature nan: must be above 0"),
        (["learning_rate=inf"], "learning_rate inf: must be above 0"),
        (["warmup_epochs=20"], r"warmup_epochs 20: must be below epochs \(20\)"),
        (["optimiser=adam"], "optimiser 'adam': must be one of adamw, sgd"),
        (["seed=-1"], "seed -1: must be at least 0"),
        (["recipe=other"], "recipe 'other': must be one of m2s, shotcol"),
    ],
)
def test_a_value_that_cannot_be(settings, said):
    """Each is refused by name, with what it must be."""
    with pytest.raises(UsageError, match=said):
        resolve_config("small", "m2s", parse_settings(settings))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["architecture=rays"], "architecture 'rays': must be one of frames, shots"),
        (["batch_pairs=0"], "batch_pairs 0: must be at least 1"),
        (["width=30", "heads=4"], r"width 30: must be a multiple of heads \(4\)"),
        (["queue_size=8"], r"queue_size 8: must be at least a batch \(16\)"),
        (["momentum=1"], "momentum 1.0: must be at least 0 and below 1"),
        (["temperature=-1"], "temperature -1.0: must be above 0"),
        (["feature_noise=-0.1"], "feature_noise -0.1: must be at least 0"),
        (["shot_dropout=1"], "shot_dropout 1.0: must be at least 0 and below 1"),
        (["held_out=1.5"], "held_out 1.5: must be at least 0 and below 1"),
        (["run_shots=8"], "unknown setting 'run_shots'; choose one of: accumulate"),
    ],
)
def test_a_value_of_scene_contrast_that_cannot_be(settings, said):
    """Each is refused by name, with what it must be."""
    with pytest.raises(UsageError, match=said):
        with_values(scene_config.PRESETS["small"], parse_settings(settings))


def test_a_config_survives_its_file():
    """What a checkpoint says of it makes it again."""
    small = scene_config.PRESETS["small"]
    assert with_values(scene_config.SceneConfig(), small.as_dict()) == small


def test_shotcol_fixes_its_neighbourhood():
    """Another size is another recipe."""
    with pytest.raises(UsageError, match="must be 16 under the recipe shotcol"):
        resolve_config("small", "shotcol", {"neighbourhood": 6})


def test_an_unknown_preset_lists_the_others():
    """So that a typing mistake is mended at once."""
    with pytest.raises(UsageError, match="choose one of: paper, small"):
        resolve_config("large", "m2s", {})


@pytest.mark.parametrize(
    ("content", "said"), [(b"epochs: 3", "is no TOML"), (b"\xff", "is no TOML"), (None, "cannot be read")]
)
def test_a_file_that_is_no_toml(tmp_path, content, said):
    """It is named, with what is wrong."""
    file = tmp_path / "own.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=f"own.toml: {said}"):
        read_settings(file)
