"""E_scene's training on rendered films: the curve falls, films it never saw are ranked, its encoder embeds without
decoding, a killed training goes on to the bit, errors are named.
"""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add
from catalog_factory import make_encoder as encoder_identity
from mined_pairs import write_mined_pairs
from tiny_films import write_tiny_film

torch = pytest.importorskip("torch")
pytest.importorskip("kornia")
from safetensors.torch import load_file, save_file  # noqa: E402

from m2s_index.catalog import Catalog  # noqa: E402
from m2s_index.encoder import SceneEncoder, ShotFeatureEncoder  # noqa: E402
from m2s_index.encoders.registry import make_encoder  # noqa: E402
from m2s_index.encoders.scene_encoder import read_scene_network  # noqa: E402
from m2s_index.errors import EncoderError, UsageError, WeightsError  # noqa: E402
from m2s_index.training_features import CatalogFeatures  # noqa: E402
from m2s_index.training_source import KeyFrameSource  # noqa: E402

QUICK = ("--set", "epochs=3", "--set", "warmup_epochs=1", "--set", "queue_size=16", "--set", "image_px=32")
"""Some steps of a training that need not learn anything."""
PLACES = ("beach", "office", "snow", "city_night", "meadow", "kitchen")
FILMS = 12


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Films of four scenes in places that they share, and one too short for a window."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(FILMS):
        places = random.Random(number).sample(PLACES, 4)
        write_tiny_film(folder / f"F{number}.mp4", seed=60 + number, shots=36, shot_frames=(6, 8), places=places)
    write_tiny_film(folder / "Short.mp4", seed=80, shots=3)
    return folder


@pytest.fixture(scope="module")
def catalog(m2s, films, tmp_path_factory):
    """Indexed by gist; the films themselves are gone: training and embedding decode nothing."""
    folder = tmp_path_factory.mktemp("catalog") / "c"
    built = m2s("index", "build", films, "--encoder", "gist", "--catalog", folder, "--workers", "2")
    assert built.status == 0, built.stderr
    films.rename(films.with_name("elsewhere"))
    return folder


@pytest.fixture(scope="module")
def pairs(catalog, tmp_path_factory):
    """Mined pairs of these films."""
    file = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    assert write_mined_pairs(catalog, file) >= 100
    return file


@pytest.fixture
def own_catalog(catalog, tmp_path):
    """A copy that the test may change."""
    return Path(shutil.copytree(catalog, tmp_path / "own"))


def train(m2s, catalog, pairs, out, *arguments):
    return m2s(
        "train", "scene", "--catalog", catalog, "--pairs", pairs, "--out", out, "--device", "cpu", "--threads", "1",
        *arguments,
    )  # fmt: skip


def losses(out):
    with out.with_suffix(".csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module", params=["shots", "frames"])
