"""Damage of every kind is found and named with its remedy; repair and a build make the catalogue sound again."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest
from catalog_contents import contents, sql
from plain_builds import MeanColour, library_build

GAMMA = "(SELECT id FROM movies WHERE name LIKE 'Gamma%')"
ALPHA = "(SELECT id FROM movies WHERE name LIKE 'Alpha%')"


def keyframes(folder: Path, name: str = "Gamma%") -> Path:
    return folder / "keyframes" / sql(folder, f"SELECT keyframes_file FROM movies WHERE name LIKE '{name}'")[0][0]


def index_path(folder: Path) -> Path:
    return folder / "index" / sql(folder, "SELECT file FROM index_files")[0][0]


def vectors(number: float) -> str:
    """SQL for a scene matrix of Gamma's size, filled with one number."""
    import numpy as np

    return f"UPDATE embeddings SET data = x'{np.full(512, number, '<f4').tobytes().hex()}' WHERE movie_id = {GAMMA}"


def flip(path: Path, at: float) -> None:
    """Change one byte, leaving size and time."""
    data, status = bytearray(path.read_bytes()), path.stat()
    data[int(len(data) * at)] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def without_a_picture(folder: Path) -> None:
    path = keyframes(folder)
    with zipfile.ZipFile(path) as old:
        pictures = {name: old.read(name) for name in old.namelist()[1:]}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in pictures.items():
            new.writestr(name, data)
    sql(folder, f"UPDATE movies SET keyframes_bytes = {path.stat().st_size} WHERE id = {GAMMA}")


DAMAGE = {
    "a truncated matrix": (
        lambda f: sql(f, f"UPDATE embeddings SET data = substr(data, 1, 100) WHERE movie_id = {GAMMA}"),
        "vectors that are damaged",
        "Gamma",
    ),
    "numbers that are not finite": (lambda f: sql(f, vectors(float("nan"))), "vectors that are damaged", "Gamma"),
    "rows that are not normalised": (lambda f: sql(f, vectors(1.0)), "vectors that are damaged", "Gamma"),
    "a truncated feature matrix": (
        lambda f: sql(f, f"UPDATE features SET data = x'00' WHERE movie_id = {GAMMA}"),
        "vectors that are damaged",
        "Gamma",
    ),
    "an unknown dtype": (
        lambda f: sql(f, f"UPDATE features SET dtype = 'float99' WHERE movie_id = {GAMMA}"),
        "vectors that are damaged",
        "Gamma",
    ),
    "a feature matrix alone": (
        lambda f: sql(f, f"DELETE FROM embeddings WHERE movie_id = {GAMMA}"),
        "vectors that are damaged",
        "Gamma",
    ),
    "an embedding matrix alone": (
        lambda f: sql(f, f"DELETE FROM features WHERE movie_id = {GAMMA}"),
        "vectors that are damaged",
        "Gamma",
    ),
    "a wrong first scene": (
        lambda f: sql(f, f"UPDATE embeddings SET first_scene_id = 99 WHERE movie_id = {GAMMA}"),
        "vectors that are damaged",
        "Gamma",
    ),
    "a missing shot": (
        lambda f: sql(f, f'DELETE FROM shots WHERE movie_id = {GAMMA} AND "index" = 4'),
        "shots that are not in order",
        "Gamma",
    ),
    "a missing last shot": (
        lambda f: sql(f, f'DELETE FROM shots WHERE movie_id = {GAMMA} AND "index" = 10'),
        "shots that are not in order",
        "Gamma",
    ),
    "no shots": (lambda f: sql(f, f"DELETE FROM shots WHERE movie_id = {GAMMA}"), "shots that are not", "Gamma"),
    "a scene beyond the film": (
        lambda f: sql(f, f"UPDATE scenes SET end_shot = 99 WHERE movie_id = {GAMMA}"),
        "a scene of shots that are not there",
        "Gamma (1992)#0",
    ),
    "a missing scene": (
        lambda f: sql(f, f'DELETE FROM scenes WHERE movie_id = {ALPHA} AND "index" = 1'),
        "scenes that are missing",
        "Alpha",
    ),
    "no scenes": (
        lambda f: sql(f, f"DELETE FROM scenes WHERE movie_id = {GAMMA}"),
        "scenes that are missing",
        "Gamma",
    ),
    "rows without a movie": (
        lambda f: sql(f, f"DELETE FROM movies WHERE id = {GAMMA}", foreign_keys=False),
        "a row without its owner",
        "owner in movies",
    ),
    "matrices without an encoder": (
        lambda f: sql(f, "DELETE FROM encoders", foreign_keys=False),
        "a row without its owner",
        "owner in encoders",
    ),
    "no index file": (lambda f: index_path(f).unlink(), "index file that cannot be used", "is missing"),
    "a truncated index file": (lambda f: os.truncate(index_path(f), 100), "index file that cannot", "100 bytes"),
    "an index file of no bytes": (lambda f: os.truncate(index_path(f), 0), "index file that cannot", "0 bytes"),
    "a changed index file": (lambda f: flip(index_path(f), 0.5), "index file that cannot be used", "checksum"),
    "no record of an index file": (lambda f: sql(f, "DELETE FROM index_files"), "cannot be used", "no index file"),
    "no key frames": (lambda f: keyframes(f).unlink(), "key frames that are missing or damaged", "Gamma"),
    "no key-frame folder": (lambda f: shutil.rmtree(f / "keyframes"), "key frames that are missing", "Gamma"),
    "truncated key frames": (lambda f: os.truncate(keyframes(f), 5000), "key frames that are", "Gamma"),
    "a changed key frame": (lambda f: flip(keyframes(f), 0.3), "key frames that are missing or damaged", "Gamma"),
    "a missing key frame": (without_a_picture, "key frames that are missing or damaged", "Gamma"),
    "another film's key frames": (
        lambda f: shutil.copy(keyframes(f, "Short"), keyframes(f)),
        "key frames that are missing or damaged",
        "Gamma",
    ),
}


