"""Finding films: every file once, no path too odd, nothing that could block is ever opened."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from film_factory import pictures, write_film

from m2s_index.errors import VideoError
from m2s_index.extract import find_shots
from m2s_index.files import MIB, find_candidates, identify
from m2s_index.video import probe

ODD_NAMES = (
    "http:x",
    "concat:a|b",
    "file:x.mp4",
    "-rf.mp4",
    "new\nline.mp4",
    "tab\t\x1b[31mred.mp4",
    "film%03d.mp4",
    "a?b#c.mp4",
    " leading and trailing .mp4 ",
    "no ending",
    "日本.mp4",
    os.fsdecode(b"not utf-8 \xff\xfe.mp4"),
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", pictures())


def walk(*paths: Path) -> tuple[list[Path], dict[Path, str]]:
    """What is found, and what is complained of."""
    errors: dict[Path, str] = {}
    found = [c.path for c in find_candidates(paths, on_error=errors.__setitem__)]
    return found, errors


def test_files_are_found_in_a_fixed_order(tmp_path: Path) -> None:
    """Folders are walked depth first by name, in bytes; hidden ones and a catalogue's parts are passed over."""
    for name in ("b.mp4", "a/z.mp4", "a/b/x.txt", ".hidden.mp4", ".git/x.mp4", "cat/catalog.sqlite", "B.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for part in ("keyframes/1.zip", "index/1.faiss", "own film.mp4"):
        (tmp_path / "cat" / part).parent.mkdir(exist_ok=True)
        (tmp_path / "cat" / part).write_text(part)
    found, errors = walk(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "B.mp4", "a/b/x.txt", "a/z.mp4", "b.mp4", "cat/own film.mp4"
    ]  # fmt: skip
    assert errors == {}


def test_only_a_named_file_or_one_with_a_film_s_ending_claims_to_be_film(tmp_path: Path) -> None:
    """What is found in a folder and does not look like film is no failure if it is none."""
    for name in ("a.MP4", "b.txt"):
        (tmp_path / name).write_text(name)
    claims = {c.path.name: c.claims_video for c in find_candidates([tmp_path], on_error=lambda *_: None)}
    assert claims == {"a.MP4": True, "b.txt": False}
    (named,) = find_candidates([tmp_path / "b.txt"], on_error=lambda *_: None)
    assert named.claims_video


def test_each_file_is_found_once(tmp_path: Path) -> None:
    """Hard links, links to files and folders, and paths given twice lead to one file."""
    (tmp_path / "a.mp4").write_text("x")
    os.link(tmp_path / "a.mp4", tmp_path / "b.mp4")
    (tmp_path / "c.mp4").symlink_to("a.mp4")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "again").symlink_to(tmp_path)
    found, errors = walk(tmp_path, tmp_path / "a.mp4", tmp_path)
    assert found == [tmp_path / "a.mp4"]
    assert errors == {}


