"""Many queries at once against FAISS's own batch search of the same vectors: `query --batch` and `eval retrieval`.

    python benchmarks/batch.py [--queries 10000] [--scenes 100000] [--dimension 512] [--runs 3]

A catalogue of synthetic films, of which the first ones ask and the others are the gallery of the evaluation; the
queries of the batch are searched among all. Each round runs, one after the other: FAISS's exact index, all queries
in one call; ``Searcher.search_scenes`` with its metadata; ``evaluate_retrieval`` of the nearest alone, with
reading the vectors and drawing the intervals. Processor seconds are printed beside wall seconds: they drift less on
a machine that is shared.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from machine import machine, median_ratio
from search import SCENES_PER_MOVIE, make_catalog
from sqlalchemy import delete, insert

from m2s_index.catalog import Catalog
from m2s_index.evaluate import evaluate_retrieval
from m2s_index.evaluation.retrieval_report import EvaluationOptions
from m2s_index.index_file import embedding_entries, stored_vectors
from m2s_index.index_writer import write_index
from m2s_index.matrices import find_encoder
from m2s_index.schema import LabelRow
from m2s_index.search import Searcher
from m2s_index.types import Float32Array

K = 10
KINDS = 20


def label_films(catalog: Catalog, asking: int, films: int) -> None:
    """One label a film: the first ``asking`` are queries, the others gallery."""
    rows = [
        {
            "movie_id": film, "vocabulary": "kind", "value": f"kind {film % KINDS}", "source": "synthetic",
            "split": "val" if film <= asking else "train",
        }
        for film in range(1, films + 1)
    ]  # fmt: skip
    with catalog.write() as session:
        session.execute(delete(LabelRow).where(LabelRow.vocabulary == "kind"))
        session.execute(insert(LabelRow), rows)


def all_vectors(catalog: Catalog) -> Float32Array:
    """Every scene's vector, by id."""
    with catalog.reader() as reader:
        encoder = find_encoder(reader, None)
        parts = stored_vectors(reader, embedding_entries(reader, encoder))
        return np.concatenate([part.vectors for part in parts])


def measured(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    used = time.process_time()
    started = time.perf_counter()
    call()
    return time.perf_counter() - started, time.process_time() - used


def main() -> None:
    """Make the catalogue, run the rounds, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--scenes", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    asking = options.queries // SCENES_PER_MOVIE
    films = asking + options.scenes // SCENES_PER_MOVIE
    queries = range(1, asking * SCENES_PER_MOVIE + 1)
    with (
        tempfile.TemporaryDirectory() as folder,
        make_catalog(Path(folder), films * SCENES_PER_MOVIE, options.dimension) as catalog,
    ):
        label_films(catalog, asking, films)
        with catalog.reader() as reader:
            encoder = find_encoder(reader, None)
        write_index(catalog, encoder, kind="exact")
        vectors = all_vectors(catalog)
        index = faiss.IndexFlatIP(options.dimension)
        index.add(vectors)
        evaluation = EvaluationOptions(top_only=True)
        with Searcher(catalog, use_gpu=False) as searcher:
            calls: dict[str, Callable[[], object]] = {
                "FAISS": lambda: index.search(vectors[: len(queries)], K),
                "query --batch": lambda: sum(1 for _ in searcher.search_scenes(queries, K)),
                "eval retrieval --top-only": lambda: evaluate_retrieval(catalog, ["kind"], [], evaluation),
            }
            rounds = [{name: measured(call) for name, call in calls.items()} for _ in range(options.runs)]
    print(f"{machine()}; {len(queries):,} queries, {len(vectors):,} scenes, medians of {options.runs} rounds")
    for name in calls:
        ratios = [
            median_ratio([times[name][kind] for times in rounds], [times["FAISS"][kind] for times in rounds])
            for kind in (0, 1)
        ]
        wall, used = (statistics.median(times[name][kind] for times in rounds) for kind in (0, 1))
        print(f"{name:26} wall {wall:7.1f} s ({ratios[0]:.2f})   processor {used:7.1f} s ({ratios[1]:.2f})")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
