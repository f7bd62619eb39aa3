"""Values that cross module borders: frozen dataclasses, with no behaviour but what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Transition = Literal["start", "cut", "fade", "dissolve"]
Metric = Literal["cosine", "l2"]
JunkKind = Literal["black", "plain", "card", "credits"]
PairKind = Literal["similar", "duplicate"]
Float32Array = NDArray[np.float32]
Int64Array = NDArray[np.int64]
Image = NDArray[np.uint8]
"""RGB, shape [height, width, 3], uint8."""


@dataclass(frozen=True)
class Crop:
    """The picture inside its letterbox or pillarbox bars, in pixels of the upright, square-pixel frame."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int


@dataclass(frozen=True)
class VideoInfo:
    """What a container says of the stream that is decoded, before anything is decoded.

    ``start_pts`` and ``duration_pts`` count units of ``time_base`` seconds; ``duration_pts`` and
    ``frames`` are None where the container does not say. ``rotation_degrees`` is counter-clockwise, as
    players apply it. ``width_px`` and ``height_px`` are those of the coded frame.
    """

    format: str
    codec: str
    width_px: int
    height_px: int
    sample_aspect: Fraction
    rotation_degrees: int
    time_base: Fraction
    frame_rate: Fraction
    start_pts: int
    duration_pts: int | None
    frames: int | None
    stream_index: int

    @property
    def duration_seconds(self) -> float | None:
        """Length in seconds, or None where the container does not say."""
        return None if self.duration_pts is None else float(self.duration_pts * self.time_base)


@dataclass(frozen=True)
class Shot:
    """A run of frames between two transitions.

    Frames count from 0 in order of presentation; ``end_frame`` and ``end_pts`` are exclusive.
    ``transition`` says how the shot begins. After a gradual one the shot starts where the transition
    ends; ``transition_start_frame`` and ``transition_end_frame`` (exclusive) give its extent, and are
    None otherwise.
    """

    index: int
    start_frame: int
    end_frame: int
    start_pts: int
    end_pts: int
    transition: Transition
    transition_start_frame: int | None = None
    transition_end_frame: int | None = None


@dataclass(frozen=True)
class Scene:
    """A run of shots: ``first_shot`` to ``end_shot`` (exclusive), by shot index.

    ``scene_id`` is the catalogue's key and the id in the FAISS file; 0 for one that is not stored yet.
    Seconds count from the film's first frame.
    """

    scene_id: int
    movie_id: int
    movie: str
    index: int
    first_shot: int
    end_shot: int
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Movie:
    """A film in the catalogue. ``name`` is the file's stem; ``crop`` is None where there are no bars;
    ``damaged_packets`` could not be decoded and were skipped.
    """

    movie_id: int
    path: str
    name: str
    title: str | None
    year: int | None
    genres: tuple[str, ...]
    info: VideoInfo
    crop: Crop | None
    shots: int
    scenes: int
    duration_seconds: float
    damaged_packets: int


@dataclass(frozen=True)
class EncoderIdentity:
    """What makes two vectors comparable. Any difference makes another encoder.

    ``weights_sha256`` is empty for encoders without weights. ``preprocessing`` says all that happens
    between the key frame and the network, and what is subtracted or scaled after it.
    """

    name: str
    architecture: str
    weights_sha256: str
    preprocessing: str
    dimension: int
    metric: Metric

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class ClipSpec:
    """What an encoder that sees motion asks of a scene: so many frames from its middle, ``rate`` a second,
    each scaled until its shorter side is ``side_px``, of which the middle square is kept.
    """

    frames: int
    rate: Fraction
    side_px: int


@dataclass(frozen=True)
class SceneEmbeddings:
    """``vectors`` float32 [N, D], row i for scene ``scene_ids[i]`` (int64 [N]).

    Rows are L2-normalised where the encoder's metric is cosine.
    """

    scene_ids: Int64Array
    vectors: Float32Array

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.scene_ids) != len(self.vectors):
            raise ValueError(f"{len(self.scene_ids)} ids for vectors of shape {self.vectors.shape}")

    def __repr__(self) -> str:
        return f"SceneEmbeddings({len(self.scene_ids)} scenes × {self.vectors.shape[1]})"


