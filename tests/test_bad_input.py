"""Bad input: a clear line that names the thing and the remedy, the right exit status, and nothing lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from catalog_contents import contents
from unprivileged import run_unprivileged

QUERY = ("query", "--scene", "Alpha Beach#0")


def complaint(ran, status):
    """The one line that a refusal is, which is all that was said."""
    assert ran.status == status
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert ran.stderr.startswith("m2s: ")
    return ran.stderr


# --- files ----------------------------------------------------------------------------------------------


def broken(folder, films):
    """One of each kind of file that is no film, though it is called one."""
    whole = (films / "Alpha Beach (1990).mp4").read_bytes()
    folder.mkdir()
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("to be or not to be\n" * 100)
    (folder / "cut at its end.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "cut at its beginning.mp4").write_bytes(whole[len(whole) // 2 :])
    (folder / "noise.mkv").write_bytes(os.urandom(50_000))
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    (folder / "list.mpg").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://example.com/x.ts\n")
    return folder


def test_each_kind_of_broken_file_is_named_with_why(films, tmp_path, m2s):
    """Every broken file that is called a film is named with a reason and what to do; the rest are passed by."""
    ran = m2s("index", "build", broken(tmp_path / "broken", films), films, "--json", "--catalog", tmp_path / "c")
    assert ran.status == 1
    failures = {Path(failure["path"]).name: failure["error"] for failure in ran.json()["failures"]}
    assert failures.keys() == {
        "empty.mp4", "text.mp4", "cut at its end.mp4", "cut at its beginning.mp4", "noise.mkv", "list.mpg"
    }  # fmt: skip
    for name, error in failures.items():
        assert name in error
        assert any(word in error for word in ("again", "permissions", "name the films", "not a film")), error
    assert ran.json()["movies"]["indexed"] == 4
    assert ran.stderr.count("failed: ") >= 6


def test_what_may_not_be_read(own_films, tmp_path):
    """A file and a folder that may not be read are named with their permissions as the cause."""
    (own_films / "Short.mp4").chmod(0)
    (own_films / "closed").mkdir(mode=0)
    ran = run_unprivileged("index", "build", own_films, "--dry-run", "--json", "--catalog", tmp_path / "c")
    (own_films / "closed").chmod(0o755)
    assert ran.returncode == 1, ran.stderr
    failures = {Path(failure["path"]).name: failure["error"] for failure in json.loads(ran.stdout)["failures"]}
    assert failures.keys() == {"Short.mp4", "closed"}
    assert all("check its permissions" in error for error in failures.values())


def test_catalogue_that_may_not_be_read(catalog_folder):
    """A catalogue that may not be read is refused in one line."""
    (catalog_folder / "catalog.sqlite").chmod(0)
    ran = run_unprivileged("index", "status", "--catalog", catalog_folder)
    assert ran.returncode == 1
    assert ran.stderr.startswith("m2s: cannot open the catalogue in ")
    assert ran.stderr.count("\n") == 1


def test_folder_that_holds_itself(own_films, tmp_path, m2s):
    """Links that lead round in a circle are walked once."""
    (own_films / "again").symlink_to(own_films)
    (own_films / "sub").mkdir()
    (own_films / "sub" / "up").symlink_to("..")
    ran = m2s("index", "build", own_films, "--dry-run", "--json", "--catalog", tmp_path / "c")
    assert ran.status == 0
    assert len(ran.json()["films"]) == 4
    assert ran.json()["copies"] == []


def test_links_that_lead_nowhere(own_films, catalog_folder, m2s):
    """A link to nothing that is called a film is a failure, in a folder as by itself."""
    (own_films / "gone.mp4").symlink_to("not there.mp4")
    for path in (own_films, own_films / "gone.mp4"):
        ran = m2s("index", "build", path, "--dry-run", "--json", "--catalog", catalog_folder)
        assert ran.status == 1
        assert [failure["path"] for failure in ran.json()["failures"]] == [str(own_films / "gone.mp4")]


def test_path_that_is_not_there(films, tmp_path, m2s):
    """Of several paths a missing one is a failure, named; the others are indexed."""
    ran = m2s("index", "build", films / "Short.mp4", tmp_path / "nothing", "--json", "--catalog", tmp_path / "c")
    assert ran.status == 1
    assert ran.json()["movies"]["indexed"] == 1
    assert [failure["path"] for failure in ran.json()["failures"]] == [str(tmp_path / "nothing")]
    assert "no such file" in ran.json()["failures"][0]["error"]


def test_empty_folder(tmp_path, m2s):
    """A folder without any film is wrong usage, and makes no catalogue."""
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "readme.txt").write_text("none here")
    ran = m2s("index", "build", tmp_path / "films", "--catalog", tmp_path / "c")
    assert ran.status == 2
    assert f"no film found in {tmp_path / 'films'}" in ran.stderr
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    "name",
    [
        "new\nline %s {0} $HOME.mp4",
        b"by\xfftes.mp4",
        pytest.param("-v.mp4", marks=pytest.mark.slow),
        pytest.param("héllo 東京 🎬.mp4", marks=pytest.mark.slow),
    ],
)
def test_odd_file_names(films, tmp_path, m2s, name):
    """Whatever a film is called, it is indexed, listed, found by its name, and is no terminal's command."""
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(films / "Short.mp4", folder / os.fsdecode(name))
    ran = m2s("index", "build", folder, "--json", "--catalog", tmp_path / "c")
    assert (ran.status, ran.json()["movies"]["indexed"]) == (0, 1)
    state = m2s("index", "status", "--json", "--catalog", tmp_path / "c").json()
    (movie,) = state["movies"]
    ran = m2s("query", "--scene", f"{movie['movie']}#0", "--catalog", tmp_path / "c")
    assert ran.status == 0, ran.stderr
    assert m2s("index", "build", folder, "--json", "--catalog", tmp_path / "c").json()["movies"]["unchanged"] == 1
    assert m2s("index", "remove", "--catalog", tmp_path / "c", "--", movie["movie"]).status == 0
    assert contents(tmp_path / "c") == {}


