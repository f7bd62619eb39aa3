"""The parts of the training method against loops over listed pairs."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from m2s_index.encoders.training.info_nce import info_nce  # noqa: E402
from m2s_index.encoders.training.key_queue import KeyQueue  # noqa: E402
from m2s_index.encoders.training.momentum import follow  # noqa: E402
from m2s_index.encoders.training.neighbourhood import choose_positives, neighbours  # noqa: E402
from m2s_index.encoders.training.schedules import learning_rate  # noqa: E402


def unit(generator, rows, dimension=5):
    drawn = generator.standard_normal((rows, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_info_nce_is_the_formula(seed, temperature):
    """The loss is the written sum over each query's positive and the keys that are no copies."""
    generator = np.random.default_rng(seed)
    queries, positives, queue = unit(generator, 4), unit(generator, 4), unit(generator, 7)
    copies = generator.random((4, 7)) < 0.3
    copies[0] = True  # a query that has no negatives at all
    total = 0.0
    for q in range(4):
        positive = math.exp(float(queries[q] @ positives[q]) / temperature)
        negative = sum(math.exp(float(queries[q] @ queue[k]) / temperature) for k in range(7) if not copies[q, k])
        total -= math.log(positive / (positive + negative))
    loss = info_nce(*map(torch.from_numpy, (queries, positives, queue, copies)), temperature=temperature)
    assert loss.item() == pytest.approx(total / 4, rel=1e-5)


def test_info_nce_teaches_the_query_alone():
    """The gradient reaches queries; a masked key has no part in it."""
    generator = np.random.default_rng(3)
    queries, positives, queue = (torch.from_numpy(unit(generator, n)) for n in (2, 2, 3))
    copies = torch.tensor([[False, True, False]] * 2)
    queries.requires_grad_()
    info_nce(queries, positives, queue, copies, temperature=0.1).backward()
    with_it = queries.grad.clone()
    queries.grad = None
    queue[1] = queue[0]
    info_nce(queries, positives, queue, copies, temperature=0.1).backward()
    assert with_it.abs().sum() > 0
    assert torch.equal(queries.grad, with_it)


@pytest.mark.parametrize(("size", "batches"), [(6, (2, 2, 2, 2)), (5, (2, 3, 4, 1)), (4, (4, 4))])
def test_the_queue_holds_the_newest_keys(size, batches):
    """It is a list from whose front the oldest fall, whether or not batches divide it."""
    generator = np.random.default_rng(0)
    queue, expected, number = KeyQueue(size, 5), [], 0
    for rows in batches:
        keys = torch.from_numpy(unit(generator, rows))
        shots = torch.arange(number, number + rows)
        queue.push(keys, shots)
        expected = (expected + list(zip(shots.tolist(), keys.tolist(), strict=True)))[-size:]
        number += rows
        held = {s: k for s, k in zip(queue.shots.tolist(), queue.keys.tolist(), strict=True) if s >= 0}
        assert held == dict(expected)
        assert queue.is_full == (len(expected) == size)


def test_copies_in_the_queue():
    """Keys of the query's own shot and of its positive are no negatives, nor are empty places."""
    queue = KeyQueue(5, 3)
    queue.push(torch.ones(4, 3), torch.tensor([7, 8, 9, 7]))
    shots, positives = torch.tensor([7, 1, 9]), torch.tensor([8, 2, 9])
    for q, row in enumerate(queue.copies_of(shots, positives).tolist()):
        held = [7, 8, 9, 7, None]
        assert row == [shot in (None, shots[q].item(), positives[q].item()) for shot in held]


def test_the_key_network_follows():
    """Weights, biases and running statistics move by 1 − m towards the query network; counts are copied."""
    torch.manual_seed(0)
    query = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    key = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    query(torch.randn(8, 3))
    before = {name: value.clone() for name, value in key.state_dict().items()}
    follow(key, query, 0.9)
    for name, theirs in query.state_dict().items():
        mine = key.state_dict()[name]
        if name.endswith("num_batches_tracked"):
            assert mine.item() == theirs.item() == 1
            continue
        for now, was, other in zip(mine.flatten(), before[name].flatten(), theirs.flatten(), strict=True):
            assert now.item() == pytest.approx(0.9 * was.item() + 0.1 * other.item(), abs=1e-6)


@pytest.mark.parametrize(("runs", "run_shots", "size"), [(1, 4, 2), (3, 8, 6), (2, 20, 16), (2, 5, 16)])
def test_neighbours_of_a_batch(runs, run_shots, size):
    """Half the neighbourhood before, half after, never over a run's border, never the shot itself."""
    found = neighbours(runs, run_shots, size)
    for i in range(runs * run_shots):
        for j in range(runs * run_shots):
            near = 1 <= abs(i - j) <= size / 2 and i // run_shots == j // run_shots
            assert found[i, j].item() == near
    # All told: in the middle of a run long enough there are as many as were asked for.
    if run_shots > size:
        assert found[run_shots // 2].sum().item() == size


@pytest.mark.parametrize("seed", range(4))
def test_positives_are_the_most_similar_neighbours(seed):
    """Loops over the candidates find the same; of equally similar ones the first is taken."""
    generator = np.random.default_rng(seed)
    queries, keys = unit(generator, 12), unit(generator, 12)
    keys[3] = keys[1]  # a tie for every query that has both near
    candidates = neighbours(2, 6, 4)
    expected = []
    for q in range(12):
        near = [k for k in range(12) if candidates[q, k]]
        expected.append(max(near, key=lambda k: (round(float(queries[q] @ keys[k]), 5), -k)))
    chosen = choose_positives(torch.from_numpy(queries), torch.from_numpy(keys), candidates)
    assert chosen.tolist() == expected


def test_the_query_is_never_its_own_positive():
    """Not even where its own key is the only one like it."""
    features = torch.eye(8)
    chosen = choose_positives(features, features, neighbours(1, 8, 6))
    assert (chosen != torch.arange(8)).all()


def test_the_learning_rate():
    """Up in equal steps to the peak, then along the cosine towards 0."""
    rates = [learning_rate(step, peak=2.0, warmup_steps=4, steps=12) for step in range(12)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    for step in range(4, 12):
        assert rates[step] == pytest.approx(1 + math.cos(math.pi * (step - 4) / 8))
    assert rates[4] == 2.0
    assert 0 < rates[-1] < 0.1
    assert learning_rate(0, peak=2.0, warmup_steps=0, steps=1) == 2.0
