"""E_scene's task put together: one batch's loss against loops, what becomes of keys, queue and networks, views."""

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kornia")
from torch.nn.functional import normalize  # noqa: E402

from m2s_index.encoders.scene_shots_network import ShotsNetwork  # noqa: E402
from m2s_index.encoders.training.augmentation import Augmentation  # noqa: E402
from m2s_index.encoders.training.pair_loader import PairBatch  # noqa: E402
from m2s_index.encoders.training.place import Place  # noqa: E402
from m2s_index.encoders.training.scene_config import resolve_config  # noqa: E402
from m2s_index.encoders.training.scene_contrast import SceneContrast  # noqa: E402
from m2s_index.encoders.training.scene_views import FeatureViews, FrameViews  # noqa: E402

FEATURES, PAIRS, QUEUE = 5, 3, 12
VALUES = {
    "batch_pairs": PAIRS, "queue_size": QUEUE, "dimension": 6, "momentum": 0.5, "temperature": 0.5, "width": 8,
    "heads": 2, "layers": 1,
}  # fmt: skip


def features(scene):
    return torch.randn(9, FEATURES, generator=torch.Generator().manual_seed(scene))


class Batches:
    """Three pairs a batch; scenes come again, and overlap others of their film."""

    def batch(self, number):
        scenes = torch.tensor([(0, 40), (4, 60), (20, 44)]) + 3 * (number % 4)
        seen = [torch.stack([features(scene) for scene in side.tolist()]) for side in scenes.T]
        return PairBatch(*seen, scenes[:, 0], scenes[:, 1])


class Untouched:
    """Views that change nothing."""

    def change(self, scene):
        return scene


def make_task(views, **values):
    torch.manual_seed(0)
    config = resolve_config("small", "shots", VALUES | values)
    network = ShotsNetwork(FEATURES, config.width, config.layers, config.heads)
    made = SceneContrast(network, config, Batches(), views, Place(torch.device("cpu"), bf16=False))
    with torch.no_grad():  # so that keys and queries differ
        for parameter in made.query.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    made.begin()
    return made


@pytest.fixture
def task():
    return make_task(Untouched(), shot_dropout=0.0)


@torch.no_grad()
def rows(network, scenes):
    return normalize(network(scenes, torch.ones(scenes.shape[:2], dtype=torch.bool)), dim=1)


def test_the_queue_is_full_before_the_first_step(task):
    """It holds the keys of the first batches' positives, by the key network."""
    batches = [Batches().batch(number) for number in range(4)]
    assert torch.allclose(task.queue.keys, torch.cat([rows(task.key, b.positives) for b in batches]), atol=1e-6)
    assert task.queue.shots.tolist() == torch.cat([b.positive_scenes for b in batches]).tolist()


def test_the_loss_of_a_batch(task):
    """Written out: windows that overlap the query's or its positive's are no negatives, all others are."""
    batch = Batches().batch(5)
    queries, keys = rows(task.query, batch.queries).tolist(), rows(task.key, batch.positives).tolist()
    queue = list(zip(task.queue.shots.tolist(), task.queue.keys.tolist(), strict=True))

    def dot(first, second):
        return sum(a * b for a, b in zip(first, second, strict=True))

    total, left_out = 0.0, 0
    for q in range(PAIRS):
        own = (batch.query_scenes[q].item(), batch.positive_scenes[q].item())
        negatives = [key for of, key in queue if all(abs(of - scene) >= 9 for scene in own)]
        left_out += len(queue) - len(negatives)
        best = math.exp(dot(queries[q], keys[q]) / 0.5)
        total -= math.log(best / (best + sum(math.exp(dot(queries[q], key) / 0.5) for key in negatives)))
    assert 0 < left_out < PAIRS * QUEUE
    assert task.batch_loss(5).item() == pytest.approx(total / PAIRS, rel=1e-5)
    # The positives' keys have taken the places of the oldest.
    assert torch.allclose(task.queue.keys[:PAIRS], torch.tensor(keys), atol=1e-6)
    assert task.queue.shots[:PAIRS].tolist() == batch.positive_scenes.tolist()


