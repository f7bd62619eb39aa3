"""Every film against every other: the best pairs of scenes of a catalogue, found in blocks and kept in it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.errors import UsageError
from m2s_index.filters import SceneFilter, Years, chosen_movies
from m2s_index.index_file import Entries, embedding_entries, stored_vectors
from m2s_index.junk_marks import LOOKS_UNKNOWN, junk_scenes, mark_junk
from m2s_index.matrices import StoredEncoder, default_encoder, find_encoder
from m2s_index.pairing.background import check_percentile, read_background
from m2s_index.pairing.best_pairs import BestPairs, Block, CatalogueRows, RowPairs, all_blocks, blocks_of
from m2s_index.pairing.film_pairs import KEEP, Duplicates, check_limits
from m2s_index.pairing.gates import SignalName, similar_films
from m2s_index.pairing.pair_runs import (
    FoundPair,
    PairRun,
    RunKey,
    begin_run,
    finish_run,
    get_run,
    list_runs,
    store_progress,
    stored_pairs,
    stored_rows,
)
from m2s_index.pairing.scene_looks import SceneLooks
from m2s_index.reading import Reader
from m2s_index.refs import scenes_by_id
from m2s_index.types import Int64Array, PairKind, ScenePair

STORE_EVERY_SECONDS = 15.0
"""A run that is killed loses no more than this, and the block at hand."""
TOP = 10_000
KINDS: dict[Duplicates, tuple[PairKind, ...]] = {
    "show": ("similar", "duplicate"), "hide": ("similar",), "only": ("duplicate",),
}  # fmt: skip


@dataclass(frozen=True)
class CatalogueOptions:
    """Which pairs of all films are wanted: the ``top`` best, of film pairs under the rule of ``PairOptions``.

    ``similar`` compares only films that are similar by that metadata; ``genres`` (any of them) and ``years`` leave
    the other films out.
    """

    top: int = TOP
    keep: float = KEEP
    min_score: float | None = None
    junk: bool = False
    similar: SignalName | None = None
    genres: tuple[str, ...] = ()
    years: Years | None = None

    def __post_init__(self) -> None:
        check_limits(self.keep, self.top, self.min_score)

    @property
    def text(self) -> str:
        """As canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Shown:
    """Which of the pairs that are kept are given: those of scenes with the same pictures as well, not, or alone;
    the ``top`` best; those at least so unusual (see ``background``).
    """

    duplicates: Duplicates = "show"
    top: int | None = None
    min_percentile: float | None = None

    def __post_init__(self) -> None:
        check_limits(KEEP, self.top, None)
        check_percentile(self.min_percentile)


@dataclass(frozen=True)
class CataloguePairs:
    """What a run found, best first. ``notes`` are lines for the user."""

    run: PairRun
    pairs: tuple[ScenePair, ...]
    notes: tuple[str, ...]


def find_catalogue_pairs(
    catalog: Catalog,
    options: CatalogueOptions = CatalogueOptions(),
    encoder_name: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    shown: Shown = Shown(),
) -> CataloguePairs:
    """Find the best pairs of all films and keep them; goes on where a run of the same was interrupted, and takes
    what is there where one has ended. The caller holds the catalogue's ``BuildLock``.

    Args:
        catalog: open for writing.
        options: which pairs.
        encoder_name: whose embeddings; the catalogue's default where it is None.
        on_progress: told how many blocks of how many are done.
        shown: which of the pairs to give; all are kept.

    Raises:
        UsageError: there is no such encoder, fewer than two films are left, or no metadata for the gate.
    """
    notes = [] if options.junk else [f"{name}: {LOOKS_UNKNOWN}" for name in mark_junk(catalog)]
    with catalog.reader() as reader:
        encoder = find_encoder(reader, encoder_name)
        entries, generation = _films(reader, encoder, options), _generation(reader, encoder.name)
        rows, movie_ids = _rows(reader, encoder, entries, set() if options.junk else junk_scenes(reader))
    blocks = _blocks(catalog, rows, movie_ids, options)
    key = RunKey(encoder.encoder_id, options.text, generation, _scenes_key(rows, blocks), "exact", len(blocks))
    with catalog.write() as session:
        run_id = begin_run(session, key)
    with catalog.reader() as reader:
        run = get_run(reader, run_id)
        found = stored_rows(reader, run_id, rows.scene_ids)
    if run.finished_at:
        notes.append(f"found already, on {run.finished_at}: nothing has changed since")
    else:
        if run.blocks_done:
            notes.append(f"went on from block {run.blocks_done} of {run.blocks}")
        found = _search(catalog, run, rows, blocks, found, options, on_progress)
        with catalog.reader() as reader:
            stored = _as_stored(catalog, reader, encoder, rows, found)
        with catalog.write() as session:
            finish_run(session, run_id, stored)
    with catalog.reader() as reader:
        pairs = _shown_pairs(reader, run_id, shown)
        return CataloguePairs(get_run(reader, run_id), tuple(pairs), (*notes, *_nothing(pairs)))


