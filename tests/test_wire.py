"""What a worker says arrives as it was said, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m2s_index.clips import ClipFound, ClipsRead
from m2s_index.errors import WorkerError
from m2s_index.extract import FilmRead, ShotFound
from m2s_index.shots import Boundary
from m2s_index.types import BuildOptions, ClipSpec, Crop, Shot, VideoInfo
from m2s_index.wire import Failed, Job, Message, Progress, receive, receive_job, send, send_job

pts = st.integers(-(1 << 63), (1 << 63) - 1)
number = st.integers(0, 1 << 40)
words = st.text(max_size=30) | st.binary(max_size=12).map(lambda b: b.decode("utf-8", "surrogateescape"))
rates = st.builds(Fraction, st.integers(1, 1 << 30), st.integers(1, 1 << 30))
crops = st.none() | st.builds(Crop, number, number, number, number)
infos = st.builds(
    VideoInfo, words, words, number, number, rates, st.integers(-180, 180), rates, rates, pts,
    st.none() | pts, st.none() | number, number,
)  # fmt: skip
shots = st.builds(
    Shot, number, number, number, pts, pts, st.sampled_from(["start", "cut", "fade", "dissolve"]),
    st.none() | number, st.none() | number,
)  # fmt: skip
boundaries = st.builds(
    Boundary, number, st.sampled_from(["cut", "fade", "dissolve"]), st.none() | number, st.none() | number
)
found = st.builds(
    ShotFound, shots, st.lists(pts, max_size=4).map(tuple), st.lists(st.binary(max_size=90), max_size=4).map(tuple),
    crops,
)  # fmt: skip
reads = st.builds(FilmRead, infos, crops, pts, pts, number, number)
seconds = st.floats(allow_nan=False, allow_infinity=False)
progress = st.builds(Progress, number, seconds, number)
messages = infos | found | reads | progress | st.builds(Failed, words, st.booleans()) | st.builds(ClipsRead, number)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


@quick
@given(message=messages)
def test_every_message_round_trips(pipe: tuple[Connection, Connection], message: Message) -> None:
    """The parent hears exactly what the worker said, to the last byte and fraction."""
    ours, theirs = pipe
    send(theirs, message)
    assert receive(ours) == message
    assert not ours.poll()


@quick
@given(
    kind=st.sampled_from(["probe", "film", "clips"]),
    path=words,
    threads=st.integers(1, 64),
    stride=st.integers(1, 9),
    cuts=st.none() | st.lists(boundaries, max_size=4).map(tuple),
    clip=st.none() | st.builds(ClipSpec, number, rates, number),
    spans=st.lists(st.tuples(pts, pts)).map(tuple),
    crop=crops,
)
def test_every_job_round_trips(
    pipe: tuple[Connection, Connection], kind: str, path: str, threads: int, stride: int, **known: Any
) -> None:
    """The worker is handed the very path, also one that is not UTF-8, and all options and times."""
    ours, theirs = pipe
    job = Job(kind, path, BuildOptions(scene_stride=stride, min_shot_seconds=0.5), threads, **known)
    send_job(ours, job)
    assert receive_job(theirs) == job


@quick
@given(data=st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_nonsense_is_refused(pipe: tuple[Connection, Connection], data: bytes) -> None:
    """Whatever else comes is a broken protocol, and never another exception."""
    ours, theirs = pipe
    theirs.send_bytes(data)
    with pytest.raises(WorkerError):
        receive(ours)


@quick
@given(message=infos | reads | progress | shots, data=st.data())
def test_a_field_of_another_type_is_refused(
    pipe: tuple[Connection, Connection], message: Any, data: st.DataObject
) -> None:
    """A head whose fields are not what they claim to be does not reach the catalogue."""
    ours, theirs = pipe
    said = ShotFound(message, (), (), None) if isinstance(message, Shot) else message
    send(theirs, said)
    head = json.loads(ours.recv_bytes())
    inside = head.get("info") or head.get("shot") or head
    name = data.draw(st.sampled_from(sorted(set(inside) - {"type"})))
    inside[name] = {"of": "another type"}
    theirs.send_bytes(json.dumps(head).encode())
    with pytest.raises(WorkerError):
        receive(ours)


@pytest.mark.parametrize(
    "head",
    [
        b"[" * 100_000,
        b'{"type":"Progress","frames":1,"seconds":NaN,"shots":0}',
        b'{"type":"Progress","frames":true,"seconds":1.0,"shots":0}',
        b'{"type":"Progress","frames":%d,"seconds":1.0,"shots":0}' % (1 << 70),
        b'{"type":"Progress","frames":1,"seconds":1.0,"shots":0,"more":1}',
        b'{"type":"Failed"}',
        b'{"type":"Shutdown"}',
    ],
    ids=["nested", "nan", "bool", "huge", "unknown field", "missing field", "unknown type"],
)
def test_hostile_heads_are_refused(pipe: tuple[Connection, Connection], head: bytes) -> None:
    """Heads made to break their reader do not."""
    ours, theirs = pipe
    theirs.send_bytes(head)
    with pytest.raises(WorkerError):
        receive(ours)


@pytest.mark.parametrize("lengths", [[5], [-1, 4], [1, 1], ["3"], [2.5, 0.5], 7], ids=str)
def test_pictures_of_another_length_than_said_are_refused(
    pipe: tuple[Connection, Connection], lengths: object
) -> None:
    """Three bytes of pictures are only ever the lengths that add up to three."""
    ours, theirs = pipe
    shot = Shot(0, 0, 1, 0, 1, "start").__dict__
    head = {"type": "ShotFound", "shot": shot, "crop": None, "keyframe_pts": [0], "lengths": lengths}
    theirs.send_bytes(json.dumps(head).encode())
    theirs.send_bytes(b"abc")
    with pytest.raises(WorkerError):
        receive(ours)


def test_a_clip_arrives_to_the_last_pixel(pipe: tuple[Connection, Connection]) -> None:
    """With its scene and its shape."""
    ours, theirs = pipe
    frames = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), np.uint8)
    send(theirs, ClipFound(7, frames))
    got = receive(ours)
    assert isinstance(got, ClipFound)
    assert got.scene == 7
    assert got.frames.dtype == np.uint8
    np.testing.assert_array_equal(got.frames, frames)
    assert not ours.poll()


@pytest.mark.parametrize(
    "head",
    [
        {"scene": 0, "shape": [1, 1, 1, 4]},
        {"scene": 0, "shape": [-1, -1, 1, 3]},
        {"scene": 0, "shape": [3]},
        {"scene": 0, "shape": [1, 1, 1.0, 3]},
        {"scene": 0, "shape": 3},
        {"scene": "0", "shape": [1, 1, 1, 3]},
        {"shape": [1, 1, 1, 3]},
    ],
    ids=str,
)
def test_clips_that_are_not_what_they_say_are_refused(
    pipe: tuple[Connection, Connection], head: dict[str, object]
) -> None:
    """Three bytes are one pixel of one scene, or nothing."""
    ours, theirs = pipe
    theirs.send_bytes(json.dumps({"type": "ClipFound"} | head).encode())
    theirs.send_bytes(b"abc")
    with pytest.raises(WorkerError):
        receive(ours)


def test_zero_denominators_are_refused(pipe: tuple[Connection, Connection]) -> None:
    """A rate over nothing is a broken message, not a division by zero."""
    ours, theirs = pipe
    info = VideoInfo("a", "b", 1, 1, Fraction(1), 0, Fraction(1), Fraction(1), 0, None, None, 0)
    send(theirs, info)
    head = json.loads(ours.recv_bytes())
    head["info"]["frame_rate"] = [24, 0]
    theirs.send_bytes(json.dumps(head).encode())
    with pytest.raises(WorkerError):
        receive(ours)
