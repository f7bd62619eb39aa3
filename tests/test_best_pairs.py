"""The best pairs of all films against all: the same as the rule of two films, applied to each pair of films."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from catalog_factory import unit_rows
from test_film_pairs import naive_pairs

from m2s_index.pairing.approximate_pairs import ApproximatePairs, neighbour_blocks
from m2s_index.pairing.best_pairs import BestPairs, CatalogueRows, all_blocks, blocks_of
from m2s_index.pairing.film_rows import scene_scores
from m2s_index.types import SceneEmbeddings
from m2s_index.vectors import build_index


def make_rows(lengths, metric="cosine", dimension=5, *, tied=False, seed=0):
    """Films of so many scenes; with ``tied`` each of a dozen vectors only."""
    random = np.random.default_rng(seed)
    vectors = unit_rows(random, sum(lengths), dimension)
    if tied:
        vectors = unit_rows(random, 12, dimension)[random.integers(12, size=sum(lengths))]
    if metric == "l2":
        vectors = vectors * random.uniform(0.5, 40, (len(vectors), 1)).astype(np.float32) if not tied else vectors
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return CatalogueRows(np.arange(1, len(vectors) + 1), vectors, starts, metric)


def naive_best(rows, count, keep=0.5, films=None):
    """Section 3a for each pair of films, all together sorted."""
    found = []
    for a, b in combinations(range(rows.films), 2) if films is None else films:
        (a0, a1), (b0, b1) = (rows.starts[f : f + 2] for f in (a, b))
        scores = scene_scores(rows.vectors[a0:a1], rows.vectors[b0:b1], rows.metric)
        found += [(-float(scores[i, j]), a0 + i, b0 + j) for i, j in naive_pairs(scores, keep)]
    return [(i, j, -score) for score, i, j in sorted(found)[:count]]


def triples(found):
    return list(zip(found.first.tolist(), found.second.tolist(), found.scores.tolist(), strict=True))


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("tied", [False, True], ids=["random", "tied"])
@pytest.mark.parametrize("count", [1, 7, 60, 10_000])
@pytest.mark.parametrize("block_rows", [1, 9, 30, 4096])
def test_best_pairs_are_the_naive_ones(metric, tied, count, block_rows):
    """For both metrics, with ties across the N-th place, and whatever the blocks are."""
    rows = make_rows((3, 1, 8, 5, 2, 13, 1, 1, 6), metric, tied=tied, seed=count)
    best = BestPairs(rows, count, keep=0.5)
    for block in all_blocks(rows.starts, block_rows):
        best.add(block)
    assert triples(best.found) == naive_best(rows, count)


def test_films_of_one_scene():
    """Clips: each film pair has one score, which is its pair."""
    rows = make_rows((1,) * 40)
    best = BestPairs(rows, 25, keep=0.5)
    for block in all_blocks(rows.starts, 7):
        best.add(block)
    assert triples(best.found) == naive_best(rows, 25)


def test_share_and_least_score():
    """A smaller share and a least score hold for each film pair, as they do for two films."""
    rows = make_rows((6, 9, 4, 7))
    least = naive_best(rows, 10_000, keep=0.2)[4][2]
    best = BestPairs(rows, 50, keep=0.2, min_score=least)
    for block in all_blocks(rows.starts, 12):
        best.add(block)
    assert triples(best.found) == naive_best(rows, 5, keep=0.2)


def test_some_film_pairs_only():
    """Where only some films are compared, the others' scores neither count nor cut."""
    rows = make_rows((6, 9, 4, 7, 3))
    films = np.array([[0, 3], [1, 2], [2, 4]])
    best = BestPairs(rows, 8, keep=0.5)
    for block in blocks_of(films):
        best.add(block)
    assert triples(best.found) == naive_best(rows, 8, films=films.tolist())


@pytest.mark.parametrize("stopped_after", [0, 1, 4, 9])
def test_going_on(stopped_after):
    """From what was found so far, the remaining blocks give the same as all in one go."""
    rows = make_rows((5, 9, 4, 7, 6, 8), tied=True)
    blocks = all_blocks(rows.starts, 10)
    assert len(blocks) > 9
    begun = BestPairs(rows, 20, keep=0.5)
    for block in blocks[:stopped_after]:
        begun.add(block)
    goes_on = BestPairs(rows, 20, keep=0.5, state=begun.state)
    for block in blocks[stopped_after:]:
        goes_on.add(block)
    assert triples(goes_on.found) == naive_best(rows, 20)


def test_blocks_hold_every_film_pair_once():
    """Runs of films that fit the size, and a film that is longer than it in a run of its own."""
    starts = np.concatenate([[0], np.cumsum([3, 30, 2, 2, 2, 8])])
    seen = [
        (a, b)
        for block in all_blocks(starts, 8)
        for a in range(block.first, block.first_end)
        for b in range(block.second, block.second_end)
        if a < b
    ]
    assert sorted(seen) == list(combinations(range(6), 2))
    assert len(seen) == len(set(seen))
    assert all(
        block.first_end - block.first == 1 or starts[block.first_end] - starts[block.first] <= 8
        for block in all_blocks(starts, 8)
    )


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("stopped_after", [0, 2])
def test_approximate_pairs(metric, stopped_after):
    """With as many neighbours as there are scenes nothing is missed; nor when gone on with. Ids are not rows."""
    rows = make_rows((5, 9, 4, 7, 6, 8), metric, tied=True)
    rows = CatalogueRows(rows.scene_ids * 3 + 5, rows.vectors, rows.starts, metric)
    # The index has scenes that are not to be paired as well.
    ids = np.arange(1, rows.scene_ids[-1] + 20)
    vectors = unit_rows(np.random.default_rng(2), len(ids), 5)
    vectors[rows.scene_ids - 1] = rows.vectors
    index = build_index("exact", metric, 5, len(ids), lambda: iter([SceneEmbeddings(ids, vectors)]))
    blocks = neighbour_blocks(all_blocks(rows.starts, 10))
    begun = ApproximatePairs(rows, index, 20, keep=0.5, neighbours=len(ids))
    for block in blocks[:stopped_after]:
        begun.add(block)
    near = ApproximatePairs(rows, index, 20, keep=0.5, neighbours=len(ids), state=begun.state)
    for block in blocks[stopped_after:]:
        near.add(block)
    assert triples(near.found) == naive_best(rows, 20)
