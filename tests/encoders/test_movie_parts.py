"""The parts of E_movie against loops: pairs and their split, batches, the network, AUC."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from m2s_index.encoders.movie_network import MovieNetwork  # noqa: E402
from m2s_index.encoders.training.auc import auc  # noqa: E402
from m2s_index.encoders.training.movie_batches import MovieBatches  # noqa: E402
from m2s_index.encoders.training.movie_pairs import PairSampler, split_pairs  # noqa: E402
from m2s_index.encoders.training.movie_similarity import MovieSimilarity  # noqa: E402
from m2s_index.encoders.training.place import Place  # noqa: E402
from m2s_index.encoders.training.processes import Processes  # noqa: E402
from m2s_index.errors import UsageError  # noqa: E402
from m2s_index.types import FilmPairs  # noqa: E402


def film_pairs(listed):
    columns = np.array(sorted(listed), np.int64).reshape(-1, 3).T
    return FilmPairs(columns[0], columns[1], columns[2].astype(bool))


def listed(pairs):
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.similar.tolist(), strict=True))


def all_pairs(films, groups=2):
    """Every pair, similar where both films are of one group."""
    return film_pairs((a, b, a % groups == b % groups) for a, b in itertools.combinations(range(films), 2))


class Matrices:
    """Films of these lengths in memory, with features that can be told apart."""

    def __init__(self, shots, dimension=4):
        generator = np.random.default_rng(0)
        self.shots = shots
        self._films = [generator.standard_normal((count, dimension)).astype(np.float32) + 3 for count in shots]
        for film in self._films:
            film[:, -1] = 7  # a number that says nothing

    def features(self, film):
        return self._films[film].copy()


@pytest.mark.parametrize("seed", range(5))
def test_auc_against_every_pair(seed):
    """The share of positive and negative pairs in the right order, a tie counting half; ties and negatives too."""
    generator = np.random.default_rng(seed)
    scores = np.round(generator.standard_normal(40), 1).astype(np.float32)
    scores[:4] = [0.0, -0.0, 0.0, 5.0]
    positive = generator.random(40) < 0.3
    wins = [(p > n) + (p == n) / 2 for p in scores[positive] for n in scores[~positive]]
    assert auc(scores, positive) == pytest.approx(np.mean(wins), abs=1e-12)
    assert auc(-scores, positive) == pytest.approx(1 - np.mean(wins), abs=1e-12)


@pytest.mark.parametrize("positive", [[], [True, True], [False]])
def test_auc_of_one_kind(positive):
    """Without both kinds there is none."""
    assert auc(np.zeros(len(positive)), np.array(positive, bool)) is None


@pytest.mark.parametrize("held_out", [0.0, 0.2, 0.5])
def test_films_are_split_and_not_only_pairs(held_out):
    """No film of a held-out pair of films is in any other part; every pair is where its films say, or nowhere."""
    pairs = all_pairs(20)
    split = split_pairs(pairs, held_out=held_out, seed=3)
    kept, apart = set(split.trained_films.tolist()), set(split.held_out_films.tolist())
    assert kept | apart == set(range(20))
    assert len(apart) == 20 * held_out == 20 - len(kept)
    trained, others, movies = (
        set(listed(part)) for part in (split.trained, split.held_out_pairs, split.held_out_movies)
    )
    assert not trained & others
    assert trained | others == {pair for pair in listed(pairs) if {*pair[:2]} <= kept}
    assert movies == {pair for pair in listed(pairs) if {*pair[:2]} <= apart}
    for kind in (True, False):
        held, learned = (sum(similar == kind for *_, similar in part) for part in (others, trained))
        assert held == round(held_out * (held + learned))


def test_a_split_follows_from_its_seed():
    """The same again; another with another seed."""
    splits = [split_pairs(all_pairs(20), held_out=0.2, seed=seed) for seed in (1, 1, 2)]
    trained = [listed(split.trained) for split in splits]
    assert trained[0] == trained[1] != trained[2]
    assert splits[0].held_out_films.tolist() != splits[2].held_out_films.tolist()


@pytest.mark.parametrize("batch", [4, 7])
def test_batches_have_both_kinds(batch):
    """Half and half, the odd one similar; of either kind every pair comes before one comes again."""
    pairs = all_pairs(7, groups=3)
    sampler = PairSampler(pairs, batch=batch, seed=0)
    drawn = [listed(sampler.batch(number)) for number in range(40)]
    for some in drawn:
        assert sum(similar for *_, similar in some) == batch - batch // 2
        assert len(some) == batch
    for kind in (True, False):
        row = [pair for some in drawn for pair in some if pair[2] == kind]
        there = [pair for pair in listed(pairs) if pair[2] == kind]
        rounds = [row[start : start + len(there)] for start in range(0, len(row), len(there))]
        for whole in rounds[:-1]:
            assert Counter(whole) == Counter(there)
        assert rounds[0] != rounds[1]
        assert max(Counter(rounds[-1]).values()) == 1


def test_a_batch_of_pairs_is_a_function_of_its_number():
    """In any order, by any sampler of the same seed."""
    one, two = (PairSampler(all_pairs(9), batch=6, seed=1) for _ in range(2))
    forwards = [listed(one.batch(number)) for number in range(20)]
    assert [listed(two.batch(number)) for number in reversed(range(20))] == forwards[::-1]
    assert listed(PairSampler(all_pairs(9), batch=6, seed=2).batch(0)) != forwards[0]


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (all_pairs(3), "1 similar pairs of films to train on and 2 that are not, and a batch takes 6"),
        (all_pairs(6, groups=1), "15 similar pairs of films to train on and 0 that are not"),
        (film_pairs([]), "0 similar pairs of films to train on and 0"),
    ],
)
def test_too_few_pairs(pairs, said):
    """Fewer than a batch, or none of a kind: the error says how many there are of each."""
    with pytest.raises(UsageError, match=said):
        PairSampler(pairs, batch=6, seed=0)


def test_a_batch_is_of_stored_matrices():
    """Each film once, whole where it is short, and else so many of its shots, in their order."""
    source = Matrices([5, 3, 30, 8, 4])
    sampler = PairSampler(all_pairs(5), batch=6, seed=0)
    with MovieBatches(source, sampler, shots=8, seed=0) as batches:
        read = [batches.batch(number) for number in (3, 0, 1)]
        again = batches.batch(3)
    assert torch.equal(again.features, read[0].features)
    drawn = []
    for number, batch in zip((3, 0, 1), read, strict=True):
        pairs = sampler.batch(number)
        films = sorted({*pairs.first.tolist(), *pairs.second.tolist()})
        assert [films[place] for place in batch.first] == pairs.first.tolist()
        assert [films[place] for place in batch.second] == pairs.second.tolist()
        assert batch.similar.tolist() == pairs.similar.astype(float).tolist()
        for film, matrix, real in zip(films, batch.features.numpy(), batch.real.numpy(), strict=True):
            whole = source.features(film)
            assert real.tolist() == [place < min(len(whole), 8) for place in range(len(real))]
            places = [int(np.flatnonzero((whole == row).all(axis=1))[0]) for row in matrix[real]]
            assert places == sorted(set(places))
            assert len(places) == min(len(whole), 8)
            if film == 2:
                drawn.append(places)
    assert len({tuple(places) for places in drawn}) == len(drawn) > 1  # other shots in other batches


def test_processes_share_a_batch():
    """Their parts are the batch, with both kinds and the same matrices in each."""
    source, sampler = Matrices([5, 30, 12, 8, 4, 6]), PairSampler(all_pairs(6), batch=8, seed=0)
    seen = []
    for rank in range(2):
        with MovieBatches(source, sampler, shots=8, seed=0, processes=Processes(rank, 2)) as batches:
            batch = batches.batch(2)
        assert batch.similar.tolist().count(1.0) == 2
        for first, second, similar in zip(batch.first, batch.second, batch.similar, strict=True):
            ends = (batch.features[end][batch.real[end]].numpy().tobytes() for end in (first, second))
            seen.append((*ends, similar.item()))
    with MovieBatches(source, sampler, shots=8, seed=0) as batches:
        batch = batches.batch(2)
    whole = [
        (*(batch.features[end][batch.real[end]].numpy().tobytes() for end in (first, second)), similar.item())
        for first, second, similar in zip(batch.first, batch.second, batch.similar, strict=True)
    ]
    assert Counter(seen) == Counter(whole)


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = MovieNetwork(4, 6, 5)
    made.mean.copy_(torch.tensor([3.0, 3, 3, 7]))
    return made


@pytest.mark.parametrize("garbage", [0.0, 1e9, float("nan"), float("inf")])
def test_padding_changes_nothing(network, garbage):
    """A film's mean row is that of the film alone, whatever stands in the rows that pad, gradients too."""
    film = torch.from_numpy(Matrices([7]).features(0))
    alone = network.film(film[None], torch.ones(1, 7, dtype=torch.bool))
    padded = torch.full((2, 12, 4), garbage)
    padded[0, :7], padded[1, :2] = film, film[:2]
    real = torch.arange(12) < torch.tensor([[7], [2]])
    together = network.film(padded, real)
    assert torch.allclose(together[0], alone[0], atol=1e-6, rtol=0)
    together[0].sum().backward()
    found = network.shot[0].weight.grad.clone()
    network.zero_grad()
    network.film(film[None], torch.ones(1, 7, dtype=torch.bool)).sum().backward()
    assert torch.allclose(found, network.shot[0].weight.grad, atol=1e-6)


