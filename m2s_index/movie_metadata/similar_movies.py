"""How similar two movies are by what is known of them: who liked them, their genres, their synopses.

Pure functions on matrices: nothing here knows of files or catalogues. Each signal gives every movie a row of
features, and one product of matrices scores many pairs. Here are those with sparse rows, in which a score is a
formula of the inner product of two rows and of the size of each; ``embedded_synopses`` has dense ones. The seed
trains one model for each signal (1b) and leaves the measures open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from m2s_index.errors import MissingExtraError
from m2s_index.types import Float32Array, Int64Array

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Float64Array = NDArray[np.float64]
Formula = Callable[[Float64Array, Float64Array, Float64Array], Float64Array]
"""Scores from inner products and the sizes of both rows: three float64 [P] in, float64 [P] out."""

SHRINKAGE = 10.0
"""People who liked both, below whom a co-watch score counts for less than half."""
BLOCK_VALUES = 20_000_000
"""Values of sparse matrices that are held at a time, or so."""
ROUNDS = 10
"""How often dissimilar pairs are drawn, in place of those that turned out similar."""


class Signal(Protocol):
    """A way for movies to be similar. Those that score ``unrelated`` or less have nothing in common."""

    @property
    def sizes(self) -> Float64Array:
        """Of each movie, 0 where nothing is known of it: it is in no pair. float64 [movies]."""
        ...

    @property
    def unrelated(self) -> float:
        """The score above which two movies may be similar."""
        ...

    def restricted(self, rows: Int64Array) -> Signal:
        """The same among some movies only, whose new rows are their places in ``rows``; scores stay as they are."""
        ...

    def scored(self, movies: Int64Array) -> Iterator[Scored]:
        """What each of some movies scores with others: all that may be similar, and itself where it is known."""
        ...

    def between(self, first: Int64Array, second: Int64Array) -> Float64Array:
        """Scores of pairs, first[p] with second[p]: float64 [P]."""
        ...


@dataclass(frozen=True, eq=False)
class Scored:
    """What every one of ``movies`` scores with ``others``, int64 [N]: ``scores``, float [N]."""

    movies: list[int]
    others: Int64Array
    scores: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class SparseSignal:
    """As a ``Signal``: float32 features [movies, F], the size of each row, a formula.

    The formula gives 0 or less where two rows have nothing in common.
    """

    features: csr_array
    transposed: csr_array
    sizes: Float64Array
    formula: Formula
    unrelated: float = 0.0

    def restricted(self, rows: Int64Array) -> SparseSignal:
        """The same among some movies only, whose new rows are their places in ``rows``."""
        features = self.features[rows]
        return SparseSignal(features, features.T.tocsr(), self.sizes[rows], self.formula)

    def scored(self, movies: Int64Array) -> Iterator[Scored]:
        """What each of some movies scores with those that its products with are not 0, in blocks."""
        # Movies with equal features have equal scores: with genres that is most of them.
        alike: dict[bytes, list[int]] = {}
        for movie in movies.tolist():
            alike.setdefault(_row_bytes(self.features, movie), []).append(movie)
        groups = iter(alike.values())
        for block in _blocks(self, np.array([some[0] for some in alike.values()], np.int64)):
            scores = self.among(block)
            for start, end in zip(scores.indptr[:-1], scores.indptr[1:], strict=True):
                yield Scored(next(groups), scores.indices[start:end].astype(np.int64), scores.data[start:end])

    def among(self, movies: Int64Array) -> csr_array:
        """Scores of some movies with all: sparse float64 [len(movies), all]; none where the product is 0."""
        products = self.features[movies] @ self.transposed
        rows = np.repeat(movies, np.diff(products.indptr))
        products.data = self.formula(products.data.astype(float), self.sizes[rows], self.sizes[products.indices])
        return products

    def between(self, first: Int64Array, second: Int64Array) -> Float64Array:
        """Scores of pairs, first[p] with second[p]: float64 [P]."""
        lengths = np.diff(self.features.indptr)
        products = [
            self.features[first[part]].multiply(self.features[second[part]]).sum(axis=1)
            for part in runs(np.arange(len(first)), lengths[first] + lengths[second])
        ]
        common = np.concatenate([np.empty(0), *products])
        return self.formula(common, self.sizes[first], self.sizes[second])


@dataclass(frozen=True)
class MoviePairs:
    """Pairs of movies by their rows: int64 [P] and [P], and the float32 score [P] of each."""

    first: Int64Array
    second: Int64Array
    scores: Float32Array


def cowatch(liked: csr_array, *, shrinkage: float = SHRINKAGE) -> SparseSignal:
    """Movies liked by the same people.

    With n people, of whom a liked one movie, b the other and c both, the score is the correlation of the two
    columns of zeros and ones, the phi coefficient, shrunk where few liked both:

        c / (c + shrinkage) · (n·c − a·b) / √(a·(n − a)·b·(n − b))

    Were two movies liked independently, c would be a·b/n and the score 0 however popular they are: that is the
    correction. Shrinkage as in Koren, "Factorization meets the neighborhood" (KDD 2008), equation 2.

    Args:
        liked: ones where a movie is liked: sparse [movies, people].
    """
    people = liked.shape[1]

    def phi(both: Float64Array, a: Float64Array, b: Float64Array) -> Float64Array:
        spread = np.sqrt(a * (people - a) * b * (people - b))
        correlation = np.divide(people * both - a * b, spread, out=np.zeros_like(both), where=spread > 0)
        shrunk: Float64Array = correlation * both / (both + shrinkage)
        return shrunk

    return _signal(liked, phi)


def shared_genres(genres: csr_array) -> SparseSignal:
    """Overlap of sets of genres, as Jaccard has it: shared ones by those that either has, in [0, 1].

    Args:
        genres: ones where a movie is of a genre: sparse [movies, genres].
    """

    def jaccard(both: Float64Array, a: Float64Array, b: Float64Array) -> Float64Array:
        union = a + b - both
        return np.divide(both, union, out=np.zeros_like(both), where=union > 0)

    return _signal(genres, jaccard)


def alike_synopses(synopses: Sequence[str]) -> SparseSignal:
    """Cosine of TF-IDF vectors of the synopses' words, in [0, 1]; an empty text is like no other.

    (1 + ln tf) · (1 + ln((1 + N) / (1 + df))), rows normalised, without English stop words and words of one
    synopsis alone: scikit-learn's TfidfVectorizer (Salton and Buckley, 1988).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as exc:
        raise _missing("scikit-learn") from exc
    try:
        vectors = TfidfVectorizer(sublinear_tf=True, stop_words="english", min_df=2).fit_transform(synopses)
    except ValueError:  # no word is in two of them
        vectors = sparse().csr_array((len(synopses), 1))
    return _signal(vectors, lambda cosine, _a, _b: cosine)


