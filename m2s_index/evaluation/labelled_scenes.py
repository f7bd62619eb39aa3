"""What a measurement reads from the catalogue: the scenes that carry labels, their films, their vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from m2s_index.errors import CatalogDamagedError, UsageError
from m2s_index.index_file import embedding_entries, stored_vectors
from m2s_index.label_files import FILM_VOCABULARY
from m2s_index.matrices import StoredEncoder
from m2s_index.metrics import BoolArray
from m2s_index.reading import Reader
from m2s_index.types import Float32Array, Int64Array

ALL_SPLITS = "all"
"""Instead of a split's name: labels of every split, and those without one."""


@dataclass(frozen=True, eq=False)
class LabelledScenes:
    """N scenes by id, and which of V labels each carries (bool [V, N]). ``films`` are numbers: equal for
    scenes of one film. ``scene_ids``, ``movie_ids`` and ``films`` are int64 [N].
    """

    scene_ids: Int64Array
    movie_ids: Int64Array
    films: Int64Array
    carries: BoolArray

    def __len__(self) -> int:
        return len(self.scene_ids)

    def kept(self, which: BoolArray) -> LabelledScenes:
        """Some of them, by bool [N]."""
        return replace(
            self,
            scene_ids=self.scene_ids[which],
            movie_ids=self.movie_ids[which],
            films=self.films[which],
            carries=self.carries[:, which],
        )


@dataclass(frozen=True, eq=False)
class LabelledSplits:
    """Queries and gallery of one vocabulary. ``values`` are the labels, in the order they were imported."""

    vocabulary: str
    values: tuple[str, ...]
    queries: LabelledScenes
    gallery: LabelledScenes

    @property
    def movie_ids(self) -> Int64Array:
        """The movies of both, each once, by id."""
        return np.union1d(self.queries.movie_ids, self.gallery.movie_ids)

    def without_movies(self, movie_ids: Iterable[int]) -> LabelledSplits:
        """Less the scenes of some movies, and the labels that are then left without a query."""
        gone = np.fromiter(movie_ids, np.int64)
        queries = self.queries.kept(~np.isin(self.queries.movie_ids, gone))
        gallery = self.gallery.kept(~np.isin(self.gallery.movie_ids, gone))
        asked: BoolArray = np.logical_or.reduce(queries.carries, axis=1)
        return LabelledSplits(
            self.vocabulary,
            tuple(value for value, kept in zip(self.values, asked.tolist(), strict=True) if kept),
            replace(queries, carries=queries.carries[asked]),
            replace(gallery, carries=gallery.carries[asked]),
        )


def read_splits(reader: Reader, vocabulary: str, query_split: str, gallery_split: str) -> LabelledSplits:
    """The scenes that carry labels of a vocabulary, by split. A scene carries a label when its middle lies in it.

    Labels that no query carries are not among ``values``; their scenes are in the gallery all the same.

    Raises:
        UsageError: there are no labels of the vocabulary, or none on scenes of a split; the message says what
            there is.
    """
    rows = list(reader.rows(_LABELS, (vocabulary,)))
    if not rows:
        known = reader.texts(_VOCABULARIES)
        raise UsageError(
            f"no scene carries a label of '{vocabulary}'; the catalogue has labels of: "
            f"{', '.join(known) or 'nothing'}; 'm2s labels import' adds some"
        )
    sides = [[row[:3] for row in rows if wanted in (ALL_SPLITS, row[3])] for wanted in (query_split, gallery_split)]
    for name, side in zip((query_split, gallery_split), sides, strict=True):
        if not side:
            splits = sorted({row[3] or "(none)" for row in rows})
            raise UsageError(
                f"no scene carries a label of '{vocabulary}' in the split '{name}'; there are: "
                f"{', '.join(splits)}; choose with --query-split and --gallery-split ('{ALL_SPLITS}' takes all)"
            )
    values = tuple(dict.fromkeys(value for _, _, value in sides[0]))
    films = _film_numbers(reader, {row[1] for row in rows})
    return LabelledSplits(vocabulary, values, *(_scenes(side, values, films) for side in sides))


def labelled_movies(reader: Reader) -> dict[str, set[int]]:
    """The ids of the movies that have scenes with labels, by vocabulary, less the one that says of which film."""
    found: dict[str, set[int]] = {}
    for vocabulary, movie_id in reader.rows(_LABELLED, (FILM_VOCABULARY,)):
        found.setdefault(vocabulary, set()).add(movie_id)
    return found


