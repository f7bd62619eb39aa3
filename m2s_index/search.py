"""Similar scenes: a query and its filter in, the nearest scenes with their metadata out.

Distances are computed from the stored vectors in double precision (``nearest``): equal vectors have equal
distances, and ties break by scene id. What is searched follows the catalogue (``search_state``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.errors import UsageError
from m2s_index.filters import NO_FILTER, SceneFilter, resolve, same_for_any_query, without_movie
from m2s_index.matrices import StoredEncoder, find_encoder, identity_key
from m2s_index.nearest import QUERIES_AT_ONCE, Float64Array, Found, nearest_of_each
from m2s_index.reading import Reader
from m2s_index.refs import find_scene, scenes_by_id
from m2s_index.scene_columns import NO_SCENES, SceneColumns
from m2s_index.search_state import SearchState, current_state
from m2s_index.selection import Selection
from m2s_index.types import EncoderIdentity, Float32Array, Int64Array, Scene, SearchHit

CACHED_FILTERS = 64

_Known = tuple[Scene, str | None, int | None]
"""A scene, its movie's title and year."""


@dataclass(frozen=True)
class QueryResult:
    """Hits in order. ``query`` is None for a search by vector; ``notes`` are lines for the user: how the
    search was made where that is not as usual, and which filter left nothing.
    """

    query: Scene | None
    encoder: str
    hits: tuple[SearchHit, ...]
    notes: tuple[str, ...] = ()


