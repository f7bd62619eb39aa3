"""Key frames stand for their shots: clear, sharp, the same every time, and from the moment that is stored."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_factory import Look, pictures, write_film
from numpy.typing import NDArray

from m2s_index.errors import CatalogError, KeyFrameError
from m2s_index.extract import FilmRead, ShotFound, extract
from m2s_index.keyframe_picker import CANDIDATE_BYTES, KeyFramePicker
from m2s_index.keyframe_store import (
    KeyFrameReader,
    KeyFrameWriter,
    StoredKeyFrames,
    decode_jpeg,
    delete_keyframes,
    encode_jpeg,
)
from m2s_index.procedural import HARD_MIX, FilmTruth, Grade, evaluation_films, load_truth, make_film, render
from m2s_index.types import BuildOptions, Crop, Shot

Grey = NDArray[np.float64]


def read(path: Path, options: BuildOptions | None = None) -> tuple[list[ShotFound], FilmRead]:
    *found, film = extract(path, options or BuildOptions())
    assert isinstance(film, FilmRead)
    return [shot for shot in found if isinstance(shot, ShotFound)], film


def decode(path: Path) -> tuple[dict[int, int], list[Grey]]:
    """Each pts' frame number, and all frames' luma."""
    numbers: dict[int, int] = {}
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None
            numbers[frame.pts] = len(frames)
            frames.append(frame.to_ndarray()[: frame.height, : frame.width].astype(np.float64))
    return numbers, frames


def laplacian_variance(grey: Grey) -> float:
    """The usual measure of sharpness, which the picker does not use."""
    inner = grey[1:-1, 1:-1]
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(edges.var())


@dataclass
class Tally:
    """How key frames fare: judged by the truth, whatever boundaries were found."""

    shots: int = 0
    unclear: int = 0
    others: int = 0
    sharper: int = 0

    def add(self, path: Path, truth: FilmTruth) -> None:
        found, _ = read(path)
        numbers, frames = decode(path)
        between = {
            number
            for shot in truth.shots
            for number in range(shot.transition_start_frame or 0, shot.transition_end_frame or 0)
        }
        for one in found:
            (pts,) = one.keyframe_pts
            kept = numbers[pts]
            assert one.shot.start_frame <= kept < one.shot.end_frame
            self.shots += 1
            self.unclear += kept in between or frames[kept].mean() < 24
            middle = (one.shot.start_frame + one.shot.end_frame - 1) // 2
            if kept != middle:
                self.others += 1
                self.sharper += laplacian_variance(frames[kept]) > laplacian_variance(frames[middle])


@pytest.fixture(scope="module")
def hard_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty shots with dissolves, fades, flashes, fast pans."""
    path = tmp_path_factory.mktemp("hard") / "hard.mp4"
    render(make_film(31, shots=30, mix=HARD_MIX, size=(160, 90)), path)
    return path


def test_kept_frames_are_clear_and_sharp(hard_film: Path) -> None:
    """None is black or inside a transition; four of five that are not the middle one are sharper than it."""
    tally = Tally()
    tally.add(hard_film, load_truth(hard_film))
    assert tally.shots >= 20
    assert tally.unclear == 0
    assert tally.sharper >= 0.8 * tally.others


@pytest.mark.slow
def test_kept_frames_of_all_evaluation_films_are_clear_and_sharp(tmp_path: Path) -> None:
    """Over 480 procedural shots at least 99 % are clear, and at least 80 % sharper than the shot's middle frame.

    Shots of which the middle frame is the one that was kept are left out of the second figure.
    """
    tally = Tally()
    for spec in (*evaluation_films("tune"), *evaluation_films("score")):
        path = tmp_path / "film.mp4"
        tally.add(path, render(spec, path))
    assert tally.shots >= 400
    assert tally.unclear <= 0.01 * tally.shots, tally
    assert tally.sharper >= 0.8 * tally.others, tally


def test_the_same_film_gives_the_same_key_frames(hard_film: Path) -> None:
    """Two passes, also with more decoder threads, keep the same frames and the same bytes."""
    first = read(hard_film)
    again = list(extract(hard_film, BuildOptions(), threads=2))
    assert again == [*first[0], first[1]]


@pytest.mark.parametrize("frames_per_shot", [1, 3])
def test_stored_times_are_those_of_the_stored_pictures(hard_film: Path, frames_per_shot: int) -> None:
    """The frame decoded at a key frame's time is the picture that was stored, better than any other moment's."""
    found, _ = read(hard_film, BuildOptions(frames_per_shot=frames_per_shot))
    numbers, frames = decode(hard_film)
    for shot in found:
        assert len(shot.keyframe_pts) == len(shot.pictures) == frames_per_shot
        assert list(shot.keyframe_pts) == sorted(shot.keyframe_pts)
        for pts, data in zip(shot.keyframe_pts, shot.pictures, strict=True):
            rgb = decode_jpeg(data).astype(np.float64)
            # ITU-R BT.601, studio range, as the film was encoded.
            luma = 16 + rgb @ np.array([0.299, 0.587, 0.114]) * 219 / 255
            assert np.abs(luma - frames[numbers[pts]]).mean() < 4


