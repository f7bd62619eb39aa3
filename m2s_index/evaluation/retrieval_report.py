"""What a measurement of retrieval gives: tables of figures with their intervals, and what to say of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from m2s_index.evaluation.labelled_scenes import LabelledSplits
from m2s_index.matrices import StoredEncoder
from m2s_index.metrics import BoolArray
from m2s_index.types import Int64Array

KS = (1, 5, 10)
"""The paper's table gives precision at these."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Which scenes are compared, and how intervals are drawn. The paper's: queries from validation, gallery
    from training. ``top_only`` ranks the nearest alone: faster, and without what needs the whole ranking.
    """

    query_split: str = "val"
    gallery_split: str = "train"
    exclude_same_movie: bool = False
    top_only: bool = False
    draws: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class Figure:
    """A mean in per cent and its 95 % interval; no interval (None) where all queries are of one film."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Measures:
    """``precision[k - 1]`` is precision at k, up to ``retrieval.DEPTH``. The others need the whole ranking, and
    are None without it.
    """

    precision: tuple[Figure, ...]
    r_precision: Figure | None
    mean_average_precision: Figure | None

    def at(self, k: int) -> Figure:
        """Precision at k."""
        return self.precision[k - 1]

    def named(self) -> dict[str, Figure]:
        """The figures that tables show, by name."""
        shown = {f"p@{k}": self.at(k) for k in KS}
        if self.r_precision and self.mean_average_precision:
            shown |= {"r_precision": self.r_precision, "map": self.mean_average_precision}
        return shown


@dataclass(frozen=True)
class Row:
    """One row of the table: ``queries`` from ``films`` films; ``relevant`` scenes of the gallery carry the
    label, or any of the labels; ``chance`` is the precision of a random order, per cent.
    """

    label: str
    queries: int
    films: int
    relevant: int
    chance: float
    measures: Measures


@dataclass(frozen=True, eq=False)
class EncoderResult:
    """One encoder on one vocabulary. ``own_film_kept`` and ``own_film_out`` are "all queries" with the scenes of
    a query's own film among the gallery and without them; ``all_queries`` is one of the two. ``nearest`` are
    scene ids, int64 [Q, ≤ DEPTH], −1 where there are no more.
    """

    encoder: StoredEncoder
    rows: tuple[Row, ...]
    all_queries: Row
    over_labels: Row
    own_film_kept: Row
    own_film_out: Row
    nearest: Int64Array


@dataclass(frozen=True)
class Difference:
    """How much better ``encoder`` is than ``baseline`` over all queries, in points: paired by query."""

    encoder: str
    baseline: str
    measures: Measures


@dataclass(frozen=True)
class FoundScene:
    """A scene near a query: the labels it carries of those that queries have, and whether it shares one."""

    scene_id: int
    labels: tuple[str, ...]
    right: bool


@dataclass(frozen=True, eq=False)
class VocabularyResult:
    """All encoders on one vocabulary; ``own_film_queries`` queries have their film in the gallery too."""

    splits: LabelledSplits
    own_film_queries: int
    smallest_gallery: int
    encoders: tuple[EncoderResult, ...]
    differences: tuple[Difference, ...]

    @property
    def vocabulary(self) -> str:
        """Its name."""
        return self.splits.vocabulary

    def labels_of_query(self, query: int) -> tuple[str, ...]:
        """The labels of query number ``query``."""
        return self._labels(self.splits.queries.carries[:, query])

    def found(self, encoder: EncoderResult, query: int, count: int) -> list[FoundScene]:
        """The scenes nearest to query number ``query`` by an encoder, nearest first, at most ``count``."""
        gallery, asked = self.splits.gallery, self.splits.queries.carries[:, query]
        nearest = encoder.nearest[query]
        nearest = nearest[nearest >= 0][:count]
        carried = gallery.carries[:, np.searchsorted(gallery.scene_ids, nearest)].T
        return [
            FoundScene(scene_id, self._labels(labels), bool((labels & asked).any()))
            for scene_id, labels in zip(nearest.tolist(), carried, strict=True)
        ]

    def _labels(self, carried: BoolArray) -> tuple[str, ...]:
        return tuple(value for value, own in zip(self.splits.values, carried.tolist(), strict=True) if own)

    def notes(self) -> list[str]:
        """What a reader of the table should know."""
        first = self.encoders[0]
        notes = [
            f"{self.vocabulary}: no scene of the gallery is labelled '{row.label}': its queries score 0"
            for row in first.rows
            if not row.relevant
        ]
        if self.smallest_gallery < max(KS):
            notes.append(
                f"{self.vocabulary}: the gallery has only {self.smallest_gallery} scenes for some query: what is "
                "missing of 5 or 10 counts as wrong"
            )
        if self.own_film_queries:
            notes.append(
                f"{self.vocabulary}: {self.own_film_queries} of {len(self.splits.queries)} queries have their film "
                "in the gallery too"
            )
        return notes


@dataclass(frozen=True)
class LeftOut:
    """Labelled movies that an encoder was not run on: left out for all encoders, so that they compare."""

    encoder: str
    movies: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RetrievalReport:
    """The whole measurement."""

    options: EvaluationOptions
    encoders: tuple[StoredEncoder, ...]
    vocabularies: tuple[VocabularyResult, ...]
    left_out: tuple[LeftOut, ...]
