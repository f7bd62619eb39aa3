"""The default detector: hard cuts, fades and dissolves from luma samples, a block of frames at a time.

The tests themselves are in ``detectors.cuts``, ``detectors.fades`` and ``detectors.dissolves``; here they
are asked about each frame once, when enough of what follows it is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from m2s_index.detectors.bursts import LEAD_FRAMES, is_burst
from m2s_index.detectors.cuts import NEIGHBOURS, cut_candidates, cut_score, neighbourhood
from m2s_index.detectors.dissolves import DissolveFinder
from m2s_index.detectors.fades import FadeTracker
from m2s_index.detectors.luma import LumaSampler, Samples
from m2s_index.detectors.timeline import Timeline
from m2s_index.detectors.window import RATE_FRAMES, FrameWindow
from m2s_index.shots import MIN_SHOT_SECONDS, Boundary

if TYPE_CHECKING:
    import av

BLOCK_FRAMES = 64
CUT_PROBABILITY = 0.5
FLASH_SECONDS = 0.3


class AdaptiveDetector:
    """Finds cuts where a frame stands out from its neighbours, dissolves where frames are mixtures of
    others, fades where the picture goes flat.
    """

    name = "adaptive"
    intra_only = False

    def __init__(self, *, min_shot_seconds: float = MIN_SHOT_SECONDS) -> None:
        self._timeline = Timeline(min_shot_seconds)
        self._sampler = LumaSampler()
        self._fades = FadeTracker()
        self._window: FrameWindow | None = None
        self._finder: DissolveFinder | None = None
        self._flash_frames = 0
        self._margin = 0
        self._decided = 0

    def push(self, frame: av.VideoFrame, index: int, seconds: float) -> Sequence[Boundary]:
        """See ``ShotDetector.push``."""
        window = self._open(self._sampler.shape(frame), seconds)
        self._sampler.sample(frame, window.coming)
        return self._advance(window, index, seconds)

    def push_samples(self, samples: Samples, index: int, seconds: float) -> Sequence[Boundary]:
        """See ``SampleDetector.push_samples``."""
        window = self._open(samples.shape, seconds)
        window.coming[...] = samples
        return self._advance(window, index, seconds)

    def _open(self, shape: tuple[int, ...], seconds: float) -> FrameWindow:
        if self._window is None:
            self._window = FrameWindow(shape, RATE_FRAMES)
            self._timeline.start(seconds)
        return self._window

    def _advance(self, window: FrameWindow, index: int, seconds: float) -> Sequence[Boundary]:
        window.append(index, seconds)
        if not window.full:
            return ()
        if self._finder is None:
            self._settle(window)
            return ()
        found = self._decide(window, window.filled - self._margin)
        gone = max(0, self._decided - self._margin)
        window.forget(gone)
        self._decided -= gone
        return found

    def finish(self) -> Sequence[Boundary]:
        """See ``ShotDetector.finish``."""
        window = self._window
        if window is None:
            return []
        if self._finder is None:
            self._settle(window)
        found = self._decide(window, window.filled)
        last = window.filled - 1
        end_seconds = float(window.seconds[last]) + 1 / window.rate()
        return [*found, *self._timeline.release(int(window.indices[last]) + 1, end_seconds)]

    def _settle(self, window: FrameWindow) -> None:
        """Translate seconds into frames, now that the frame rate is known."""
        rate = window.rate()
        self._finder = DissolveFinder.at_rate(rate)
        self._flash_frames = max(3, round(FLASH_SECONDS * rate))
        self._margin = max(self._finder.margin, NEIGHBOURS + self._flash_frames)
        window.grow(2 * self._margin + BLOCK_FRAMES)

    def _decide(self, window: FrameWindow, end: int) -> list[Boundary]:
        """Settle the frames up to ``end``; return what became certain."""
        assert self._finder is not None
        window.measure()
        first, self._decided = self._decided, end
        self._find_cuts(window, first, end)
        for fade in self._fades.advance(window, first, end):
            extent = fade.start_index, fade.end_index
            self._timeline.add(Boundary(fade.end_index, "fade", *extent), fade.seconds)
        for start, after in self._finder.find(window, first, end):
            after = min(after, window.filled - 1)
            extent = int(window.indices[start]), int(window.indices[after])
            self._timeline.add(Boundary(extent[1], "dissolve", *extent), float(window.seconds[after]))
        # A transition that is still to be found may have begun this far back.
        horizon = int(window.indices[max(0, end - 2 * self._finder.halves[-1])])
        if self._fades.open_since is not None:
            horizon = min(horizon, self._fades.open_since)
        return self._timeline.release(horizon, float(window.seconds[-1]))

    def _find_cuts(self, window: FrameWindow, first: int, end: int) -> None:
        assert self._finder is not None
        # What lies further away has no part in the neighbourhoods of the frames asked about.
        low, high = max(0, first - NEIGHBOURS), min(window.filled, end + NEIGHBOURS)
        changes = window.changes_in(low, high)
        mean, quiet = neighbourhood(changes.mean), neighbourhood(changes.quiet)
        for candidate in cut_candidates(changes, mean):
            at, frame = int(candidate), int(candidate) + low
            if not max(first, 1) <= frame < end:
                continue
            around = float(mean[at]), float(quiet[at])
            probability = cut_score(window.samples, frame, self._flash_frames, float(changes.quiet[at]), around)
            if probability < CUT_PROBABILITY:
                continue
            lit = slice(max(0, frame - LEAD_FRAMES), frame + self._finder.back)
            if not is_burst(window.thumbs[lit], window.changes.mean[lit]):
                self._timeline.add(Boundary(int(window.indices[frame]), "cut"), float(window.seconds[frame]))