@dataclass(frozen=True)
class SearchHit:
    """One similar scene. ``distance`` is Euclidean (not squared), lower for closer; ``score`` is the
    cosine for encoders whose metric is cosine, else minus the distance: higher for closer. ``percentile`` and
    ``csls`` say how unusual such a hit is (see ``nothing_similar``), where that was asked for.
    """

    rank: int
    scene: Scene
    title: str | None
    year: int | None
    distance: float
    score: float
    percentile: float | None = None
    csls: float | None = None


@dataclass(frozen=True, eq=False)
class FilmPairs:
    """Pairs of films by their numbers, int64 [P] and [P], and which are ``similar``, bool [P]."""

    first: Int64Array
    second: Int64Array
    similar: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    def at(self, where: Int64Array | NDArray[np.bool_]) -> FilmPairs:
        """Some of them, by place or by mask."""
        return FilmPairs(self.first[where], self.second[where], self.similar[where])


@dataclass(frozen=True)
class ScenePair:
    """Two scenes of different films that are alike. A window of shots is a scene whose id is 0.

    ``kind`` is "duplicate" where both show the same pictures of the same film: ``a`` and ``b`` are then the
    stretches that do, with the id and index of the scenes they begin in. ``percentile`` says how unusual
    the score is among scenes of unrelated films of the catalogue, in [0, 100]; ``csls`` is the score less
    how close both scenes are to anything. Both are None where they were not asked for, or cannot be had.
    """

    rank: int
    score: float
    a: Scene
    b: Scene
    kind: PairKind = "similar"
    percentile: float | None = None
    csls: float | None = None


@dataclass(frozen=True)
class FileIdentity:
    """What tells one file from another: ``fingerprint`` is hex SHA-256 over the size and the first,
    middle and last MiB; size and time of change are looked at first.
    """

    path: str
    size_bytes: int
    modified_ns: int
    fingerprint: str


@dataclass(frozen=True)
class BuildOptions:
    """How films are cut into shots and scenes, and which frames are kept.

    ``scenes`` is "windows" (runs of ``scene_shots`` shots every ``scene_stride``) or "whole-file".
    ``keyframe_px`` is the longer side of the stored key frames.
    """

    detector: str = "adaptive"
    min_shot_seconds: float = 0.25
    scenes: Literal["windows", "whole-file"] = "windows"
    scene_shots: int = 9
    scene_stride: int = 9
    frames_per_shot: int = 1
    keyframe_px: int = 544


@dataclass(frozen=True)
class Film:
    """One film as it was read: what the catalogue stores of it, before it has ids.

    ``start_pts`` is the first frame's, ``end_pts`` where the last one ends. ``keyframe_pts`` has one
    tuple a shot, ``scenes`` one (first_shot, end_shot) a scene, ``junk`` what kind of junk each shot is (see
    ``m2s_index.junk``), or None; it is empty where nobody has looked.
    """

    file: FileIdentity
    title: str | None
    year: int | None
    genres: tuple[str, ...]
    info: VideoInfo
    crop: Crop | None
    start_pts: int
    end_pts: int
    frames: int
    damaged_packets: int
    options: BuildOptions
    shots: tuple[Shot, ...]
    keyframe_pts: tuple[tuple[int, ...], ...]
    scenes: tuple[tuple[int, int], ...]
    keyframes_file: str
    keyframes_bytes: int
    keyframes_sha256: str
    junk: tuple[JunkKind | None, ...] = ()

    @property
    def duration_seconds(self) -> float:
        """From the first frame's start to the last one's end."""
        return float((self.end_pts - self.start_pts) * self.info.time_base)


@dataclass(frozen=True)
class FilmVectors:
    """One film's matrices by one encoder: ``shots`` [S, D], ``scenes`` [N, D], float32; scene rows are
    normalised where the metric is cosine. ``shots`` is None by an encoder that sees whole scenes.
    """

    encoder: EncoderIdentity
    shots: Float32Array | None
    scenes: Float32Array