def nearest(signal: Signal, movies: Int64Array, count: int) -> MoviePairs:
    """The ``count`` movies most similar to each of some, best first, movie by movie; none that is unrelated.

    Ties go to the next row after the movie's own, round the end: of a hundred movies with equal genres not all get
    the same neighbours.
    """
    found: dict[int, tuple[Int64Array, NDArray[np.floating[Any]]]] = {}
    for scored in signal.scored(movies):
        found |= _best(scored, count, signal)
    asked = [(np.full(len(found[movie][0]), movie), *found[movie]) for movie in movies.tolist()]
    columns = zip(*asked, strict=True) if asked else ([np.empty(0, np.int64)],) * 3
    first, second, best = (np.concatenate(column) for column in columns)
    return MoviePairs(first, second, best.astype(np.float32))


def similar_pairs(signal: Signal, count: int) -> MoviePairs:
    """Every movie with its ``count`` most similar: each pair once, first < second, by first and second."""
    all_movies = np.flatnonzero(signal.sizes)
    found = nearest(signal, all_movies, count)
    ends = np.stack([np.minimum(found.first, found.second), np.maximum(found.first, found.second)], axis=1)
    pairs, where = np.unique(ends, axis=0, return_index=True)
    return MoviePairs(pairs[:, 0], pairs[:, 1], found.scores[where])