class Searcher:
    """Searches a catalogue by one encoder. Use it as a context manager, from one thread at a time.

    It follows the catalogue: movies that are added or removed while it is open are found, or no longer
    found, by the next search.
    """

    def __init__(self, catalog: Catalog, encoder_name: str | None = None, *, use_gpu: bool = True) -> None:
        """Open it by the named encoder, or the catalogue's default, and load its index.

        Raises:
            UsageError: the catalogue lacks the encoder, or has no embeddings at all.
            IndexFileError: the index file cannot be used, and memory is too small to do without it.
        """
        # Connections of its own, that end with it: the caller may close the catalogue before.
        self._catalog = Catalog(catalog.folder, writable=False)
        self._use_gpu = use_gpu
        self._columns = SceneColumns(NO_SCENES)
        self._filters: dict[SceneFilter, Selection | None] = {}
        self._state: SearchState | None = None
        try:
            with self._catalog.reader() as reader:
                self.encoder: StoredEncoder = find_encoder(reader, encoder_name)
                self._current(reader)
        except BaseException:
            self.close()
            raise

    @property
    def device_note(self) -> str:
        """A line that says where unfiltered searches run and why; empty where no file is used."""
        return self._state.device_note if self._state else ""

    def close(self) -> None:
        """Let go of the index and the connection."""
        self._catalog.close()
        self._state = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def search_scene(self, scene: int | str, k: int, wanted: SceneFilter = NO_FILTER) -> QueryResult:
        """The ``k`` scenes nearest to a scene of the catalogue, itself left out; fewer where there are fewer.

        Args:
            scene: an id, or a reference (see ``refs``).
            k: how many.
            wanted: which scenes may be hits.

        Raises:
            UsageError: ``k`` is below 1, or the encoder was not run on the scene.
            UnknownReferenceError: the scene, or a movie of the filter, is unknown or ambiguous.
            CatalogDamagedError: embeddings and scenes do not belong together.
        """
        (result,) = self.search_scenes([scene], k, wanted)
        return result

    def search_scenes(
        self, scenes: Sequence[int | str], k: int, wanted: SceneFilter = NO_FILTER
    ) -> Iterator[QueryResult]:
        """``search_scene`` for each, many in one search and all in one state of the catalogue.

        All scenes are looked up before the first search; results are made as they are asked for.
        """
        _check_k(k)
        with self._catalog.reader() as reader:
            state = self._current(reader)
            queries = _query_scenes(reader, scenes)
            for start in range(0, len(queries), QUERIES_AT_ONCE):
                part = queries[start : start + QUERIES_AT_ONCE]
                vectors = self._stored(reader, state, part)
                yield from self._search(reader, state, vectors, k, wanted, part)

    def search_vector(
        self, vector: Float32Array, k: int, wanted: SceneFilter = NO_FILTER,
        *, encoder: EncoderIdentity | None = None, exclude_scene_id: int | None = None,
    ) -> QueryResult:  # fmt: skip
        """The ``k`` scenes nearest to a vector.

        Args:
            vector: float32 [D]; it is normalised where the metric is cosine.
            k: how many.
            wanted: which scenes may be hits; ``other_movies`` needs ``exclude_scene_id``.
            encoder: what made the vector, where known.
            exclude_scene_id: a scene that is never a hit: the one that the vector comes from.

        Raises:
            UsageError: ``k`` is below 1, or the vector is another encoder's or not finite.
        """
        _check_k(k)
        query = self._checked(vector, encoder)
        with self._catalog.reader() as reader:
            state = self._current(reader)
            scene = None if exclude_scene_id is None else find_scene(reader, str(exclude_scene_id))
            return next(self._search(reader, state, query[None], k, wanted, [scene]))

    def search_vectors(
        self, vectors: Float32Array, k: int, wanted: SceneFilter = NO_FILTER,
        *, encoder: EncoderIdentity | None = None,
    ) -> list[QueryResult]:  # fmt: skip
        """``search_vector`` for each row of float32 [Q, D], all in one state of the catalogue."""
        _check_k(k)
        if not len(vectors):
            return []
        queries = np.stack([self._checked(vector, encoder) for vector in vectors])
        with self._catalog.reader() as reader:
            state = self._current(reader)
            return list(self._search(reader, state, queries, k, wanted, [None] * len(queries)))

    def vectors(self, scenes: Sequence[Scene]) -> Float32Array:
        """The scenes' stored vectors, as they are compared: float32 [N, D].

        Raises:
            UsageError: the encoder was not run on one of them.
            CatalogDamagedError: embeddings and scenes do not belong together.
        """
        with self._catalog.reader() as reader:
            return self._stored(reader, self._current(reader), scenes)

    def _current(self, reader: Reader) -> SearchState:
        state = current_state(self._catalog, reader, self.encoder, self._state, use_gpu=self._use_gpu)
        if state is not self._state:
            # Labels, years or genres may have changed too: what filters leave is asked again.
            self._state = state
            self._filters.clear()
            self._columns.follow(state.ranges)
        return state

    def _checked(self, vector: Float32Array, encoder: EncoderIdentity | None) -> Float32Array:
        own = self.encoder.identity
        if encoder is not None and identity_key(encoder) != identity_key(own):
            raise UsageError(
                f"the query is by encoder '{encoder.name}', the search by '{self.encoder.name}'"
                f"{'' if encoder.name != self.encoder.name else ' with other weights or preprocessing'}: "
                "their vectors cannot be compared"
            )
        vector = np.asarray(vector, np.float32)
        if vector.shape != (own.dimension,):
            raise UsageError(
                f"encoder '{self.encoder.name}' makes vectors of {own.dimension} numbers; "
                f"the query's shape is {list(vector.shape)}"
            )
        if not np.isfinite(vector).all():
            raise UsageError("the query vector holds numbers that are not finite")
        norm = float(np.linalg.norm(vector.astype(np.float64)))
        return (vector / norm).astype(np.float32) if own.metric == "cosine" and norm > 0 else vector

    def _stored(self, reader: Reader, state: SearchState, scenes: Sequence[Scene]) -> Float32Array:
        """The scenes' vectors: float32 [N, D]."""
        ids = np.array([scene.scene_id for scene in scenes], np.int64)
        vectors = state.vectors(reader, ids)
        if len(vectors) < len(scenes):
            lacking = next(s for s in scenes if not len(state.vectors(reader, np.array([s.scene_id]))))
            raise UsageError(
                f"scene {lacking.scene_id} has no embedding by encoder '{self.encoder.name}'; "
                f"make it with 'm2s index build --encoder {self.encoder.name}'"
            )
        state.check_movies(ids, [scene.movie_id for scene in scenes])
        return vectors

    def _search(
        self, reader: Reader, state: SearchState, vectors: Float32Array, k: int, wanted: SceneFilter,
        queries: Sequence[Scene | None],
    ) -> Iterator[QueryResult]:  # fmt: skip
        """One result for each of float32 [Q, D]; ``queries`` are the scenes that they are of, where they are."""
        if wanted.other_movies and len(queries) > 1:
            # What is left differs from query to query: each is a search of its own.
            for vector, query in zip(vectors, queries, strict=True):
                yield from self._search(reader, state, vector[None], k, wanted, [query])
            return
        selection = self._selection(reader, state, wanted, queries[0])
        fetched = k + any(query is not None for query in queries)
        parts = [
            nearest_of_each(
                part, vectors, fetched, selection, lambda ids: state.vectors(reader, ids),
                state.gpu if state.opened and part is state.opened.index else None,
            )
            for part in state.parts
        ]  # fmt: skip
        nearest = [_in_order(found, k, query) for query, *found in zip(queries, *parts, strict=True)]
        ids = np.unique(np.concatenate([ids for ids, _ in nearest]))
        known = scenes_by_id(reader, ids.tolist())
        state.check_movies(ids, [known[i][0].movie_id if i in known else None for i in ids.tolist()])
        # One by one: the hits of thousands of queries, held at once, keep Python's garbage collector busy.
        for query, (ids, distances) in zip(queries, nearest, strict=True):
            hits = self._hits(known, ids, distances)
            left = () if hits or not wanted else (f"nothing left by {wanted.describe()}",)
            yield QueryResult(query, self.encoder.name, hits, (*state.notes, *left))

    def _selection(
        self, reader: Reader, state: SearchState, wanted: SceneFilter, query: Scene | None
    ) -> Selection | None:
        if query is None and wanted.other_movies:
            raise UsageError("--other-movies means other than the query's own: the query must be a scene")
        selection = None
        if key := same_for_any_query(wanted):
            if key not in self._filters:
                if len(self._filters) >= CACHED_FILTERS:
                    self._filters.pop(next(iter(self._filters)))
                self._filters[key] = resolve(reader, key, self._columns)
            selection = self._filters[key]
        if query is not None and wanted.other_movies:
            selection = without_movie(selection, query.movie_id, state.ranges)
        if state.kept is not None:
            limit = state.limit
            selection = state.kept if selection is None else selection.and_also(state.kept, limit)
        return selection

    def _hits(self, known: dict[int, _Known], ids: Int64Array, distances: Float64Array) -> tuple[SearchHit, ...]:
        cosine = self.encoder.identity.metric == "cosine"
        return tuple(
            SearchHit(rank, *known[scene_id], distance, 1 - distance * distance / 2 if cosine else -distance)
            for rank, (scene_id, distance) in enumerate(zip(ids.tolist(), distances.tolist(), strict=True), 1)
        )


def _query_scenes(reader: Reader, scenes: Sequence[int | str]) -> list[Scene]:
    """Scenes by id, all in one go, or by reference."""
    ids = {scene for scene in scenes if isinstance(scene, int) and 0 < scene < 2**63}
    known = scenes_by_id(reader, sorted(ids))
    return [
        known[scene][0] if isinstance(scene, int) and scene in known else find_scene(reader, str(scene))
        for scene in scenes
    ]


def _in_order(found: Sequence[Found], k: int, query: Scene | None) -> tuple[Int64Array, Float64Array]:
    """The k nearest of what several indexes found, the query itself left out: ids and distances."""
    ids = np.concatenate([np.empty(0, np.int64), *(part_ids for part_ids, _ in found)])
    distances = np.sqrt(np.concatenate([np.empty(0), *(squared for _, squared in found)]))
    kept = (ids != (-1 if query is None else query.scene_id)) & np.isfinite(distances)
    ids, distances = ids[kept], distances[kept]
    order = np.lexsort((ids, distances))[:k]
    return ids[order], distances[order]


def _check_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"the number of hits must be at least 1, not {k}")
