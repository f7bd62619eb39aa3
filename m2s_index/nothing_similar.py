"""Whether a query's hits are like it at all: the nearest of many scenes is near, whatever is asked.

So a hit is not compared with pairs of scenes but with best hits: scenes of the catalogue are searched for in films
that are unrelated to their own, and a hit's percentile is the share of them whose best hit scores less. For a query
whose like is not there, the best hit's percentile is uniform: 95 or more comes up once in twenty times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.errors import UsageError
from m2s_index.filters import NO_FILTER, SceneFilter
from m2s_index.pairing.background import Scores, check_percentile, read_background, unrelated_films
from m2s_index.search import QueryResult, Searcher
from m2s_index.types import Float32Array

ASKED = 200
"""Scenes that are searched for, drawn over all films, always the same ones."""
HITS = 50
"""Hits of each, of which the first of an unrelated film counts."""


class HitBackground:
    """What the best hits of scenes in unrelated films score, under a filter."""

    def __init__(self, catalog: Catalog, searcher: Searcher, wanted: SceneFilter = NO_FILTER) -> None:
        """Search for the scenes.

        Raises:
            UsageError: there are no two films to compare, or the filter leaves none.
        """
        with catalog.reader() as reader:
            self._background = background = read_background(reader, searcher.encoder)
            films = np.unique(background.movie_ids)
            unrelated = unrelated_films(reader, films)
        self._searcher = searcher
        drawn = np.random.default_rng(0).permutation(len(background.scene_ids))[:ASKED]
        others = {film: set(films[row].tolist()) for film, row in zip(films.tolist(), unrelated, strict=True)}
        asked = replace(wanted, other_movies=True)
        results = searcher.search_scenes(background.scene_ids[np.sort(drawn)].tolist(), HITS, asked)
        best = [score for result in results if (score := _best(result, others)) is not None]
        if not best:
            raise UsageError("percentiles need hits in two films that are unrelated: there are none")
        self._best = Scores(np.sort(np.array(best, np.float32)))

    def measured(self, result: QueryResult, min_percentile: float) -> QueryResult:
        """The result with percentiles and CSLS, and without hits below the least; a note where that leaves none.

        Raises:
            UsageError: it is no percentile.
        """
        check_percentile(min_percentile)
        scores = np.array([hit.score for hit in result.hits], np.float32)
        percentiles = self._best.percentiles(scores).tolist()
        hits = tuple(
            replace(hit, percentile=percentile, csls=csls)
            for hit, percentile, csls in zip(result.hits, percentiles, self._csls(result, scores), strict=True)
            if percentile >= min_percentile
        )
        if hits or not result.hits:
            return replace(result, hits=hits)
        nearest = f"the nearest hit scores {result.hits[0].score:.3f}, percentile {percentiles[0]:.0f}"
        return replace(result, hits=(), notes=(*result.notes, f"nothing similar here: {nearest}"))

    def _csls(self, result: QueryResult, scores: Float32Array) -> list[float | None]:
        """As for pairs of scenes (``pairing.background``); None where the query is a vector of no scene."""
        if result.query is None:
            return [None] * len(scores)
        scenes = [result.query, *(hit.scene for hit in result.hits)]
        movie_ids = np.array([scene.movie_id for scene in scenes], np.int64)
        nearness = self._background.nearness(self._searcher.vectors(scenes), movie_ids)
        csls: list[float | None] = (2.0 * scores.astype(np.float64) - nearness[0] - nearness[1:]).tolist()
        return csls


def _best(result: QueryResult, others: dict[int, set[int]]) -> float | None:
    """What the first hit in an unrelated film scores; where all hits are in related ones, the last of them."""
    assert result.query is not None
    unrelated = others[result.query.movie_id]
    scores = [hit.score for hit in result.hits if hit.scene.movie_id in unrelated]
    return scores[0] if scores else result.hits[-1].score if result.hits else None