def test_several_frames_a_shot_are_spread_over_it(tmp_path: Path) -> None:
    """Each of n equal stretches of a long shot gives one."""
    path = write_film(tmp_path / "film.mp4", pictures((120,)))
    (shot,), _ = read(path, BuildOptions(frames_per_shot=4))
    at = [pts * 24 / 12288 for pts in shot.keyframe_pts]
    assert [int(frame // 30) for frame in at] == [0, 1, 2, 3]


@pytest.mark.parametrize(("px", "size"), [(544, (160, 90)), (80, (80, 45)), (33, (33, 19))])
def test_the_longer_side_is_as_asked_and_never_enlarged(px: int, size: tuple[int, int], tmp_path: Path) -> None:
    """``keyframe_px`` bounds the longer side."""
    path = write_film(tmp_path / "film.mp4", pictures())
    found, _ = read(path, BuildOptions(keyframe_px=px))
    for shot in found:
        height, width = decode_jpeg(shot.pictures[0]).shape[:2]
        assert (width, height) == size


def test_a_flash_is_not_kept(tmp_path: Path) -> None:
    """A shot that is mostly white or black is seen through one of its other frames."""
    frames = list(pictures((40,)))
    blank = np.full_like(frames[0], 255)
    flashed = [frame if 14 <= number < 20 else blank * (number % 2) for number, frame in enumerate(frames)]
    *found, _ = extract(write_film(tmp_path / "film.mp4", flashed), BuildOptions(min_shot_seconds=10))
    for shot in found:
        assert isinstance(shot, ShotFound)
        (pts,) = shot.keyframe_pts
        assert 14 <= round(pts * 24 / 12288) < 20


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(24), Fraction(60), Fraction(240)])
def test_every_shot_has_a_key_frame_at_any_rate(rate: Fraction, tmp_path: Path) -> None:
    """Shots of little more than the shortest length, at 10 to 240 frames a second, each keep one of their own."""
    length = max(4, int(rate * 2 / 5))
    path = write_film(tmp_path / "film.mp4", pictures((length,) * 5), Look(rate=rate))
    found, _ = read(path)
    assert len(found) == 5
    for shot in found:
        (pts,) = shot.keyframe_pts
        assert shot.shot.start_pts <= pts < shot.shot.end_pts


