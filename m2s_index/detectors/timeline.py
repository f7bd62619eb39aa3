"""From evidence to boundaries: order, precedence of gradual transitions over cuts, and the shortest shot.

Every detector sends its findings through here, so that all of them keep the same promises.
"""

from __future__ import annotations

from dataclasses import dataclass

from m2s_index.shots import Boundary

VANISHED_SECONDS = 0.6
"""No shot after a dissolve is shorter: what a picture faded to, just before a cut, was no shot."""


@dataclass(frozen=True)
class Finding:
    """A boundary, and when its shot starts."""

    boundary: Boundary
    seconds: float


class Timeline:
    """Keeps found boundaries until none that precedes them can come any more, then lets them go.

    Dropped are cuts inside a gradual transition, boundaries that would leave a shot shorter than
    ``min_shot_seconds`` on either side (the first and the last shot of the film count as well), and a
    second finding of the same transition. A dissolve into something that a cut ends at once is
    dropped too: the picture faded or broke up before the cut.
    """

    def __init__(self, min_shot_seconds: float) -> None:
        # Rounding: a shot of exactly the minimum, on a 1/90000 clock, is long enough.
        self._min_shot_seconds = min_shot_seconds - 1e-3
        self._waiting: list[Finding] = []
        self._last_frame = 0
        self._last_seconds = float("-inf")

    def start(self, seconds: float) -> None:
        """The film's first frame plays at ``seconds``."""
        self._last_seconds = seconds

    def add(self, boundary: Boundary, seconds: float) -> None:
        """A boundary was found whose shot starts at ``seconds``; in any order."""
        self._waiting.append(Finding(boundary, seconds))

    def release(self, before_frame: int, latest_seconds: float) -> list[Boundary]:
        """Boundaries that are certain.

        Args:
            before_frame: no boundary that is still to be found begins, or has its transition begin,
                before this frame.
            latest_seconds: the film lasts at least until then.
        """
        self._waiting.sort(key=lambda item: (item.boundary.frame, item.boundary.transition == "cut"))
        out: list[Boundary] = []
        self._drop_contradicted()
        while self._waiting:
            finding = self._waiting[0]
            too_late = latest_seconds - finding.seconds < self._min_shot_seconds
            if finding.boundary.frame >= before_frame or too_late:
                break
            del self._waiting[0]
            if self._accept(finding) and not self._vanished(finding):
                out.append(finding.boundary)
                self._last_frame, self._last_seconds = finding.boundary.frame, finding.seconds
        return out

    def _drop_contradicted(self) -> None:
        """A cut in the middle of a dissolve speaks against the dissolve, as motion near a cut can look like
        one; so does a fade, half of which can.
        """
        kept = []
        for item in self._waiting:
            start, end = item.boundary.first_frame, item.boundary.frame
            contradicted = item.boundary.transition == "dissolve" and any(
                start + 2 <= other.frame <= end - 2
                if other.transition == "cut"
                else other.transition == "fade" and other.first_frame < end and start < other.frame
                for other in (item.boundary for item in self._waiting)
            )
            if not contradicted:
                kept.append(item)
        self._waiting = kept

    def _accept(self, finding: Finding) -> bool:
        boundary = finding.boundary
        if finding.seconds - self._last_seconds < self._min_shot_seconds or boundary.frame <= self._last_frame:
            return False
        if boundary.transition == "cut":
            return not any(
                other.boundary.first_frame <= boundary.frame <= other.boundary.frame
                for other in self._waiting
                if other.boundary.transition != "cut"
            )
        return boundary.first_frame >= self._last_frame

    def _vanished(self, finding: Finding) -> bool:
        """Whether this is a dissolve that a cut follows at once."""
        return finding.boundary.transition == "dissolve" and any(
            other.boundary.transition == "cut" and other.seconds - finding.seconds < VANISHED_SECONDS
            for other in self._waiting
        )
