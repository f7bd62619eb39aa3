"""Films that cannot be read: each costs itself alone, is named with why, and is not tried again unasked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from catalog_contents import contents, sql
from unprivileged import run_unprivileged

from m2s_index.catalog import Catalog
from m2s_index.failures import Failure, list_failures, record_failure
from m2s_index.types import FileIdentity

HOSTILE = Path(__file__).parent / "hostile_decoder"
M2S = (sys.executable, "-c", "from m2s_index.cli.main import main; main()")
REASONS = {
    "spin": "made no progress for 10 s",
    "segfault": "crashed (SIGSEGV)",
    "allocate": "more memory than a worker may use",
    "print": "made no progress for 10 s",
}


def failing(m2s, folder: Path) -> dict[str, str]:
    """What the catalogue says it could not read, and why, by file name."""
    state = m2s("index", "status", "--catalog", folder, "--json").json()
    assert all(failure["failed_at"].startswith("20") for failure in state["failures"])
    return {Path(failure["path"]).name: failure["error"] for failure in state["failures"]}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits and signals as on Linux")
def test_decoders_that_misbehave(own_films, built_catalog, tmp_path, m2s):
    """A decoder that spins with the interpreter's lock held, crashes, eats memory or prints without end costs
    that film only. The catalogue keeps the reason; the next build does not open the film again; one with
    --retry-failed does, and indexes it now that the decoder behaves.
    """
    for name in REASONS:
        shutil.copy(own_films / "Gamma (1992).mp4", own_films / f"{name}.mp4")
        with (own_films / f"{name}.mp4").open("ab") as film:
            film.write(name.encode())  # another film, to the catalogue
    folder = tmp_path / "c"
    options = ["--encoder", "gist", "--catalog", folder, "--workers", "2", "--json"]
    arguments = ["index", "build", own_films, *options]
    ran = subprocess.run(
        [*M2S, *map(str, arguments), "--timeout", "10", "--memory-limit", "1"],
        env={**os.environ, "PYTHONPATH": str(HOSTILE)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    done = json.loads(ran.stdout)
    assert done["movies"]["indexed"] == 4
    said = {Path(failure["path"]).stem: failure["error"] for failure in done["failures"]}
    assert said.keys() == REASONS.keys()
    assert {name: error for name, error in said.items() if REASONS[name] not in error} == {}
    assert all(str(own_films) in error for error in said.values())
    assert all(f"failed: {error}" in ran.stderr for error in said.values())
    assert contents(folder) == contents(built_catalog)
    assert failing(m2s, folder) == {f"{name}.mp4": error for name, error in said.items()}
    assert all(error in m2s("index", "status", "--catalog", folder).stdout for error in said.values())

    again = m2s(*arguments)
    assert again.status == 1
    assert again.json()["movies"] | {"failed": 4, "unchanged": 4, "indexed": 0} == again.json()["movies"]
    assert again.stderr.count("--retry-failed tries again") == 4
    assert failing(m2s, folder).keys() == {f"{name}.mp4" for name in REASONS}

    retried = m2s("index", "build", "--retry-failed", "--catalog", folder, "--json")
    assert retried.status == 0, retried.stderr
    assert retried.json()["movies"]["indexed"] == 4
    assert failing(m2s, folder) == {}
    assert m2s("index", "verify", "--catalog", folder).status == 0


def test_failure_holds_for_the_file_as_it_was(own_films, own_catalog, m2s):
    """A file that could not be read is tried again when it has changed, and forgotten when it is gone."""
    bad, lost = own_films / "bad.mp4", own_films / "lost.mp4"
    for path in (bad, lost):
        path.write_text(f"to be or not to be: {path.name}")
    arguments = ("index", "build", own_films, "--catalog", own_catalog, "--json")
    assert m2s(*arguments).status == 1
    assert failing(m2s, own_catalog).keys() == {"bad.mp4", "lost.mp4"}
    shutil.copy(own_films / "Short.mp4", bad)
    with bad.open("ab") as film:
        film.write(b"another film")
    lost.unlink()
    done = m2s(*arguments)
    assert done.status == 0, done.stderr
    assert done.json()["movies"]["indexed"] == 1
    assert failing(m2s, own_catalog) == {}


def test_changed_film_that_cannot_be_read(own_films, own_catalog, m2s):
    """What was indexed of a file stays when its new content cannot be read; both are told."""
    before = contents(own_catalog)
    (own_films / "Short.mp4").write_bytes(b"no film any more")
    for _ in range(2):
        assert m2s("index", "build", own_films, "--catalog", own_catalog).status == 1
        assert contents(own_catalog) == before
        assert failing(m2s, own_catalog).keys() == {"Short.mp4"}


def test_failure_in_a_closed_folder(own_films, own_catalog, m2s):
    """Of a folder that may not be looked into nothing is there: its failures are forgotten, and no build fails."""
    closed = own_films / "closed"
    closed.mkdir()
    (closed / "bad.mp4").write_text("no film")
    m2s("index", "build", own_films, "--catalog", own_catalog)
    assert failing(m2s, own_catalog).keys() == {"bad.mp4"}
    closed.chmod(0)
    try:
        retried = run_unprivileged("index", "build", "--retry-failed", "--catalog", own_catalog)
        assert retried.returncode == 0, retried.stderr
    finally:
        closed.chmod(0o755)
    assert failing(m2s, own_catalog) == {}


def test_retry_without_failures(own_films, own_catalog, m2s):
    """There is nothing to do, and nothing wrong."""
    done = m2s("index", "build", "--retry-failed", "--catalog", own_catalog, "--json")
    assert done.status == 0
    assert done.json()["movies"]["unchanged"] == 4


def test_only_failures_of_reading_are_kept(own_films, own_catalog, m2s):
    """A path that is not there is named each time, and not remembered."""
    for _ in range(2):
        ran = m2s("index", "build", own_films, own_films / "gone.mp4", "--catalog", own_catalog)
        assert ran.status == 1
        assert "gone.mp4" in ran.stderr
        assert "--retry-failed" not in ran.stderr
    assert failing(m2s, own_catalog) == {}


def test_last_failure_of_a_file_is_kept(catalog_folder):
    """One row a file, with the latest reason; one that is of no file's reading is not kept."""
    with Catalog.open(catalog_folder, writable=True) as catalog, catalog.write() as session:
        for error in ("first", "second"):
            record_failure(session, Failure("/films/a\udcff", error, FileIdentity("/films/a\udcff", 1, 2, "")))
        record_failure(session, Failure("/films/b", "encoder"))
        (kept,) = list_failures(session)
    assert (kept.path, kept.error, kept.file) == (
        "/films/a\udcff",
        "second",
        FileIdentity("/films/a\udcff", 1, 2, ""),
    )