def test_only_the_query_network_is_trained(task):
    """Gradients reach all of it, and nothing of the key network, which follows after the step."""
    task.batch_loss(5).backward()
    assert all(parameter.grad is not None for parameter in task.query.parameters())
    assert all(parameter.grad is None for parameter in task.key.parameters())
    assert not task.key.training
    before = [parameter.clone() for parameter in task.key.parameters()]
    task.after_step()
    for was, now, query in zip(before, task.key.parameters(), task.query.parameters(), strict=True):
        assert torch.allclose(now, (was + query) / 2, atol=1e-6)


def test_what_is_kept_is_the_network_alone(task):
    """The encoder has no projection."""
    names = set(task.encoder_tensors())
    assert "blocks.0.attn.qkv.weight" in names
    assert not any("projection" in name for name in names)
    assert torch.equal(task.encoder_tensors()["embed.bias"], task.query.network.embed.bias)


def test_a_batch_is_the_same_whenever_it_is_seen():
    """Views follow from the seed and the batch alone; another batch, another seed, other views."""
    first, second = (make_task(FeatureViews(Source(), 0.3), shot_dropout=0.4) for _ in range(2))
    torch.manual_seed(7)  # whatever torch's generator was at
    assert first.batch_loss(5).item() == second.batch_loss(5).item()
    other = make_task(FeatureViews(Source(), 0.3), shot_dropout=0.4, seed=1)
    assert first.batch_loss(6).item() != other.batch_loss(6).item()


def test_shots_are_left_out():
    """So many of them in the long run; never all, even where almost all are to go."""
    for share in (0.0, 0.3, 0.99):
        task = make_task(Untouched(), shot_dropout=share)
        present = task._changed(torch.zeros(400, 9, FEATURES), number=0, which=0)[1]
        assert present.any(dim=1).all()
        expected = max(1 / 9, 1 - share)
        assert present.float().mean().item() == pytest.approx(expected, abs=0.03)


class Source:
    """Two films of features, and of pictures of one colour a shot."""

    shots = (12, 20)

    def features(self, film):
        return (100 * film + torch.arange(float(self.shots[film]))[:, None].expand(-1, FEATURES)).numpy()

    def frames(self, film, first_shot, count):
        import numpy as np

        return [np.full((30, 50, 3), 100 * film + shot, np.uint8) for shot in range(first_shot, first_shot + count)]


def test_feature_views():
    """A scene's own rows; noise in proportion to a shot's size."""
    views = FeatureViews(Source(), 0.2)
    read = views.read(12 + 3)
    assert read[:, 0].tolist() == [103, 104, 105, 106, 107, 108, 109, 110, 111]
    assert torch.equal(views.plain(12 + 3), read)
    shots = torch.tensor([1.0, 10.0, 0.0])[:, None].expand(3, 20_000)
    torch.manual_seed(0)
    spread = (views.change(shots) - shots).std(dim=1)
    assert spread.tolist() == pytest.approx([0.2, 2.0, 0.0], rel=0.03)


def test_frame_views():
    """A scene's own key frames, larger than they are seen; unchanged ones are only normalised."""
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)
    views = FrameViews(Source(), 28, Augmentation(28, mean, std))
    read = views.read(12 + 3)
    assert (read.shape, read.dtype) == ((9, 3, 32, 32), torch.uint8)
    assert read[:, 0, 0, 0].tolist() == [103, 104, 105, 106, 107, 108, 109, 110, 111]
    plain = views.plain(12 + 3)
    expected = (103 / 255 - torch.tensor(mean)) / torch.tensor(std)
    assert plain.shape == (9, 3, 28, 28)
    assert torch.allclose(plain[0], expected[:, None, None].expand(3, 28, 28), atol=1e-5)
    torch.manual_seed(0)
    changed = views.change(read)
    assert changed.shape == (9, 3, 28, 28)
    assert torch.isfinite(changed).all()
    assert not torch.allclose(changed, plain)
