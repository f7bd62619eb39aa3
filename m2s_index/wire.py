"""What a worker and its parent say to each other: JSON heads with raw bytes after them, never pickle.

A worker runs decoders over untrusted files; its parent believes nothing that it could not check.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from multiprocessing.connection import Connection
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from m2s_index.clips import ClipFound, ClipsRead
from m2s_index.errors import WorkerError
from m2s_index.extract import FilmRead, ShotFound
from m2s_index.segments import SampleBlock, SegmentRead
from m2s_index.shots import Boundary
from m2s_index.types import BuildOptions, ClipSpec, Crop, Shot, VideoInfo

MOST_BYTES = 1 << 27
"""No message is larger: neither a head, nor a shot's pictures together."""


@dataclass(frozen=True)
class Job:
    """One file to look at ("probe"), to read whole ("film"), whose scenes' clips are to be read ("clips"), or of
    which samples of one segment are wanted ("samples"), whose (start, end) in pts is in ``spans``.

    ``cuts`` where a film's shots are known; ``clip`` where an encoder wants clips. Where its scenes are known,
    ``spans`` are their (start, end) in pts, and ``crop`` what lies inside its bars.
    """

    kind: str
    path: str
    options: BuildOptions
    threads: int = 1
    cuts: tuple[Boundary, ...] | None = None
    clip: ClipSpec | None = None
    spans: tuple[tuple[int, int], ...] = ()
    crop: Crop | None = None


@dataclass(frozen=True)
class Progress:
    """How far a worker is: frames decoded, seconds of film, shots found."""

    frames: int
    seconds: float
    shots: int


@dataclass(frozen=True)
class Failed:
    """A file that could not be read, and why. ``no_video``: it holds no film, undamaged."""

    error: str
    no_video: bool = False


Message = VideoInfo | ShotFound | ClipFound | FilmRead | ClipsRead | SampleBlock | SegmentRead | Progress | Failed


def send_job(connection: Connection, job: Job) -> None:
    """Hand a job to a worker."""
    values = asdict(job)
    if job.clip:
        values["clip"]["rate"] = [job.clip.rate.numerator, job.clip.rate.denominator]
    connection.send_bytes(json.dumps(values).encode("ascii"))


def receive_job(connection: Connection) -> Job:
    """The next job; EOFError when the parent has gone."""
    head = json.loads(connection.recv_bytes(MOST_BYTES))
    cuts, clip, crop = head["cuts"], head["clip"], head["crop"]
    return Job(
        head["kind"],
        head["path"],
        BuildOptions(**head["options"]),
        head["threads"],
        None if cuts is None else tuple(Boundary(**cut) for cut in cuts),
        ClipSpec(**(clip | {"rate": Fraction(*clip["rate"])})) if clip else None,
        tuple((start, end) for start, end in head["spans"]),
        Crop(**crop) if crop else None,
    )


def send(connection: Connection, message: Message) -> None:
    """Tell the parent."""
    head: dict[str, Any] = {"type": type(message).__name__}
    data: bytes | None = None
    match message:
        case VideoInfo():
            head["info"] = _info_values(message)
        case FilmRead():
            head |= asdict(message) | {"info": _info_values(message.info)}
        case ClipFound():
            data = message.frames.tobytes()
            head |= {"scene": message.scene, "shape": message.frames.shape}
        case SampleBlock():
            data = message.pts.astype("<i8").tobytes() + message.samples.tobytes()
            head |= {"shape": message.samples.shape, "last_duration": message.last_duration}
        case ShotFound():
            data = b"".join(message.pictures) if message.pictures else None
            head["shot"] = asdict(message.shot)
            head["crop"] = asdict(message.crop) if message.crop else None
            head["keyframe_pts"] = message.keyframe_pts
            head["lengths"] = [len(picture) for picture in message.pictures]
        case _:
            head |= asdict(message)
    connection.send_bytes(json.dumps(head).encode("ascii"))
    if data is not None:
        connection.send_bytes(data)