def test_shots_of_what_is_no_film(films, tmp_path, m2s):
    """``m2s shots`` on anything but a film says why in one line, with status 1."""
    for path in sorted(broken(tmp_path / "broken", films).iterdir()):
        assert path.name in complaint(m2s("shots", path), 1)
    assert "nothing" in complaint(m2s("shots", tmp_path / "nothing"), 1)
    complaint(m2s("shots", tmp_path), 1)


# --- references and numbers -----------------------------------------------------------------------------


def test_unknown_movie(built_catalog, m2s):
    """A name that nearly fits is answered with what was probably meant."""
    said = complaint(m2s("query", "--scene", "Alpa Beach#0", "--catalog", built_catalog), 2)
    assert "'Alpa Beach'" in said
    assert "did you mean 'Alpha Beach (1990)'" in said


def test_ambiguous_movie(films, tmp_path, m2s):
    """A name that fits several is answered with all of them."""
    (tmp_path / "films").mkdir()
    for number, name in enumerate(("Alpha Beach.mp4", "Alpha Centauri.mp4")):
        shutil.copy(sorted(films.iterdir())[number], tmp_path / "films" / name)
    assert m2s("index", "build", tmp_path / "films", "--catalog", tmp_path / "c").status == 0
    for arguments in (
        ("query", "--scene", "Alpha#0"),
        ("query", "--scene", "Alpha Beach#0", "--movie", "Alpha"),
        ("query", "--scene", "Alpha Beach#0", "--not-movie", "alpha"),
        ("index", "remove", "Alpha"),
    ):
        said = complaint(m2s(*arguments, "--catalog", tmp_path / "c"), 2)
        assert "'Alpha Beach'" in said
        assert "'Alpha Centauri'" in said


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("Alpha Beach#9", "#0 to #1"),
        ("Alpha Beach@9:00:00", "long"),
        ("Alpha Beach@soon", "no time"),
        ("Alpha Beach#first", "no scene index"),
        ("#3", "no movie"),
        ("Alpha Beach", "a scene is written"),
        ("", "a scene is written"),
        ("4711", "ids here run from 1 to 5"),
    ],
)
def test_scene_that_is_not_there(built_catalog, m2s, ref, words):
    """A reference that names no scene is wrong usage, and says what there is or how one is written."""
    assert words in complaint(m2s("query", "--scene", ref, "--catalog", built_catalog), 2)


@pytest.mark.parametrize("k", ["0", "-3"])
def test_no_hits_asked_for(built_catalog, m2s, k):
    """Fewer than one hit cannot be asked for."""
    assert "at least 1" in complaint(m2s(*QUERY, "-k", k, "--catalog", built_catalog), 2)


