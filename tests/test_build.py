"""Building: what is read again and what is not, what a second encoder sees, and what an interruption leaves."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import contents, sql
from plain_builds import MeanColour, library_build
from tiny_films import write_tiny_film

from m2s_index.catalog import Catalog
from m2s_index.errors import CatalogError
from m2s_index.lock import BuildLock
from m2s_index.matrices import identity_key, list_encoders
from m2s_index.settings import saved_options
from m2s_index.types import EncoderIdentity, Float32Array, Image

M2S = (sys.executable, "-c", "from m2s_index.cli.main import main; main()")


def build(m2s, *arguments, status=0):
    """Run ``m2s index build … --json``; returns what it printed."""
    ran = m2s("index", "build", *arguments, "--json", "--workers", "1")
    assert ran.status == status, ran.stderr
    return ran.json()


def counts(done):
    return {name: number for name, number in done["movies"].items() if number}


def touch(path: Path) -> None:
    """Another time of change, the same content."""
    os.utime(path, ns=(1, 1))


def garble(path: Path) -> None:
    """The same size and time, other content: no look at size and time shows it."""
    status = path.stat()
    path.write_bytes(random.Random(1).randbytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# --- incremental ----------------------------------------------------------------------------------------


def test_unchanged_films_are_not_read_again(own_films, own_catalog, m2s):
    """Films of known size and time are passed over without a look at their content."""
    before = contents(own_catalog)
    for film in own_films.iterdir():
        garble(film)
    done = build(m2s, own_films, "--catalog", own_catalog)
    assert counts(done) == {"unchanged": 4}
    assert (done["shots"], done["scenes"], done["failures"]) == (0, 0, [])
    assert contents(own_catalog) == before


def test_touched_film_is_recognised_and_its_new_time_noted(own_films, own_catalog, m2s):
    """A film with another time and the same content is not read again, nor looked into a second time."""
    touch(own_films / "Short.mp4")
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"unchanged": 4}
    assert sql(own_catalog, "SELECT modified_ns FROM movies WHERE name = 'Short'") == [(1,)]
    assert m2s("index", "verify", "--catalog", own_catalog, "--json").json()["notes"] == []


def test_changed_film_is_read_again_and_keeps_its_labels(own_films, own_catalog, tmp_path, m2s):
    """A file with new content is indexed anew: its labels, title, year and genres stay, its ids are new."""
    film = own_films / "Short.mp4"
    (tmp_path / "movies.csv").write_text("movie,title,year,genres\nShort,A Short One,1971,Drama|Comedy\n")
    (tmp_path / "labels.csv").write_text("movie,start,end,vocabulary,value\nShort,0,1,place,office\n")
    build(m2s, own_films, "--catalog", own_catalog, "--metadata", tmp_path / "movies.csv")
    assert m2s("labels", "import", tmp_path / "labels.csv", "--catalog", own_catalog).status == 0
    ids = "SELECT m.id, s.id FROM movies m JOIN scenes s ON s.movie_id = m.id WHERE name = 'Short'"
    (old,) = sql(own_catalog, ids)
    before, others = contents(own_catalog)["Short.mp4"], sql(own_catalog, "SELECT max(id) FROM scenes")[0][0]
    write_tiny_film(film, seed=99, shots=12)
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"indexed": 1, "unchanged": 3}
    after = contents(own_catalog)["Short.mp4"]
    assert len(after["shots"]) == 12
    assert after["labels"] == before["labels"] == [(0.0, 1.0, "place", "office")]
    assert after["genres"] == [("Comedy",), ("Drama",)]
    assert after["facts"][:2] == ("A Short One", 1971)
    (new,) = sql(own_catalog, ids)
    assert new[0] > max(old[0], 4)
    assert new[1] > others
    assert len(list((own_catalog / "keyframes").iterdir())) == 4
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0


def test_moved_film_is_recognised(own_films, own_catalog, m2s):
    """A film that moved is known by its content: neither read nor embedded again, with a new name."""
    before = contents(own_catalog)["Short.mp4"]
    ids = sql(own_catalog, "SELECT id, movie_id FROM scenes ORDER BY id")
    (own_films / "more").mkdir()
    (own_films / "Short.mp4").rename(own_films / "more" / "Long Title (2001).mp4")
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"unchanged": 4, "moved": 1}
    after = contents(own_catalog)
    assert "Short.mp4" not in after
    moved = after["Long Title (2001).mp4"]
    assert moved["facts"][:2] == ("Long Title", 2001)
    assert {**moved, "facts": 0} == {**before, "facts": 0}
    assert sql(own_catalog, "SELECT id, movie_id FROM scenes ORDER BY id") == ids
    verified = m2s("index", "verify", "--catalog", own_catalog, "--json")
    assert verified.json() == {"ok": True, "problems": [], "notes": []}


def test_films_that_changed_places(own_films, own_catalog, m2s):
    """Two films that swapped their names are both recognised."""
    before = contents(own_catalog)
    a, b, aside = own_films / "Short.mp4", own_films / "Gamma (1992).mp4", own_films / "aside"
    a.rename(aside)
    b.rename(a)
    aside.rename(b)
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"unchanged": 4, "moved": 2}
    after = contents(own_catalog)
    assert after["Short.mp4"]["embeddings"] == before["Gamma (1992).mp4"]["embeddings"]
    assert after["Gamma (1992).mp4"]["embeddings"] == before["Short.mp4"]["embeddings"]
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"unchanged": 4}


def test_film_that_was_moved_over_another(own_films, own_catalog, m2s):
    """A film that overwrote another takes its place; the one that is gone goes."""
    before = contents(own_catalog)["Short.mp4"]
    (own_films / "Short.mp4").rename(own_films / "Gamma (1992).mp4")
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"unchanged": 3, "moved": 1}
    after = contents(own_catalog)
    assert len(after) == 3
    assert after["Gamma (1992).mp4"]["embeddings"] == before["embeddings"]
    assert len(list((own_catalog / "keyframes").iterdir())) == 3


@pytest.mark.parametrize("elsewhere", ["A first.mp4", "Z last.mp4"])
def test_film_that_moved_away_from_a_new_one(own_films, own_catalog, m2s, elsewhere):
    """Where a film moved and a new one took its place, both are there, whichever is met first."""
    before = contents(own_catalog)["Short.mp4"]
    (own_films / "Short.mp4").rename(own_films / elsewhere)
    write_tiny_film(own_films / "Short.mp4", seed=77, shots=4)
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"indexed": 1, "unchanged": 4, "moved": 1}
    after = contents(own_catalog)
    assert len(after) == 5
    assert after[elsewhere]["embeddings"] == before["embeddings"]
    assert len(after["Short.mp4"]["shots"]) == 4


def test_copies_of_what_is_no_film(own_films, own_catalog, m2s):
    """Equal files that hold no film are other files, and no copies of a film; one that claims to be film fails."""
    for name in ("notes 1.csv", "notes 2.csv"):
        (own_films / name).write_text("the same")
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"unchanged": 4}
    (own_films / "notes 3.mp4").write_text("the same")
    ran = m2s("index", "build", own_films, "--catalog", own_catalog)
    assert ran.status == 1
    assert "notes 3.mp4: holds no film" in ran.stderr
    assert "is the same film as" not in ran.stderr


def test_copy_is_reported_and_not_indexed_again(own_films, own_catalog, m2s):
    """Of two copies of a film one is indexed, the other named; so too when the first one goes."""
    copy = own_films / "Zweitschrift.mp4"
    shutil.copy(own_films / "Short.mp4", copy)
    ran = m2s("index", "build", own_films, "--catalog", own_catalog)
    assert f"copy: {copy} is the same film as {own_films / 'Short.mp4'}" in ran.stderr
    assert len(contents(own_catalog)) == 4
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"unchanged": 4, "copies": 1}
    shutil.copy(copy, own_films / "Zzz.mp4")
    (own_films / "Short.mp4").unlink()
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"unchanged": 4, "moved": 1, "copies": 1}
    assert copy.name in contents(own_catalog)


def test_film_that_is_gone_stays_in_the_catalogue(own_films, own_catalog, m2s):
    """A film whose file is gone (a disk that is not plugged in) stays; a later build says nothing of it."""
    (own_films / "Short.mp4").unlink()
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"unchanged": 3}
    assert "Short.mp4" in contents(own_catalog)


def test_options_are_remembered(own_films, tmp_path, m2s):
    """What one build chose holds for the next; other options read every film again, and keep its labels."""
    folder = tmp_path / "catalog"
    (tmp_path / "labels.csv").write_text("movie,vocabulary,value\nShort,genre,noir\n")
    film, options = own_films / "Alpha Beach (1990).mp4", ("--scene-shots", "4", "--scene-stride", "2")
    done = build(m2s, film, own_films / "Short.mp4", "--catalog", folder, *options)
    assert done["scenes"] == 9 + 1
    assert m2s("labels", "import", tmp_path / "labels.csv", "--catalog", folder).status == 0
    done = build(m2s, own_films / "Beta Road (1991).mp4", "--catalog", folder)
    assert done["scenes"] == 5
    with Catalog.open(folder) as catalog, catalog.read() as session:
        assert saved_options(session).scene_stride == 2
    assert counts(build(m2s, own_films, "--catalog", folder, "--scene-stride", "4")) == {"indexed": 4}
    assert contents(folder)["Short.mp4"]["labels"] == [(None, None, "genre", "noir")]
    assert len(contents(folder)[film.name]["scenes"]) == 5
    assert counts(build(m2s, own_films, "--catalog", folder)) == {"unchanged": 4}


@pytest.mark.slow
def test_whole_file_scenes(films, tmp_path, m2s):
    """With whole-file scenes each film is one scene, from its first shot to its last."""
    done = build(m2s, films, "--catalog", tmp_path / "c", "--scenes", "whole-file")
    assert (done["scenes"], done["shots"]) == (4, 46)
    assert {(s[0][1], s[0][2]) for s in (f["scenes"] for f in contents(tmp_path / "c").values())} == {
        (0, 20),
        (0, 12),
        (0, 11),
        (0, 3),
    }


@pytest.mark.slow
def test_more_frames_of_a_shot(films, tmp_path, m2s):
    """Several frames of each shot are kept where they are asked for, and are what is embedded."""
    build(m2s, films / "Short.mp4", "--catalog", tmp_path / "c", "--frames-per-shot", "3")
    (film,) = contents(tmp_path / "c").values()
    assert [len(eval(shot[-1])) for shot in film["shots"]] == [3, 3, 3]
    assert m2s("index", "verify", "--catalog", tmp_path / "c").status == 0


def test_film_does_not_depend_on_its_neighbours(built_catalog, films, tmp_path, m2s):
    """A film indexed alone has the numbers that it has among others, to the bit."""
    folder = tmp_path / "alone"
    build(m2s, films / "Gamma (1992).mp4", "--encoder", "gist", "--catalog", folder)
    assert contents(folder)["Gamma (1992).mp4"] == contents(built_catalog)["Gamma (1992).mp4"]


@pytest.mark.slow
def test_number_of_workers_changes_nothing(built_catalog, films, tmp_path, m2s):
    """One decoder or several: the same catalogue."""
    build(m2s, films, "--encoder", "gist", "--catalog", tmp_path / "c")
    assert contents(tmp_path / "c") == contents(built_catalog)


def test_dry_run_writes_nothing(films, tmp_path, m2s):
    """A dry run says what would be done, in words and as JSON, and makes no catalogue."""
    ran = m2s("index", "build", films, "--catalog", tmp_path / "c", "--dry-run", "--json")
    assert ran.status == 0
    assert sorted(Path(path).name for path in ran.json()["films"]) == sorted(p.name for p in films.iterdir())
    assert "4 films to index" in ran.stderr
    assert "of disk" in ran.stderr
    assert not (tmp_path / "c").exists()


def test_dry_run_on_a_catalogue_writes_nothing(catalog_folder, own_films, m2s):
    """A dry run on a catalogue leaves every one of its files as it was, whatever it was asked."""
    write_tiny_film(own_films / "New.mp4", seed=5, shots=3)

    def files() -> dict[str, tuple[bytes, int]]:
        return {
            str(path): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in catalog_folder.rglob("*")
            if path.is_file()
        }

    before = files()
    ran = m2s(
        "index", "build", own_films, "--catalog", catalog_folder, "--dry-run", "--scene-shots", "3",
        "--scene-stride", "3", "--json",
    )  # fmt: skip
    assert ran.status == 0
    assert files() == before


# --- encoders -------------------------------------------------------------------------------------------


def encoders(folder: Path) -> dict[str, bool]:
    """The catalogue's encoders and which is the default."""
    with Catalog.open(folder) as catalog:
        from m2s_index.status import catalog_status

        return {encoder["name"]: encoder["default"] for encoder in catalog_status(catalog)["encoders"]}