def test_folder_loops_through_links_end(tmp_path: Path) -> None:
    """Links that lead back are walked once."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "film.mp4").write_text("x")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "b" / "here").symlink_to(".")
    (tmp_path / "a" / "b" / "other").symlink_to(tmp_path)
    found, errors = walk(tmp_path / "a")
    assert [path.name for path in found] == ["film.mp4"]
    assert errors == {}


def test_links_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    """A broken link and one that leads to itself are told of, and the walk goes on."""
    (tmp_path / "broken.mp4").symlink_to("gone.mp4")
    (tmp_path / "self.mp4").symlink_to("self.mp4")
    (tmp_path / "whole.mp4").write_text("x")
    found, errors = walk(tmp_path, tmp_path / "missing.mp4")
    assert found == [tmp_path / "whole.mp4"]
    assert set(errors) == {tmp_path / name for name in ("broken.mp4", "self.mp4", "missing.mp4")}
    for path, message in errors.items():
        assert str(path) in message
        assert "; " in message


def test_deep_folders_are_walked(tmp_path: Path) -> None:
    """A tree deeper than the interpreter recurses is walked to where the system allows."""
    depth, here = sys.getrecursionlimit() + 200, os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (tmp_path / "z.mp4").write_text("x")
    try:
        found, _ = walk(tmp_path)
        assert found == [tmp_path / "z.mp4"]
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_pipes_and_devices_never_block(tmp_path: Path) -> None:
    """A pipe in a folder is passed over; one that is named is refused, unopened, and so is a device."""
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    (tmp_path / "film.mp4").write_text("x")
    assert walk(tmp_path) == ([tmp_path / "film.mp4"], {})
    for name in ("pipe.mp4", "zero.mp4"):
        path = tmp_path / name
        assert walk(path) == ([path], {})
        for look in (identify, probe, find_shots):
            with pytest.raises(VideoError, match=rf"{name}: a pipe or device, not a file; name a film"):
                look(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files_and_folders_are_named(tmp_path: Path) -> None:
    """What may not be read is told of with the remedy."""
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "closed.mp4").write_text("x")
    (tmp_path / "closed.mp4").chmod(0)
    _, errors = walk(tmp_path)
    assert "check its permissions" in errors[tmp_path / "closed"]
    for look in (identify, probe):
        with pytest.raises(VideoError, match=r"closed\.mp4: cannot be read .*check its permissions"):
            look(tmp_path / "closed.mp4")


def test_folders_and_missing_files_are_no_films(tmp_path: Path) -> None:
    """Both are refused by name with a remedy, wherever they are handed in."""
    for look in (identify, probe, find_shots):
        with pytest.raises(VideoError, match=r"a folder, not a file; name a film file"):
            look(tmp_path)
        with pytest.raises(VideoError, match=r"gone\.mp4: there is no such file; check its name"):
            look(tmp_path / "gone.mp4")


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_names_of_every_kind(name: str, film: Path, tmp_path: Path) -> None:
    """A name is only a name: no protocol, pattern, option or text in some encoding."""
    path = tmp_path / name
    try:
        shutil.copyfile(film, path)
    except OSError:
        pytest.skip("this file system does not take such a name")
    assert walk(tmp_path) == ([path], {})
    file = identify(path)
    assert file.path == str(path)
    read, shots = find_shots(Path(file.path))
    assert (read.frames, len(shots)) == (76, 3)


def test_relative_and_odd_names_are_not_options(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is stored whole, and a name with a leading dash is read."""
    shutil.copyfile(film, tmp_path / "-i.mp4")
    monkeypatch.chdir(tmp_path)
    assert identify(Path("-i.mp4")).path == str(tmp_path / "-i.mp4")
    assert probe(Path("-i.mp4")).frames == 76


@pytest.mark.parametrize("size", [1, MIB - 1, MIB, 2 * MIB + 1, 3 * MIB, 5 * MIB + 7])
def test_fingerprint_is_of_size_and_three_stretches(size: int, tmp_path: Path) -> None:
    """Hex SHA-256 over the size and the first, middle and last MiB; nothing else of the file counts."""
    data = bytearray(os.urandom(size))
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    file = identify(path)
    whole = hashlib.sha256(str(size).encode())
    for start in sorted({0, max(0, (size - MIB) // 2), max(0, size - MIB)}):
        whole.update(data[start : start + MIB])
    assert (file.fingerprint, file.size_bytes) == (whole.hexdigest(), size)
    assert file.modified_ns == path.stat().st_mtime_ns
    for at in {0, size // 2, size - 1}:
        changed = bytearray(data)
        changed[at] ^= 1
        path.write_bytes(changed)
        assert identify(path).fingerprint != file.fingerprint


def test_empty_file_is_refused(tmp_path: Path) -> None:
    """An empty file is named, with what to do."""
    (tmp_path / "empty.mp4").touch()
    for look in (identify, probe, find_shots):
        with pytest.raises(VideoError, match=r"empty\.mp4: the file is empty; copy it again"):
            look(tmp_path / "empty.mp4")
