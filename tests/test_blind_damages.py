"""Damages that were chosen without a look at the checks: found, named with a remedy, and mended or refused."""

from __future__ import annotations

import pytest
from catalog_contents import contents, sql
from damages import ALPHA, DAMAGES, rewrite_a_picture

READINGS = (("index", "status"), ("labels", "list"), ("query", "--scene", f"{ALPHA}#0"))
REMEDIES = ("m2s index repair", "restore a backup", "delete it")
BEYOND_REPAIR = {"the schema wound back", "a folder for a lock", "a page of an SQL index zeroed"}
QUICK = {
    "the schema wound back",
    "a scene lost",
    "two films' scene ids swapped",
    "two rows of a matrix swapped",
    "a text for a failure's size",
    "old vectors in the index file",
    "a picture that cannot be decoded",
    "a folder for a lock",
}
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in DAMAGES]


@pytest.mark.parametrize("name", NAMES)
def test_damage_chosen_blind(own_films, own_catalog, built_catalog, m2s, name):
    """Verify names it; what reads the catalogue answers or says what to do; repair and a build of the films make
    it what it was, or repair says why it cannot, and what will.
    """
    damage, named = DAMAGES[name]
    damage(own_catalog)
    ran = m2s("index", "verify", "--catalog", own_catalog, "--json")
    problems = ran.json()["problems"]
    assert ran.status == 1
    assert any(named in problem["what"] + problem["where"] for problem in problems), problems
    assert all(any(remedy in problem["remedy"] for remedy in REMEDIES) for problem in problems), problems
    for arguments in READINGS:
        ran = m2s(*arguments, "--catalog", own_catalog)
        assert ran.status == 0 or any(remedy in ran.stderr for remedy in REMEDIES), ran
    repaired = m2s("index", "repair", "--catalog", own_catalog)
    if name in BEYOND_REPAIR:
        assert repaired.status == 1
        assert any(remedy in repaired.stderr for remedy in REMEDIES)
        return
    assert repaired.status == 0, repaired.stderr
    given = ("--encoder", "gist", "--catalog", own_catalog, "--workers", "1")
    built = m2s("index", "build", own_films, *given)
    assert built.status == 0, built.stderr
    again = m2s("index", "verify", "--catalog", own_catalog, "--json")
    assert (again.status, again.json()) == (0, {"ok": True, "problems": [], "notes": []})
    assert contents(own_catalog) == contents(built_catalog)


def test_key_frames_of_before_checksums(own_catalog, m2s):
    """Where no checksum was recorded the catalogue is sound, and a missing picture is found all the same."""
    sql(own_catalog, "UPDATE movies SET keyframes_sha256 = NULL")
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0
    rewrite_a_picture(own_catalog, None)
    ran = m2s("index", "verify", "--catalog", own_catalog)
    assert ran.status == 1
    assert f"key frames that are missing or damaged: {ALPHA}" in ran.stdout


@pytest.mark.parametrize("scene", [f"{ALPHA}#0", "Short#0"])
def test_query_refuses_embeddings_of_other_scenes(own_catalog, m2s, scene):
    """Hits by vectors that are another scene's are no answer: the query fails, and names the remedy."""
    DAMAGES["two films' scene ids swapped"][0](own_catalog)
    ran = m2s("query", "--scene", scene, "--catalog", own_catalog)
    assert (ran.status, ran.stdout) == (1, "")
    assert "are not those of its scenes: run 'm2s index repair'" in ran.stderr


def test_lock_that_is_a_link(own_catalog, m2s, tmp_path):
    """A link where the lock belongs, as a foreign catalogue may have one, is found, and leads nowhere."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (own_catalog / "build.lock").unlink()
    (own_catalog / "build.lock").symlink_to(precious)
    assert "build.lock; delete it" in m2s("index", "verify", "--catalog", own_catalog).stdout
    ran = m2s("index", "repair", "--catalog", own_catalog)
    assert (ran.status, precious.read_text()) == (1, "precious")
    assert "build.lock is not the lock's file: delete it" in ran.stderr


def test_catalogue_that_lost_its_revision(own_catalog, m2s):
    """A catalogue whose schema has no revision any more is not taken for another program's database."""
    sql(own_catalog, "DELETE FROM alembic_version")
    ran = m2s("index", "verify", "--catalog", own_catalog)
    assert ran.status == 1
    assert "its revision is lost); restore a backup" in ran.stdout
