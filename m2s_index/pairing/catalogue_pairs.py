"""Every film against every other: the best pairs of scenes of a catalogue, found in blocks and kept in it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from m2s_index.catalog import Catalog
from m2s_index.encoder import SentenceEncoder
from m2s_index.errors import IndexFileError, UsageError
from m2s_index.filters import SceneFilter, Years
from m2s_index.index_file import open_index
from m2s_index.junk_marks import LOOKS_UNKNOWN, junk_scenes, mark_junk
from m2s_index.matrices import StoredEncoder, default_encoder, find_encoder
from m2s_index.pairing.approximate_pairs import ApproximatePairs, neighbour_blocks
from m2s_index.pairing.background import check_percentile, read_background
from m2s_index.pairing.best_pairs import BestPairs, Block, CatalogueRows, RowPairs, all_blocks, blocks_of
from m2s_index.pairing.catalogue_rows import films_left, generation_of, scenes_key, usable_scenes
from m2s_index.pairing.duplicates import Stretch, stretch_pair
from m2s_index.pairing.film_pairs import KEEP, Duplicates, check_limits
from m2s_index.pairing.gates import SignalName, similar_films
from m2s_index.pairing.pair_runs import (
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
from m2s_index.refs import movies_by_id, scenes_by_id, scenes_of_movie
from m2s_index.types import Int64Array, PairKind, Scene, ScenePair

STORE_EVERY_SECONDS = 15.0
"""A run that is killed loses no more than this, and the block at hand."""
TOP = 10_000
EXACT_SCENES = 500_000
"""Up to here an exact run takes about half an hour on two cores for 512 numbers a scene. It grows as the square of
their number, the approximate one little more than the number: here it is several times as fast."""
KINDS: dict[Duplicates, tuple[PairKind, ...]] = {
    "show": ("similar", "duplicate"), "hide": ("similar",), "only": ("duplicate",),
}  # fmt: skip


@dataclass(frozen=True)
class CatalogueOptions:
    """Which pairs of all films are wanted: the ``top`` best, of film pairs under the rule of ``PairOptions``.

    ``similar`` compares only films that are similar by that metadata; ``genres`` (any of them) and ``years`` leave
    the other films out. ``route`` compares all scenes ("exact"), or looks for pairs among the nearest neighbours in
    the index file; by default the latter for more than ``EXACT_SCENES``, unless ``similar`` leaves few film pairs.
    """

    top: int = TOP
    keep: float = KEEP
    min_score: float | None = None
    junk: bool = False
    similar: SignalName | None = None
    genres: tuple[str, ...] = ()
    years: Years | None = None
    route: Literal["auto", "exact", "approximate"] = "auto"

    def __post_init__(self) -> None:
        check_limits(self.keep, self.top, self.min_score)
        if self.similar and self.route == "approximate":
            raise UsageError("--route approximate looks among all films: it does not go with --similar")

    @property
    def text(self) -> str:
        """As canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Shown:
    """Which of the pairs that are kept are given: stretches of the same pictures first, not, or alone; the ``top``
    best, and no more than the run was asked for; of scenes that are alike those at least so unusual (see
    ``background``).
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
    sentences: SentenceEncoder | None = None,
) -> CataloguePairs:
    """Find the best pairs of all films and keep them; goes on where a run of the same was interrupted, and takes
    what is there where one has ended. The caller holds the catalogue's ``BuildLock``.

    Args:
        catalog: open for writing.
        options: which pairs.
        encoder_name: whose embeddings; the catalogue's default where it is None.
        on_progress: told how many blocks of how many are done.
        shown: which of the pairs to give; all are kept.
        sentences: what reads synopses, where films are similar by them; None compares their words.

    Raises:
        UsageError: there is no such encoder, fewer than two films are left, or no metadata for the gate.
        EncoderError: the sentence encoder cannot be loaded or run.
        IndexFileError: the approximate route needs the index file, which is missing, damaged, or lacks films.
    """
    if sentences and options.similar is None:
        raise UsageError("a sentence encoder reads synopses: it goes with --similar synopsis")
    notes = [] if options.junk else [f"{name}: {LOOKS_UNKNOWN}" for name in mark_junk(catalog)]
    wanted = SceneFilter(genres=options.genres, years=options.years)
    with catalog.reader() as reader:
        encoder = find_encoder(reader, encoder_name)
        entries, generation = films_left(reader, encoder, wanted), generation_of(reader, encoder.name)
        rows, movie_ids = usable_scenes(reader, encoder, entries, set() if options.junk else junk_scenes(reader))
    route = _route(rows, options)
    blocks = (
        neighbour_blocks(all_blocks(rows.starts))
        if route == "approximate"
        else _blocks(catalog, rows, movie_ids, options, sentences)
    )
    key = RunKey(encoder.encoder_id, options.text, generation, scenes_key(rows, blocks), route, len(blocks))
    with catalog.write() as session:
        run_id = begin_run(session, key)
    with catalog.reader() as reader:
        run = get_run(reader, run_id)
        state = stored_rows(reader, run_id, rows.scene_ids)
    if route == "approximate":
        notes.append(f"{len(rows.scene_ids):,} scenes: pairs are looked for among nearest neighbours (see --route)")
    if run.finished_at:
        notes.append(f"found already, on {run.finished_at}: nothing has changed since")
    else:
        if run.blocks_done:
            notes.append(f"went on from block {run.blocks_done} of {run.blocks}")
        search = _searcher(catalog, encoder, route, rows, options, state)
        found = _search(catalog, run, rows, blocks, search, on_progress)
        with catalog.reader() as reader:
            looks = SceneLooks(catalog, reader)
            stored = _as_stored(looks, reader, encoder, rows, found, options.min_score)
            unknown = [f"{movie.name}: {LOOKS_UNKNOWN}" for movie in movies_by_id(reader, sorted(looks.unreadable))]
        notes += [note for note in unknown if note not in notes]
        with catalog.write() as session:
            finish_run(session, run_id, stored)
    with catalog.reader() as reader:
        run = get_run(reader, run_id)
        pairs = _shown_pairs(reader, run, shown)
        return CataloguePairs(run, tuple(pairs), (*notes, *_nothing(pairs)))


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
    if generation_of(reader, run.encoder) != run.generation:
        notes.append(f"the films have changed since {run.finished_at}: run 'm2s pairs --all' again")
    pairs = _shown_pairs(reader, run, shown)
    return CataloguePairs(run, tuple(pairs), (*notes, *_nothing(pairs)))


def _route(rows: CatalogueRows, options: CatalogueOptions) -> Literal["exact", "approximate"]:
    if options.route != "auto":
        return options.route
    return "approximate" if len(rows.scene_ids) > EXACT_SCENES and options.similar is None else "exact"


def _searcher(
    catalog: Catalog,
    encoder: StoredEncoder,
    route: str,
    rows: CatalogueRows,
    options: CatalogueOptions,
    state: RowPairs,
) -> BestPairs | ApproximatePairs:
    """What goes through the blocks, from a state on.

    Raises:
        IndexFileError: the route needs the index file, which is missing, damaged, or lacks films.
    """
    if route == "exact":
        return BestPairs(rows, options.top, keep=options.keep, min_score=options.min_score, state=state)
    opened = open_index(catalog, encoder)
    if not np.isin(rows.scene_ids, opened.index.ids).all():
        raise IndexFileError(
            f"the index file of {encoder.name} lacks some films: run 'm2s index repair', then again"
        )
    return ApproximatePairs(
        rows, opened.index, options.top, keep=options.keep, min_score=options.min_score, state=state
    )


def _search(
    catalog: Catalog, run: PairRun, rows: CatalogueRows, blocks: list[Block], search: BestPairs | ApproximatePairs,
    on_progress: Callable[[int, int], None],
) -> RowPairs:  # fmt: skip
    """Go through the blocks that are left, and keep how far it is now and then."""
    stored_at = time.monotonic()
    for done, block in enumerate(blocks[run.blocks_done :], run.blocks_done + 1):
        search.add(block)
        if time.monotonic() - stored_at >= STORE_EVERY_SECONDS:
            with catalog.write() as session:
                store_progress(session, run.run_id, done, search.state, rows.scene_ids)
            stored_at = time.monotonic()
        on_progress(done, len(blocks))
    return search.found


def _blocks(
    catalog: Catalog,
    rows: CatalogueRows,
    movie_ids: Int64Array,
    options: CatalogueOptions,
    sentences: SentenceEncoder | None,
) -> list[Block]:
    if options.similar is None:
        return all_blocks(rows.starts)
    with catalog.read() as session:
        films = similar_films(session, options.similar, movie_ids, sentences)
    if not len(films):
        raise UsageError(f"--similar {options.similar} leaves no two films: no indexed ones are similar by it")
    return blocks_of(films)


def _shown_pairs(reader: Reader, run: PairRun, shown: Shown) -> list[ScenePair]:
    kinds, wanted = KINDS[shown.duplicates], run.parameters["top"]
    top = min(wanted, shown.top or wanted)
    return stored_pairs(reader, run.run_id, kinds, top=top, min_percentile=shown.min_percentile)


def _as_stored(
    looks: SceneLooks, reader: Reader, encoder: StoredEncoder, rows: CatalogueRows, found: RowPairs,
    min_score: float | None,
) -> list[ScenePair]:  # fmt: skip
    """What is kept: the stretches that films have in common; then the pairs found, but for those of scenes that
    show such a stretch, with how unusual they are.
    """
    ids = [rows.scene_ids[places].tolist() for places in (found.first, found.second)]
    known = {scene_id: row[0] for scene_id, row in scenes_by_id(reader, sorted({*ids[0], *ids[1]})).items()}
    first, second = ([known[scene_id] for scene_id in side] for side in ids)
    ends = [
        (rows.vectors[places], np.array([scene.movie_id for scene in side], np.int64))
        for places, side in ((found.first, first), (found.second, second))
    ]
    measured = read_background(reader, encoder).measured(found.scores, ends[0], ends[1])
    shared = _shared(looks, first, second)
    alike = [
        ScenePair(0, score, a, b, "similar", *how_unusual)
        for score, a, b, how_unusual in zip(found.scores.tolist(), first, second, measured, strict=True)
        if not any(stretch.shown_in(a, b) for stretch in shared.get((a.movie_id, b.movie_id), []))
    ]
    of = {movie_id: scenes_of_movie(reader, movie_id) for films in shared for movie_id in films}
    stretches = [(stretch, of[a], of[b]) for (a, b), found_there in shared.items() for stretch in found_there]
    stretches.sort(key=lambda item: (-item[0].same, -item[0].score))
    same = [stretch_pair(*item) for item in stretches if min_score is None or item[0].score >= min_score]
    return same + alike


def _shared(looks: SceneLooks, first: list[Scene], second: list[Scene]) -> dict[tuple[int, int], list[Stretch]]:
    """What films have in common of which some pair of scenes, one of either list, shows the same pictures; by the
    films' ids, in order of these.
    """
    films = {(a.movie_id, b.movie_id) for a, b in zip(first, second, strict=True) if looks.same(a, b)}
    return {pair: looks.stretches(*pair) for pair in sorted(films)}


def _nothing(pairs: list[ScenePair]) -> list[str]:
    return [] if pairs else ["nothing in these films is so much alike"]
