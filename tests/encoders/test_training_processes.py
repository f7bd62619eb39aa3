"""Two real processes that train together, as torchrun starts them, give what one gives with the joint batch."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from mined_pairs import write_mined_pairs
from tiny_films import write_tiny_film

torch = pytest.importorskip("torch")
pytest.importorskip("kornia")
pytest.importorskip("sklearn")
from safetensors.torch import load_file  # noqa: E402

from m2s_index.encoders.training.processes import Processes, started_processes  # noqa: E402
from m2s_index.errors import TrainingError, UsageError  # noqa: E402

OWN_MAIN = "from m2s_index.cli.main import main; main()"
SHOT = (
    "shot", "--set", "epochs=5", "--set", "warmup_epochs=1", "--set", "queue_size=64", "--set", "image_px=32",
    "--set", "run_shots=8", "--set", "backbone=test_convnext", "--checkpoint-steps", "7",
)  # fmt: skip
"""Twenty steps, by a network without batch statistics."""
MOVIE = (
    "movie", "--signal", "genre", "--set", "epochs=12", "--set", "pairs=8", "--set", "shots=6",
    "--checkpoint-steps", "7",
)  # fmt: skip
SCENE = (
    "scene", "--held-out", "0", "--set", "epochs=10", "--set", "batch_pairs=8", "--set", "queue_size=16",
    "--checkpoint-steps", "7",
)  # fmt: skip


@pytest.fixture(scope="module")
def catalog(m2s, tmp_path_factory):
    """Eight films of two genres, of twenty shots or so, and the pairs of their scenes."""
    films, folder = tmp_path_factory.mktemp("films"), tmp_path_factory.mktemp("catalog") / "c"
    lines = ["movie,title,year,genres"]
    for number in range(8):
        write_tiny_film(films / f"F{number}.mp4", seed=60 + number, shots=20)
        lines.append(f"F{number}.mp4,F{number},1990,{'Drama' if number % 2 else 'Western'}")
    built = m2s("index", "build", films, "--encoder", "gist", "--catalog", folder, "--workers", "2")
    assert built.status == 0, built.stderr
    table = films / "t.csv"
    table.write_text("\n".join(lines), "utf-8")
    assert m2s("movies", "import", table, "--catalog", folder).status == 0
    assert write_mined_pairs(folder, folder.parent / "pairs.csv") >= 16
    return folder


def arguments(catalog, out, training):
    command, *settings = training
    common = ("--catalog", catalog, "--out", out, "--device", "cpu", "--threads", "1")
    pairs = ("--pairs", catalog.parent / "pairs.csv") if command == "scene" else ()
    return [str(argument) for argument in ("train", command, *common, *pairs, *settings)]


def together(catalog, out, training, *, processes=2, program=OWN_MAIN):
    """The training in several processes, as a program that changes nothing or something of it."""
    run = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--no-python")
    command = [sys.executable, *run, "--", sys.executable, "-c", program, *arguments(catalog, out, training)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)


def losses(out):
    with out.with_suffix(".csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module", params=[SHOT, MOVIE, SCENE], ids=["shot", "movie", "scene"])
def joint(request, catalog, tmp_path_factory):
    """A training, and what two processes made and said of it."""
    out = tmp_path_factory.mktemp("joint") / "two.safetensors"
    ran = together(catalog, out, request.param)
    assert ran.returncode == 0, ran.stderr
    return request.param, out, ran


@pytest.mark.slow
def test_two_processes_are_as_one(m2s, catalog, joint, tmp_path):
    """Twenty losses are equal to 1e-4, and so are, nearly, the weights and the queue; one process speaks."""
    training, two, ran = joint
    one = tmp_path / "one.safetensors"
    alone = m2s(*arguments(catalog, one, training))
    assert alone.status == 0, alone.stderr
    assert len(losses(one)) >= 20
    assert losses(two)[:20] == pytest.approx(losses(one)[:20], abs=1e-4)
    states = [load_file(out.with_suffix(".training.safetensors")) for out in (one, two)]
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert torch.allclose(tensor.float(), states[1][name].float(), atol=5e-3), name
    assert ran.stdout.count("two.safetensors") == 1
    assert ran.stderr.count(" steps of ") == 1


@pytest.mark.slow
def test_two_processes_go_on_from_a_checkpoint(catalog, joint, tmp_path):
    """Killed with signal 9 after a checkpoint and resumed, a training ends as one that was not killed."""
    training, whole, _ = joint
    cut = tmp_path / "cut.safetensors"
    save_and_die = """
