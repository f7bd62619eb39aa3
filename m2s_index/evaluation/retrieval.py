"""Labelled queries against a labelled gallery: which of the ranked scenes are right, label by label.

An item is right for a row of a label where it carries that label, and right for "all queries" where it shares
at least one label with the query; each query counts once there. A query never finds itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from m2s_index.evaluation.labelled_scenes import LabelledSplits
from m2s_index.evaluation.ranking import Hidden, RankedBatch, Ranking
from m2s_index.metrics import BoolArray, QueryScores, joined, score_ranked
from m2s_index.types import Float32Array, Int64Array

DEPTH = 20
"""Precision is known at 1 to this many, and so many nearest scenes are kept for each query."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What one search of a gallery gave.

    ``all_queries`` has one row a query, ``by_label`` one for each (query, label that it carries): query
    ``query[i]`` and label ``label[i]`` (int64 [P]). ``nearest`` (int64 [Q, ≤ DEPTH]) are gallery positions, −1
    where there are no more.
    """

    all_queries: QueryScores
    by_label: QueryScores
    query: Int64Array
    label: Int64Array
    nearest: Int64Array


def own_film_in_gallery(splits: LabelledSplits) -> BoolArray:
    """Which queries have other scenes of their film in the gallery: bool [Q]."""
    queries, gallery = splits.queries, splits.gallery
    films, counts = np.unique(gallery.films, return_counts=True)
    at = np.minimum(np.searchsorted(films, queries.films), len(films) - 1)
    others = np.where(films[at] == queries.films, counts[at], 0) - np.isin(queries.scene_ids, gallery.scene_ids)
    present: BoolArray = others > 0
    return present


def search_splits(
    splits: LabelledSplits, queries: Float32Array, gallery: Ranking, *, exclude_same_movie: bool,
    on_progress: Callable[[int], None],
) -> Scored:  # fmt: skip
    """Rank the gallery for every query, and score.

    Args:
        splits: what the vectors are of.
        queries: float32 [Q, D], row i for query i.
        gallery: ranks the gallery's vectors.
        exclude_same_movie: also keep from each query what is of its own film.
        on_progress: called with the number of queries done since the last call.
    """
    key = "films" if exclude_same_movie else "scene_ids"
    asked, there = getattr(splits.queries, key), getattr(splits.gallery, key)
    by_key = np.argsort(there, kind="stable")

    def hide(first: int, end: int) -> Hidden:
        # A film's scenes lie side by side in the order by film; so does a single scene in that by id.
        start, stop = (np.searchsorted(there, asked[first:end], side, sorter=by_key) for side in ("left", "right"))
        counts = stop - start
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return Hidden(np.repeat(np.arange(end - first), counts), by_key[np.repeat(start, counts) + within])

    parts = []
    for batch in gallery.ranked(queries, hide):
        parts.append(_score(splits, batch))
        on_progress(len(batch.order))
    return Scored(
        joined([part.all_queries for part in parts]),
        joined([part.by_label for part in parts]),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("query", "label", "nearest")),
    )


def _score(splits: LabelledSplits, batch: RankedBatch) -> Scored:
    """One batch. A row of ``carries`` says which of the gallery are right for one set of labels."""
    asked = splits.queries.carries[:, batch.first : batch.first + len(batch.order)].T
    query, label = np.nonzero(asked)
    sets, set_of_query = np.unique(asked, axis=0, return_inverse=True)
    shared = np.stack([splits.gallery.carries[labels].any(axis=0) for labels in sets])
    alone = np.arange(len(batch.order))
    return Scored(
        _scores(batch, alone, shared, set_of_query.ravel()),
        _scores(batch, query, splits.gallery.carries, label),
        query + batch.first,
        label,
        np.where(_there(batch), batch.order, -1)[:, :DEPTH],
    )


def _scores(batch: RankedBatch, query: Int64Array, carries: BoolArray, right: Int64Array) -> QueryScores:
    """Scores of pairs: query ``query[i]`` of the batch, for which what ``carries[right[i]]`` has is right."""
    ranked = carries[right[:, None], batch.order[query]] & _there(batch)[query]
    hidden = np.zeros((len(carries), len(batch.order)), np.int64)
    numbers, queries = np.nonzero(carries[:, batch.hidden.positions])
    np.add.at(hidden, (numbers, batch.hidden.queries[queries]), 1)
    relevant = np.count_nonzero(carries, axis=1)[right] - hidden[right, query]
    return score_ranked(ranked, relevant, batch.gallery[query], DEPTH)


def _there(batch: RankedBatch) -> BoolArray:
    """Which ranks of each query hold something: bool [Q, D]."""
    there: BoolArray = np.arange(batch.order.shape[1]) < batch.gallery[:, None]
    return there