def show_catalogue_pairs(reader: Reader, encoder_name: str | None = None, shown: Shown = Shown()) -> CataloguePairs:
    """What the last run found that has ended, by an encoder where one is named.

    Raises:
        UsageError: none has ended, or none by that encoder.
    """
    runs = list_runs(reader)
    ended = [run for run in runs if run.finished_at and encoder_name in (None, run.encoder)]
    if not ended:
        by = f" by encoder '{encoder_name}'" if encoder_name else ""
        names = ", ".join(sorted({run.encoder for run in runs if run.finished_at})) or "none"
        unfinished = [run for run in runs if encoder_name in (None, run.encoder)]
        left = f"; one is at block {unfinished[0].blocks_done} of {unfinished[0].blocks}" if unfinished else ""
        raise UsageError(
            f"no pairs of all films{by} were found yet (there are: {names}{left}): run 'm2s pairs --all'"
        )
    run, notes = ended[0], []
    default = default_encoder(reader)
    if encoder_name is None and default and default.name != run.encoder:
        notes.append(
            f"these are by encoder '{run.encoder}', of {run.finished_at}; the catalogue's is now '{default.name}': "
            "run 'm2s pairs --all' for its pairs"
        )
    if _generation(reader, run.encoder) != run.generation:
        notes.append(f"the films have changed since {run.finished_at}: run 'm2s pairs --all' again")
    pairs = _shown_pairs(reader, run.run_id, shown)
    return CataloguePairs(run, tuple(pairs), (*notes, *_nothing(pairs)))


def _search(
    catalog: Catalog, run: PairRun, rows: CatalogueRows, blocks: list[Block], found: RowPairs,
    options: CatalogueOptions, on_progress: Callable[[int, int], None],
) -> RowPairs:  # fmt: skip
    """Go through the blocks that are left, and keep how far it is now and then."""
    best = BestPairs(rows, options.top, keep=options.keep, min_score=options.min_score, found=found)
    stored_at = time.monotonic()
    for done, block in enumerate(blocks[run.blocks_done :], run.blocks_done + 1):
        best.add(block)
        if time.monotonic() - stored_at >= STORE_EVERY_SECONDS:
            with catalog.write() as session:
                store_progress(session, run.run_id, done, best.found, rows.scene_ids)
            stored_at = time.monotonic()
        on_progress(done, len(blocks))
    return best.found


def _films(reader: Reader, encoder: StoredEncoder, options: CatalogueOptions) -> Entries:
    """The films that the gates leave, at least two."""
    entries = embedding_entries(reader, encoder)
    if len(entries) < 2:
        raise UsageError(f"{_films_by(len(entries))} by encoder '{encoder.name}': pairs are of two films")
    wanted = SceneFilter(genres=options.genres, years=options.years)
    left = entries.only(chosen_movies(reader, wanted, entries.movie_ids))
    if len(left) < 2:
        raise UsageError(f"{wanted.describe()} leaves {_films_by(len(left))}: pairs are of two films")
    return left


