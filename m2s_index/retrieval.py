"""Labelled queries against a labelled gallery: which of the ranked scenes are right, label by label.

An item is right for a row of a label where it carries that label, and right for "all queries" where it shares
at least one label with the query; each query counts once there. A query never finds itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from m2s_index.labelled_scenes import LabelledSplits
from m2s_index.metrics import BoolArray, QueryScores, joined, score_ranked
from m2s_index.ranking import Gallery, RankedBatch
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
    splits: LabelledSplits, queries: Float32Array, gallery: Gallery, *, exclude_same_movie: bool,
    on_progress: Callable[[int], None],
) -> Scored:  # fmt: skip
    """Rank the gallery for every query, and score.

    Args:
        splits: what the vectors are of.
        queries: float32 [Q, D], row i for query i.
        gallery: the vectors of the gallery.
        exclude_same_movie: also keep from each query what is of its own film.
        on_progress: called with the number of queries done since the last call.
    """

    def hidden(first: int, end: int) -> BoolArray:
        asked = splits.queries
        same: BoolArray = asked.scene_ids[first:end, None] == splits.gallery.scene_ids
        if exclude_same_movie:
            same |= asked.films[first:end, None] == splits.gallery.films
        return same

    parts = []
    for batch in gallery.ranked(queries, hidden):
        parts.append(_score(splits, batch))
        on_progress(len(batch.order))
    return Scored(
        joined([part.all_queries for part in parts]),
        joined([part.by_label for part in parts]),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("query", "label", "nearest")),
    )


def _score(splits: LabelledSplits, batch: RankedBatch) -> Scored:
    """One batch: ``ranked[i, r]`` says whether what query i has at rank r is right."""
    end = batch.first + len(batch.order)
    asked = splits.queries.carries[:, batch.first : end]
    there = np.arange(batch.order.shape[1]) < batch.gallery[:, None]
    query, label = np.nonzero(asked.T)
    carries = np.stack([splits.gallery.carries[labels].any(axis=0) for labels in asked.T])
    shared = np.take_along_axis(carries, batch.order, axis=1) & there
    ranked = splits.gallery.carries[label[:, None], batch.order[query]] & there[query]
    nearest = np.where(there, batch.order, -1)[:, :DEPTH]
    return Scored(
        score_ranked(shared, np.count_nonzero(shared, axis=1), batch.gallery, DEPTH),
        score_ranked(ranked, np.count_nonzero(ranked, axis=1), batch.gallery[query], DEPTH),
        query + batch.first,
        label,
        nearest,
    )