def test_second_encoder_from_key_frames(own_films, built_catalog, tmp_path, m2s):
    """A second encoder embeds what is indexed from its key frames, the films being gone, with the very
    numbers that it gives when it is the first; the first one's stay, and stay the default.
    """
    folder = tmp_path / "catalog"
    assert library_build(folder, MeanColour(), [own_films]).indexed == 4
    first = contents(folder)
    shutil.rmtree(own_films)
    assert counts(build(m2s, "--encoder", "gist", "--catalog", folder)) == {"unchanged": 4, "embedded": 4}
    both = contents(folder)
    for name, film in contents(built_catalog).items():
        for matrix in ("embeddings", "features"):
            assert sorted(both[name][matrix]) == sorted([*first[name][matrix], *film[matrix]])
    assert encoders(folder) == {"colour": True, "gist": False}
    assert counts(build(m2s, "--encoder", "gist", "--catalog", folder)) == {"unchanged": 4}
    assert m2s("index", "verify", "--catalog", folder).status == 0
    for encoder in ("colour", "gist"):
        ran = m2s("query", "--scene", "Short#0", "--json", "--encoder", encoder, "--catalog", folder)
        assert ran.json()["encoder"] == encoder
        assert len(ran.json()["hits"]) == 4


@pytest.mark.slow
def test_second_encoder_and_new_films_in_one_build(own_films, tmp_path, m2s):
    """A build with a path and another encoder reads what is new, and embeds what is known."""
    folder = tmp_path / "catalog"
    library_build(folder, MeanColour(), [own_films / "Short.mp4", own_films / "Gamma (1992).mp4"])
    done = build(m2s, own_films, "--encoder", "gist", "--catalog", folder)
    assert counts(done) == {"indexed": 2, "unchanged": 2, "embedded": 2}
    notes = m2s("index", "verify", "--catalog", folder, "--json").json()["notes"]
    assert any("2 of 4 films have no embeddings by colour" in note for note in notes)


