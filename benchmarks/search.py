"""A query through the library against the bare FAISS search of the same index with the same selector.

    python benchmarks/search.py --scenes 1000000 --kinds exact compressed
    python benchmarks/search.py --scenes 200000 --dimension 512 --kinds graph

Makes a catalogue of synthetic films (200 scenes each) in a temporary folder (or --folder, kept and used
again), writes an index of each kind, and for each filter searches both ways in turn. FAISS is given its selector
ready made; the library resolves the filter anew each time. What is loaded once (the index, the scenes'
lengths, the rows of a label) is not in "query"; "cold" is the first query by a filter, with its labels.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from machine import machine
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.filters import NO_FILTER, SceneFilter
from m2s_index.index_file import index_file
from m2s_index.index_writer import write_index
from m2s_index.matrices import find_encoder
from m2s_index.matrix_writer import register_encoder
from m2s_index.schema import EmbeddingRow, GenreRow, LabelRow, MovieRow, SceneRow
from m2s_index.search import Searcher
from m2s_index.types import EncoderIdentity

SCENES_PER_MOVIE = 200
SCENE_SECONDS = 30
PLACES = (("office", 0.5), ("school", 0.1), ("hotel", 0.01), ("prison", 0.001), ("airport", 0.00002))
"""Values of the vocabulary "place", and the share of all scenes that carries each, by labels of one scene."""

FILTERS: dict[str, SceneFilter] = {
    "no filter": NO_FILTER,
    "--other-movies": SceneFilter(other_movies=True),
    "--year 1950:1999": SceneFilter(years=(1950, 1999)),
    "--year 1977": SceneFilter(years=(1977, 1977)),
    "--genre Common": SceneFilter(genres=("Common",)),
    "--genre Rare": SceneFilter(genres=("Rare",)),
    "--movie": SceneFilter(movies=("Film 7.mkv",)),
    **{f"--label place={place}": SceneFilter(labels=(("place", place),)) for place, _ in PLACES},
    "--label theme=war": SceneFilter(labels=(("theme", "war"),)),
    "--min-seconds 20": SceneFilter(min_seconds=20),
    "--min-seconds 59.9": SceneFilter(min_seconds=59.9),
    "--other-movies --year 1950: --min-seconds 20": SceneFilter(
        other_movies=True, years=(1950, None), min_seconds=20
    ),
}


def make_catalog(folder: Path, scenes: int, dimension: int) -> Catalog:
    """A catalogue of synthetic films in ``folder``, or the one that is there."""
    catalog = Catalog.open(folder, create=True)
    with catalog.read() as session:
        if session.scalar(select(func.count()).select_from(SceneRow)):
            return catalog
    random = np.random.default_rng(1)
    identity = EncoderIdentity("synthetic", "random numbers", "", "none", dimension, "cosine")
    places = random.standard_normal((1000, dimension), dtype=np.float32)
    with catalog.write() as session:
        encoder_id = register_encoder(session, identity).encoder_id
        for movie_id in range(1, scenes // SCENES_PER_MOVIE + 1):
            add_movie(session, movie_id, random)
            # Scenes gather round places as real ones do, or no graph would find its way.
            chosen = random.integers(len(places), size=SCENES_PER_MOVIE)
            vectors = places[chosen] + random.standard_normal((SCENES_PER_MOVIE, dimension), dtype=np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            session.execute(
                insert(EmbeddingRow).values(
                    movie_id=movie_id, encoder_id=encoder_id, rows=SCENES_PER_MOVIE, columns=dimension,
                    first_scene_id=(movie_id - 1) * SCENES_PER_MOVIE + 1, dtype="float32",
                    data=vectors.tobytes(),
                )
            )  # fmt: skip
    return catalog


def add_movie(session: Session, movie_id: int, random: np.random.Generator) -> None:
    """A film with its scenes, genres and labels, by plain inserts."""
    zeros = dict.fromkeys(
        ("size_bytes", "modified_ns", "stream_index", "width_px", "height_px", "rotation_degrees", "start_pts",
         "frames", "damaged_packets", "keyframes_bytes"), 0
    )  # fmt: skip
    texts = dict.fromkeys(("format", "codec", "detector", "options", "keyframes_file"), "")
    ones = dict.fromkeys(("sample_aspect", "frame_rate", "time_base"), Fraction(1))
    session.execute(
        insert(MovieRow).values(
            id=movie_id, path=f"/films/Film {movie_id}.mkv", name=f"Film {movie_id}", title=f"Film {movie_id}",
            year=1920 + movie_id % 100, fingerprint=f"{movie_id:064x}", end_pts=10**6, **zeros, **texts, **ones,
        )
    )  # fmt: skip
    genres = ["Common"] * (movie_id % 2) + ["Rare"] * (movie_id % 500 == 0) + [f"Genre {movie_id % 20}"]
    session.execute(insert(GenreRow), [{"movie_id": movie_id, "genre": genre} for genre in genres])
    first_id = (movie_id - 1) * SCENES_PER_MOVIE + 1
    seconds = random.uniform(10, 60, SCENES_PER_MOVIE).tolist()
    rows = [
        {
            "id": first_id + i, "movie_id": movie_id, "index": i, "first_shot": 9 * i, "end_shot": 9 * i + 9,
            "start_pts": 0, "end_pts": 0, "start_seconds": 60.0 * i, "end_seconds": 60.0 * i + length,
            "duration_seconds": length,
        }
        for i, length in enumerate(seconds)
    ]  # fmt: skip
    session.execute(insert(SceneRow), rows)
    drawn = random.random((len(PLACES), SCENES_PER_MOVIE))
    labels = [
        label(movie_id, "place", place, 60.0 * i, 60.0 * i + 60)
        for (place, share), row in zip(PLACES, drawn, strict=True)
        for i in np.flatnonzero(row < share).tolist()
    ]
    labels += [label(movie_id, "theme", "war", None, None)] * (movie_id % 10 == 0)
    if labels:
        session.execute(insert(LabelRow), labels)


def label(movie_id: int, vocabulary: str, value: str, start: float | None, end: float | None) -> dict[str, Any]:
    """A row of the label table."""
    return {
        "movie_id": movie_id, "vocabulary": vocabulary, "value": value, "start_seconds": start,
        "end_seconds": end, "source": "synthetic",
    }  # fmt: skip


def timed(call: Callable[[], object]) -> float:
    """Milliseconds that a call takes, begun when FAISS's threads have stopped spinning for more work."""
    time.sleep(0.05)
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def bare_selector(searcher: Searcher, wanted: SceneFilter, movie_id: int) -> tuple[Any, float]:
    """What FAISS is given for a filter, and the share of scenes that it leaves."""
    with searcher._catalog.reader() as reader:
        state = searcher._current(reader)
        scene = type("Scene", (), {"movie_id": movie_id})()
        selection = searcher._selection(reader, state, wanted, scene)
    if selection is None:
        return None, 1.0
    share = selection.count(state.embeddings.scene_ids) / state.embeddings.scenes
    if selection.mask is None:
        chosen = faiss.IDSelectorRange(selection.start, selection.end)
        return (faiss.IDSelectorNot(chosen) if selection.negated else chosen), share
    return faiss.IDSelectorBitmap(np.packbits(selection.mask, bitorder="little")), share