@pytest.mark.parametrize(
    ("width", "height", "pix_fmt", "frames_per_shot"),
    [(64, 36, "yuv420p", 1), (64, 36, "yuv420p", 4), (3840, 2160, "yuv420p10le", 1)],
)
def test_candidates_stay_within_their_memory(width: int, height: int, pix_fmt: str, frames_per_shot: int) -> None:
    """A shot of two minutes holds no more frames than fit, of whatever size, and is still seen all along."""
    frame = av.VideoFrame(width, height, pix_fmt)
    size = sum(plane.buffer_size for plane in frame.planes)
    picker = KeyFramePicker(frames_per_shot)
    most = 0
    for number in range(120 * 24):
        if picker.wants(number / 24):
            picker.offer(number, number, number / 24, frame)
            most = max(most, len(picker._candidates))
    assert most <= max(4 * frames_per_shot, min(64, CANDIDATE_BYTES // size))
    chosen = picker.pick(Shot(0, 0, 120 * 24, 0, 120 * 24, "start"))
    assert len(chosen) == frames_per_shot
    assert max(candidate.index for candidate in chosen) < 120 * 24


def peak_rss_kib(path: Path) -> int:
    """What a fresh process needs at most to read the film; ``ru_maxrss`` would count its parent's memory too."""
    code = (
        "import sys, pathlib\n"
        "from m2s_index.extract import extract\n"
        "from m2s_index.types import BuildOptions\n"
        "for _ in extract(pathlib.Path(sys.argv[1]), BuildOptions()): pass\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(status.partition('VmHWM:')[2].split()[0])\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True, env=environment
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("shot_frames", [60, 2400], ids=["shots of 2.5 s", "shots of 100 s"])
def test_memory_does_not_grow_with_the_film(shot_frames: int, tmp_path: Path) -> None:
    """The peak over a 40-minute film is within 15 % of that over a 4-minute one."""
    stills = pictures((1, 1, 1, 1, 1, 1, 1, 1), (64, 36))
    frames = (stills[number // shot_frames % 8] for number in range(4 * 60 * 24))
    short = write_film(tmp_path / "short.ts", frames, Look(options={"g": "48"}))
    long = tmp_path / "long.ts"
    # A transport stream ten times over is a film ten times as long.
    long.write_bytes(short.read_bytes() * 10)
    assert peak_rss_kib(long) <= 1.15 * peak_rss_kib(short)


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, list[list[bytes]]]:
    """A key-frame file of three shots with two pictures each."""
    shots = [[encode_jpeg(np.asarray(picture)) for picture in pictures()[at : at + 2]] for at in (0, 20, 51)]
    writer = KeyFrameWriter(tmp_path / "keyframes", "film.zip")
    for number, data in enumerate(shots):
        writer.add(number, data)
    assert not (tmp_path / "keyframes" / "film.zip").exists()
    written = writer.commit()
    data = (tmp_path / "keyframes" / "film.zip").read_bytes()
    assert written == StoredKeyFrames(len(data), hashlib.sha256(data).hexdigest())
    return tmp_path / "keyframes", shots


def test_stored_key_frames_come_back_byte_for_byte(stored: tuple[Path, list[list[bytes]]]) -> None:
    """What an encoder reads later is what was stored; nothing else lies in the folder."""
    folder, shots = stored
    with KeyFrameReader(folder, "film.zip") as reader:
        assert reader.pictures == 6
        assert reader.is_whole()
        assert [reader.read(number) for number in range(3)] == shots
        with pytest.raises(KeyFrameError, match=r"shot 3 .*repair"):
            reader.read(3)
    assert [path.name for path in folder.iterdir()] == ["film.zip"]


def test_equal_films_give_equal_key_frame_files(stored: tuple[Path, list[list[bytes]]]) -> None:
    """No time or name of the machine gets into the file."""
    folder, shots = stored
    writer = KeyFrameWriter(folder, "again.zip")
    for number, data in enumerate(shots):
        writer.add(number, data)
    writer.commit()
    assert (folder / "again.zip").read_bytes() == (folder / "film.zip").read_bytes()


def test_damaged_key_frames_are_noticed(stored: tuple[Path, list[list[bytes]]]) -> None:
    """A flipped bit, a file cut short, another file, or none: an error that names the remedy."""
    folder, _ = stored
    whole = (folder / "film.zip").read_bytes()
    flipped = bytearray(whole)
    flipped[200] ^= 4
    (folder / "film.zip").write_bytes(flipped)
    with KeyFrameReader(folder, "film.zip") as reader:
        assert not reader.is_whole()
        with pytest.raises(KeyFrameError, match=r"damaged .*repair"):
            reader.read(0)
    for data in (whole[: len(whole) // 2], b"not a zip", b""):
        (folder / "film.zip").write_bytes(data)
        with pytest.raises(KeyFrameError, match=r"film\.zip cannot be read .*repair"):
            KeyFrameReader(folder, "film.zip")
    with pytest.raises(KeyFrameError, match="repair"):
        KeyFrameReader(folder, "gone.zip")


def test_discarded_key_frames_leave_nothing(tmp_path: Path) -> None:
    """A film that failed leaves no file behind."""
    writer = KeyFrameWriter(tmp_path, "film.zip")
    writer.add(0, [b"data"])
    writer.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../film.zip", "a/b.zip", "/film.zip", "", "..", "film"])
def test_key_frame_files_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    """A name that leads elsewhere, as a foreign catalogue may hold it, is refused, and nothing is deleted by it."""
    folder = tmp_path / "keyframes"
    (tmp_path / "film.zip").write_text("precious")
    for use in (KeyFrameWriter, KeyFrameReader):
        with pytest.raises(KeyFrameError, match="no name of a key-frame file"):
            use(folder, name)
    delete_keyframes(folder, name)
    assert (tmp_path / "film.zip").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The message says where the key frames were to go."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CatalogError, match=r"cannot write key frames in .*file"):
        KeyFrameWriter(tmp_path / "file", "film.zip")


def test_pictures_are_cropped_to_the_film_inside_the_bars() -> None:
    """A crop cuts the stored picture and nothing else."""
    data = encode_jpeg(np.asarray(pictures()[0]))
    crop = Crop(left_px=10, top_px=20, width_px=100, height_px=50)
    assert np.array_equal(decode_jpeg(data, crop), decode_jpeg(data)[20:70, 10:110])


def bomb() -> bytes:
    """A tiny JPEG that claims 65500 × 65500 pixels."""
    data = bytearray(encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (65500).to_bytes(2) * 2
    return bytes(data)


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", bomb()], ids=["empty", "text", "png", "bomb"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    """Stored bytes that are no JPEG, or one that claims to be huge, are an error of the store's own."""
    with pytest.raises(KeyFrameError):
        decode_jpeg(data)


def test_dark_flat_films_keep_clear_frames(tmp_path: Path) -> None:
    """A film of low contrast is not taken for black."""
    spec = make_film(
        32, shots=8, mix=HARD_MIX, size=(160, 90), grade=Grade(0.8, 0.8, 0.85, contrast=0.5, saturation=0.7)
    )
    tally = Tally()
    tally.add(tmp_path / "film.mp4", render(spec, tmp_path / "film.mp4"))
    assert tally.unclear == 0
