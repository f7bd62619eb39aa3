"""Files that come from anyone: whatever stands in a cut list, a table, a checkpoint or a key-frame file, or in a
film's name, it is read or refused, and does no harm.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import struct
import zipfile
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from catalog_contents import sql
from conftest import Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m2s_index.cut_lists import read_cut_list
from m2s_index.encoders.weights import read_weights
from m2s_index.errors import KeyFrameError, UsageError, WeightsError
from m2s_index.keyframe_store import LARGEST_PICTURE_BYTES, KeyFrameReader
from m2s_index.metadata import read_metadata
from m2s_index.timelines import write_timeline
from m2s_index.types import Shot, VideoInfo

anything = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
RATE = Fraction(24)
INFO = VideoInfo("mp4", "h264", 640, 360, Fraction(1), 0, 1 / RATE, RATE, 0, 76, None, 0)
SHOTS = [
    Shot(i, start, end, start, end, "cut" if i else "start") for i, (start, end) in enumerate([(0, 20), (20, 76)])
]


# --- cut lists ----------------------------------------------------------------------------------------


def cut_lists() -> dict[str, bytes]:
    """A sound list of each kind."""
    own = "start_frame,end_frame,start_seconds,end_seconds\n0,20,0,0.833333\n20,76,0.833333,3.166667\n"
    timelines = {kind: write_timeline(SHOTS, "x", Path("x.mp4"), INFO, kind) for kind in ("edl", "otio")}
    return {kind: text.encode() for kind, text in {"csv": own, **timelines}.items()}


def read_or_refuse(path: Path) -> bool:
    """Whether a list was read; what is read is in order, what is not is refused in a line that names the file."""
    try:
        found = read_cut_list(path, INFO)
    except UsageError as exc:
        found, refusal = None, str(exc)
    if found is None:
        assert str(path) in refusal
        return False
    frames = [boundary.frame for boundary in found.boundaries]
    assert frames == sorted(set(frames))
    assert all(0 < frame < found.end for frame in frames)
    return True


@pytest.mark.parametrize("suffix", [".csv", ".edl", ".otio"])
@anything
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_as_a_cut_list(data: bytes, suffix: str, tmp_path: Path) -> None:
    """No bytes at all make a reader of cut lists fail in another way than by a refusal."""
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    read_or_refuse(path)


def without_an_end(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def with_another_number(data: bytes, random: Random) -> bytes:
    number = random.choice(list(re.finditer(rb"\d+(\.\d+)?", data)))
    other = random.choice([b"-1", b"1e400", b"NaN", b"Infinity", b"99999999999999999999", b"0", b"null", b'"7"'])
    return data[: number.start()] + other + data[number.end() :]


def with_another_word(data: bytes, random: Random) -> bytes:
    words = list(re.finditer(rb'"[^"]*"|\w+', data))
    word, other = random.choice(words), random.choice(words)
    return data[: word.start()] + other.group() + data[word.end() :]


@pytest.mark.parametrize("damage", [without_an_end, with_another_number, with_another_word])
@pytest.mark.parametrize("kind", ["csv", "edl", "otio"])
def test_damaged_cut_lists(kind: str, damage: Any, tmp_path: Path) -> None:
    """A list with something missing, or something else in its place, is read or refused; both happen."""
    sound, random = cut_lists()[kind], Random(kind)
    path = tmp_path / f"x.{kind}"
    path.write_bytes(sound)
    assert read_or_refuse(path)
    read = 0
    for _ in range(80):
        path.write_bytes(damage(sound, random))
        read += read_or_refuse(path)
    assert read < 80


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"tracks":', '{"OTIO_SCHEMA": "Timeline.1", "tracks":'])
def test_deeply_nested_timeline(opening: str, tmp_path: Path) -> None:
    """A hundred thousand brackets end no process: OpenTimelineIO's own parser crashes on them."""
    path = tmp_path / "x.otio"
    path.write_text(opening * 100_000)
    assert not read_or_refuse(path)


# --- tables -------------------------------------------------------------------------------------------


@anything
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: b"movie,title,year\n" + text.encode()))
def test_any_bytes_as_metadata(data: bytes, tmp_path: Path) -> None:
    """A metadata table is read or refused by name."""
    path = tmp_path / "m.csv"
    path.write_bytes(data)
    refusal = None
    try:
        read_metadata(path)
    except UsageError as exc:
        refusal = str(exc)
    assert refusal is None or str(path) in refusal


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=100) | st.text(max_size=100).map(lambda t: b"movie,vocabulary,value\n" + t.encode()))
def test_any_bytes_as_labels(data: bytes, catalog_folder: Path, tmp_path: Path, m2s: Run) -> None:
    """A label table is read or refused: no exception, and status 2 leaves nothing behind."""
    path = tmp_path / "l.csv"
    path.write_bytes(data)
    before = sql(catalog_folder, "SELECT * FROM labels")
    ran = m2s("labels", "import", path, "--catalog", catalog_folder)
    assert ran.status in (0, 1, 2)
    assert ran.status != 2 or sql(catalog_folder, "SELECT * FROM labels") == before


