"""Choosing the frames that stand for a shot while the film runs by, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from m2s_index.luma import luma_8bit
from m2s_index.types import Shot

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

CANDIDATE_SECONDS = 0.2
"""A frame is considered this often: closer than the shortest shot is long."""
RECENT_SECONDS = 5.0
"""Candidates younger than this are never thinned: a transition among them may not be known yet."""
CANDIDATE_BYTES = 96 << 20
"""Memory for the candidates of the shot that is running."""
DARK_LUMA = 32.0
FLAT_LUMA_DEVIATION = 4.0


@dataclass(frozen=True)
class Candidate:
    """A frame that may come to stand for its shot."""

    index: int
    pts: int
    seconds: float
    frame: VideoFrame
    sharpness: float
    plain: bool
    """Black, white or flat: taken only where a shot has nothing else."""


class KeyFramePicker:
    """Keeps a bounded choice of frames while a shot runs, and picks from them when its end is known."""

    def __init__(self, frames_per_shot: int) -> None:
        self._frames_per_shot = frames_per_shot
        # Times, not frame numbers: the rate may vary, and what a container says of it may be nonsense.
        self._step_seconds = CANDIDATE_SECONDS / frames_per_shot
        self._candidates: list[Candidate] = []
        self._next_seconds = float("-inf")

    def wants(self, seconds: float) -> bool:
        """Whether the frame shown then should be offered."""
        return seconds >= self._next_seconds

    def offer(self, index: int, pts: int, seconds: float, frame: VideoFrame) -> None:
        """Take a frame into the choice."""
        self._next_seconds = seconds + self._step_seconds
        self._candidates.append(_candidate(index, pts, seconds, frame))
        if len(self._candidates) <= 4 * self._frames_per_shot:
            return
        most = max(4 * self._frames_per_shot, min(64, CANDIDATE_BYTES // _frame_bytes(frame)))
        if len(self._candidates) > most:
            old = [c for c in self._candidates if c.seconds < seconds - RECENT_SECONDS]
            recent = self._candidates[len(old) :]
            self._candidates = (old[::2] if len(old) > 1 else old) + recent
            if len(self._candidates) > most:
                # Large frames: even the recent ones do not all fit.
                self._candidates = old[:1] + recent[::2]

    def pick(self, shot: Shot, tail_start: int | None = None) -> list[Candidate]:
        """The frames that stand for ``shot``, in order; frames before its end are then forgotten.

        Args:
            tail_start: the frame where the transition out of the shot begins, if it is gradual.
        """
        inside = [c for c in self._candidates if shot.start_frame <= c.index < shot.end_frame]
        if not inside:
            # A shot shorter than the step: the nearest frame there is.
            inside = sorted(self._candidates, key=lambda c: abs(c.index - shot.start_frame))[:1]
        self._candidates = [c for c in self._candidates if c.index >= shot.end_frame] or inside[-1:]
        clear = [c for c in inside if tail_start is None or c.index < tail_start] or inside
        end = shot.end_frame if tail_start is None else tail_start
        return [
            _best(part, shot.start_frame, end)
            for part in _parts(clear, shot.start_frame, end, self._frames_per_shot)
        ]


def _frame_bytes(frame: VideoFrame) -> int:
    return max(1, sum(plane.buffer_size for plane in frame.planes))


def _candidate(index: int, pts: int, seconds: float, frame: VideoFrame) -> Candidate:
    """Sharpness is the mean horizontal luma gradient over some 64 rows."""
    rows = luma_8bit(frame, max(1, frame.height // 64), 1)
    few = rows[:, ::8].astype(np.float32).ravel()
    mean = float(few.sum()) / few.size
    # Written out: NumPy's std makes three more arrays.
    plain = mean < DARK_LUMA or float(few @ few) / few.size - mean**2 < FLAT_LUMA_DEVIATION**2
    left, right = rows[:, :-1], rows[:, 1:]
    gradient = np.maximum(left, right) - np.minimum(left, right)
    sharpness = int(gradient.sum(dtype=np.uint64)) / max(1, gradient.size)
    return Candidate(index, pts, seconds, frame, sharpness, plain)


def _parts(candidates: list[Candidate], start: int, end: int, parts: int) -> list[list[Candidate]]:
    """The candidates by equal stretches of the shot; an empty stretch borrows the nearest candidate."""
    length = max(1, end - start)
    found = []
    for part in range(parts):
        low, high = start + part * length / parts, start + (part + 1) * length / parts
        own = [c for c in candidates if low <= c.index < high]
        middle = (low + high) / 2
        found.append(own or [min(candidates, key=lambda c: abs(c.index - middle))])
    return found


def _best(candidates: list[Candidate], start: int, end: int) -> Candidate:
    """The sharpest that is not plain; of equals the one nearest to the middle."""
    middle = (start + end - 1) / 2
    return max(candidates, key=lambda c: (not c.plain, c.sharpness, -abs(c.index - middle), -c.index))
