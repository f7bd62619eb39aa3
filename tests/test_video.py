"""Damaged and hostile files: read as far as they can be, or refused with the file and a remedy."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from film_factory import Look, pictures, truncated, write_audio, write_film

from m2s_index.errors import DamagedVideoError, NotVideoError, VideoError
from m2s_index.extract import FilmRead, extract, find_shots
from m2s_index.types import BuildOptions
from m2s_index.video import VideoReader, probe

LENGTHS = (40, 30, 50, 40, 60, 30)
FRAMES = sum(LENGTHS)
KEY_EVERY_SECOND = {"g": "24"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same film with its index at the end, at the beginning, and in containers that need none."""
    folder = tmp_path_factory.mktemp("whole")
    look, sound = Look(options=KEY_EVERY_SECOND), FRAMES / 24
    frames = pictures(LENGTHS)
    write_film(folder / "last.mp4", frames, look, audio_seconds=sound)
    write_film(
        folder / "first.mp4", frames, look, audio_seconds=sound, container_options={"movflags": "faststart"}
    )  # fmt: skip
    for suffix in ("mkv", "ts"):
        write_film(folder / f"film.{suffix}", frames, look, audio_seconds=sound)
    write_film(folder / "film.avi", frames, Look("mpeg4", options={"g": "12"}), audio_seconds=sound)
    return folder


def flipped(source: Path, target: Path, bits: int, seed: int) -> Path:
    """A file with bits turned over in its middle fifth."""
    data, rng = bytearray(source.read_bytes()), random.Random(seed)
    for _ in range(bits):
        data[rng.randrange(len(data) * 2 // 5, len(data) * 3 // 5)] ^= 1 << rng.randrange(8)
    target.write_bytes(data)
    return target


def assert_helpful(error: VideoError, path: Path) -> None:
    """The message names the file, says what is wrong, and what to do."""
    message = str(error)
    assert message.startswith(f"{path}: ")
    assert any(word in message for word in ("copy", "convert", "name ", "check")), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "share"),
    [("last.mp4", 0.3), ("last.mp4", 0.8), ("first.mp4", 0.3), ("film.mkv", 0.3), ("first.mp4", 0.02)],
)
def test_cut_off_film_of_which_too_little_is_left(name: str, share: float, folder: Path, tmp_path: Path) -> None:
    """An MP4 without its index, or less than half of a film, is refused."""
    path = truncated(folder / name, tmp_path / name, share)
    with pytest.raises(VideoError) as caught:
        find_shots(path)
    assert_helpful(caught.value, path)
    assert any(word in str(caught.value) for word in ("damaged", "truncated", "not one frame can be decoded"))


@pytest.mark.parametrize("name", ["first.mp4", "film.mkv", "film.ts"])
def test_cut_off_film_of_which_most_is_left(name: str, folder: Path, tmp_path: Path) -> None:
    """Four fifths of a film are indexed, their shots where they were, and the damage is counted."""
    whole, _ = find_shots(folder / name)
    read, shots = find_shots(truncated(folder / name, tmp_path / name, 0.8))
    assert whole.damaged_packets == 0
    assert 0.7 * FRAMES < read.frames < 0.9 * FRAMES
    assert [shot.start_frame for shot in shots] == [0, 40, 70, 120, 160]
    assert read.damaged_packets > 0