def receive(connection: Connection) -> Message:
    """What the worker said; EOFError or OSError when it has gone.

    Raises:
        WorkerError: it broke the protocol.
    """
    data = connection.recv_bytes(MOST_BYTES)
    try:
        head = json.loads(data)
        match head.pop("type"):
            case "VideoInfo":
                return _info(head["info"])
            case "FilmRead":
                return _checked(FilmRead, head | {"info": _info(head["info"]), "crop": _crop(head["crop"])})
            case "ShotFound":
                return _shot_found(head, connection)
            case "ClipFound":
                return _clip_found(head, connection)
            case "SampleBlock":
                return _sample_block(head, connection)
            case "SegmentRead":
                return _checked(SegmentRead, head)
            case "ClipsRead":
                return _checked(ClipsRead, head)
            case "Progress":
                return _checked(Progress, head)
            case "Failed":
                return _checked(Failed, head)
            case other:
                raise WorkerError(f"a worker sent an unknown message: {other!r}")
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as exc:
        raise WorkerError(f"a worker sent a message that cannot be read: {exc}") from exc


def _shot_found(head: dict[str, Any], connection: Connection) -> ShotFound:
    lengths: list[int] = head["lengths"]
    if not all(type(length) is int and length >= 0 for length in lengths):
        raise WorkerError("a worker sent pictures of impossible length")
    data = connection.recv_bytes(MOST_BYTES) if lengths else b""
    if sum(lengths) != len(data):
        raise WorkerError("a worker sent pictures of another length than it said")
    pictures, start = [], 0
    for length in lengths:
        pictures.append(data[start : start + length])
        start += length
    values = {
        "shot": _checked(Shot, head["shot"]),
        "keyframe_pts": tuple(head["keyframe_pts"]),
        "pictures": tuple(pictures),
        "crop": _crop(head["crop"]),
    }
    return _checked(ShotFound, values)


def _clip_found(head: dict[str, Any], connection: Connection) -> ClipFound:
    scene, shape = head["scene"], head["shape"]
    if type(scene) is not int or not _is_shape(shape, 4):
        raise WorkerError("a worker sent a clip of an impossible scene or shape")
    data = connection.recv_bytes(MOST_BYTES)
    if math.prod(shape) != len(data):
        raise WorkerError("a worker sent a clip of another size than it said")
    return ClipFound(scene, np.frombuffer(data, np.uint8).reshape(shape))


def _sample_block(head: dict[str, Any], connection: Connection) -> SampleBlock:
    shape, duration = head["shape"], head["last_duration"]
    if type(duration) is not int or not _is_shape(shape, 3):
        raise WorkerError("a worker sent samples of an impossible shape or duration")
    data = connection.recv_bytes(MOST_BYTES)
    times = shape[0] * 8
    if times + math.prod(shape) != len(data):
        raise WorkerError("a worker sent samples of another size than it said")
    pts = np.frombuffer(data, "<i8", shape[0])
    return SampleBlock(pts.astype(np.int64), np.frombuffer(data, np.uint8, offset=times).reshape(shape), duration)


def _is_shape(shape: list[int], dimensions: int) -> bool:
    return len(shape) == dimensions and all(type(size) is int and size > 0 for size in shape)


def _crop(values: dict[str, int] | None) -> Crop | None:
    return _checked(Crop, values) if values else None


T = TypeVar("T")


def _checked(kind: type[T], values: dict[str, Any]) -> T:
    """A dataclass from its fields by name, each of the type that it declares.

    Raises:
        TypeError: one is not, or is missing, or unknown.
    """
    hints = get_type_hints(kind)
    for field in fields(kind):  # type: ignore[arg-type]  # every kind here is a dataclass
        if field.name in values and not _is(values[field.name], hints[field.name]):
            raise TypeError(f"{kind.__name__}.{field.name} is {values[field.name]!r:.40}")
    return kind(**values)


def _is(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is UnionType:
        return any(_is(value, one) for one in get_args(hint))
    if get_origin(hint) is tuple:
        return type(value) is tuple and all(_is(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    if hint is int:
        # What does not fit into 64 bits would only fail later, in the catalogue.
        return type(value) is int and -(1 << 63) <= value < 1 << 63
    return type(value) is hint


_FRACTIONS = ("sample_aspect", "time_base", "frame_rate")


def _info_values(info: VideoInfo) -> dict[str, Any]:
    values = asdict(info)
    return values | {name: [values[name].numerator, values[name].denominator] for name in _FRACTIONS}


def _info(values: dict[str, Any]) -> VideoInfo:
    return _checked(VideoInfo, values | {name: Fraction(*values[name]) for name in _FRACTIONS})
