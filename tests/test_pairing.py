"""Windows and pairs against the seed's own procedure, with loops and lists."""

from __future__ import annotations

import math

import numpy as np
import pytest
from catalog_factory import unit_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from m2s_index.pairing.greedy import select_pairs
from m2s_index.pairing.windows import window_scores


def listed_selection(scores, span, share=0.5):
    """The seed's procedure with lists."""
    ranked = sorted(np.ndindex(scores.shape), key=lambda pair: (-scores[pair], pair))
    taken = []
    for i, j in ranked[: math.ceil(len(ranked) * share)]:
        if all(abs(i - a) >= span and abs(j - b) >= span for a, b in taken):
            taken.append((i, j))
    return taken


@pytest.mark.parametrize(("rows", "columns"), [(9, 9), (14, 31), (40, 10), (8, 20), (20, 3)])
def test_window_scores_are_window_means_of_the_adjacency_matrix(rows, columns):
    """Loops over every 9×9 window of A give the same; a film shorter than a window has none."""
    random = np.random.default_rng(rows)
    first, second = unit_rows(random, rows, 16), unit_rows(random, columns, 16)
    adjacency = first @ second.T
    scores = window_scores(first, second)
    assert scores.shape == (max(0, rows - 8), max(0, columns - 8))
    for i in range(scores.shape[0]):
        for j in range(scores.shape[1]):
            assert scores[i, j] == pytest.approx(adjacency[i : i + 9, j : j + 9].mean(), abs=1e-6)


@pytest.mark.parametrize("span", [1, 3, 9])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (30, 17), (60, 80), (0, 4), (4, 0)])
@pytest.mark.parametrize("ties", [False, True])
def test_greedy_selection(shape, span, ties):
    """The same pairs in the same order, with tied and negative scores too."""
    scores = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    if ties:
        scores = np.round(scores)
    assert [tuple(pair) for pair in select_pairs(scores, span).tolist()] == listed_selection(scores, span)


@settings(deadline=None)
@given(
    scores=st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
        lambda shape: arrays(np.float32, shape, elements=st.sampled_from([-1, -0.0, 0.0, 0.25, 0.5]))
    ),
    span=st.integers(1, 5),
    share=st.sampled_from([0.01, 0.3, 0.5, 1.0]),
)
def test_any_few_scores(scores, span, share):
    """Whatever is tied with whatever, and wherever the candidates end."""
    assert [tuple(p) for p in select_pairs(scores, span, share).tolist()] == listed_selection(scores, span, share)


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_column_is_best_for_every_row(order):
    """Rows that all prefer the same scenes are looked through again and again, and the input stays as it was."""
    scores = np.asarray(np.linspace(1, 2, 40)[None] + np.linspace(0, 0.01, 50)[:, None], np.float32, order=order)
    before = scores.copy()
    assert [tuple(pair) for pair in select_pairs(scores, 3).tolist()] == listed_selection(scores, 3)
    assert np.array_equal(scores, before)


def test_half_of_an_odd_number_is_rounded_up():
    """Of nine entries five are candidates."""
    scores = np.diag([9.0, 8.0, 7.0]).astype(np.float32)
    scores[0, 1] = scores[0, 2] = 7.5
    assert select_pairs(scores, 1).tolist() == [[0, 0], [1, 1], [2, 2]]
    scores[1, 2] = 7.2  # now (2, 2) is sixth in the order
    scores[1, 0] = 7.1
    assert select_pairs(scores, 1).tolist() == [[0, 0], [1, 1]]
