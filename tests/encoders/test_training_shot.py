"""E_shot's training on rendered films: the curve falls, a killed training goes on to the bit, errors are named."""

import csv
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import sql
from tiny_films import write_tiny_film

torch = pytest.importorskip("torch")
pytest.importorskip("kornia")
from safetensors.torch import load_file, save_file  # noqa: E402

from m2s_index.catalog import Catalog  # noqa: E402
from m2s_index.encoders.registry import make_encoder  # noqa: E402
from m2s_index.errors import KeyFrameError, UsageError, WeightsError  # noqa: E402
from m2s_index.keyframe_store import KeyFrameReader, decode_jpeg  # noqa: E402
from m2s_index.training_source import KeyFrameSource  # noqa: E402

QUICK = (
    "--set", "epochs=4", "--set", "warmup_epochs=1", "--set", "queue_size=64", "--set", "image_px=32",
    "--set", "run_shots=8", "--set", "backbone=test_convnext",
)  # fmt: skip
"""Sixteen steps of a training that need not learn anything."""


@pytest.fixture(scope="module")
def catalog(m2s, tmp_path_factory):
    """Six films of 20 shots and one of four, indexed."""
    films, folder = tmp_path_factory.mktemp("films"), tmp_path_factory.mktemp("catalog") / "c"
    for number in range(6):
        write_tiny_film(films / f"F{number}.mp4", seed=60 + number, shots=20)
    write_tiny_film(films / "Short.mp4", seed=70, shots=4)
    built = m2s("index", "build", films, "--encoder", "gist", "--catalog", folder, "--workers", "2")
    assert built.status == 0, built.stderr
    shutil.rmtree(films)  # training reads key frames, never video
    return folder


@pytest.fixture
def own_catalog(catalog, tmp_path):
    """A copy that the test may change."""
    return Path(shutil.copytree(catalog, tmp_path / "own"))


def train(m2s, catalog, out, *arguments):
    return m2s("train", "shot", "--catalog", catalog, "--out", out, "--device", "cpu", "--threads", "1", *arguments)