def read_vectors(reader: Reader, encoder: StoredEncoder, scenes: LabelledScenes) -> Float32Array:
    """The scenes' stored vectors: float32 [N, D], row i for scene i. Their movies are all embedded.

    Raises:
        CatalogDamagedError: a vector holds numbers that are not finite.
    """
    entries = embedding_entries(reader, encoder)
    entries = entries.only(np.isin(entries.movie_ids, scenes.movie_ids))
    found = np.empty((len(scenes), encoder.identity.dimension), np.float32)
    for movie_id, part in zip(entries.movie_ids.tolist(), stored_vectors(reader, entries), strict=True):
        start, end = np.searchsorted(scenes.scene_ids, [part.scene_ids[0], part.scene_ids[-1] + 1])
        found[start:end] = part.vectors[scenes.scene_ids[start:end] - part.scene_ids[0]]
        if not np.isfinite(found[start:end]).all():
            raise CatalogDamagedError(
                f"the embeddings of movie {movie_id} ({movie_names(reader, [movie_id])[0]}) by '{encoder.name}' "
                "hold numbers that are not finite: run 'm2s index verify'"
            )
    return found


def movies_not_embedded(reader: Reader, encoder: StoredEncoder, movie_ids: Int64Array) -> list[int]:
    """Those of the movies that the encoder was not run on, by id."""
    missing: list[int] = np.setdiff1d(movie_ids, embedding_entries(reader, encoder).movie_ids).tolist()
    return missing


def movie_names(reader: Reader, movie_ids: Iterable[int]) -> list[str]:
    """The movies' names, in the order of the ids."""
    return [reader.value(_NAME, (movie_id,)) for movie_id in movie_ids]


def _scenes(rows: list[tuple[int, int, str]], values: tuple[str, ...], films: dict[int, int]) -> LabelledScenes:
    """Rows of (scene id, movie id, label) as arrays; labels that are not among ``values`` count for nothing."""
    movie_of = {scene_id: movie_id for scene_id, movie_id, _ in rows}
    scene_ids = np.array(sorted(movie_of), np.int64)
    movie_ids = np.array([movie_of[scene_id] for scene_id in scene_ids.tolist()], np.int64)
    known = {value: number for number, value in enumerate(values)}
    of_values = [(known[value], scene_id) for scene_id, _, value in rows if value in known]
    carries = np.zeros((len(values), len(scene_ids)), np.bool_)
    if of_values:
        numbers, carriers = np.array(of_values, np.int64).T
        carries[numbers, np.searchsorted(scene_ids, carriers)] = True
    return LabelledScenes(
        scene_ids, movie_ids, np.array([films[movie_id] for movie_id in movie_ids.tolist()], np.int64), carries
    )


def _film_numbers(reader: Reader, movie_ids: set[int]) -> dict[int, int]:
    """A number for each movie, the same for clips of one film."""
    named: dict[int, str] = {}
    for movie_id, film in reader.rows(_FILMS, (FILM_VOCABULARY,)):
        if named.setdefault(movie_id, film) != film:
            name = movie_names(reader, [movie_id])[0]
            raise UsageError(
                f"movie {movie_id} ({name}) is labelled as of two films, '{named[movie_id]}' and '{film}'"
            )
    keys = {movie_id: (named.get(movie_id, ""), 0 if movie_id in named else movie_id) for movie_id in movie_ids}
    numbers = {key: number for number, key in enumerate(sorted(set(keys.values())))}
    return {movie_id: numbers[key] for movie_id, key in keys.items()}


_CARRIED = (
    "FROM labels l JOIN scenes s ON s.movie_id = l.movie_id WHERE (l.start_seconds IS NULL OR "
    "((s.start_seconds + s.end_seconds) / 2 >= l.start_seconds "
    "AND (s.start_seconds + s.end_seconds) / 2 < l.end_seconds))"
)
_LABELS = f"SELECT s.id, s.movie_id, l.value, l.split {_CARRIED} AND l.vocabulary = ? ORDER BY l.id, s.id"
_LABELLED = f"SELECT DISTINCT l.vocabulary, l.movie_id {_CARRIED} AND l.vocabulary <> ? ORDER BY 1, 2"
_VOCABULARIES = "SELECT DISTINCT vocabulary FROM labels ORDER BY vocabulary"
_FILMS = "SELECT movie_id, value FROM labels WHERE vocabulary = ? AND start_seconds IS NULL"
_NAME = "SELECT name FROM movies WHERE id = ?"