def test_first_build_sets_the_default_encoder_and_use_changes_it(own_films, tmp_path, m2s):
    """The default encoder is the first build's until another is chosen; builds and queries then take that."""
    folder = tmp_path / "catalog"
    short = own_films / "Short.mp4"
    library_build(folder, MeanColour(), [short])
    build(m2s, "--encoder", "gist", "--catalog", folder)
    query = ("query", "--scene", "Short#0", "--json", "--catalog", folder)
    assert m2s(*query).json()["encoder"] == "colour"
    assert m2s("encoders", "use", "gist", "--catalog", folder).status == 0
    assert encoders(folder) == {"colour": False, "gist": True}
    assert m2s(*query).json()["encoder"] == "gist"
    build(m2s, own_films, "--catalog", folder)
    assert sql(
        folder, "SELECT count(*) FROM embeddings e JOIN encoders ON encoders.id = encoder_id AND name = 'gist'"
    ) == [(4,)]
    unknown = m2s("encoders", "use", "nothing", "--catalog", folder)
    assert unknown.status == 2
    assert "it has: colour, gist" in unknown.stderr


def test_encoder_of_the_same_name_with_other_weights_is_another(own_films, tmp_path):
    """A changed model is stored beside the old one, whose vectors stay; the name is that of the last one used."""

    class Changed(MeanColour):
        @property
        def identity(self) -> EncoderIdentity:
            return EncoderIdentity("colour", "mean of the pixels", "ab" * 32, "none", 3, "l2")

    folder = tmp_path / "catalog"
    library_build(folder, MeanColour(), [own_films / "Short.mp4"])
    result = library_build(folder, Changed())
    assert result.embedded == 1
    assert len(contents(folder)["Short.mp4"]["embeddings"]) == 2

    def weights() -> dict[str, str]:
        with Catalog.open(folder) as catalog, catalog.reader() as reader:
            return {known.name: known.identity.weights_sha256 for known in list_encoders(reader)}

    old, new = (identity_key(encoder.identity)[:8] for encoder in (MeanColour(), Changed()))
    assert weights() == {f"colour@{old}": "", "colour": "ab" * 32}
    assert library_build(folder, MeanColour()).embedded == 0
    assert weights() == {"colour": "", f"colour@{new}": "ab" * 32}


