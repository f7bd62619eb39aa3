"""Measuring retrieval as the paper's Table 2 does: labelled queries of one split, a gallery of another.

For each label of a vocabulary, over all queries (the paper's last row) and over labels: precision, R-precision
and mean average precision, each with a bootstrap interval over films; and what one encoder gains on another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.errors import UsageError
from m2s_index.evaluation.intervals import grouped_intervals, mean_intervals
from m2s_index.evaluation.labelled_scenes import (
    LabelledSplits,
    movie_names,
    movies_not_embedded,
    read_splits,
    read_vectors,
)
from m2s_index.evaluation.ranking import NearestRanking, Ranking, WholeRanking
from m2s_index.evaluation.retrieval import DEPTH, Scored, own_film_in_gallery, search_splits
from m2s_index.evaluation.retrieval_report import (
    Difference,
    EncoderResult,
    EvaluationOptions,
    Figure,
    LeftOut,
    Measures,
    RetrievalReport,
    Row,
    VocabularyResult,
)
from m2s_index.matrices import StoredEncoder, find_encoder
from m2s_index.metrics import Float64Array, QueryScores
from m2s_index.reading import Reader
from m2s_index.types import Int64Array

Progress = Callable[[str, str, int, int], None]
"""Told (encoder, vocabulary, queries done, of how many)."""


def evaluate_retrieval(
    catalog: Catalog, vocabularies: Sequence[str], encoder_names: Sequence[str], options: EvaluationOptions, *,
    on_progress: Progress = lambda encoder, vocabulary, done, total: None, only: Collection[int] | None = None,
) -> RetrievalReport:  # fmt: skip
    """Measure the encoders on the vocabularies.

    Args:
        catalog: where labels and embeddings are.
        vocabularies: one or more, in the order of the report.
        encoder_names: in the order of the report; none is the catalogue's default. Differences are to the first.
        options: which scenes, and how intervals are drawn.
        on_progress: told now and then.
        only: movie ids, of whose scenes alone are queries and gallery; None takes all.

    Raises:
        UsageError: an encoder or vocabulary is not there, or a split has no scenes to compare.
        CatalogDamagedError: stored vectors are not finite.
    """
    with catalog.reader() as reader:
        names = list(dict.fromkeys(encoder_names))
        encoders = tuple(find_encoder(reader, name) for name in names or (None,))
        splits = [
            read_splits(reader, vocabulary, options.query_split, options.gallery_split)
            for vocabulary in dict.fromkeys(vocabularies)
        ]
        if only is not None:
            splits = [part.without_movies(set(part.movie_ids.tolist()).difference(only)) for part in splits]
        splits, left_out = _embedded_by_all(reader, encoders, splits)
        results = tuple(_evaluate(reader, encoders, part, options, on_progress) for part in splits)
    return RetrievalReport(options, encoders, results, left_out)


def _embedded_by_all(
    reader: Reader, encoders: Sequence[StoredEncoder], splits: Sequence[LabelledSplits]
) -> tuple[list[LabelledSplits], tuple[LeftOut, ...]]:
    """The scenes that every encoder was run on, and for each encoder the movies that it was not run on."""
    movie_ids = np.unique(np.concatenate([part.movie_ids for part in splits]))
    lacking = {encoder.name: movies_not_embedded(reader, encoder, movie_ids) for encoder in encoders}
    left_out = tuple(
        LeftOut(name, tuple(movie_names(reader, movies))) for name, movies in lacking.items() if movies
    )
    kept = []
    for part in splits:
        some = part.without_movies({movie_id for movies in lacking.values() for movie_id in movies})
        for side, scenes in (("queries", some.queries), ("gallery", some.gallery)):
            if not len(scenes):
                raise UsageError(
                    f"no scene is left of the {side} of '{part.vocabulary}': "
                    f"{'; '.join(f'{len(m)} movies lack encoder {n!r}' for n, m in lacking.items() if m)}; run "
                    "'m2s index build --encoder NAME'"
                )
        kept.append(some)
    return kept, left_out


def _evaluate(
    reader: Reader, encoders: Sequence[StoredEncoder], splits: LabelledSplits, options: EvaluationOptions,
    on_progress: Progress,
) -> VocabularyResult:  # fmt: skip
    own_film = own_film_in_gallery(splits)
    results: list[EncoderResult] = []
    scores: list[QueryScores] = []
    smallest = len(splits.gallery)
    for encoder in encoders:
        kept, out = _search(reader, encoder, splits, options, bool(own_film.any()), on_progress)
        scored = out if options.exclude_same_movie else kept
        table = _Tables(splits, options)
        results.append(
            EncoderResult(
                encoder,
                table.rows(scored),
                table.all_queries(scored),
                table.over_labels(scored),
                table.all_queries(kept),
                table.all_queries(out),
                np.where(scored.nearest < 0, -1, splits.gallery.scene_ids[scored.nearest]),
            )
        )
        scores.append(scored.all_queries)
        smallest = min(smallest, int(scored.all_queries.gallery.min()))
    differences = tuple(
        Difference(result.encoder.name, encoders[0].name, _difference(theirs, scores[0], splits, options))
        for result, theirs in zip(results[1:], scores[1:], strict=True)
    )
    return VocabularyResult(splits, int(own_film.sum()), smallest, tuple(results), differences)


def _search(
    reader: Reader, encoder: StoredEncoder, splits: LabelledSplits, options: EvaluationOptions,
    films_overlap: bool, on_progress: Progress,
) -> tuple[Scored, Scored]:  # fmt: skip
    """With the scenes of a query's own film among the gallery, and without."""
    queries = read_vectors(reader, encoder, splits.queries)
    vectors, metric = read_vectors(reader, encoder, splits.gallery), encoder.identity.metric
    gallery: Ranking = NearestRanking(vectors, metric, DEPTH) if options.top_only else WholeRanking(vectors, metric)
    total = len(queries) * (1 + films_overlap)
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        on_progress(encoder.name, splits.vocabulary, done, total)

    kept = search_splits(splits, queries, gallery, exclude_same_movie=False, on_progress=tell)
    if not films_overlap:
        return kept, kept
    return kept, search_splits(splits, queries, gallery, exclude_same_movie=True, on_progress=tell)