def test_a_pair_has_no_order(network):
    """To the bit."""
    first, second = torch.randn(2, 3, 5)
    assert torch.equal(network.pair(first, second), network.pair(second, first))


def test_equal_weights_make_the_mean_of_the_adjacency_matrix(network):
    """With last weights of 1 the score is the mean cosine of all shots of the one film with all of the other."""
    torch.nn.init.ones_(network.last.weight)
    films = [torch.from_numpy(Matrices([7, 4]).features(film)) for film in (0, 1)]
    rows = [network.rows(film).tolist() for film in films]
    cosines = [sum(a * b for a, b in zip(one, two, strict=True)) for one in rows[0] for two in rows[1]]
    means = [network.film(film[None], torch.ones(1, len(film), dtype=torch.bool)) for film in films]
    assert network.pair(*means).item() == pytest.approx(np.mean(cosines), abs=1e-6)
    assert all(sum(value**2 for value in row) == pytest.approx(1, abs=1e-5) for row in rows[0])


def test_what_features_are_scaled_by(network):
    """The mean and deviation of all shots of the films that are trained on; a number that never changes stays."""
    source = Matrices([7, 4, 9])
    MovieSimilarity(network, source, None, [0, 2], Place(torch.device("cpu"), bf16=False)).begin()
    shots = np.concatenate([source.features(0), source.features(2)])
    assert network.mean.numpy() == pytest.approx(shots.mean(axis=0), abs=1e-6)
    assert network.scale.numpy()[:3] == pytest.approx(shots[:, :3].std(axis=0), abs=1e-6)
    assert network.scale[3] == 1


def test_the_loss_of_a_batch_of_pairs(network):
    """Cross-entropy written out, pair by pair, of films read alone."""
    source, sampler = Matrices([5, 3, 6, 8, 4]), PairSampler(all_pairs(5), batch=6, seed=0)
    with MovieBatches(source, sampler, shots=10, seed=0) as batches:
        task = MovieSimilarity(network, source, batches, range(5), Place(torch.device("cpu"), bf16=False))
        loss = task.batch_loss(1)
    total = 0.0
    for first, second, similar in listed(sampler.batch(1)):
        means = [network.rows(torch.from_numpy(source.features(film))).mean(dim=0) for film in (first, second)]
        logit = (network.last.weight[0] @ (means[0] * means[1]) + network.last.bias).item()
        chance = 1 / (1 + np.exp(-logit))
        total -= np.log(chance if similar else 1 - chance)
    assert loss.item() == pytest.approx(total / 6, rel=1e-5)
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())
