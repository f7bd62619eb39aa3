"""The loop, its checkpoints and the sampler, on a task small enough to be followed by hand."""

import math
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from m2s_index.encoders.training.checkpoint import load_state, read_header, save_tensors  # noqa: E402
from m2s_index.encoders.training.curve import curve_svg  # noqa: E402
from m2s_index.encoders.training.loop import Checkpoints, CurvePoint, Plan, train  # noqa: E402
from m2s_index.encoders.training.sampler import RunSampler  # noqa: E402
from m2s_index.encoders.training.schedules import learning_rate  # noqa: E402
from m2s_index.errors import TrainingError, UsageError, WeightsError  # noqa: E402

HEADER = {"kind": "line", "config": {"epochs": 3}, "films": "abc"}


class Line(torch.nn.Module):
    """Fits one weight to 3 by squares: gradients can be written down. Noise comes from torch's generator."""

    def __init__(self, noise=0.0, bad_batch=None, value=math.nan):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._noise, self._bad_batch, self._value = noise, bad_batch, value

    @property
    def module(self):
        return self

    def begin(self):
        self.steps.fill_(100)

    def batch_loss(self, number):
        if number == self._bad_batch:
            return self.weight * self._value
        return (self.weight - 3 + self._noise * torch.randn(())) ** 2

    def after_step(self):
        self.steps += 1


def plan(steps=6, accumulate=1, optimiser="sgd"):
    return Plan(steps, 2, accumulate, 1, optimiser, 0.1, 0.0, seed=5)