@dataclass(frozen=True, eq=False)
class _Tables:
    """Makes rows of scores."""

    splits: LabelledSplits
    options: EvaluationOptions

    def rows(self, scored: Scored) -> tuple[Row, ...]:
        """One a label that queries carry."""
        values, films = _measures(scored.by_label), self.splits.queries.films[scored.query]
        rows = []
        for number, label in enumerate(self.splits.values):
            mine = scored.label == number
            relevant = int(self.splits.gallery.carries[number].sum())
            chance = float(scored.by_label.chance[mine].mean())
            rows.append(self._row(label, values[mine], films[mine], relevant, chance))
        return tuple(rows)

    def all_queries(self, scored: Scored) -> Row:
        """The mean over queries."""
        chance = float(scored.all_queries.chance.mean())
        films = self.splits.queries.films
        return self._row("all queries", _measures(scored.all_queries), films, self._relevant, chance)

    def over_labels(self, scored: Scored) -> Row:
        """The mean over labels of each label's mean."""
        values, films = _measures(scored.by_label), self.splits.queries.films[scored.query]
        groups = [scored.label == number for number in range(len(self.splits.values))]
        intervals = grouped_intervals(
            [values[group] for group in groups], [films[group] for group in groups],
            draws=self.options.draws, seed=self.options.seed,
        )  # fmt: skip
        means = np.mean([values[group].mean(axis=0) for group in groups], axis=0)
        chance = float(np.mean([scored.by_label.chance[group].mean() for group in groups]))
        queries, known = len(self.splits.queries), len(np.unique(films))
        return Row(
            "mean over labels",
            queries,
            known,
            self._relevant,
            100 * chance,
            _figures(means, intervals, self.options),
        )

    @property
    def _relevant(self) -> int:
        return int(self.splits.gallery.carries.any(axis=0).sum())

    def _row(self, label: str, values: Float64Array, films: Int64Array, relevant: int, chance: float) -> Row:
        intervals = mean_intervals(values, films, draws=self.options.draws, seed=self.options.seed)
        figures = _figures(values.mean(axis=0), intervals, self.options)
        return Row(label, len(values), len(np.unique(films)), relevant, 100 * chance, figures)


def _difference(
    better: QueryScores, baseline: QueryScores, splits: LabelledSplits, options: EvaluationOptions
) -> Measures:
    values = _measures(better) - _measures(baseline)
    intervals = mean_intervals(values, splits.queries.films, draws=options.draws, seed=options.seed)
    return _figures(values.mean(axis=0), intervals, options)


def _measures(scores: QueryScores) -> Float64Array:
    """float64 [Q, DEPTH + 2]: precision at 1 to DEPTH, R-precision, average precision."""
    return np.column_stack([scores.precision, scores.r_precision, scores.average_precision])


def _figures(means: Float64Array, intervals: Float64Array | None, options: EvaluationOptions) -> Measures:
    low, high = (None, None) if intervals is None else intervals
    figures = tuple(
        Figure(
            100 * float(mean),
            None if low is None else 100 * float(low[i]),
            None if high is None else 100 * float(high[i]),
        )
        for i, mean in enumerate(means)
    )
    whole = (None, None) if options.top_only else figures[DEPTH:]
    return Measures(figures[:DEPTH], *whole)