def measure(searcher: Searcher, wanted: SceneFilter, k: int, runs: int) -> tuple[float, float, float, float]:
    """Share of scenes left; median milliseconds of FAISS and of the library; the library's first query."""
    assert searcher._state is not None
    assert searcher._state.opened is not None
    index = searcher._state.opened.index
    scenes = searcher._state.embeddings.scenes
    random = np.random.default_rng(2)
    bare, library = [], []
    share = cold = 1.0
    for run in range(runs + 1):
        scene_id = int(random.integers(1, scenes + 1))
        with searcher._catalog.reader() as reader:
            query = searcher._state.vectors(reader, np.array([scene_id]))
        if not run:  # the first warms up, and must find nothing ready
            searcher._columns.follow(searcher._state.ranges)
            searcher._filters.clear()
            cold = timed(lambda s=scene_id: searcher.search_scene(s, k, wanted))
            continue
        selector, share = bare_selector(searcher, wanted, (scene_id - 1) // SCENES_PER_MOVIE + 1)
        parameters = bare_parameters(index.kind, index.inner, selector)
        searcher._filters.clear()
        bare.append(timed(lambda q=query, p=parameters: index.faiss_index.search(q, k, params=p)))
        library.append(timed(lambda s=scene_id: searcher.search_scene(s, k, wanted)))
    return share, statistics.median(bare), statistics.median(library), cold


def bare_parameters(kind: str, inner: Any, selector: Any) -> Any:
    """FAISS's parameters for the breadth that the library uses without a filter."""
    from m2s_index import vectors

    if kind == "graph":
        return faiss.SearchParametersHNSW(sel=selector, efSearch=vectors.GRAPH_SEARCH_BREADTH)
    if kind == "compressed":
        return faiss.SearchParametersIVF(sel=selector, nprobe=vectors.probe_count(inner.nlist))
    return faiss.SearchParameters(sel=selector) if selector is not None else None


def report(catalog: Catalog, kind: str, k: int, runs: int) -> Iterator[str]:
    """The table of one kind of index."""
    with catalog.reader() as reader:
        encoder = find_encoder(reader, None)
        file = index_file(reader, encoder)
    start = time.perf_counter()
    if file is None or file.kind != kind:
        file = write_index(catalog, encoder, kind=kind)  # type: ignore[arg-type]
    written = time.perf_counter() - start
    start = time.perf_counter()
    with Searcher(catalog, use_gpu=False) as searcher:
        opened = time.perf_counter() - start
        searcher.search_scene(1, 1, SceneFilter(min_seconds=1))
        yield (
            f"\n{kind}: {file.vectors:,} × {file.columns}, {file.size_bytes / 1e9:.2f} GB; "
            f"written in {written:.1f} s, opened in {opened:.1f} s; k = {k}, medians of {runs} runs, ms"
        )
        yield f"{'filter':46} {'left':>9} {'FAISS':>8} {'query':>8} {'ratio':>6} {'more':>7} {'cold':>8}"
        for name, wanted in FILTERS.items():
            share, bare, query, cold = measure(searcher, wanted, k, runs)
            yield (
                f"{name:46} {share:9.5f} {bare:8.2f} {query:8.2f} "
                f"{query / bare:6.2f} {query - bare:7.2f} {cold:8.2f}"
            )


def main() -> None:
    """Run it as the module's docstring says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scenes", type=int, default=100_000, help="how many (200 a film)")
    parser.add_argument("--dimension", type=int, default=512, help="numbers a vector")
    parser.add_argument("--kinds", nargs="+", default=["exact"], choices=["exact", "graph", "compressed"])
    parser.add_argument("--k", type=int, default=10, help="hits")
    parser.add_argument("--runs", type=int, default=9, help="of each search")
    parser.add_argument("--folder", type=Path, help="where the catalogue is made and kept")
    options = parser.parse_args()
    print(f"{machine()}, faiss {faiss.__version__}, numpy {np.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "catalog"
        with make_catalog(folder, options.scenes, options.dimension) as catalog:
            for kind in options.kinds:
                for line in report(catalog, kind, options.k, options.runs):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