@pytest.mark.parametrize("k", ["5", "1000", "99999999999999"])
def test_more_hits_than_there_are(built_catalog, m2s, k):
    """Beyond the catalogue's size every scene but the query's own is a hit."""
    ran = m2s(*QUERY, "-k", k, "--json", "--catalog", built_catalog)
    assert ran.status == 0
    assert [hit["rank"] for hit in ran.json()["hits"]] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "options",
    [
        ("--year", "2050"),
        ("--year", "2050:", "--genre", "Drama"),
        ("--genre", "Western"),
        ("--label", "place=office"),
        ("--min-seconds", "5000"),
        ("--movie", "Alpha Beach", "--other-movies"),
    ],
)
@pytest.mark.parametrize("output", ["--json", "--csv", "--format=table"])
def test_filter_that_leaves_nothing(built_catalog, m2s, options, output):
    """No hits is an answer: status 0, an empty list, and a line on stderr with the filter as it was typed."""
    ran = m2s(*QUERY, *options, output, "--catalog", built_catalog)
    assert ran.status == 0
    for option in options:
        assert option in ran.stderr.replace("'", "")
    if output == "--json":
        assert ran.json()["hits"] == []
    if output == "--csv":
        assert ran.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "year", ["1999-", "abc", "199", "19999", ":", "", "1999:1990", "1990:1999:2000", "１９９０"]
)
def test_years_that_are_none(built_catalog, m2s, year):
    """What is no range of years is refused with how one is written."""
    assert "years" in complaint(m2s(*QUERY, "--year", year, "--catalog", built_catalog), 2)


@pytest.mark.parametrize("label", ["place", "=office", "place=", "=", ""])
def test_labels_that_are_none(built_catalog, m2s, label):
    """What is no label is refused with how one is written."""
    assert "VOCABULARY=VALUE" in complaint(m2s(*QUERY, "--label", label, "--catalog", built_catalog), 2)


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "long"])
def test_lengths_that_are_none(built_catalog, m2s, seconds):
    """A length that is no number of seconds is wrong usage."""
    assert m2s(*QUERY, "--min-seconds", seconds, "--catalog", built_catalog).status == 2


def test_encoder_that_the_catalogue_lacks(built_catalog, m2s):
    """A query by an encoder that was never run names those that were, and how to run it."""
    said = complaint(m2s(*QUERY, "--encoder", "clip", "--catalog", built_catalog), 2)
    assert "it has: gist" in said
    assert "m2s index build --encoder NAME" in said


def test_movie_that_cannot_be_removed(built_catalog, m2s):
    """An unknown name or id is refused."""
    assert "no movie is called 'Nothing'" in complaint(
        m2s("index", "remove", "Nothing", "--catalog", built_catalog), 2
    )
    assert "no movie with the id 99" in complaint(m2s("index", "remove", "99", "--catalog", built_catalog), 2)


# --- options of a build ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--encoder", "nothing"), "choose one of: gist, fisher, clip"),
        (("--detector", "nothing"), "no shot detector is called 'nothing'"),
        (("--scene-shots", "3", "--scene-stride", "9"), "in no scene"),
        (("--metadata", "nothing.csv"), "nothing.csv: cannot be read"),
        (("--device", "abacus"), "device"),
    ],
)
def test_options_that_cannot_be(built_catalog, films, m2s, options, words):
    """Wrong options are refused before any film is opened."""
    assert words in complaint(m2s("index", "build", films, *options, "--catalog", built_catalog), 2)


@pytest.mark.parametrize(
    "options",
    [
        ("--scene-shots", "0"), ("--frames-per-shot", "0"), ("--keyframe-px", "1"), ("--workers", "0"),
        ("--min-shot", "-1"), ("--scenes", "some"), ("--index", "best"), ("--weights", "nothing.safetensors"),
        ("--precision", "fp8"), ("--threads", "0"), ("--format", "xml"),
    ],
)  # fmt: skip
def test_options_out_of_range(built_catalog, films, m2s, options):
    """Numbers out of range and unknown choices are wrong usage."""
    ran = m2s("index", "build", films, *options, "--catalog", built_catalog)
    assert ran.status == 2
    assert options[0] in ran.stderr


@pytest.mark.parametrize("command", [("build",), ("status",), ("verify",), ("repair",), ("remove", "Short")])
def test_commands_without_a_catalogue(tmp_path, m2s, command):
    """Each command says that there is no catalogue, and how to make or name one."""
    said = complaint(m2s("index", *command, "--catalog", tmp_path / "none"), 1)
    assert "m2s index build PATH" in said
    assert "--catalog or M2S_CATALOG" in said
    assert not (tmp_path / "none").exists()


def test_catalogue_that_is_a_file(films, m2s):
    """A file where a catalogue's folder should be is wrong usage."""
    assert m2s(*QUERY, "--catalog", films / "Short.mp4").status == 2