def _films_by(count: int) -> str:
    return f"{count or 'no'} film{'' if count == 1 else 's'}"


def _rows(
    reader: Reader, encoder: StoredEncoder, entries: Entries, left_out: set[int]
) -> tuple[CatalogueRows, Int64Array]:
    """All scenes of the films but some, each vector read once; and the films that have any, int64 [F], in order.

    Raises:
        UsageError: fewer than two films have any.
    """
    usable = ~np.isin(entries.scene_ids, list(left_out))
    vectors = np.empty((np.count_nonzero(usable), encoder.identity.dimension), np.float32)
    lengths, at, end = [], 0, 0
    for part in stored_vectors(reader, entries):
        kept = part.vectors[usable[end : end + len(part.vectors)]]
        vectors[at : at + len(kept)] = kept
        lengths.append(len(kept))
        at, end = at + len(kept), end + len(part.vectors)
    counts = np.array(lengths, np.int64)
    movie_ids = entries.movie_ids[counts > 0]
    if len(movie_ids) < 2:
        raise UsageError(
            f"{_films_by(len(movie_ids))} with a scene that can be paired: most shots are junk (see --junk)"
        )
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[counts > 0])])
    return CatalogueRows(entries.scene_ids[usable], vectors, starts, encoder.identity.metric), movie_ids


def _blocks(catalog: Catalog, rows: CatalogueRows, movie_ids: Int64Array, options: CatalogueOptions) -> list[Block]:
    if options.similar is None:
        return all_blocks(rows.starts)
    with catalog.read() as session:
        films = similar_films(session, options.similar, movie_ids)
    if not len(films):
        raise UsageError(f"--similar {options.similar} leaves no two films: no indexed ones are similar by it")
    return blocks_of(films)


def _generation(reader: Reader, encoder: str) -> str:
    """Which embeddings an encoder has: how many films', and the highest id among them, which never comes back."""
    query = (
        "SELECT count(*), coalesce(max(m.id), 0) FROM embeddings m JOIN encoders e ON e.id = m.encoder_id "
        "WHERE e.name = ?"
    )
    return "{}-{}".format(*next(reader.rows(query, (encoder,))))


def _scenes_key(rows: CatalogueRows, blocks: list[Block]) -> str:
    """What is compared with what: equal where a run can be gone on with."""
    digest = hashlib.sha256(rows.scene_ids.tobytes() + rows.starts.tobytes())
    digest.update(json.dumps([list(vars(block).values()) for block in blocks]).encode())
    return digest.hexdigest()


def _shown_pairs(reader: Reader, run_id: int, shown: Shown) -> list[ScenePair]:
    kinds = KINDS[shown.duplicates]
    return stored_pairs(reader, run_id, kinds, top=shown.top, min_percentile=shown.min_percentile)


def _as_stored(
    catalog: Catalog, reader: Reader, encoder: StoredEncoder, rows: CatalogueRows, found: RowPairs
) -> list[FoundPair]:
    """Pairs with what can only be said of those that were found: whether they are the same, and how unusual."""
    first, second = rows.scene_ids[found.first].tolist(), rows.scene_ids[found.second].tolist()
    scenes = scenes_by_id(reader, sorted({*first, *second}))
    looks = SceneLooks(catalog, reader)
    films_of = {scene_id: scene.movie_id for scene_id, (scene, _, _) in scenes.items()}
    ends = [
        (rows.vectors[places], np.array([films_of[scene_id] for scene_id in ids], np.int64))
        for places, ids in ((found.first, first), (found.second, second))
    ]
    measured = read_background(reader, encoder).measured(found.scores, ends[0], ends[1])
    return [
        FoundPair(score, a, b, "duplicate" if looks.same(scenes[a][0], scenes[b][0]) else "similar", *how_unusual)
        for score, a, b, how_unusual in zip(found.scores.tolist(), first, second, measured, strict=True)
    ]


def _nothing(pairs: list[ScenePair]) -> list[str]:
    return [] if pairs else ["nothing in these films is so much alike"]
