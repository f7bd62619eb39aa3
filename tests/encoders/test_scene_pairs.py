"""Scenes by number, films held out, batches of pairs, and the pairs file as training sees it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from m2s_index.encoders.training.held_out import rank_positives  # noqa: E402
from m2s_index.encoders.training.key_queue import KeyQueue  # noqa: E402
from m2s_index.encoders.training.pair_loader import PairLoader  # noqa: E402
from m2s_index.encoders.training.processes import Processes  # noqa: E402
from m2s_index.encoders.training.scene_pairs import ScenePairSampler, Scenes, split_pairs  # noqa: E402
from m2s_index.errors import UsageError  # noqa: E402
from m2s_index.pairing.pairs_file import MinedPair, MinedScene, write_pairs  # noqa: E402
from m2s_index.training_pairs import numbered_pairs  # noqa: E402

SHOTS = (12, 9, 30, 10)
WINDOWS = [(film, first) for film, shots in enumerate(SHOTS) for first in range(shots - 8)]


def test_numbers_stand_for_scenes():
    """Every window has a number of its own, which leads back to it."""
    scenes = Scenes(SHOTS)
    numbers = [scenes.number(*window) for window in WINDOWS]
    assert len(set(numbers)) == len(WINDOWS)
    assert [scenes.place(number) for number in numbers] == WINDOWS
    assert scenes.films(np.array(numbers)).tolist() == [film for film, _ in WINDOWS]


def test_overlapping_windows_are_no_negatives():
    """Fewer than nine numbers apart is the same as: of the same film, with a shot in common."""
    scenes = Scenes(SHOTS)
    numbers = torch.tensor([scenes.number(*window) for window in WINDOWS])
    queue = KeyQueue(len(WINDOWS) + 2, 4)
    queue.push(torch.zeros(len(WINDOWS), 4), numbers)
    query, positive = 3, 20
    found = queue.copies_of(numbers[[query]], numbers[[positive]], reach=9)[0].tolist()
    shots_of = [{(film, shot) for shot in range(first, first + 9)} for film, first in WINDOWS]
    expected = [bool(shots & (shots_of[query] | shots_of[positive])) for shots in shots_of]
    assert 1 < sum(expected) < len(WINDOWS)
    assert found == [*expected, True, True]


def draw_pairs(count, seed=0):
    generator, scenes = np.random.default_rng(seed), Scenes(SHOTS)
    films = [generator.permutation(4)[:2] for _ in range(count)]
    return np.array([[scenes.number(f, int(generator.integers(SHOTS[f] - 8))) for f in pair] for pair in films])


def test_films_are_held_out():
    """A pair is trained on, held out or, with one film of each, dropped; which films follows from the seed."""
    pairs, scenes = draw_pairs(60), Scenes(SHOTS)
    split = split_pairs(pairs, scenes, share=0.5, seed=3)
    assert (split.trained_films, split.held_out_films) == (2, 2)
    trained, out = (set(scenes.films(part).ravel().tolist()) for part in (split.trained, split.held_out))
    assert len(trained) == len(out) == 2
    assert not trained & out
    crossing = [pair for pair in pairs if len(set(scenes.films(pair).tolist()) & out) == 1]
    assert len(split.trained) + len(split.held_out) + len(crossing) == 60
    assert split.scenes == len(set(split.trained.ravel().tolist()))
    chosen = {tuple(sorted(np.unique(scenes.films(split_pairs(pairs, scenes, share=0.5, seed=s).held_out))))
              for s in range(12)}  # fmt: skip
    assert len(chosen) > 1
    assert split_pairs(pairs, scenes, share=0.5, seed=3).held_out.tolist() == split.held_out.tolist()


def test_no_or_few_films_held_out():
    """None where none are asked for; else two at least, as one has no pairs."""
    pairs, scenes = draw_pairs(20), Scenes(SHOTS)
    whole = split_pairs(pairs, scenes, share=0.0, seed=0)
    assert (whole.trained.tolist(), len(whole.held_out), whole.trained_films) == (pairs.tolist(), 0, 4)
    assert split_pairs(pairs, scenes, share=0.01, seed=0).held_out_films == 2


def test_every_pair_is_seen_once_an_epoch():
    """In an order of its own each epoch, from either side; a batch is the same whenever it is asked for."""
    pairs = np.arange(24).reshape(12, 2)
    sampler = ScenePairSampler(pairs, batch_pairs=4, seed=1)
    epochs = [np.concatenate([sampler.batch(number) for number in range(first, first + 3)]) for first in (0, 3)]
    for epoch in epochs:
        assert sorted(map(sorted, epoch.tolist())) == pairs.tolist()
        turned = epoch[:, 0] > epoch[:, 1]
        assert turned.any()
        assert not turned.all()
    assert epochs[0].tolist() != epochs[1].tolist()
    assert np.array_equal(sampler.batch(4), sampler.batch(4))
    assert not np.array_equal(sampler.batch(4), ScenePairSampler(pairs, batch_pairs=4, seed=2).batch(4))


def test_too_few_pairs_for_a_batch():
    """Said with both numbers."""
    with pytest.raises(UsageError, match="3 pairs of scenes are there to train on, and a batch takes 4; mine more"):
        ScenePairSampler(np.arange(6).reshape(3, 2), batch_pairs=4, seed=0)


def test_batches_are_read_by_all_who_share_them():
    """Row i of queries and positives are the scenes that are named; two processes' halves are the batch."""
    sampler = ScenePairSampler(np.arange(16).reshape(8, 2), batch_pairs=4, seed=0)

    def read(scene):
        return torch.tensor([[scene], [scene + 100]])

    with PairLoader(sampler, read) as loader:
        whole = {number: loader.batch(number) for number in (0, 1, 5)}  # ahead, and not
    for number, batch in whole.items():
        assert (
            torch.stack([batch.query_scenes, batch.positive_scenes], 1).tolist() == sampler.batch(number).tolist()
        )
        assert batch.queries[:, :, 0].tolist() == [[s, s + 100] for s in batch.query_scenes.tolist()]
        assert batch.positives[:, :, 0].tolist() == [[s, s + 100] for s in batch.positive_scenes.tolist()]
    shares = []
    for rank in range(2):
        with PairLoader(sampler, read, Processes(rank, 2)) as loader:
            shares.append(loader.batch(1))
    assert torch.equal(torch.cat([share.queries for share in shares]), whole[1].queries)
    assert torch.equal(torch.cat([share.positive_scenes for share in shares]), whole[1].positive_scenes)