def losses(out):
    with out.with_suffix(".csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def quick(m2s, catalog, tmp_path_factory):
    """A quick training that nobody interrupts."""
    out = tmp_path_factory.mktemp("quick") / "e.safetensors"
    ran = train(m2s, catalog, out, *QUICK)
    assert ran.status == 0, ran.stderr
    return out


@pytest.mark.slow
def test_a_small_training_learns_and_its_encoder_embeds(m2s, catalog, tmp_path):
    """The last losses are at most 0.9 of the first; what comes out embeds a catalogue, to be searched by it."""
    out, begun = tmp_path / "e.safetensors", time.process_time()
    ran = train(m2s, catalog, out, "--json")
    assert ran.status == 0, ran.stderr
    seconds = time.process_time() - begun
    curve = losses(out)
    assert ran.json()["steps"] == len(curve)
    assert ran.json()["first_loss"] == curve[0]
    assert ran.json()["config"]["neighbourhood"] == 6
    assert np.mean(curve[-4:]) <= 0.9 * np.mean(curve[:4])
    assert seconds < 90, f"{seconds:.0f} s of a processor"
    built = m2s("index", "build", "--encoder", out, "--catalog", catalog, "--threads", "1")
    assert built.status == 0, built.stderr
    hits = m2s("query", "--scene", "F0#0", "--encoder", out, "--catalog", catalog, "--json").json()
    assert hits["encoder"] == str(out)
    assert len(hits["hits"]) > 5


def test_the_encoder_is_what_was_trained(quick, catalog):
    """Its identity is its file's; its features are 512 numbers, the network's own, and the same in any batch."""
    encoder = make_encoder(str(quick), device="cpu")
    identity = encoder.identity
    assert (identity.name, identity.dimension, identity.metric) == (str(quick), 512, "cosine")
    assert len(identity.weights_sha256) == 64
    assert "32×32" in identity.preprocessing
    with Catalog.open(catalog) as opened:
        frames = KeyFrameSource(opened).frames(0, 0, 5)
    features = encoder.encode_frames(frames)
    assert features.shape == (5, 512)
    assert np.array_equal(encoder.encode_frames(frames[2:3]), features[2:3])
    assert np.linalg.norm(features[0] - features[4]) > 0
    state = load_file(quick.with_suffix(".training.safetensors"))
    weights = load_file(quick)
    assert weights
    assert all(torch.equal(tensor, state[f"task.query.0.{name}"]) for name, tensor in weights.items())


def test_the_same_seed_gives_the_same_training(m2s, catalog, quick, tmp_path):
    """The curve and the encoder to the bit; another seed gives another curve."""
    assert train(m2s, catalog, tmp_path / "e.safetensors", *QUICK).status == 0
    assert (tmp_path / "e.csv").read_bytes() == quick.with_suffix(".csv").read_bytes()
    assert (tmp_path / "e.safetensors").read_bytes() == quick.read_bytes()
    assert train(m2s, catalog, tmp_path / "f.safetensors", *QUICK, "--set", "seed=1").status == 0
    assert (tmp_path / "f.csv").read_bytes() != quick.with_suffix(".csv").read_bytes()


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_bit(m2s, catalog, quick, tmp_path):
    """Killed with signal 9 after a checkpoint, then resumed: the curve and encoder of one that was not killed."""
    out = tmp_path / "e.safetensors"
    state = out.with_suffix(".training.safetensors")
    command = [
        sys.executable, "-c", "from m2s_index.cli.main import main; main()", "train", "shot", "--catalog", catalog,
        "--out", out, "--device", "cpu", "--threads", "1", "--checkpoint-steps", "3", *QUICK,
    ]  # fmt: skip
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL, env={**os.environ})
    until = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(load_file(state)["curve"])
    assert 3 <= done < 16, done
    assert not out.exists()
    resumed = train(m2s, catalog, out, *QUICK, "--resume")
    assert resumed.status == 0, resumed.stderr
    assert losses(out) == losses(quick)
    assert out.with_suffix(".csv").read_bytes() == quick.with_suffix(".csv").read_bytes()
    assert out.read_bytes() == quick.read_bytes()


def test_accumulated_gradients(m2s, catalog, tmp_path):
    """Two batches a step make half as many steps; the other optimiser trains too."""
    extra = ("--set", "accumulate=2", "--set", "optimiser=sgd")
    ran = train(m2s, catalog, tmp_path / "e.safetensors", *QUICK, *extra, "--json")
    assert ran.status == 0, ran.stderr
    assert ran.json()["steps"] == 8


def test_mixed_precision(m2s, catalog, quick, tmp_path):
    """Networks in bf16 train too, if to other numbers; the weights stay fp32 and losses finite."""
    out = tmp_path / "e.safetensors"
    assert train(m2s, catalog, out, *QUICK, "--precision", "bf16").status == 0
    curve = losses(out)
    assert np.isfinite(curve).all()
    assert curve != losses(quick)
    assert curve[0] == pytest.approx(losses(quick)[0], rel=0.05)
    assert {tensor.dtype for tensor in load_file(out).values()} == {torch.float32}


@pytest.mark.cuda
@pytest.mark.skipif(
    not torch.cuda.is_available() and not os.environ.get("FAIL_WITHOUT_CUDA"), reason="no CUDA device here"
)
def test_on_a_gpu(m2s, catalog, tmp_path):
    """A training on CUDA, in mixed precision, gives an encoder that the CPU runs."""
    out = tmp_path / "e.safetensors"
    ran = m2s("train", "shot", "--catalog", catalog, "--out", out, "--device", "cuda", *QUICK)
    assert ran.status == 0, ran.stderr
    assert np.isfinite(losses(out)).all()
    with Catalog.open(catalog) as opened:
        features = make_encoder(str(out), device="cpu").encode_frames(KeyFrameSource(opened).frames(0, 0, 2))
    assert np.isfinite(features).all()


