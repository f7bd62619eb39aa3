"""E_shot's task put together: one batch's loss against loops, and what becomes of keys, queue and networks."""

import math

import pytest

torch = pytest.importorskip("torch")
from torch.nn.functional import normalize  # noqa: E402

from m2s_index.encoders.training.place import Place  # noqa: E402
from m2s_index.encoders.training.shot_config import FEATURES, resolve_config  # noqa: E402
from m2s_index.encoders.training.shot_contrast import ShotContrast  # noqa: E402

VALUES = {
    "neighbourhood": 2, "run_shots": 4, "films_per_batch": 2, "queue_size": 24, "dimension": 6, "momentum": 0.5,
    "temperature": 0.5,
}  # fmt: skip


class Batches:
    """Batch n is eight pictures of their own; shots come again after three batches."""

    def batch(self, number):
        generator = torch.Generator().manual_seed(number)
        pictures = torch.randint(0, 256, (8, 3, 2, 2), dtype=torch.uint8, generator=generator)
        return pictures, torch.arange(8) + 8 * (number % 3)


@pytest.fixture
def task():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, FEATURES))
    config = resolve_config("small", "m2s", VALUES)
    made = ShotContrast(
        network, config, Batches(), lambda p: p.float() / 255, Place(torch.device("cpu"), bf16=False)
    )
    with torch.no_grad():  # so that keys and queries differ
        for parameter in made.query.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    made.begin()
    return made


def rows(network, pictures):
    return normalize(network(pictures.float() / 255), dim=1).tolist()


def dot(first, second):
    return sum(a * b for a, b in zip(first, second, strict=True))


def test_the_queue_is_full_before_the_first_step(task):
    """It holds the keys of the first batches, by the key network."""
    expected = [row for number in range(3) for row in rows(task.key, Batches().batch(number)[0])]
    assert torch.allclose(task.queue.keys, torch.tensor(expected), atol=1e-6)
    assert task.queue.shots.tolist() == list(range(24))


def test_the_loss_of_a_batch(task):
    """Written out: a query's positive is the best of its neighbours in the run; copies of neither are negatives."""
    pictures, shots = Batches().batch(4)
    queries, keys = rows(task.query, pictures), rows(task.key, pictures)
    queue = list(zip(task.queue.shots.tolist(), task.queue.keys.tolist(), strict=True))
    total = 0.0
    for q in range(8):
        near = [k for k in (q - 1, q + 1) if 0 <= k < 8 and k // 4 == q // 4]
        positive = max(near, key=lambda k: dot(queries[q], keys[k]))
        shown = {shots[q].item(), shots[positive].item()}
        terms = [math.exp(dot(queries[q], key) / 0.5) for shot, key in queue if shot not in shown]
        assert len(terms) == 22
        best = math.exp(dot(queries[q], keys[positive]) / 0.5)
        total -= math.log(best / (best + sum(terms)))
    assert task.batch_loss(4).item() == pytest.approx(total / 8, rel=1e-5)
    # The batch's keys have taken the places of the oldest.
    assert torch.allclose(task.queue.keys[:8], torch.tensor(keys), atol=1e-6)
    assert task.queue.shots[:8].tolist() == shots.tolist()


def test_only_the_query_network_is_trained(task):
    """Gradients reach all of it, and nothing of the key network, which follows after the step."""
    task.batch_loss(5).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in task.query.parameters())
    assert all(parameter.grad is None for parameter in task.key.parameters())
    before = [parameter.clone() for parameter in task.key.parameters()]
    task.after_step()
    for was, now, query in zip(before, task.key.parameters(), task.query.parameters(), strict=True):
        assert torch.allclose(now, (was + query) / 2, atol=1e-6)


def test_what_is_kept_is_the_network_alone(task):
    """The encoder has no projection."""
    assert sorted(task.encoder_tensors()) == ["1.bias", "1.weight"]
    assert torch.equal(task.encoder_tensors()["1.weight"], task.query[0][1].weight)
