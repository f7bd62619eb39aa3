"""Shots: the detector interface, the registry of detectors, and shots made from their boundaries.

How each detector finds its boundaries lives in ``m2s_index.detectors``; which frames it is given, and how
they are decoded, in ``extract`` and ``video``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from m2s_index.errors import UsageError
from m2s_index.types import Transition

if TYPE_CHECKING:
    import av

    from m2s_index.detectors.luma import Samples

MIN_SHOT_SECONDS = 0.25


@dataclass(frozen=True)
class Boundary:
    """Where a shot begins. ``frame`` is the first frame of the new shot; after a gradual transition,
    the first frame after it. The transition's extent is None for cuts; its end is exclusive.
    """

    frame: int
    transition: Transition
    transition_start_frame: int | None = None
    transition_end_frame: int | None = None

    @property
    def first_frame(self) -> int:
        """The first frame that is no longer purely of the shot before."""
        return self.frame if self.transition_start_frame is None else self.transition_start_frame


class ShotDetector(Protocol):
    """Finds shot boundaries in frames that are pushed in order of presentation.

    ``name`` is stored in the catalogue. A detector that is ``intra_only`` is to be given intra (key)
    frames alone, with their true indices. Boundaries come out in order, once, and are final. What a
    detector holds does not grow with the film.
    """

    name: str
    intra_only: bool

    def push(self, frame: av.VideoFrame, index: int, seconds: float) -> Sequence[Boundary]:
        """Take one frame; return the boundaries that became certain with it.

        Args:
            frame: as the decoder produced it; not kept after the call.
            index: its number in presentation order, from 0; larger than that of the frame before.
            seconds: its time, from its time stamp.
        """
        ...

    def finish(self) -> Sequence[Boundary]:
        """Return the boundaries still open. Nothing can be pushed afterwards."""
        ...


@runtime_checkable
class SampleDetector(ShotDetector, Protocol):
    """A detector that sees no more of a frame than ``detectors.luma`` samples, whoever has taken them."""

    def push_samples(self, samples: Samples, index: int, seconds: float) -> Sequence[Boundary]:
        """``push`` of the frame that the samples, uint8 [height, width], are of."""
        ...


class DetectorFactory(Protocol):
    """Makes a detector that reports no shot shorter than ``min_shot_seconds``."""

    def __call__(self, *, min_shot_seconds: float) -> ShotDetector:
        """A new detector, for one film."""
        ...


def _factory(module: str, attribute: str) -> DetectorFactory:
    """A factory that imports its module when it is called: none of them is needed to show shots."""

    def make(*, min_shot_seconds: float) -> ShotDetector:
        make_one: DetectorFactory = getattr(import_module(module), attribute)
        return make_one(min_shot_seconds=min_shot_seconds)

    return make


DETECTORS: dict[str, DetectorFactory] = {
    "adaptive": _factory("m2s_index.detectors.adaptive", "AdaptiveDetector"),
    "transnetv2": _factory("m2s_index.detectors.transnet", "TransNetDetector"),
    "keyframes": _factory("m2s_index.detectors.keyframes", "KeyframesDetector"),
}


def make_detector(name: str, *, min_shot_seconds: float = MIN_SHOT_SECONDS) -> ShotDetector:
    """A new detector for one film.

    Raises:
        UsageError: there is no detector of that name, or the shortest shot is negative.
        MissingExtraError: the detector needs a package that is not installed.
    """
    if name not in DETECTORS:
        raise UsageError(f"no shot detector is called {name!r}; there are {', '.join(DETECTORS)}")
    if not 0 <= min_shot_seconds < float("inf"):
        raise UsageError(f"the shortest shot must be 0 seconds or longer, not {min_shot_seconds}")
    return DETECTORS[name](min_shot_seconds=min_shot_seconds)
