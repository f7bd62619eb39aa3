"""Runs over a whole catalogue as it keeps them: how far each is, and the pairs that it found.

There is one run for each encoder and set of parameters. One that was interrupted goes on from its last stored block
as long as the scenes are the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from m2s_index.pairing.best_pairs import RowPairs
from m2s_index.reading import Reader, json_list
from m2s_index.refs import scenes_by_id
from m2s_index.schema import PairRunRow, ScenePairRow, now_text
from m2s_index.types import Int64Array, PairKind, Scene, ScenePair


@dataclass(frozen=True)
class PairRun:
    """A run, as ``schema.PairRunRow`` says; ``finished_at`` is None until it has ended."""

    run_id: int
    encoder: str
    parameters: dict[str, Any]
    generation: str
    scenes_key: str
    route: str
    blocks: int
    blocks_done: int
    started_at: str
    finished_at: str | None


STRETCH = ("first_shot", "end_shot", "start_seconds", "end_seconds")
"""What a stretch of the same pictures has of its own, and not of the scene it begins in."""

_RUNS = (
    "SELECT r.id, e.name, r.parameters, r.generation, r.scenes_key, r.route, r.blocks, "
    "r.blocks_done, r.started_at, r.finished_at "
    "FROM pair_runs r JOIN encoders e ON e.id = r.encoder_id"
)


@dataclass(frozen=True)
class RunKey:
    """What makes two runs the same: parameters as canonical JSON, and the rest as ``schema.PairRunRow`` says."""

    encoder_id: int
    parameters: str
    generation: str
    scenes_key: str
    route: str
    blocks: int


def begin_run(session: Session, key: RunKey) -> int:
    """The run of these parameters, from the start if it was of other scenes; returns its id."""
    row = session.scalar(
        select(PairRunRow).where(PairRunRow.encoder_id == key.encoder_id, PairRunRow.parameters == key.parameters)
    )
    if row is not None:
        if all(getattr(row, name) == value for name, value in vars(key).items()):
            return row.id
        session.execute(delete(PairRunRow).where(PairRunRow.id == row.id))
    row = PairRunRow(**vars(key), blocks_done=0)
    session.add(row)
    session.flush()
    return row.id


def store_progress(session: Session, run_id: int, blocks_done: int, found: RowPairs, scene_ids: Int64Array) -> None:
    """Keep how far a run is, with the best pairs so far by their rows among ``scene_ids``."""
    columns = (found.scores.tolist(), scene_ids[found.first].tolist(), scene_ids[found.second].tolist())
    pairs = [
        {"score": score, "scene_a": a, "scene_b": b, "kind": "similar"}
        for score, a, b in zip(*columns, strict=True)
    ]
    session.execute(update(PairRunRow).where(PairRunRow.id == run_id).values(blocks_done=blocks_done))
    _replace(session, run_id, pairs)


def finish_run(session: Session, run_id: int, pairs: Sequence[ScenePair]) -> None:
    """Keep what a run found, in order."""
    values = {"blocks_done": PairRunRow.blocks, "finished_at": now_text()}
    session.execute(update(PairRunRow).where(PairRunRow.id == run_id).values(**values))
    _replace(session, run_id, [_as_row(pair) for pair in pairs])


def get_run(reader: Reader, run_id: int) -> PairRun:
    """A run that is there."""
    row = reader.first(f"{_RUNS} WHERE r.id = ?", (run_id,))
    assert row is not None
    return _as_run(row)


def list_runs(reader: Reader) -> list[PairRun]:
    """All runs, the one that began last first."""
    return [_as_run(row) for row in reader.rows(f"{_RUNS} ORDER BY r.started_at DESC, r.id DESC")]


def stored_rows(reader: Reader, run_id: int, scene_ids: Int64Array) -> RowPairs:
    """The best pairs so far of an unfinished run, as rows of ``scene_ids`` (int64 [N], increasing)."""
    stored = reader.columns(
        "SELECT score, scene_a, scene_b FROM scene_pairs WHERE run_id = ? ORDER BY rank", (run_id,), "f8,i8,i8"
    )
    first, second = (np.searchsorted(scene_ids, stored[name]) for name in ("f1", "f2"))
    return RowPairs(first, second, stored["f0"].astype(np.float32))


def stored_pairs(
    reader: Reader,
    run_id: int,
    kinds: Sequence[PairKind],
    *,
    top: int | None = None,
    min_percentile: float | None = None,
) -> list[ScenePair]:
    """What a run found of some kinds, best first, ranked by what is left: scenes that went took theirs along."""
    stretch = ", ".join(f"{name}_{side}" for side in "ab" for name in STRETCH)
    query = (
        f"SELECT score, scene_a, scene_b, kind, percentile, csls, {stretch} FROM scene_pairs "  # noqa: S608 - constants
        "WHERE run_id = ? AND kind IN (SELECT value FROM json_each(?)) "
        "AND (kind = 'duplicate' OR coalesce(percentile, 0) >= ?) ORDER BY rank LIMIT ?"
    )
    values = (run_id, json_list(kinds), min_percentile or 0.0, -1 if top is None else top)
    rows = list(reader.rows(query, values))
    scenes = {
        scene_id: scene
        for scene_id, (scene, _, _) in scenes_by_id(reader, sorted({i for row in rows for i in row[1:3]})).items()
    }
    return [
        ScenePair(
            rank,
            score,
            _end(scenes[a], own[: len(STRETCH)]),
            _end(scenes[b], own[len(STRETCH) :]),
            kind,
            percentile,
            csls,
        )
        for rank, (score, a, b, kind, percentile, csls, *own) in enumerate(rows, 1)
    ]


def _end(scene: Scene, own: Sequence[Any]) -> Scene:
    """A scene, with what its stretch has of its own, if it is one."""
    return scene if own[0] is None else replace(scene, **dict(zip(STRETCH, own, strict=True)))


def _as_row(pair: ScenePair) -> dict[str, Any]:
    row = {
        "score": pair.score,
        "scene_a": pair.a.scene_id,
        "scene_b": pair.b.scene_id,
        "kind": pair.kind,
        "percentile": pair.percentile,
        "csls": pair.csls,
    }
    for side, scene in (("a", pair.a), ("b", pair.b)):
        own = {f"{name}_{side}": getattr(scene, name) for name in STRETCH}
        row |= own if pair.kind == "duplicate" else dict.fromkeys(own)
    return row


def _replace(session: Session, run_id: int, pairs: Sequence[dict[str, Any]]) -> None:
    session.execute(delete(ScenePairRow).where(ScenePairRow.run_id == run_id))
    if pairs:
        rows = [{**pair, "run_id": run_id, "rank": rank} for rank, pair in enumerate(pairs, 1)]
        session.execute(insert(ScenePairRow), rows)


def _as_run(row: tuple[Any, ...]) -> PairRun:
    return PairRun(row[0], row[1], json.loads(row[2]), *row[3:])