def naive_ranks(vectors, scenes, films, pairs):
    """(rank, candidates) of each query and positive, by loops."""
    both = {(a, b) for a, b in pairs} | {(b, a) for a, b in pairs}
    found = []
    for query, positive in both:
        taken = [scenes[b] for a, b in both if a == query]
        others = [
            row for row in range(len(scenes))
            if films[row] != films[query] and all(abs(scenes[row] - scene) >= 9 for scene in taken)
        ]  # fmt: skip
        scores = [float(np.dot(vectors[row], vectors[query])) for row in others]
        own = float(np.dot(vectors[positive], vectors[query]))
        if others:
            rank = 1 + sum(s > own for s in scores) + sum(s == own for s in scores) / 2
            found.append((rank, 1 + len(others)))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_ranks_of_positives(seed):
    """As loops find them, with ties among the scores, and overlapping scenes among the candidates."""
    generator = np.random.default_rng(seed)
    numbers = Scenes(SHOTS)
    scenes = np.unique(draw_pairs(12, seed))
    films = numbers.films(scenes)
    pairs = np.array([
        (a, b) for a in range(len(scenes)) for b in range(a) if films[a] != films[b] and generator.random() < 0.2
    ])  # fmt: skip
    vectors = generator.integers(-1, 2, (len(scenes), 3)).astype(np.float32)
    found, expected = rank_positives(vectors, scenes, films, pairs), naive_ranks(vectors, scenes, films, pairs)
    assert found is not None
    assert found.queries == len(expected) > 0
    assert found.mean_rank == pytest.approx(np.mean([rank for rank, _ in expected]))
    assert found.mean_candidates == pytest.approx(np.mean([count for _, count in expected]))
    assert found.auc == pytest.approx(np.mean([1 - (rank - 1) / (count - 1) for rank, count in expected]))


def test_ranks_at_their_ends():
    """One where all positives are nearest, nought where they are farthest, None where there is nothing else."""
    vectors = np.array([[1, 0], [1, 0], [-1, 0], [0, 1], [0, 1], [0, -1]], np.float32)
    films = np.array([0, 1, 2, 0, 1, 2])
    scenes = np.arange(6) * 9
    near = rank_positives(vectors, scenes, films, np.array([[0, 1], [3, 4]]))
    far = rank_positives(vectors, scenes, films, np.array([[0, 2], [3, 5]]))
    assert near is not None
    assert far is not None
    assert (near.auc, near.mean_rank) == (1.0, 1.0)
    assert far.auc < 0.2
    assert rank_positives(vectors[:2], scenes[:2], films[:2], np.array([[0, 1]])) is None


def scene(fingerprint, first, last):
    return MinedScene(fingerprint, f"film {fingerprint}", first, last, 1.0, 2.0)


def test_a_pairs_file_in_numbers(tmp_path):
    """Films go by fingerprint, whatever their order was when pairs were mined."""
    file = tmp_path / "pairs.csv"
    write_pairs(
        file,
        [MinedPair(0.9, scene("b", 0, 8), scene("d", 1, 9)), MinedPair(0.8, scene("c", 21, 29), scene("a", 2, 10))],
    )
    assert numbered_pairs(file, ("a", "b", "c", "d"), SHOTS).tolist() == [[12, 52], [42, 2]]


def test_a_pairs_file_of_other_scenes(tmp_path):
    """A scene that is no window of nine shots, or of a film that is not there, is named."""
    file = tmp_path / "pairs.csv"
    write_pairs(file, [MinedPair(0.9, scene("a", 0, 8), scene("b", 3, 8))])
    with pytest.raises(
        UsageError, match="a scene of 'film b' has 6 shots from shot 3 on; E_scene is trained on windows of 9"
    ):
        numbered_pairs(file, ("a", "b"), SHOTS[:2])
    with pytest.raises(UsageError, match="line 2: the film 'film b'"):
        numbered_pairs(file, ("a",), SHOTS[:1])