def test_words_for_the_terminal_are_only_words(catalog_folder: Path, tmp_path: Path, m2s: Run) -> None:
    """Titles, genres and labels that hold a terminal's commands are shown without them, by every command."""
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eE"
    (tmp_path / "m.csv").write_text(f"movie,title,genres\nShort,{evil},{evil}\n")
    (tmp_path / "l.csv").write_text(f"movie,vocabulary,value\nShort,place,{evil}\nNo {evil},place,x\n")
    said = [
        m2s("index", "build", "--metadata", tmp_path / "m.csv", "--catalog", catalog_folder),
        m2s("labels", "import", tmp_path / "l.csv", "--catalog", catalog_folder),
        m2s("labels", "list", "--catalog", catalog_folder),
        m2s("index", "status", "--catalog", catalog_folder),
        m2s("query", "--scene", "1", "--catalog", catalog_folder),
        m2s("query", "--scene", f"No {evil}#0", "--catalog", catalog_folder),
        m2s("query", "--scene", "1", "--label", f"place={evil}?", "--catalog", catalog_folder),
    ]
    assert [ran.status for ran in said] == [0, 1, 0, 0, 0, 2, 0]
    shown = "".join(ran.stdout + ran.stderr for ran in said)
    assert "owned" in shown
    assert [character for character in shown if character in "\x1b\x07\x9b\u202e"] == []


# --- checkpoints --------------------------------------------------------------------------------------


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt", ".safetensors"])
def test_checkpoint_with_a_payload(suffix: str, tmp_path: Path) -> None:
    """Code in a checkpoint is not run, be it a bare pickle or torch's own file, and whatever it is called."""
    made, path = tmp_path / "made", tmp_path / f"weights{suffix}"
    path.write_bytes(pickle.dumps({"state_dict": Payload(made)}))
    with pytest.raises(WeightsError, match=re.escape(str(path))):
        read_weights(path)
    torch.save({"state_dict": Payload(made)}, path)
    with pytest.raises(WeightsError, match=re.escape(str(path))):
        read_weights(path)
    assert not made.exists()


@pytest.mark.parametrize("length", [0, 1, 1 << 20, (1 << 63) - 1, (1 << 64) - 1])
def test_safetensors_that_claim_more_than_they_hold(length: int, tmp_path: Path) -> None:
    """A header that says it is longer than the file is refused."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}')
    with pytest.raises(WeightsError, match=re.escape(str(path))):
        read_weights(path)


# --- key frames ---------------------------------------------------------------------------------------


def test_damaged_key_frame_files(catalog_folder: Path, tmp_path: Path) -> None:
    """Every picture that comes out of a damaged file is the one that was put in, or there is an error."""
    (file,) = sql(catalog_folder, "SELECT keyframes_file FROM movies WHERE name = 'Short'")[0]
    with KeyFrameReader(catalog_folder / "keyframes", file) as reader:
        stored = [reader.read(shot) for shot in range(reader.pictures)]
    sound, random = (catalog_folder / "keyframes" / file).read_bytes(), Random(3)
    refusals = []
    for number in range(300):
        data = bytearray(sound)
        # The list of pictures stands at the end.
        start = (0, len(data) - 400)[number % 2]
        for _ in range(random.choice((1, 8))):
            data[random.randrange(start, len(data))] ^= 1 << random.randrange(8)
        (tmp_path / file).write_bytes(data[: random.randrange(len(data))] if number % 5 == 0 else data)
        try:
            with KeyFrameReader(tmp_path, file) as reader:
                reader.is_whole()
                assert [reader.read(shot) for shot in range(len(stored))] == stored
        except KeyFrameError as exc:
            refusals.append(str(exc))
    assert 100 < len(refusals) < 300
    assert all(file in refusal for refusal in refusals)


def test_archive_that_unpacks_to_more(catalog_folder: Path, tmp_path: Path) -> None:
    """Megabytes of zeros in a few kilobytes are not unpacked: a key frame is never so large."""
    (file,) = sql(catalog_folder, "SELECT keyframes_file FROM movies WHERE name = 'Short'")[0]
    with zipfile.ZipFile(tmp_path / file, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("000000-0.jpg", bytes(LARGEST_PICTURE_BYTES + 1))
    with KeyFrameReader(tmp_path, file) as reader, pytest.raises(KeyFrameError, match="absurd size"):
        reader.read(0)


# --- names --------------------------------------------------------------------------------------------


def test_film_at_the_end_of_a_very_long_path(films: Path, tmp_path: Path, m2s: Run) -> None:
    """A path of almost 4 KiB is read, listed, found by its name, and looked up again."""
    folder = tmp_path / "films"
    while len(str(folder)) < 3700:
        folder = folder / ("folder " * 28)
    folder.mkdir(parents=True)
    film = folder / f"{'n' * 240}.mp4"
    shutil.copy(films / "Short.mp4", film)
    assert len(str(film)) > 4000 - 60
    build = ("index", "build", tmp_path / "films", "--catalog", tmp_path / "c", "--json")
    assert m2s(*build).json()["movies"]["indexed"] == 1
    assert m2s(*build).json()["movies"]["unchanged"] == 1
    assert m2s("index", "verify", "--catalog", tmp_path / "c", "--json").json()["notes"] == []
    assert m2s("query", "--scene", f"{'n' * 240}#0", "--catalog", tmp_path / "c").status == 0