def test_a_network_with_running_statistics(m2s, catalog, tmp_path):
    """They settle before the first step; the key network has its own, which follow those of the query network."""
    out = tmp_path / "e.safetensors"
    ran = train(m2s, catalog, out, *QUICK, "--set", "backbone=test_resnet", "--set", "epochs=2")
    assert ran.status == 0, ran.stderr
    state = load_file(out.with_suffix(".training.safetensors"))
    name = "0.bn1.running_mean"
    assert state[f"task.query.{name}"].abs().sum() > 0
    assert not torch.equal(state[f"task.query.{name}"], state[f"task.key.{name}"])
    drift = (state[f"task.query.{name}"] - state[f"task.key.{name}"]).norm()
    assert drift < state[f"task.query.{name}"].norm()


def test_shotcol_trains(m2s, catalog, tmp_path):
    """The recipe for comparison, on films long enough for its runs."""
    arguments = (*QUICK, "--recipe", "shotcol", "--set", "run_shots=18")
    ran = train(m2s, catalog, tmp_path / "e.safetensors", *arguments, "--json")
    assert ran.status == 0, ran.stderr
    assert ran.json()["config"]["neighbourhood"] == 16


def test_not_a_number_stops_the_training(m2s, catalog, tmp_path):
    """The error names the step and the last good checkpoint, which is still there, whole and finite."""
    out = tmp_path / "e.safetensors"
    wild = ("--set", "learning_rate=1e38", "--set", "optimiser=sgd", "--checkpoint-steps", "1")
    ran = train(m2s, catalog, out, *QUICK, *wild)
    assert ran.status == 1
    assert "is nan; the state after step" in ran.stderr or "is inf; the state after step" in ran.stderr
    state = out.with_suffix(".training.safetensors")
    assert str(state) in ran.stderr
    assert "lower learning_rate" in ran.stderr
    assert torch.isfinite(load_file(state)["curve"]).all()
    assert not out.exists()


def test_key_frames_are_the_stored_ones(catalog):
    """The source's frames are the films' stored pictures, in order; films go by their contents."""
    films = sql(catalog, "SELECT keyframes_file, name FROM movies ORDER BY fingerprint")
    with Catalog.open(catalog) as opened:
        source = KeyFrameSource(opened)
        assert source.shots == tuple(4 if name == "Short" else 20 for _, name in films)
        for film, (file, _) in enumerate(films):
            frames = source.frames(film, 2, 2)
            with KeyFrameReader(opened.keyframes_folder, file) as reader:
                for shot, frame in zip((2, 3), frames, strict=True):
                    assert np.array_equal(frame, decode_jpeg(reader.read(shot)[0]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["films_per_batch=7"], "6 of 7 films have the 12 shots of a run, and a batch takes runs of 7 films"),
        (["run_shots=21"], "0 of 7 films have the 21 shots of a run"),
        (["backbone=resnet_of_nobody"], "timm has no model 'resnet_of_nobody'"),
        (["backbone=test_vit", "image_px=50"], "does not take pictures of 50 pixels"),
    ],
)
def test_a_training_that_cannot_be(m2s, catalog, tmp_path, settings, said):
    """Wrong usage, before any file is written."""
    given = [text for setting in settings for text in ("--set", setting)]
    ran = train(m2s, catalog, tmp_path / "e.safetensors", *given)
    assert ran.status == 2, ran.stderr
    assert said in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("out", "arguments", "said"),
    [
        ("e.pt", (), "call it"),
        ("none/e.safetensors", (), "no such folder"),
        ("e.safetensors", ("--resume",), "no checkpoint to resume"),
    ],
)
def test_a_place_that_cannot_be(m2s, catalog, tmp_path, out, arguments, said):
    """Where the encoder is to go is looked at first."""
    ran = train(m2s, catalog, tmp_path / out, *arguments)
    assert ran.status == 2
    assert said in ran.stderr


