"""The best pairs of all scenes of a catalogue against the bare product of all its vectors; the approximate route.

    python benchmarks/pairs.py [--scenes 100000] [--dimension 512] [--top 10000] [--kinds graph compressed]
                               [--rounds 3]

Synthetic films of 200 scenes each, as in ``search.py``. First, of 20 films, how many of the best pairs are those
that the procedure gives as it is told: every score of two films sorted, and walked down. Then one after the other
in one process, each round: the exact search for the best pairs, in the first with the peak of memory beyond the
embeddings; and the full product of all vectors with all, in slices whose results are thrown away. The ratio is
the median of the rounds'. Then for each kind of index file the search among nearest neighbours, against the
median of the exact ones, with the share of the exact search's best 1,000 and of all that it finds.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
from machine import machine, median_ratio, timed
from search import make_catalog

from m2s_index.catalog import Catalog
from m2s_index.index_file import embedding_entries, open_index, stored_vectors
from m2s_index.index_kinds import KINDS, Kind
from m2s_index.index_writer import write_index
from m2s_index.matrices import find_encoder
from m2s_index.pairing.approximate_pairs import ApproximatePairs, neighbour_blocks
from m2s_index.pairing.best_pairs import BestPairs, Block, CatalogueRows, RowPairs, all_blocks
from m2s_index.pairing.film_rows import scene_scores
from m2s_index.types import Float32Array

SLICE_ROWS = 1024
KEEP = 0.5
TOLD_FILMS = 20


def all_rows(catalog: Catalog) -> CatalogueRows:
    """Every scene of the catalogue."""
    with catalog.reader() as reader:
        encoder = find_encoder(reader, None)
        entries = embedding_entries(reader, encoder)
        vectors = np.empty((entries.scenes, encoder.identity.dimension), np.float32)
        end = 0
        for part in stored_vectors(reader, entries):
            vectors[end : end + len(part.vectors)] = part.vectors
            end += len(part.vectors)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(entries.rows)])
    return CatalogueRows(entries.scene_ids, vectors, starts, "cosine")


def product(vectors: Float32Array) -> None:
    """All with all."""
    out = np.empty((SLICE_ROWS, len(vectors)), np.float32)
    for start in range(0, len(vectors), SLICE_ROWS):
        part = vectors[start : start + SLICE_ROWS]
        np.matmul(part, vectors.T, out=out[: len(part)])


def search(pairs: BestPairs | ApproximatePairs, blocks: list[Block]) -> float:
    """Seconds for all blocks and what is made of them."""

    def run() -> None:
        for block in blocks:
            pairs.add(block)
        assert len(pairs.found)

    return timed(run)


def recall(found: RowPairs, exact: RowPairs, count: int) -> float:
    """The share of the first ``count`` exact pairs that were found."""
    have = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    first, second = exact.first[:count].tolist(), exact.second[:count].tolist()
    wanted = list(zip(first, second, strict=True))
    return sum(pair in have for pair in wanted) / len(wanted)


def as_told(rows: CatalogueRows, count: int) -> list[tuple[int, int]]:
    """The best pairs of all films by section 3a in so many words, as rows."""
    found = []
    for a, b in combinations(range(rows.films), 2):
        (a0, a1), (b0, b1) = (rows.starts[film : film + 2].tolist() for film in (a, b))
        scores = scene_scores(rows.vectors[a0:a1], rows.vectors[b0:b1], rows.metric)
        taken_a, taken_b = set[int](), set[int]()
        for entry in np.argsort(-scores, axis=None, kind="stable")[: math.ceil(scores.size * KEEP)].tolist():
            i, j = divmod(entry, b1 - b0)
            if i not in taken_a and j not in taken_b:
                taken_a.add(i)
                taken_b.add(j)
                found.append((-float(scores[i, j]), a0 + i, b0 + j))
    return [(first, second) for _, first, second in sorted(found)[:count]]


def exactness(rows: CatalogueRows, count: int) -> str:
    """How many of the best pairs of the first films are those of the procedure as it is told."""
    films = min(TOLD_FILMS, rows.films)
    end = int(rows.starts[films])
    some = CatalogueRows(rows.scene_ids[:end], rows.vectors[:end], rows.starts[: films + 1], rows.metric)
    best = BestPairs(some, count, keep=KEEP)
    search(best, all_blocks(some.starts))
    told = as_told(some, count)
    same = sum(
        pair == other
        for pair, other in zip(zip(best.found.first, best.found.second, strict=True), told, strict=True)
    )
    return f"of {films} films, {same:,} of the best {len(told):,} pairs are those of the procedure as told"


def peak_bytes() -> int:
    """The process's largest memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Make the catalogue, run each way once, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--top", type=int, default=10_000)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=["graph", "compressed"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        make_catalog(Path(folder), options.scenes, options.dimension) as catalog,
    ):
        rows = all_rows(catalog)
        print(f"{machine()}; {len(rows.vectors):,} scenes × {options.dimension}, best {options.top:,}", flush=True)
        print(exactness(rows, options.top), flush=True)
        before, seconds, bare = peak_bytes(), [], []
        for number in range(options.rounds):
            exact = BestPairs(rows, options.top, keep=KEEP)
            seconds.append(search(exact, all_blocks(rows.starts)))
            if not number:
                print(f"memory beyond the embeddings: {(peak_bytes() - before) / 2**20:.0f} MiB", flush=True)
            bare.append(timed(lambda: product(rows.vectors)))
        times = statistics.median(bare), statistics.median(seconds)
        print(
            f"bare product {times[0]:.1f} s; exact pairs {times[1]:.1f} s, ratio {median_ratio(seconds, bare):.2f}"
        )
        for kind in options.kinds:
            approximate(catalog, rows, kind, exact.found, times[1])


def approximate(catalog: Catalog, rows: CatalogueRows, kind: Kind, exact: RowPairs, exact_seconds: float) -> None:
    """The route through one kind of index file, its time and recall."""
    with catalog.reader() as reader:
        encoder = find_encoder(reader, None)
    building = timed(lambda: write_index(catalog, encoder, kind=kind))
    index = open_index(catalog, encoder).index
    top = len(exact)
    near = ApproximatePairs(rows, index, top, keep=KEEP)
    seconds = search(near, neighbour_blocks(all_blocks(rows.starts)))
    shares = [f"{recall(near.found, exact, count):.3f} of the best {count:,}" for count in (min(1000, top), top)]
    print(
        f"{kind}: {seconds:.1f} s, ratio to exact {seconds / exact_seconds:.2f} (and {building:.1f} s to build the "
        f"index); {', '.join(shares)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