def test_encoder_that_gives_nonsense_fails_film_by_film(films, tmp_path):
    """An encoder that gives numbers that are not finite fails each film by name; the build ends as usual."""

    class Broken(MeanColour):
        def encode_frames(self, frames: Sequence[Image]) -> Float32Array:
            return super().encode_frames(frames) * np.float32("nan")

    result = library_build(tmp_path / "c", Broken(), [films])
    assert result.indexed == 0
    assert sorted(Path(f.path).name for f in result.failures) == sorted(p.name for p in films.iterdir())
    assert all("not finite" in failure.error for failure in result.failures)
    assert contents(tmp_path / "c") == {}
    assert list((tmp_path / "c" / "keyframes").iterdir()) == []


def test_second_encoder_names_films_whose_key_frames_are_gone(catalog_folder):
    """Where a film's key frames are missing the others are embedded, and the film is named, by its path."""
    ((path, file),) = sql(catalog_folder, "SELECT path, keyframes_file FROM movies WHERE name = 'Short'")
    (catalog_folder / "keyframes" / file).unlink()
    result = library_build(catalog_folder, MeanColour())
    assert result.embedded == 3
    assert [failure.path for failure in result.failures] == [os.fsdecode(path)]
    assert "m2s index repair" in result.failures[0].error