def test_a_training_is_not_written_over(m2s, catalog, quick):
    """What is there stays, unless it is resumed."""
    before = quick.read_bytes()
    ran = train(m2s, catalog, quick, *QUICK)
    assert ran.status == 2
    assert "is there already; go on with --resume" in ran.stderr
    assert quick.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "temperature=0.5"), "temperature was 0.1, now 0.5"),
        (("--set", "backbone=test_vit"), "backbone was 'test_convnext', now 'test_vit'"),
        (("--preset", "paper"), "momentum was 0.99, now 0.999"),
    ],
)
def test_resuming_with_other_settings(m2s, catalog, quick, arguments, said):
    """Another setting, architecture or preset is refused, and each difference named."""
    ran = train(
        m2s, catalog, quick, *QUICK, "--set", "films_per_batch=4", "--set", "run_shots=8", *arguments, "--resume"
    )
    assert ran.status == 2
    assert "begun with other settings" in ran.stderr
    assert said in ran.stderr


def test_resuming_on_other_films(m2s, own_catalog, quick):
    """A training goes on only on the films that it was begun with."""
    assert m2s("index", "remove", "F5", "--catalog", own_catalog).status == 0
    ran = train(m2s, own_catalog, quick, *QUICK, "--resume")
    assert ran.status == 2
    assert "films have changed" in ran.stderr


def test_key_frames_that_are_not_there(m2s, own_catalog, tmp_path):
    """Files that are gone, or an empty catalogue, are named before training begins."""
    for file in (own_catalog / "keyframes").iterdir():
        file.unlink()
    ran = train(m2s, own_catalog, tmp_path / "e.safetensors")
    assert ran.status == 1
    assert "key frames of 7 of 7 films" in ran.stderr
    with Catalog.open(own_catalog) as opened, pytest.raises(KeyFrameError, match="m2s index repair"):
        KeyFrameSource(opened)
    sql(own_catalog, "DELETE FROM movies")
    with Catalog.open(own_catalog) as opened, pytest.raises(UsageError, match="holds no film"):
        KeyFrameSource(opened)


def _pickle(path, _whole):
    path.write_bytes(pickle.dumps({"weights": [1.0]}))


def _plain(path, _whole):
    save_file({"weight": torch.zeros(2)}, path)


def _state(path, whole):
    shutil.copy(whole.with_suffix(".training.safetensors"), path)


def _half(path, whole):
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_pickle, "pickles are not loaded"),
        (_plain, "says nothing of how it was trained"),
        (_state, "holds a 'shot training', not a 'shot encoder'"),
        (_half, "cannot be read as safetensors"),
        (lambda _path, _whole: None, "there is no such file"),
    ],
)
def test_a_file_that_is_no_encoder(quick, tmp_path, spoil, said):
    """Each other thing under an encoder's name is refused for what it is."""
    path = tmp_path / "x.safetensors"
    spoil(path, quick)
    with pytest.raises(WeightsError, match=said):
        make_encoder(str(path), device="cpu")


@pytest.mark.parametrize(("spoil", "said"), [(_pickle, "pickles are not loaded"), (_plain, "says nothing")])
def test_a_checkpoint_that_is_none(m2s, catalog, quick, tmp_path, spoil, said):
    """A resume refuses what is no checkpoint of m2s."""
    out = tmp_path / "e.safetensors"
    spoil(out.with_suffix(".training.safetensors"), quick)
    ran = train(m2s, catalog, out, *QUICK, "--resume")
    assert ran.status == 1
    assert said in ran.stderr


def test_weights_beside_a_trained_file(quick):
    """The file is its own weights."""
    with pytest.raises(UsageError, match="is its own weights"):
        make_encoder(str(quick), weights=quick)