def quick(request, m2s, catalog, pairs, tmp_path_factory):
    """A quick training of each architecture that nobody interrupts."""
    out = tmp_path_factory.mktemp("quick") / "e.safetensors"
    ran = train(m2s, catalog, pairs, out, *QUICK, "--architecture", request.param, "--held-out", "0.3")
    assert ran.status == 0, ran.stderr
    return out, request.param


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Films that were never filmed, and their mined pairs: nine shots are in one of six places, in every film in
    another order, and a look of the film's own drowns what films share.
    """
    folder, random = tmp_path_factory.mktemp("places"), np.random.default_rng(0)
    seen, shared = encoder_identity("seen", 24), random.standard_normal((6, 24))
    with Catalog.open(folder / "c", create=True) as catalog:
        for number in range(14):
            look = 2 * random.standard_normal(24)
            shots = np.repeat(random.permutation(shared), 9, axis=0) + look + random.normal(0, 0.5, (54, 24))
            add(catalog, f"/films/{number}.mkv", shots.astype(np.float32), encoder=seen)
    assert write_mined_pairs(folder / "c", folder / "pairs.csv") > 300
    return folder / "c", folder / "pairs.csv"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_small_training_learns(m2s, places, tmp_path, seed):
    """With any seed: the last losses are at most 0.9 of the first, and what films share is found in films that were
    not trained on, clearly better than in the features as they are.
    """
    out = tmp_path / "e.safetensors"
    ran = train(m2s, *places, out, "--held-out", "0.25", "--set", f"seed={seed}", "--json")
    assert ran.status == 0, ran.stderr
    curve, said = losses(out), ran.json()
    assert (said["steps"], said["first_loss"], said["last_loss"]) == (len(curve), curve[0], curve[-1])
    assert said["config"]["architecture"] == "shots"
    assert np.mean(curve[-4:]) <= 0.9 * np.mean(curve[:4])
    before, after = said["held_out"]["before"], said["held_out"]["after"]
    assert before["queries"] == after["queries"] > 40
    assert after["auc"] - 0.03 > before["auc"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["shots", "frames"])
def test_a_small_training_on_rendered_films(m2s, catalog, pairs, tmp_path, architecture):
    """Each architecture on films that were decoded: the same fall, and positives of held-out films beat others."""
    out = tmp_path / "e.safetensors"
    arguments = ("--architecture", architecture, "--held-out", "0.3", "--set", "image_px=32", "--set", "epochs=12")
    ran = train(m2s, catalog, pairs, out, *arguments, "--json")
    assert ran.status == 0, ran.stderr
    curve, held_out = losses(out), ran.json()["held_out"]
    assert np.mean(curve[-4:]) <= 0.9 * np.mean(curve[:4])
    assert held_out["after"]["queries"] > 10
    assert held_out["after"]["auc"] > 0.5


def test_reembedding_decodes_nothing(m2s, quick, own_catalog):
    """An indexed catalogue is embedded beside what it has, though its films are gone, and searched."""
    out, _ = quick
    built = m2s("index", "build", "--encoder", out, "--catalog", own_catalog, "--threads", "1", "--json")
    assert built.status == 0, built.stderr
    assert built.json()["movies"]["embedded"] == FILMS + 1
    found = m2s("query", "--scene", "F0#0", "--encoder", out, "--catalog", own_catalog, "--json").json()
    assert found["encoder"] == str(out)
    assert len(found["hits"]) == 10
    assert m2s("query", "--scene", "F0#0", "--catalog", own_catalog, "--json").json()["encoder"] == "gist"
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0


def test_the_encoder_is_what_was_trained(quick, catalog):
    """Its identity is its file's; its vectors are the trained network's own."""
    out, architecture = quick
    encoder = make_encoder(str(out), device="cpu")
    network, config, taken = read_scene_network(out)
    assert (encoder.identity.name, encoder.identity.dimension) == (str(out), network.width)
    assert encoder.identity.metric == "cosine"
    assert len(encoder.identity.weights_sha256) == 64
    assert config.architecture == architecture
    state = load_file(out.with_suffix(".training.safetensors"))
    for name, tensor in load_file(out).items():
        assert torch.equal(tensor, state[f"task.query.network.{name}"])
    with Catalog.open(catalog) as opened:
        features, frames = CatalogFeatures(opened, None), KeyFrameSource(opened)
        film = next(n for n, shots in enumerate(frames.shots) if shots > 12)
        if architecture == "shots":
            assert isinstance(encoder, ShotFeatureEncoder)
            assert taken == encoder.shot_encoder == features.identity
            scene = features.features(film)[:9]
            vector = encoder.encode_shot_features(scene)
            with torch.no_grad():
                expected = network.eval()(torch.from_numpy(scene)[None], torch.ones(1, 9, dtype=torch.bool))[0]
            np.testing.assert_allclose(vector, expected.numpy(), atol=1e-6)
            assert encoder.encode_shot_features(scene[:2]).shape == vector.shape
        else:
            assert isinstance(encoder, SceneEncoder)
            assert taken is None
            scene = frames.frames(film, 0, 9)
            vector = encoder.encode_key_frames(scene)
            assert vector.shape == (network.width,)
            assert np.linalg.norm(vector - encoder.encode_key_frames(scene[::-1])) > 0
            assert encoder.encode_key_frames(scene[:2]).shape == vector.shape
            assert "32×32" in encoder.identity.preprocessing


def test_new_films(m2s, quick, films, catalog, tmp_path):
    """Key frames are enough for one architecture; the other says which encoder has to see new films first."""
    out, architecture = quick
    short = films.with_name("elsewhere") / "Short.mp4"
    built = m2s("index", "build", short, "--catalog", tmp_path / "c", "--encoder", out, "--threads", "1")
    if architecture == "frames":
        assert built.status == 0, built.stderr
        return
    assert built.status == 2
    assert "takes shot features by gist, which 1 films lack: index them with --encoder gist first" in built.stderr
    assert not (tmp_path / "c").exists()


def test_the_same_seed_gives_the_same_training(m2s, catalog, pairs, quick, tmp_path):
    """The curve and the encoder to the bit; another seed gives another curve."""
    done, architecture = quick
    arguments = (*QUICK, "--architecture", architecture, "--held-out", "0.3")
    assert train(m2s, catalog, pairs, tmp_path / "e.safetensors", *arguments).status == 0
    assert (tmp_path / "e.csv").read_bytes() == done.with_suffix(".csv").read_bytes()
    assert (tmp_path / "e.safetensors").read_bytes() == done.read_bytes()
    assert train(m2s, catalog, pairs, tmp_path / "f.safetensors", *arguments, "--set", "seed=1").status == 0
    assert (tmp_path / "f.csv").read_bytes() != done.with_suffix(".csv").read_bytes()


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_bit(m2s, catalog, pairs, quick, tmp_path):
    """Killed with signal 9 after a checkpoint, then resumed: the curve and encoder of one that was not killed."""
    done, architecture = quick
    out = tmp_path / "e.safetensors"
    state, steps = out.with_suffix(".training.safetensors"), len(losses(done))
    arguments = (*QUICK, "--architecture", architecture, "--held-out", "0.3")
    command = [
        sys.executable, "-c", "from m2s_index.cli.main import main; main()", "train", "scene", "--catalog", catalog,
        "--pairs", pairs, "--out", out, "--device", "cpu", "--threads", "1", "--checkpoint-steps", "2", *arguments,
    ]  # fmt: skip
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL, env={**os.environ})
    until = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 2 <= len(load_file(state)["curve"]) < steps
    assert not out.exists()
    resumed = train(m2s, catalog, pairs, out, *arguments, "--resume")
    assert resumed.status == 0, resumed.stderr
    assert out.with_suffix(".csv").read_bytes() == done.with_suffix(".csv").read_bytes()
    assert out.read_bytes() == done.read_bytes()


def test_what_is_said(m2s, catalog, pairs, tmp_path):
    """Counts before, a clamped queue, and a table of how held-out films were ranked before and after."""
    arguments = ("--held-out", "0.3", "--set", "queue_size=256")
    ran = train(m2s, catalog, pairs, tmp_path / "e.safetensors", *QUICK, *arguments)
    assert ran.status == 0, ran.stderr
    assert "films held out" in ran.stderr
    assert "keys instead of 256, as there are no more scenes" in ran.stderr
    assert "over shot features by gist" in ran.stderr
    assert [line.split()[0] for line in ran.stdout.splitlines()[-2:]] == ["before", "after"]


def test_no_film_held_out(m2s, catalog, pairs, tmp_path):
    """Then nothing is measured, and that is said; a queue that is short enough is not clamped."""
    arguments = ("--held-out", "0", "--json")
    ran = train(m2s, catalog, pairs, tmp_path / "e.safetensors", *QUICK, *arguments)
    assert ran.status == 0, ran.stderr
    assert ran.json()["held_out"] == {"before": None, "after": None}
    assert "not enough held-out pairs" in ran.stderr
    assert "keys instead of" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "batch_pairs=500", "--set", "queue_size=500"), "and a batch takes 500; mine more"),
        (("--architecture", "frames", "--encoder", "gist"), "'frames' takes key frames"),
        (("--encoder", "clip"), "no embeddings by encoder 'clip'"),
        (("--preset", "large"), "choose one of: paper, small"),
        (("--architecture", "frames", "--set", "backbone=test_vit2"), "plain ViT with a class token"),
    ],
)
def test_a_training_that_cannot_be(m2s, catalog, pairs, tmp_path, arguments, said):
    """Wrong usage, before any file is written."""
    ran = train(m2s, catalog, pairs, tmp_path / "e.safetensors", *arguments)
    assert ran.status == 2, ran.stderr
    assert said in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_too_few_scenes(m2s, catalog, pairs, tmp_path):
    """Many pairs of few scenes leave too few to contrast a batch with."""
    lines = pairs.read_text().splitlines()
    few = tmp_path / "few.csv"
    few.write_text("\n".join([lines[0], *lines[1:3] * 10]))
    ran = train(m2s, catalog, few, tmp_path / "e.safetensors", *QUICK, "--held-out", "0")
    assert ran.status == 2
    assert "20 pairs are of" in ran.stderr
    assert "hold the 16 of a batch" in ran.stderr


def test_pairs_that_are_none(m2s, own_catalog, pairs, tmp_path):
    """Another table, a line that is wrong, and a film that the catalogue has no longer are named."""
    other, out = tmp_path / "other.csv", tmp_path / "e.safetensors"
    other.write_text("a,b\n1,2\n")
    assert "a file of scene pairs comes from 'm2s train mine'" in train(m2s, own_catalog, other, out).stderr
    head, first, *rest = pairs.read_text().splitlines()
    other.write_text("\n".join([head, first, "high" + rest[0]]))
    assert "other.csv, line 3: score is 'high" in train(m2s, own_catalog, other, out).stderr
    assert m2s("index", "remove", "F5", "--catalog", own_catalog).status == 0
    ran = train(m2s, own_catalog, pairs, out)
    assert ran.status == 2
    assert "is not in the catalogue, or has changed; mine again" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "temperature=0.5"), "temperature was 0.1, now 0.5"),
        (("--preset", "paper", "--set", "batch_pairs=16"), "momentum was 0.99, now 0.999"),
        (("--held-out", "0.5"), "held_out was 0.3, now 0.5"),
    ],
)
def test_resuming_with_other_settings(m2s, catalog, pairs, quick, arguments, said):
    """Another setting or preset is refused, and each difference named."""
    out, architecture = quick
    given = ("--architecture", architecture, "--held-out", "0.3", *arguments)
    ran = train(m2s, catalog, pairs, out, *QUICK, *given, "--resume")
    assert ran.status == 2
    assert "begun with other settings" in ran.stderr
    assert said in ran.stderr


def test_resuming_another_architecture(m2s, catalog, pairs, quick):
    """It is a setting like others."""
    out, architecture = quick
    other = {"shots": "frames", "frames": "shots"}[architecture]
    ran = train(m2s, catalog, pairs, out, *QUICK, "--architecture", other, "--held-out", "0.3", "--resume")
    assert ran.status == 2
    assert f"architecture was '{architecture}', now '{other}'" in ran.stderr


def test_resuming_with_other_pairs(m2s, catalog, pairs, quick, tmp_path):
    """A training goes on only on the pairs that it was begun with."""
    out, architecture = quick
    lines = pairs.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    given = ("--architecture", architecture, "--held-out", "0.3", "--resume")
    ran = train(m2s, catalog, other, out, *QUICK, *given)
    assert ran.status == 2
    assert "the pairs have changed since this training was begun" in ran.stderr


def test_key_frames_that_are_not_there(m2s, own_catalog, pairs, tmp_path):
    """An empty store is named before training begins; shot features do without it."""
    for file in (own_catalog / "keyframes").iterdir():
        file.unlink()
    out = tmp_path / "e.safetensors"
    ran = train(m2s, own_catalog, pairs, out, *QUICK, "--architecture", "frames")
    assert ran.status == 1
    assert f"key frames of {FILMS + 1} of {FILMS + 1} films" in ran.stderr
    assert train(m2s, own_catalog, pairs, out, *QUICK).status == 0


def test_features_that_are_not_there(own_catalog):
    """An encoder without shot features, and films that lack them."""
    with Catalog.open(own_catalog) as opened:
        assert CatalogFeatures(opened, None).left_out == 0
    sql(own_catalog, "DELETE FROM features WHERE movie_id = 1")
    with Catalog.open(own_catalog) as opened:
        assert CatalogFeatures(opened, None).left_out == 1
    sql(own_catalog, "DELETE FROM features")
    with Catalog.open(own_catalog) as opened, pytest.raises(UsageError, match="no shot features by encoder 'gist'"):
        CatalogFeatures(opened, None)


def _pickled(path, _whole):
    torch.save({"weight": torch.zeros(2)}, path)


def _state(path, whole):
    shutil.copy(whole.with_suffix(".training.safetensors"), path)


def _no_shot_encoder(path, whole):
    from safetensors import safe_open

    with safe_open(whole, "pt") as file:
        header = file.metadata()["m2s"]
    spoilt = header.replace('"architecture": "frames"', '"architecture": "shots"').replace('"metric"', '"ruler"')
    save_file(load_file(whole), path, metadata={"m2s": spoilt})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_pickled, "pickles are not loaded"),
        (_state, "holds a 'scene training', not a"),
        (_no_shot_encoder, "its network cannot be made"),
    ],
)
def test_a_file_that_is_no_encoder(quick, tmp_path, spoil, said):
    """Each other thing under an encoder's name is refused for what it is."""
    path = tmp_path / "x.safetensors"
    spoil(path, quick[0])
    with pytest.raises(WeightsError, match=said):
        make_encoder(str(path), device="cpu")
    with pytest.raises(WeightsError):
        read_scene_network(path)


def test_input_that_cannot_be(quick):
    """Scenes without shots, and features of another encoder, are refused."""
    out, architecture = quick
    encoder = make_encoder(str(out), device="cpu")
    if architecture == "frames":
        with pytest.raises(EncoderError, match="a scene without key frames"):
            encoder.encode_key_frames([])
        with pytest.raises(EncoderError, match="expected uint8"):
            encoder.encode_key_frames([np.zeros((4, 4), np.uint8)])
        return
    for features in (np.zeros((0, 512), np.float32), np.zeros((3, 7), np.float32), np.zeros(512, np.float32)):
        with pytest.raises(EncoderError, match=r"expected \[shots, 512\], one shot at least"):
            encoder.encode_shot_features(features)