@pytest.mark.parametrize("name", ["first.mp4", "film.mkv"])
def test_film_without_its_beginning(name: str, folder: Path, tmp_path: Path) -> None:
    """A file whose head is gone is refused."""
    data = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(data[len(data) // 5 :])
    with pytest.raises(NotVideoError) as caught:
        find_shots(tmp_path / name)
    assert_helpful(caught.value, tmp_path / name)


def test_broadcast_without_its_beginning(folder: Path, tmp_path: Path) -> None:
    """A transport stream can be joined anywhere: from the next key frame on it is film."""
    data = (folder / "film.ts").read_bytes()
    (tmp_path / "tail.ts").write_bytes(data[len(data) // 5 :])
    read, shots = find_shots(tmp_path / "tail.ts")
    lost = FRAMES - read.frames
    assert 0 < lost < FRAMES / 2
    assert [s.start_frame for s in shots[1:]] == [f - lost for f in (40, 70, 120, 160, 220) if f > lost]


@pytest.mark.parametrize("name", ["last.mp4", "first.mp4", "film.mkv", "film.ts", "film.avi"])
@pytest.mark.parametrize("seed", [1, 2])
def test_flipped_bits_are_survived_and_counted(name: str, seed: int, folder: Path, tmp_path: Path) -> None:
    """A film with bits turned over in its middle is indexed, right before and after, with the damage counted."""
    path = flipped(folder / name, tmp_path / name, 60, seed)
    *found, read = extract(path, BuildOptions())
    assert isinstance(read, FilmRead)
    assert read.damaged_packets > 0
    assert read.frames > 0.7 * FRAMES
    seconds = [round(float((one.shot.start_pts - read.start_pts) * read.info.time_base), 2) for one in found]
    assert {0.0, 1.67} <= set(seconds)
    assert any(abs(at - 220 / 24) < 0.02 for at in seconds)


@pytest.mark.parametrize("name", ["first.mp4", "film.mkv", "film.ts"])
def test_hole_in_the_middle(name: str, folder: Path, tmp_path: Path) -> None:
    """A tenth of a film overwritten with zeros costs that tenth; the times after it stay right."""
    data = bytearray((folder / name).read_bytes())
    first, last = len(data) * 45 // 100, len(data) * 55 // 100
    data[first:last] = bytes(last - first)
    (tmp_path / name).write_bytes(data)
    read, shots = find_shots(tmp_path / name)
    assert 0.7 * FRAMES < read.frames < FRAMES
    after = float((shots[-1].start_pts - read.start_pts) * read.info.time_base)
    assert after == pytest.approx(220 / 24, abs=0.02)
    assert float((read.end_pts - read.start_pts) * read.info.time_base) == pytest.approx(FRAMES / 24, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", ["first.mp4", "film.mkv", "film.ts", "film.avi"])
def test_random_damage_never_raises_anything_else(name: str, seed: int, folder: Path, tmp_path: Path) -> None:
    """Whatever is wrong with a file, it gives shots that make sense or an error that names it."""
    rng = random.Random(seed)
    data = bytearray((folder / name).read_bytes())
    for _ in range(rng.choice([1, 10, 300])):
        data[rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(4000)] = rng.randrange(256)
    path = tmp_path / name
    path.write_bytes(data)
    try:
        read, shots = find_shots(path)
    except VideoError as error:
        assert_helpful(error, path)
        return
    assert shots[0].start_frame == 0
    assert shots[-1].end_frame == read.frames
    assert all(shot.start_frame < shot.end_frame and shot.start_pts < shot.end_pts for shot in shots)


def test_every_frame_has_a_later_time_than_the_one_before(folder: Path, tmp_path: Path) -> None:
    """Times rise strictly, in damaged films too."""
    for name in ("first.mp4", "film.ts"):
        with VideoReader(flipped(folder / name, tmp_path / name, 200, 5)) as reader:
            times = [pts for pts, _ in reader.frames()]
        assert all(np.diff(times) > 0)


def _text(path: Path) -> None:
    path.write_text("This is a diary and not a film.\n" * 300)


def _noise(path: Path) -> None:
    path.write_bytes(random.Random(7).randbytes(200_000))


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(100_000))


def _jpeg(path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.asarray(pictures()[0])).save(path, "JPEG")


def _zip(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as file:
        file.writestr("film.mp4", "x" * 5000)


@pytest.mark.parametrize("write", [_text, _noise, _zeros, _jpeg, _zip])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "txt"])
def test_what_only_claims_to_be_film(write: Callable[[Path], None], suffix: str, tmp_path: Path) -> None:
    """A film's ending makes no film."""
    path = tmp_path / f"film.{suffix}"
    write(path)
    for look in (probe, find_shots):
        with pytest.raises(NotVideoError) as caught:
            look(path)
        assert_helpful(caught.value, path)


def test_sound_alone(tmp_path: Path) -> None:
    """A film of which only the sound is there is said to be that."""
    path = write_audio(tmp_path / "film.mp4")
    with pytest.raises(NotVideoError, match="audio only") as caught:
        probe(path)
    assert_helpful(caught.value, path)


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfilm.ts\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile film.ts\n",
    "list.mp4": "ffconcat version 1.0\nfile film.ts\n",
    "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=No\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "live.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-live:2011"><Period><AdaptationSet mimeType="video/mp4">'
    "<Representation><BaseURL>film.ts</BaseURL></Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists_are_refused_before_anything_they_name_is_opened(name: str, tmp_path: Path) -> None:
    """A file that names others is no film; what it names, here a pipe that would block for ever, stays closed."""
    os.mkfifo(tmp_path / "film.ts")
    path = tmp_path / name
    path.write_text(PLAYLISTS[name])
    for look in (probe, find_shots):
        with pytest.raises(NotVideoError) as caught:
            look(path)
        assert_helpful(caught.value, path)


TEXTS = {
    "film.srt": "1\n00:00:01,000 --> 00:00:02,000\nHello\n",
    "film.vtt": "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHello\n",
    "film.ass": "[Script Info]\nScriptType: v4.00+\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
    "Dialogue: 0,0:00:01.00,0:00:02.00,Default,Hello\n",
    "film.sub": "{1}{25}Hello\n{30}{50}there\n",
    "film.nfo": "A film.\n" * 200,
    "film.txt": "A film.\n" * 200,
    "film.json": '{"title": "A film"}',
    "film.idx": "# VobSub index file, v7 (do not modify this line!)\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_lies_beside_films_is_no_film(name: str, tmp_path: Path) -> None:
    """Subtitles and notes are not film, though FFmpeg could draw some of them."""
    (tmp_path / name).write_text(TEXTS[name])
    with pytest.raises(NotVideoError) as caught:
        probe(tmp_path / name)
    assert_helpful(caught.value, tmp_path / name)


def test_picture_whose_name_is_a_pattern(tmp_path: Path) -> None:
    """``%03d.jpg`` is one picture, not a sequence."""
    _jpeg(tmp_path / "%03d.jpg")
    _jpeg(tmp_path / "001.jpg")
    with pytest.raises(NotVideoError, match="not a film"):
        probe(tmp_path / "%03d.jpg")


def test_film_with_an_unknown_codec(tmp_path: Path, folder: Path) -> None:
    """A stream that no decoder knows is refused with what to do."""
    data = (folder / "last.mp4").read_bytes().replace(b"avc1", b"zzz9").replace(b"avcC", b"zzzC")
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    with pytest.raises(VideoError) as caught:
        probe(path)
    assert_helpful(caught.value, path)


def test_film_of_which_no_frame_can_be_decoded(tmp_path: Path, folder: Path) -> None:
    """A film whose index is whole and whose pictures are gone is damaged, and said to be."""
    with av.open(str(folder / "first.mp4")) as container:
        first = min(packet.pos or 0 for packet in container.demux() if packet.size)
    data = (folder / "first.mp4").read_bytes()
    path = tmp_path / "film.mp4"
    path.write_bytes(data[:first] + bytes(len(data) - first))
    assert probe(path).frames == FRAMES, "the probe decodes nothing"
    with pytest.raises(DamagedVideoError) as caught:
        find_shots(path)
    assert_helpful(caught.value, path)


def test_probing_says_what_the_container_says(folder: Path) -> None:
    """Size, codec, rate, length and frames, without reading the film."""
    info = probe(folder / "first.mp4")
    assert (info.codec, info.width_px, info.height_px, info.frames) == ("h264", 160, 90, FRAMES)
    assert info.frame_rate == 24
    assert info.duration_seconds == pytest.approx(FRAMES / 24)


def test_progress_is_told_after_every_frame(folder: Path) -> None:
    """Frames count up by one, seconds are the film's."""
    told: list[tuple[int, float]] = []
    for _ in extract(folder / "film.ts", BuildOptions(), on_progress=lambda *at: told.append(at)):
        pass
    assert [count for count, _ in told] == list(range(1, FRAMES + 1))
    assert [at for _, at in told] == pytest.approx([number / 24 for number in range(FRAMES)], abs=1e-4)


@pytest.mark.parametrize("name", ["last.mp4", "film.mkv", "film.ts", "film.avi"])
def test_intra_frames_alone_keep_their_numbers(name: str, folder: Path) -> None:
    """Where only key frames are decoded, frame numbers follow from times, and the film is as long."""
    whole, _ = find_shots(folder / name)
    read, shots = find_shots(folder / name, detector="keyframes")
    assert shots[-1].end_frame == read.frames
    assert FRAMES - 24 <= read.frames <= FRAMES + 1
    ends = [float((one.end_pts - one.start_pts) * one.info.time_base) for one in (whole, read)]
    assert ends[1] == pytest.approx(ends[0], abs=1.01)


def test_a_film_seen_only_at_its_key_frames_is_as_long_as_it_is(tmp_path):
    """The film goes on after the last of them, and nothing of it is damaged."""
    path = write_film(tmp_path / "gop.mp4", pictures(LENGTHS))
    read, shots = find_shots(path, "keyframes")
    assert read.frames == sum(LENGTHS)
    assert (shots[0].start_frame, shots[-1].end_frame) == (0, sum(LENGTHS))
    assert shots[-1].end_pts == read.end_pts
    assert read.damaged_packets == 0