def run(task, path, *, of=None, resume=False, every=2, header=HEADER):
    done, kept = [], []
    curve = train(
        task, of or plan(), Checkpoints(path, header, every), resume=resume, on_step=done.append,
        on_checkpoint=lambda curve: kept.append(len(curve)),
    )  # fmt: skip
    return curve, done, kept


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_loop_is_gradient_descent(tmp_path, accumulate):
    """Losses and weights are those of momentum descent written out, however many batches make a step."""
    task = Line()
    curve, done, kept = run(task, tmp_path / "x.safetensors", of=plan(accumulate=accumulate))
    weight, velocity = 0.0, 0.0
    for step, point in enumerate(curve):
        rate = learning_rate(step, peak=0.1, warmup_steps=2, steps=6)
        assert point.learning_rate == rate
        assert point.loss == pytest.approx((weight - 3) ** 2, rel=1e-5)
        velocity = 0.9 * velocity + 2 * (weight - 3)
        weight -= rate * velocity
    assert task.weight.item() == pytest.approx(weight, rel=1e-5)
    assert task.steps.item() == 106  # begun once, told of every step
    assert [report.step for report in done] == [1, 2, 3, 4, 5, 6]
    assert done[-1].seconds_left == 0
    assert kept == [2, 4, 6]


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_resuming_is_to_the_bit(tmp_path, optimiser):
    """From any checkpoint on, noise and the optimiser's memory are what they would have been."""
    whole_task = Line(noise=1.0)
    whole, _, _ = run(whole_task, tmp_path / "whole.safetensors", of=plan(optimiser=optimiser))

    class StopError(Exception):
        pass

    def stop(report):
        if report.step == 5:
            raise StopError

    checkpoints = Checkpoints(tmp_path / "cut.safetensors", HEADER, 2)
    with pytest.raises(StopError):
        train(Line(1.0), plan(optimiser=optimiser), checkpoints, resume=False, on_step=stop, on_checkpoint=len)
    task = Line(noise=1.0)
    curve, done, _ = run(task, tmp_path / "cut.safetensors", of=plan(optimiser=optimiser), resume=True)
    assert curve == whole
    assert [report.step for report in done] == [5, 6]
    assert torch.equal(task.weight, whole_task.weight)
    assert task.steps.item() == 106
    assert (tmp_path / "cut.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


@pytest.mark.parametrize(("value", "what"), [(math.nan, "loss is nan"), (-math.inf, "loss is -inf")])
def test_a_loss_that_is_not_finite(tmp_path, value, what):
    """It ends the training before the weights are touched; the checkpoint before it is named and unchanged."""
    task, path = Line(bad_batch=5, value=value), tmp_path / "x.safetensors"
    with pytest.raises(TrainingError, match=rf"step 6: the {what}; the state after step 4 is in {path}"):
        run(task, path, every=4)
    curve, _, _ = run(Line(), path, resume=True)
    assert len(curve) == 6


def test_a_gradient_that_is_not_finite(tmp_path):
    """A finite loss does not hide it; where no checkpoint was written the message says so."""

    class Root(Line):
        def batch_loss(self, number):
            return torch.sqrt(self.weight.abs())  # 0 at 0, where its slope has no bound

    with pytest.raises(TrainingError, match=r"step 1: the gradient is (nan|inf); no checkpoint was written yet"):
        run(Root(), tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("header", "error", "said"),
    [
        ({**HEADER, "kind": "other"}, WeightsError, "holds a 'line', not a 'other'"),
        ({**HEADER, "config": {"epochs": 4}}, UsageError, "epochs was 3, now 4"),
        ({**HEADER, "films": "abd"}, UsageError, "the films have changed"),
        ({**HEADER, "features": {"dimension": 512}}, UsageError, "the features have changed"),
    ],
)
def test_a_checkpoint_of_another_training(tmp_path, header, error, said):
    """Its kind, its settings and its films have to be the same."""
    run(Line(), tmp_path / "x.safetensors")
    with pytest.raises(error, match=said):
        run(Line(), tmp_path / "x.safetensors", resume=True, header=header)


def test_a_checkpoint_that_lacks_a_tensor(tmp_path):
    """It is refused as a whole."""
    save_tensors(tmp_path / "x.safetensors", {"curve": torch.zeros(2, 2), "task.weight": torch.zeros(())}, HEADER)
    with pytest.raises(WeightsError, match="is no whole checkpoint"):
        run(Line(), tmp_path / "x.safetensors", resume=True)


def test_a_file_that_cannot_be_written(tmp_path):
    """The error names it; what was there is still there, and nothing is left beside it."""
    path = tmp_path / "x.safetensors"
    (path / "kept").mkdir(parents=True)  # a folder cannot be replaced by a file
    for place in (path, tmp_path / "none" / "x.safetensors"):
        with pytest.raises(TrainingError, match=f"{place}: cannot be written"):
            save_tensors(place, {"a": torch.zeros(2)}, HEADER)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.safetensors"]
    assert (path / "kept").is_dir()


def test_a_file_says_what_it_is(tmp_path):
    """The header comes back as it was given, and the tensors, contiguous or not."""
    path = tmp_path / "x.safetensors"
    turned = torch.arange(6.0).view(2, 3).T
    save_tensors(path, {"a": turned}, HEADER)
    assert read_header(path) == HEADER
    assert torch.equal(load_state(path, HEADER)["a"], turned)


@pytest.mark.parametrize("values", [[2.0], [4.0, 1.0, 2.0], [0.0, 0.0]])
def test_the_picture_of_a_curve(values):
    """Its points are the losses, to scale: the highest at the top, nought at the bottom, first left, last right."""
    document = ElementTree.fromstring(curve_svg([CurvePoint(value, 0.1) for value in values]))
    grid = [float(line.get("y1")) for line in document.findall(".//{*}line")]
    (line,) = document.findall(".//{*}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
    assert len(points) == len(values)
    for (_, y), value in zip(points, values, strict=True):
        share = value / max(values) if max(values) else 0.0
        assert y == pytest.approx(max(grid) + (min(grid) - max(grid)) * share, abs=0.1)
    assert [x for x, _ in points] == sorted({x for x, _ in points})
    assert f"last {values[-1]:.3f}" in "".join(document.itertext())


def test_batches_are_runs_of_several_films():
    """Each run lies in its film, no film is in a batch twice, and short films are in none."""
    shots = [20, 7, 8, 30, 3, 12]
    sampler = RunSampler(shots, run_shots=8, films=3, seed=1)
    assert (sampler.films, sampler.shots) == (4, 70)
    seen = Counter()
    for number in range(400):
        runs = sampler.batch(number)
        assert len({run.film for run in runs}) == 3
        for run in runs:
            assert 0 <= run.first_shot <= shots[run.film] - 8
            seen[run.film, run.first_shot] += 1
    # Every run there is has been in some batch, and longer films are in more.
    assert set(seen) == {(film, first) for film in (0, 2, 3, 5) for first in range(shots[film] - 7)}
    by_film = [sum(count for (film, _), count in seen.items() if film == wanted) for wanted in (2, 5, 0, 3)]
    assert by_film == sorted(by_film)


def test_a_batch_is_a_function_of_its_number():
    """In any order, by any sampler of the same seed; other numbers and seeds give other batches."""
    one, two = (RunSampler([40] * 9, run_shots=8, films=4, seed=1) for _ in range(2))
    forwards = [one.batch(number) for number in range(20)]
    assert [two.batch(number) for number in reversed(range(20))] == forwards[::-1]
    assert len({tuple(batch) for batch in forwards}) == 20
    assert RunSampler([40] * 9, run_shots=8, films=4, seed=2).batch(0) != forwards[0]


def test_films_are_drawn_by_their_shots():
    """With one film a batch, shares are those of the shots, within five standard errors."""
    shots, draws = [10, 20, 50], 3000
    sampler = RunSampler(shots, run_shots=8, films=1, seed=0)
    seen = np.bincount([sampler.batch(number)[0].film for number in range(draws)], minlength=3) / draws
    for share, count in zip(seen, shots, strict=True):
        wanted = count / sum(shots)
        assert share == pytest.approx(wanted, abs=5 * math.sqrt(wanted * (1 - wanted) / draws))