# --- removal --------------------------------------------------------------------------------------------


def test_removed_movie_is_gone_and_its_ids_do_not_come_back(own_films, own_catalog, m2s):
    """A movie that was removed is no hit and leaves no file; indexed again it has new ids."""
    top = sql(own_catalog, "SELECT (SELECT max(id) FROM movies), (SELECT max(id) FROM scenes)")[0]
    name = sql(own_catalog, f"SELECT name FROM movies WHERE id = {top[0]}")[0][0]
    ran = m2s("index", "remove", str(top[0]), "--catalog", own_catalog)
    assert ran.status == 0
    assert name in ran.stdout
    assert len(list((own_catalog / "keyframes").iterdir())) == 3
    assert (own_films / f"{name}.mp4").exists()
    other = next(path.stem for path in sorted(own_films.iterdir()) if path.stem != name)
    hits = m2s("query", "--scene", f"{other}#0", "--json", "--catalog", own_catalog).json()["hits"]
    assert hits
    assert name not in {hit["movie"] for hit in hits}
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0
    assert counts(build(m2s, own_films, "--catalog", own_catalog)) == {"indexed": 1, "unchanged": 3}
    again = sql(
        own_catalog, "SELECT m.id, min(s.id) FROM movies m JOIN scenes s ON s.movie_id = m.id GROUP BY 1 ORDER BY 1"
    )
    assert again[-1][0] > top[0]
    assert again[-1][1] > top[1]