def test_sound_catalogue(built_catalog, m2s):
    """A catalogue as it was built is sound: status 0, nothing found, and the shape of the JSON."""
    ran = m2s("index", "verify", "--catalog", built_catalog, "--json")
    assert (ran.status, ran.json(), ran.stderr) == (0, {"ok": True, "problems": [], "notes": []}, "")
    assert m2s("index", "verify", "--catalog", built_catalog).stdout == "sound\n"


QUICK = {
    "a truncated matrix",
    "numbers that are not finite",
    "rows that are not normalised",
    "a wrong first scene",
    "a missing shot",
    "a scene beyond the film",
    "rows without a movie",
    "no index file",
    "a truncated index file",
    "a changed index file",
    "no key frames",
    "a changed key frame",
}
KINDS = [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow) for kind in DAMAGE]


@pytest.mark.parametrize("kind", KINDS)
def test_damage(own_films, own_catalog, built_catalog, m2s, kind):
    """Damage is found, named with where and how to mend it, and status 1; repair, a build of the films, and
    the catalogue is sound and has what it had.
    """
    damage, what, where = DAMAGE[kind]
    damage(own_catalog)
    ran = m2s("index", "verify", "--catalog", own_catalog, "--json")
    found = ran.json()
    assert ran.status == 1
    assert found["ok"] is False
    assert any(what in problem["what"] and where in problem["where"] for problem in found["problems"]), found
    assert all("m2s index repair" in problem["remedy"] for problem in found["problems"])
    assert what in m2s("index", "verify", "--catalog", own_catalog).stdout
    assert m2s("index", "repair", "--catalog", own_catalog).status == 0
    given = ("--encoder", "gist", "--catalog", own_catalog, "--workers", "1")
    built = m2s("index", "build", own_films, *given)
    assert built.status == 0, built.stderr
    again = m2s("index", "verify", "--catalog", own_catalog, "--json")
    assert (again.status, again.json()) == (0, {"ok": True, "problems": [], "notes": []})
    assert contents(own_catalog) == contents(built_catalog)
    hits = m2s("query", "--scene", "Gamma#0", "--json", "--catalog", own_catalog).json()["hits"]
    assert len(hits) == 4


