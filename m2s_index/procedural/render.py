"""From a film's specification to its frames, and to a video file with its truth beside it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from m2s_index.procedural.actors import cast_people
from m2s_index.procedural.effects import blend, fade_share, grain_fields
from m2s_index.procedural.places import paint_place, place_named
from m2s_index.procedural.spec import FilmSpec, ShotSpec
from m2s_index.procedural.stage import Stage
from m2s_index.procedural.truth import FilmTruth, film_truth, save_truth, truth_path
from m2s_index.procedural.writer import write_video
from m2s_index.types import Image

_MASTERS_KEPT = 3
"""Painted places that stay in memory: the last scene's and its neighbours'."""


def film_frames(spec: FilmSpec) -> Iterator[Image]:
    """Every frame of the film in order, uint8 [height, width, 3]; memory does not grow with its length."""
    grain = grain_fields((spec.width_px, spec.height_px), spec.grain, spec.seed)
    stages = _Stages(spec)
    number = 0
    for index, shot in enumerate(spec.shots):
        coming = spec.shots[index + 1] if index + 1 < len(spec.shots) else None
        for t in range(shot.length_frames):
            noise = grain[number % len(grain)] if grain else None
            step = t - shot.length_frames + (coming.transition_frames if coming else 0)
            if coming is None or step < 0:
                yield _grained(stages[index].frame(t), noise)
            else:
                yield _transition_frame(stages, index, t, step, coming, noise)
            number += 1


def _transition_frame(
    stages: _Stages, index: int, t: int, step: int, coming: ShotSpec, noise: Image | None
) -> Image:
    """Frame ``step`` of the transition from shot ``index``, whose own frame ``t`` it is, into the next."""
    length = coming.transition_frames
    if coming.transition == "dissolve":
        incoming = stages[index + 1].frame(step - length)
        return _grained(blend(stages[index].frame(t), incoming, (step + 1) / (length + 1)), noise)
    outgoing = step < _turn(length)
    frame = stages[index].frame(t) if outgoing else stages[index + 1].frame(step - length)
    # A fade is done in the laboratory: black is black, without grain.
    level = 0 if coming.transition == "fade_black" else 255
    return blend(_grained(frame, noise), level, fade_share(step, length))


def _grained(frame: Image, noise: Image | None) -> Image:
    return frame if noise is None else frame + noise


def _turn(length: int) -> int:
    """The first frame of a fade that shows the incoming shot; the colour covers all just before it."""
    return next(step for step in range(length) if fade_share(step, length) == 1.0) + 1


def render(spec: FilmSpec, path: Path | str) -> FilmTruth:
    """Write the film at ``path`` (the container follows its ending) and its truth beside it.

    The same specification gives the same bytes. Frames are made and encoded one at a time.

    Raises:
        ValueError: a shot in a place that there is not.
        VideoError: an encoder or container that FFmpeg refuses.
    """
    path = Path(path)
    for shot in spec.shots:
        place_named(shot.place)
    truth_path(path).unlink(missing_ok=True)  # an interrupted film must not keep an older one's truth
    truth = film_truth(spec, path.stem)
    write_video(path, film_frames(spec), rate=spec.frame_rate, codec=spec.codec)
    save_truth(truth, path)
    return truth


class _Stages:
    """The two stages in use, and the painted places they are set in."""

    def __init__(self, spec: FilmSpec) -> None:
        self._spec = spec
        self._people = cast_people(np.random.default_rng([spec.seed, 5]))
        self._masters: OrderedDict[tuple[str, int], Picture.Image] = OrderedDict()
        self._stages: dict[int, Stage] = {}

    def __getitem__(self, index: int) -> Stage:
        if index not in self._stages:
            self._stages = {kept: stage for kept, stage in self._stages.items() if kept == index - 1}
            shot = self._spec.shots[index]
            master = self._master(shot.place, shot.scene_seed)
            self._stages[index] = Stage(self._spec, shot, master, self._people)
        return self._stages[index]

    def _master(self, place: str, scene_seed: int) -> Picture.Image:
        key = (place, scene_seed)
        if key not in self._masters:
            self._masters[key] = paint_place(place, scene_seed, self._spec.width_px, self._spec.height_px)
        self._masters.move_to_end(key)
        while len(self._masters) > _MASTERS_KEPT:
            self._masters.popitem(last=False)
        return self._masters[key]