# --- several broken files -------------------------------------------------------------------------------


def test_broken_files_do_not_stop_a_build(own_films, built_catalog, tmp_path, m2s):
    """Of a folder with three broken films the others are indexed; the three are named, and the status is 1."""
    whole = (own_films / "Alpha Beach (1990).mp4").read_bytes()
    (own_films / "cut.mp4").write_bytes(whole[:-20_000])
    (own_films / "text.mkv").write_text("to be or not to be")
    (own_films / "nothing.mov").touch()
    (own_films / "notes.txt").write_text("not a film, and not called one")
    done = build(m2s, own_films, "--encoder", "gist", "--catalog", tmp_path / "c", status=1)
    assert counts(done)["failed"] == 3
    assert counts(done)["indexed"] == 4
    assert sorted(Path(f["path"]).name for f in done["failures"]) == ["cut.mp4", "nothing.mov", "text.mkv"]
    assert all(failure["path"] in failure["error"] for failure in done["failures"])
    assert contents(tmp_path / "c") == contents(built_catalog)
    again = m2s("index", "build", own_films, "--catalog", tmp_path / "c")
    assert again.status == 1
    assert again.stderr.count("failed: ") == 3


def test_only_broken_files(tmp_path, m2s):
    """A build of nothing but a broken file names it, exits 1, and makes no catalogue."""
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "text.mp4").write_text("to be or not to be")
    done = build(m2s, tmp_path / "films", "--catalog", tmp_path / "c", status=1)
    assert counts(done) == {"failed": 1}
    assert not (tmp_path / "c").exists()


# --- one builder at a time ------------------------------------------------------------------------------


def test_second_builder_is_told_who_holds_the_lock(catalog_folder, films, m2s):
    """Who comes second is told the process, the host and since when; reading goes on; dry runs too."""
    with BuildLock(catalog_folder):
        for arguments in (("build", films), ("remove", "Short"), ("repair",)):
            ran = m2s("index", *arguments, "--catalog", catalog_folder)
            assert ran.status == 1
            assert f"process {os.getpid()} on {socket.gethostname()} since 20" in ran.stderr
        assert m2s("index", "build", films, "--catalog", catalog_folder, "--dry-run").status == 0
        assert m2s("query", "--scene", "Short#0", "--catalog", catalog_folder).status == 0
    assert m2s("index", "repair", "--catalog", catalog_folder).status == 0


def test_lock_goes_with_its_holder(catalog_folder):
    """A lock whose holder was killed holds nobody up, whatever its record says."""
    hold = "import sys, time; from pathlib import Path; from m2s_index.lock import BuildLock; \
BuildLock(Path(sys.argv[1])).__enter__(); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(catalog_folder)], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(CatalogError, match=f"process {holder.pid} on"):
        BuildLock(catalog_folder)
    holder.kill()
    holder.communicate()
    with BuildLock(catalog_folder):
        pass


def test_lock_with_a_record_that_cannot_be_read(catalog_folder):
    """A holder whose record is garbage is another process."""
    with BuildLock(catalog_folder):
        (catalog_folder / "build.lock").write_bytes(b"\xff[]")
        with pytest.raises(CatalogError, match="changed by another process"):
            BuildLock(catalog_folder)


@pytest.mark.slow
def test_two_builds_at_the_same_moment(films, built_catalog, tmp_path):
    """Of builds that start together on a folder without a catalogue, each either does its work or says who
    does; none fails otherwise, and the catalogue is whole.
    """
    options = ["--encoder", "gist", "--catalog", str(tmp_path / "c"), "--workers", "1"]
    arguments = [*M2S, "index", "build", str(films), *options]
    running = [subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    said = [process.communicate(timeout=120)[1].decode() for process in running]
    assert 0 in [process.returncode for process in running]
    for process, text in zip(running, said, strict=True):
        assert process.returncode == 0 or "is being changed by process" in text, text
    assert contents(tmp_path / "c") == contents(built_catalog)