import os, signal
from m2s_index.encoders.training import loop
save = loop._save
def save_and_die(*given):
    save(*given)
    os.kill(os.getpid(), signal.SIGKILL)
loop._save = save_and_die
"""
    assert together(catalog, cut, training, program=save_and_die + OWN_MAIN).returncode != 0
    assert len(load_file(cut.with_suffix(".training.safetensors"))["curve"]) == 7
    assert not cut.exists()
    resumed = together(catalog, cut, (*training, "--resume"))
    assert resumed.returncode == 0, resumed.stderr
    assert cut.with_suffix(".csv").read_bytes() == whole.with_suffix(".csv").read_bytes()
    assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_all_processes_hold_the_same(catalog, tmp_path):
    """Weights, running statistics and the queue, to the bit, although each has seen pictures of its own."""
    dump = f"""
import os
from safetensors.torch import save_file
from m2s_index.encoders.training import training
train = training.train
def train_and_dump(task, *given, **named):
    curve = train(task, *given, **named)
    save_file({{name: tensor.clone() for name, tensor in task.module.state_dict().items()}},
              os.path.join({str(tmp_path)!r}, os.environ["RANK"]))
    return curve
training.train = train_and_dump
"""
    quick = (*SHOT, "--set", "backbone=test_resnet", "--set", "epochs=2")
    ran = together(catalog, tmp_path / "e.safetensors", quick, program=dump + OWN_MAIN)
    assert ran.returncode == 0, ran.stderr
    assert np.isfinite(losses(tmp_path / "e.safetensors")).all()
    first, second = (load_file(tmp_path / rank) for rank in "01")
    assert first["query.0.bn1.running_mean"].abs().sum() > 0
    assert not torch.equal(first["query.0.bn1.running_mean"], first["key.0.bn1.running_mean"])
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_batches_are_shared_out():
    """In order of rank the shares are the batch; where they cannot be equal, the setting is named."""
    batch = list("abcdef")
    for count in (1, 2, 3, 6):
        shares = [Processes(rank, count).share(batch) for rank in range(count)]
        assert [item for share in shares for item in share] == batch
        assert {len(share) for share in shares} == {6 // count}
        Processes(0, count).need_shares(6, "pairs")
    with pytest.raises(UsageError, match="pairs 6: must be a multiple of the 4 processes"):
        Processes(1, 4).need_shares(6, "pairs")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "name"), [(SHOT, "films_per_batch 4"), (MOVIE, "pairs 8"), (SCENE, "batch_pairs 8")]
)
def test_a_batch_that_cannot_be_shared(catalog, tmp_path, training, name):
    """Three processes refuse it before a file is written."""
    ran = together(catalog, tmp_path / "e.safetensors", training, processes=3)
    assert ran.returncode != 0
    assert f"m2s: {name}: must be a multiple of the 3 processes of this training" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_processes_that_have_lost_each_other():
    """Whoever waits for another process in vain is told to look at that one, and how to go on."""
    for ask in (Processes(0, 2).gather, lambda tensor: Processes(0, 2).average([tensor])):
        with pytest.raises(TrainingError, match=r"lost each other .* go on from the last checkpoint with --resume"):
            ask(torch.zeros(2))


def test_who_was_started(monkeypatch):
    """By torchrun's variables; without them one process trains alone."""
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert started_processes() == Processes(0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert started_processes() == Processes(2, 4)
    assert not started_processes().is_first
