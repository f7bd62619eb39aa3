"""Choosing the frames that stand for a shot while the film runs by, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from m2s_index.luma import luma_8bit
from m2s_index.types import Shot

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

CANDIDATE_SECONDS = 0.24
"""A frame is considered this often, a little closer than the shortest shot is long."""
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
    frame: VideoFrame
    sharpness: float
    plain: bool
    """Black, white or flat: taken only where a shot has nothing else."""


class KeyFramePicker:
    """Keeps a bounded choice of frames while a shot runs, and picks from them when its end is known."""

    def __init__(self, frame_rate: float, frame_bytes: int, frames_per_shot: int) -> None:
        self._frames_per_shot = frames_per_shot
        # At least one frame in every quarter of a second, and finer where several a shot are wanted.
        self._step = max(1, int(frame_rate * CANDIDATE_SECONDS / frames_per_shot))
        self._recent_frames = int(frame_rate * RECENT_SECONDS)
        self._most = max(4 * frames_per_shot, min(64, CANDIDATE_BYTES // max(1, frame_bytes)))
        self._candidates: list[Candidate] = []
        self._next = 0

    def wants(self, index: int) -> bool:
        """Whether the frame of that number should be offered."""
        return index >= self._next

    def offer(self, index: int, pts: int, frame: VideoFrame) -> None:
        """Take a frame into the choice."""
        self._next = index + self._step
        self._candidates.append(_candidate(index, pts, frame))
        if len(self._candidates) > self._most:
            old = [c for c in self._candidates if c.index < index - self._recent_frames]
            recent = self._candidates[len(old) :]
            self._candidates = (old[::2] if len(old) > 1 else old) + recent
            if len(self._candidates) > self._most:
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


def _candidate(index: int, pts: int, frame: VideoFrame) -> Candidate:
    """Sharpness is the mean horizontal luma gradient over some 64 rows."""
    rows = luma_8bit(frame, max(1, frame.height // 64), 1).astype(np.int16)
    plain = rows.mean() < DARK_LUMA or rows[:, ::8].std() < FLAT_LUMA_DEVIATION
    gradient = np.abs(np.diff(rows, axis=1))
    return Candidate(index, pts, frame, float(gradient.mean()) if gradient.size else 0.0, bool(plain))


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
