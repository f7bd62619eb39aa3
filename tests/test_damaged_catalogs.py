"""Catalogues with wrong bytes and wrong values in them: every command ends with an answer or one clear line, and
where a check finds nothing wrong, a query answers as before.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from catalog_contents import sql
from conftest import Run

PAGE_BYTES = 4096
QUERY = ("query", "--scene", "1", "-k", "20", "--json")
COMMANDS = (QUERY, ("index", "status", "--json"), ("index", "repair"))


def numbers_rounded(value: Any) -> Any:
    """Hits but for the last digits of their distances, which a bit at the end of a vector may change."""
    if isinstance(value, dict):
        return {key: numbers_rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [numbers_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def sound(built_catalog: Path, m2s: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A catalogue whose database is one file, and its answer to the query."""
    folder = Path(shutil.copytree(built_catalog, tmp_path_factory.mktemp("sound") / "catalog"))
    sql(folder, "PRAGMA wal_checkpoint(TRUNCATE)")
    return folder, numbers_rounded(m2s(*QUERY, "--catalog", folder).json())


def end_of_all_commands(m2s: Run, folder: Path, truth: Any) -> str:
    """Runs a check, then all commands, on a damaged catalogue; returns "sound" or "damaged", as the check says.

    ``m2s`` lets no exception pass but an exit: a traceback fails the test here.
    """
    found = m2s("index", "verify", "--catalog", folder, "--json")
    assert found.status in (0, 1)
    for command in COMMANDS:
        ran = m2s(*command, "--catalog", folder)
        assert ran.status in (0, 1, 2)
        if ran.status:
            assert ran.stderr.count("m2s: ") == 1
        if command == QUERY and found.status == 0:
            assert ran.status == 0, ran.stderr
            assert numbers_rounded(ran.json()) == truth
    if found.status:
        problems = json.loads(found.stdout)["problems"] if found.stdout else [found.stderr]
        assert problems
    return "damaged" if found.status else "sound"


def truncated(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def bits_flipped(data: bytes, random: Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(64):
        flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def schema_bit_flipped(data: bytes, random: Random) -> bytes:
    flipped = bytearray(data)
    flipped[random.randrange(4 * PAGE_BYTES)] ^= 1 << random.randrange(8)
    return bytes(flipped)


def pages_swapped(data: bytes, random: Random) -> bytes:
    pages = [data[at : at + PAGE_BYTES] for at in range(0, len(data), PAGE_BYTES)]
    first, second = random.sample(range(len(pages)), 2)
    pages[first], pages[second] = pages[second], pages[first]
    return b"".join(pages)


@pytest.mark.parametrize("number", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 8))])
@pytest.mark.parametrize("damage", [truncated, bits_flipped, schema_bit_flipped, pages_swapped])
def test_damaged_database(damage: Any, number: int, sound: tuple[Path, Any], tmp_path: Path, m2s: Run) -> None:
    """Whatever happened to the database's file, there is an answer or a clear error, and no wrong answer that a
    check would not have told of.
    """
    folder, truth = sound
    damaged = Path(shutil.copytree(folder, tmp_path / "catalog"))
    database = damaged / "catalog.sqlite"
    database.write_bytes(damage(database.read_bytes(), Random(f"{damage.__name__} {number}")))
    verdict = end_of_all_commands(m2s, damaged, truth)
    assert verdict == "damaged" or damage is not truncated


NO_TEXT = "CAST(x'FFE9' AS TEXT)"
VALUES = [
    ("movies", "name", "'x'"),
    ("movies", "title", NO_TEXT),
    ("movies", "year", "'x'"),
    ("movies", "path", "-1"),
    ("movies", "time_base", "'x'"),
    ("movies", "frame_rate", "'1/0'"),
    ("movies", "end_pts", "'{}'"),
    ("encoders", "identity", "'x'"),
    ("encoders", "identity", "replace(identity, '\"cosine\"', '\"l2\"')"),
    ("settings", "value", "'x'"),
    ("embeddings", "id", "-1"),
    ("embeddings", "rows", "'x'"),
    ("embeddings", "data", "-1"),
    ("features", "data", "1.5"),
    ("index_files", "generation", "''"),
    ("index_files", "size_bytes", "'x'"),
    ("index_entries", "embedding_id", "-1"),
    ("index_entries", "first_scene_id", "'x'"),
    ("scenes", "id", "-1"),
    ("scenes", "movie_id", "-1"),
    ("scenes", "start_seconds", "'x'"),
    ("scenes", "end_seconds", "end_seconds + 1"),
    ("scenes", "end_pts", "end_pts + 1"),
    ("shots", "end_pts", "'x'"),
]


@pytest.mark.parametrize(("table", "column", "value"), VALUES)
def test_values_that_m2s_never_wrote(
    table: str, column: str, value: str, sound: tuple[Path, Any], tmp_path: Path, m2s: Run
) -> None:
    """A value of the wrong kind, or one that its neighbours belie, is found by a check, and no command trips."""
    folder, truth = sound
    damaged = Path(shutil.copytree(folder, tmp_path / "catalog"))
    last = f'(SELECT max(rowid) FROM "{table}")'
    sql(damaged, f'UPDATE "{table}" SET "{column}" = {value} WHERE rowid = {last}', foreign_keys=False)
    assert end_of_all_commands(m2s, damaged, truth) == "damaged"


def test_error_that_nobody_foresaw(sound: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch, m2s: Run) -> None:
    """In a sound catalogue it stays what it is: no fault of ours is put down to the user's files."""

    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("m2s_index.status.catalog_status", fail, raising=True)
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        m2s("index", "status", "--catalog", sound[0])