def test_damage_is_counted_in_build_and_status(own_films, tmp_path, m2s):
    """Stretches that cannot be decoded are skipped; how much that was is in what both commands say."""
    film = own_films / "Alpha Beach (1990).mp4"
    data = bytearray(film.read_bytes())
    start = len(data) // 2
    data[start : start + 3000] = bytes(3000)
    film.write_bytes(data)
    folder = tmp_path / "c"
    built = m2s("index", "build", own_films, "--catalog", folder, "--json")
    assert built.status == 0, built.stderr
    (damaged,) = built.json()["damaged"]
    assert damaged["path"] == str(film)
    assert damaged["packets"] > 0
    assert f"damaged: {film}: {damaged['packets']} packets" in built.stderr
    movies = m2s("index", "status", "--catalog", folder, "--json").json()["movies"]
    assert {m["path"]: m["damaged_packets"] for m in movies if m["damaged_packets"]} == {
        str(film): damaged["packets"]
    }
    (row,) = [
        line for line in m2s("index", "status", "--catalog", folder).stdout.splitlines() if "Alpha Beach" in line
    ]
    assert row.split()[-1] == str(damaged["packets"])


def test_labels_that_a_changed_film_is_too_short_for(own_films, own_catalog, tmp_path, m2s):
    """Labels whose times the new film has stay; those beyond its end are dropped, each named with its times."""
    film = own_films / "Alpha Beach (1990).mp4"
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "movie,start,end,vocabulary,value\n"
        "Alpha Beach (1990),0,1,place,beach\nAlpha Beach (1990),6.5,8,place,road\nAlpha Beach (1990),,,mood,calm\n"
    )
    assert m2s("labels", "import", labels, "--catalog", own_catalog).status == 0
    shutil.copy(own_films / "Short.mp4", film)
    with film.open("ab") as data:
        data.write(b"another")
    done = m2s("index", "build", own_films, "--catalog", own_catalog, "--json")
    assert done.status == 0, done.stderr
    assert done.json()["lost_labels"] == [
        {
            "movie": "Alpha Beach (1990)",
            "vocabulary": "place",
            "value": "road",
            "start_seconds": 6.5,
            "end_seconds": 8.0,
        }
    ]
    assert "place=road from 0:00:06 to 0:00:08 of Alpha Beach (1990)" in done.stderr
    assert sql(own_catalog, "SELECT vocabulary, value FROM labels ORDER BY id") == [
        ("place", "beach"),
        ("mood", "calm"),
    ]