def dissimilar_pairs(signal: Signal, similar: MoviePairs, *, seed: int = 0) -> MoviePairs:
    """As many pairs that are unrelated: a movie is in them about as often as in the similar ones, so that a model
    cannot tell the two kinds by the movies alone.

    The ends of the similar pairs are shuffled and paired anew; a pair is kept that is unrelated, not there yet and
    of two movies. Where such pairs are rare, fewer come back.
    """
    random = np.random.default_rng(seed)
    total, wanted = len(signal.sizes), len(similar.first)
    similar_keys = similar.first * total + similar.second
    keys, scores = np.empty(0, np.int64), np.empty(0)
    for _ in range(ROUNDS):
        missing = wanted - len(keys)
        shuffled = random.permutation(np.concatenate([similar.first, similar.second]))
        first, second = shuffled[:missing], shuffled[wanted:][:missing]
        low, high = np.minimum(first, second), np.maximum(first, second)
        drawn = (low * total + high)[low < high]
        drawn = np.setdiff1d(drawn, np.concatenate([similar_keys, keys]))
        found = signal.between(*np.divmod(drawn, total)) + 0.0  # no minus before a zero
        keys = np.concatenate([keys, drawn[found <= signal.unrelated]])
        scores = np.concatenate([scores, found[found <= signal.unrelated]])
    order = np.argsort(keys)
    return MoviePairs(*np.divmod(keys[order], max(total, 1)), scores[order].astype(np.float32))


def sparse() -> Any:
    """The module scipy.sparse.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import scipy.sparse
    except ImportError as exc:
        raise _missing("SciPy") from exc
    return scipy.sparse


def _missing(package: str) -> MissingExtraError:
    return MissingExtraError(f"similar movies need {package}: install the extra 'train' (pip install 'm2s[train]')")


def _signal(features: Any, formula: Formula) -> SparseSignal:
    rows = sparse().csr_array(features, dtype=np.float32)
    rows.sort_indices()
    return SparseSignal(rows, rows.T.tocsr(), np.asarray(rows.sum(axis=1), float), formula)


def _blocks(signal: SparseSignal, movies: Int64Array) -> Iterator[Int64Array]:
    """The movies in runs of few enough products with all others."""
    carriers = np.diff(signal.transposed.indptr).astype(float)
    products = signal.features.astype(bool).astype(float) @ carriers
    # A movie has no more products than there are movies.
    return runs(movies, np.minimum(products, len(signal.sizes))[movies])


def runs(rows: Int64Array, costs: NDArray[Any]) -> Iterator[Int64Array]:
    """The rows, in order, in runs whose costs, of values held in memory, come to BLOCK_VALUES or so each."""
    cuts = np.flatnonzero(np.diff(np.cumsum(costs) // BLOCK_VALUES)) + 1
    return (run for run in np.split(rows, cuts) if len(run))


def _row_bytes(features: csr_array, row: int) -> bytes:
    """Equal for equal rows alone."""
    part = slice(features.indptr[row], features.indptr[row + 1])
    return bytes(features.indices[part].tobytes() + features.data[part].tobytes())


def _best(scored: Scored, count: int, signal: Signal) -> dict[int, tuple[Int64Array, NDArray[np.floating[Any]]]]:
    """The best of a row of scores for each of the movies whose row it is: others and scores by movie."""
    others, values, total = scored.others, scored.scores, len(signal.sizes)
    # A movie itself is among its best, and all that tie with the last one stay in, for the sort to choose.
    place = len(values) - count - 1
    least = np.partition(values, place)[place] if place > 0 else -np.inf
    kept = (values >= least) & (values > signal.unrelated)
    others, values = others[kept], values[kept]
    found = {}
    for movie in scored.movies:
        order = np.lexsort(((others - movie) % total, -values))
        order = order[others[order] != movie][:count]
        found[movie] = (others[order], values[order])
    return found
