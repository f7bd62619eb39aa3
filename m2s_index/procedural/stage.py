"""One shot, set up once and then asked for its frames: the place seen through the camera, and its actors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageEnhance, ImageFilter, ImageFont

from m2s_index.procedural.actors import Actor, Person
from m2s_index.procedural.camera import WINDOW, camera_path
from m2s_index.procedural.casting import Floor, cast_shot, marked_people, talking_heads
from m2s_index.procedural.easel import Colour
from m2s_index.procedural.effects import Event, levels_for_mean, side_light, weather_tile
from m2s_index.procedural.places import MASTER_HEIGHTS, place_named
from m2s_index.procedural.spec import FilmSpec, Grade, ShotSpec
from m2s_index.types import Image

Levels = NDArray[np.uint8]
_PHASES = 4
"""A panned background is kept at quarter pixels, so that a slow pan does not stutter."""


class Stage:
    """A shot ready to be filmed; frames count from its first, negative in the transition into it."""

    def __init__(self, film: FilmSpec, shot: ShotSpec, master: Picture.Image, people: tuple[Person, ...]) -> None:
        self._shot = shot
        self._size = (film.width_px, film.height_px)
        self._place = place_named(shot.place)
        self._white = 255 - film.grain
        rng = np.random.default_rng([film.seed, shot.seed])
        self._path = camera_path(shot, self._place, self._size, rng)
        self._master = master
        self._scale = 1 / WINDOW[shot.framing]
        self._left, self._top = float(self._path.left.min()), float(self._path.top.min())
        self._backgrounds: dict[int, Picture.Image] = {}
        self._tones = _tones(film.grade, self._white)
        lit = self._tones[np.arange(3)[:, None], _light_levels(self._place.light)]
        self._actors, self._heads = (
            [replace(actor, sprites=tuple(_toned(sprite, lit) for sprite in actor.sprites)) for actor in actors]
            for actors in self._cast(people, rng)
        )
        self._events = [Event(event, self._size, self._white, rng) for event in shot.events]
        weather = self._place.weather if shot.actors else ""
        self._tile = weather_tile(weather, self._size, rng) if weather else None
        self._saturation = film.grade.saturation
        self._caption = _caption(shot.caption, self._size, self._white) if shot.caption else None
        self._levels: Levels | None = None
        if shot.direction:
            self._levels = levels_for_mean(self.frame(shot.length_frames // 2), shot.direction.colour, self._white)

    def _cast(self, people: tuple[Person, ...], rng: np.random.Generator) -> tuple[list[Actor], list[Actor]]:
        shot, place = self._shot, self._place
        height = self._size[1]
        if shot.direction:
            return [], marked_people(shot.direction.marks, people, self._size, shot.length_frames, rng)
        if shot.framing == "close" and place.people:
            return [], talking_heads(shot, place, people, self._size, rng)
        whole = MASTER_HEIGHTS * self._scale * height
        floor = Floor(
            left_px=0.15 * self._size[0],
            right_px=float(self._path.left.max()) - self._left + 0.85 * self._size[0],
            frame_height_px=height,
            ground_px=place.ground * whole - self._top,
            horizon_px=0.47 * whole - self._top,
            person_px=round(place.person * self._scale * height),
            frames=shot.length_frames,
        )
        return cast_shot(shot, place, people, floor, rng), []

    def _background(self, phase: int) -> Picture.Image:
        """The part of the place that the camera ever sees, at output scale, ``phase`` quarter pixels in."""
        if phase not in self._backgrounds:
            width = round(float(self._path.left.max()) - self._left) + self._size[0] + 2
            height = round(float(self._path.top.max()) - self._top) + self._size[1] + 1
            left = self._left + phase / _PHASES
            box = (left, self._top, left + width, self._top + height)
            limits = (*self._master.size, *self._master.size)
            scaled = tuple(min(v / self._scale, limit) for v, limit in zip(box, limits, strict=True))
            picture = self._master.resize((width, height), Picture.Resampling.BILINEAR, box=scaled)  # type: ignore[arg-type]
            if self._shot.framing == "close" and self._heads:
                picture = picture.filter(ImageFilter.GaussianBlur(self._size[1] / 60))
            if self._saturation != 1.0:
                picture = ImageEnhance.Color(picture).enhance(self._saturation)
            self._backgrounds[phase] = _toned(picture, self._tones)
        return self._backgrounds[phase]

    def frame(self, number: int) -> Image:
        """The picture of one frame before transitions and grain: uint8 [height, width, 3] up to ``white``."""
        row = number - self._path.first_frame
        quarter = round((float(self._path.left[row]) - self._left) * _PHASES)
        x, phase = divmod(quarter, _PHASES)
        y = round(float(self._path.top[row]) - self._top)
        width, height = self._size
        picture = self._background(phase).crop((x, y, x + width, y + height))
        for actor in self._actors:
            sprite, (left, top) = actor.at(number)
            picture.paste(sprite, (left - x, top - y), sprite)
        zoom = float(self._path.zoom[row])
        if zoom < 1:
            dx, dy = width * (1 - zoom) / 2, height * (1 - zoom) / 2
            picture = picture.resize(self._size, Picture.Resampling.BILINEAR, box=(dx, dy, width - dx, height - dy))
        for actor in self._heads:
            sprite, corner = actor.at(number)
            picture.paste(sprite, corner, sprite)
        return self._finish(picture, number)

    def _finish(self, picture: Picture.Image, number: int) -> Image:
        if self._caption is not None:
            picture.paste(self._caption, (0, 0), self._caption)
        frame = np.array(picture)
        if self._shot.direction:
            frame = side_light(frame, self._shot.direction.light, self._white)
        if self._tile is not None:
            drop = {"snow": 2, "rain": 11, "bubbles": -2, "dust": 1}[self._place.weather]
            first = -drop * number * max(self._size[1] // 180, 1) % self._size[1]
            np.maximum(frame, self._tile[first : first + self._size[1]], out=frame)
        for event in self._events:
            frame = event.over(frame, number)
        return frame if self._levels is None else _leveled(frame, self._levels)


def _tones(grade: Grade, white: int) -> Levels:
    """For each channel and level the graded level, 0…``white``: uint8 [3, 256]."""
    levels = (np.arange(256) - 110.0) * grade.contrast + 110.0
    gains = np.array([[grade.red], [grade.green], [grade.blue]])
    graded: Levels = (levels * gains).clip(0, white).astype(np.uint8)
    return graded


def _light_levels(light: Colour) -> Levels:
    """For each channel and level the level in that light: uint8 [3, 256]."""
    levels: Levels = (np.arange(256) * np.array(light)[:, None] / 255).astype(np.uint8)
    return levels


def _toned(picture: Picture.Image, tones: Levels) -> Picture.Image:
    """The picture (RGB or RGBA) with each colour channel sent through its tones, uint8 [3, 256]."""
    return Picture.fromarray(_leveled(np.array(picture), tones))


def _leveled(pixels: Levels, tones: Levels) -> Levels:
    """The same for an array that is changed in place: uint8 [height, width, 3 or 4]."""
    for channel in range(3):
        pixels[..., channel] = tones[channel][pixels[..., channel]]
    return pixels


def _caption(text: str, size: tuple[int, int], white: int) -> Picture.Image:
    """A title in the middle of the frame, its letters spaced out, over a soft shadow."""
    layer = Picture.new("RGBA", size, (0, 0, 0, 0))
    font = ImageFont.load_default(size[1] / 10)
    advances = [font.getlength(letter) + size[1] / 45 for letter in text.upper()]
    left = (size[0] - sum(advances)) / 2
    spots = [left + sum(advances[:index]) for index in range(len(advances))]
    for fill in ((0, 0, 0, 255), (white, white, white, 255)):
        draw = ImageDraw.Draw(layer)
        for letter, x in zip(text.upper(), spots, strict=True):
            draw.text((x, size[1] * 0.42), letter, font=font, fill=fill, anchor="lm")
        if fill[0] == 0:
            layer = layer.filter(ImageFilter.GaussianBlur(size[1] / 70))
    return layer
