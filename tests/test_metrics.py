"""Metrics against naive loops, against ranx, and against the paper's own table; intervals against theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2s_index.evaluation.intervals import grouped_intervals, mean_intervals
from m2s_index.evaluation.published import PAPER_QUERIES, PAPER_TABLE
from m2s_index.metrics import joined, score_ranked


def scores(rows, depth=10):
    """Scores of whole rankings, given as lists of 0 and 1."""
    ranked = np.array(rows, bool).reshape(len(rows), -1)
    return score_ranked(ranked, ranked.sum(1), np.full(len(ranked), ranked.shape[1]), depth)


def naive(row, k):
    """Precision at k, R-precision and average precision of one ranking, as their definitions read."""
    right = sum(row)
    precision = sum(row[:k]) / k
    if not right:
        return precision, 0.0, 0.0
    at_each = [sum(row[: i + 1]) / (i + 1) for i in range(len(row)) if row[i]]
    return precision, sum(row[:right]) / right, sum(at_each) / right


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 30).flatmap(lambda n: st.lists(st.lists(st.integers(0, 1), min_size=n, max_size=n), min_size=1))
)
def test_scores_are_those_of_naive_loops(rows):
    """Precision, R-precision and average precision are those of loops, also beyond the gallery's end."""
    found = scores(rows, depth=35)
    for i, row in enumerate(rows):
        for k in (1, 5, 10, 35):
            precision, r_precision, average = naive(row, k)
            assert found.precision[i, k - 1] == pytest.approx(precision)
            assert found.r_precision[i] == pytest.approx(r_precision)
            assert found.average_precision[i] == pytest.approx(average)
        assert found.relevant[i] == sum(row)
        assert found.chance[i] == pytest.approx(sum(row) / len(row))


@pytest.mark.slow  # compiling ranx's loops takes half a minute
@pytest.mark.filterwarnings("ignore:unsafe cast from uint64:Warning")
def test_scores_are_those_of_ranx():
    """An independent library gives the same numbers, for queries with and without anything right."""
    ranx = pytest.importorskip("ranx", reason="ranx is in the dev extra")
    random = np.random.default_rng(3)
    ranked = random.random((40, 60)) < random.random((40, 1)) * 0.4
    ranked[0] = False
    ranked[1] = True
    found = scores(ranked)
    # ranx wants something right for each query: the first has an item that no ranking holds.
    qrels = ranx.Qrels(
        {f"q{i}": {f"d{j}": 1 for j in np.flatnonzero(row)} or {"none": 1} for i, row in enumerate(ranked)}
    )
    run = ranx.Run({f"q{i}": {f"d{j}": float(100 - j) for j in range(60)} for i in range(40)})
    ranx.evaluate(qrels, run, ["precision@1", "precision@5", "precision@10", "r-precision", "map"])
    for name, column in (
        ("precision@1", found.precision[:, 0]), ("precision@5", found.precision[:, 4]),
        ("precision@10", found.precision[:, 9]), ("r-precision", found.r_precision),
        ("map", found.average_precision),
    ):  # fmt: skip
        theirs = [run.scores[name][f"q{i}"] for i in range(40)]
        np.testing.assert_allclose(column, theirs, atol=1e-12, err_msg=name)


def test_a_ranking_that_was_cut_off():
    """What needs the whole ranking is unknown where not all that is right was found; precision is not."""
    found = score_ranked(np.array([[1, 0, 1], [1, 0, 1]], bool), np.array([2, 3]), np.array([50, 50]), 3)
    np.testing.assert_allclose(found.precision, [[1, 1 / 2, 2 / 3]] * 2)
    np.testing.assert_allclose(found.average_precision, [(1 + 2 / 3) / 2, np.nan])
    np.testing.assert_allclose(found.r_precision, [1 / 2, np.nan])


def test_batches_join():
    """Scores of batches, one after the other, are those of all queries at once."""
    random = np.random.default_rng(0)
    ranked = random.random((9, 12)) < 0.3
    whole, parts = scores(ranked), joined([scores(ranked[:4]), scores(ranked[4:])])
    for name in vars(whole):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize("model", PAPER_TABLE)