def test_index_file_that_is_not_of_these_vectors(own_catalog, m2s):
    """An index file whose vectors are not the database's is found out, though its checksum is right."""
    sql(
        own_catalog,
        "UPDATE embeddings SET data = (SELECT data FROM embeddings WHERE movie_id = "
        f"(SELECT id FROM movies WHERE name = 'Short')) WHERE movie_id = {GAMMA}",
    )
    ran = m2s("index", "verify", "--catalog", own_catalog)
    assert ran.status == 1
    assert "vectors that are not those of the index file: Gamma (1992) by gist" in ran.stdout
    assert m2s("index", "repair", "--catalog", own_catalog).status == 0
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0


def test_index_file_of_another_encoder(own_catalog, built_catalog, m2s):
    """Another encoder's index file in the place of one is noticed, by verify and by a query, which goes on."""
    library_build(own_catalog, MeanColour())
    files = dict(sql(own_catalog, "SELECT e.name, file FROM index_files JOIN encoders e ON e.id = encoder_id"))
    shutil.copy(own_catalog / "index" / files["colour"], own_catalog / "index" / files["gist"])
    ran = m2s("index", "verify", "--catalog", own_catalog)
    assert ran.status == 1
    assert "index of gist" in ran.stdout
    query = ("query", "--scene", "Gamma#0", "--json", "--encoder", "gist", "--catalog")
    ran = m2s(*query, own_catalog)
    assert ran.json() == m2s(*query, built_catalog).json()
    assert "m2s index repair" in ran.stderr


def test_damaged_database(own_catalog, m2s):
    """Damage to the database itself is named, and repair refuses, with the remedy."""
    path = own_catalog / "catalog.sqlite"
    sql(own_catalog, "PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    for page in range(12, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)
    ran = m2s("index", "verify", "--catalog", own_catalog, "--json")
    assert ran.status == 1
    said = ran.stdout + ran.stderr
    assert "damaged" in said
    assert "restore a backup" in said
    ran = m2s("index", "repair", "--catalog", own_catalog)
    assert ran.status == 1
    assert "restore a backup" in ran.stderr


def test_source_that_moved_or_changed_is_a_note(own_films, own_catalog, m2s):
    """A source file that is gone, or another one now, is worth a note; the catalogue is sound."""
    (own_films / "Short.mp4").unlink()
    os.utime(own_films / "Gamma (1992).mp4", ns=(5, 5))
    ran = m2s("index", "verify", "--catalog", own_catalog, "--json")
    assert ran.status == 0
    assert ran.json()["ok"] is True
    assert sorted(ran.json()["notes"]) == [
        f"source file changed: {own_films / 'Gamma (1992).mp4'}",
        f"source file gone or moved: {own_films / 'Short.mp4'}",
    ]


def test_stray_files_are_a_note_and_repair_deletes_them(own_catalog, m2s):
    """What a dead writer left in the index folder is a note, and goes with a repair."""
    stray = own_catalog / "index" / "1-0123456789abcdef.tmp"
    stray.write_bytes(b"half an index")
    ran = m2s("index", "verify", "--catalog", own_catalog, "--json")
    assert (ran.status, len(ran.json()["notes"])) == (0, 1)
    assert m2s("index", "repair", "--catalog", own_catalog).status == 0
    assert not stray.exists()


def test_repair_of_a_sound_catalogue(own_catalog, built_catalog, m2s):
    """Repairing what is sound changes nothing but the index file's generation."""
    ran = m2s("index", "repair", "--catalog", own_catalog)
    assert ran.status == 0
    assert "index of gist" in ran.stdout
    assert {n: f["embeddings"] for n, f in contents(own_catalog).items()} == {
        n: f["embeddings"] for n, f in contents(built_catalog).items()
    }
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0


def test_query_while_the_index_file_is_unusable(own_catalog, built_catalog, m2s):
    """With its index file gone a query gives the same hits from the database, and says what to do."""
    arguments = ("query", "--scene", "Gamma#0", "--json", "--catalog")
    expected = m2s(*arguments, built_catalog).json()
    path = index_path(own_catalog)
    for damage in (lambda: flip(path, 0.5), lambda: os.truncate(path, 10), path.unlink):
        damage()
        ran = m2s(*arguments, own_catalog)
        assert ran.status == 0
        assert ran.json() == expected
        assert "m2s index repair" in ran.stderr