@pytest.mark.parametrize("k", [1, 5, 10])
def test_the_published_table_follows_from_its_place_rows(model, k):
    """Rankings with the hits that each printed place cell stands for give every printed cell, the last row's
    "all queries" as the mean over queries among them. The paper cuts figures after two decimals.
    """
    printed = {place: figures[(1, 5, 10).index(k)] for place, figures in PAPER_TABLE[model].items()}
    rankings, places = [], []
    for place, queries in PAPER_QUERIES.items():
        hits = round(printed[place] / 100 * queries * k)
        right = np.zeros((queries, k), bool)
        right.flat[:hits] = True
        rankings.append(right)
        places += [place] * queries
    found = scores(np.concatenate(rankings), depth=k).precision[:, k - 1] * 100
    for place in PAPER_QUERIES:
        mean = found[np.array(places) == place].mean()
        assert printed[place] == pytest.approx(mean, abs=0.011)
        assert printed[place] <= mean + 0.005
    assert len(found) == 114
    assert printed["all queries"] == pytest.approx(found.mean(), abs=0.011)


def test_intervals_of_independent_queries_are_those_of_theory():
    """With one query a film the interval is the normal one about the mean: ±1.96 standard errors."""
    random = np.random.default_rng(1)
    values = random.random((400, 2)) < [0.3, 0.7]
    low, high = mean_intervals(values.astype(float), np.arange(400), draws=4000, seed=0)
    error = 1.96 * values.std(axis=0) / np.sqrt(400)
    np.testing.assert_allclose(low, values.mean(axis=0) - error, atol=0.006)
    np.testing.assert_allclose(high, values.mean(axis=0) + error, atol=0.006)


def test_intervals_are_those_of_a_naive_bootstrap():
    """Films drawn one by one in a loop, each with all its queries, give the same interval but for chance."""
    random = np.random.default_rng(5)
    films = random.integers(0, 15, 80)
    values = (random.random(80) + films / 15)[:, None]
    found = mean_intervals(values, films, draws=20_000, seed=1)
    means = []
    for _ in range(5000):
        drawn = random.choice(np.unique(films), len(np.unique(films)))
        means.append(np.mean(np.concatenate([values[films == film] for film in drawn])))
    np.testing.assert_allclose(found[:, 0], np.percentile(means, [2.5, 97.5]), atol=0.02)


def test_more_queries_of_the_same_films_narrow_no_interval():
    """Five copies of each query say nothing new: the interval stays, to the last bit but rounding."""
    random = np.random.default_rng(2)
    films, values = random.integers(0, 12, 50), random.random((50, 1))
    once = mean_intervals(values, films, draws=500, seed=3)
    often = mean_intervals(np.repeat(values, 5, axis=0), np.repeat(films, 5), draws=500, seed=3)
    np.testing.assert_allclose(once, often)


def test_one_film_has_no_interval():
    """Queries of a single film say nothing of other films."""
    assert mean_intervals(np.ones((4, 1)), np.zeros(4, int), draws=10, seed=0) is None


def test_a_mean_over_groups_has_one_interval():
    """Groups weigh the same however many queries they have, and one without queries in a draw does not count."""
    groups = [np.ones((30, 1)), np.zeros((1, 1))]
    films = [np.arange(30), np.array([99])]
    low, high = grouped_intervals(groups, films, draws=2000, seed=0)
    # The second group's only film is drawn in 63 % of draws, which then have a mean of a half, else of one.
    assert (low.item(), high.item()) == (0.5, 1.0)
    same = grouped_intervals([groups[0]], [films[0]], draws=50, seed=0)
    np.testing.assert_array_equal(same, mean_intervals(groups[0], films[0], draws=50, seed=0))


def test_memory_is_bounded_by_drawing_in_parts(monkeypatch):
    """Draws made a few at a time are as many, and of the same spread."""
    random = np.random.default_rng(2)
    films, values = np.arange(60), random.random((60, 1))
    whole = mean_intervals(values, films, draws=3000, seed=3)
    monkeypatch.setattr("m2s_index.evaluation.intervals.DRAWS_AT_ONCE_NUMBERS", 500)
    np.testing.assert_allclose(whole, mean_intervals(values, films, draws=3000, seed=3), atol=0.01)
