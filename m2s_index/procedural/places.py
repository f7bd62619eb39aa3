"""The registry of places, and what moves in each. The painting itself is in outdoors, town and rooms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image as Picture

from m2s_index.procedural import outdoors, rooms, town
from m2s_index.procedural.easel import Colour, Easel

MASTER_WIDTHS, MASTER_HEIGHTS = 4.4, 2.5
"""The size of a painted place in widths and heights of the film; a wide view is 2 × 2 of these."""


@dataclass(frozen=True)
class Place:
    """``ground`` is where feet stand (0…1 down the painting); ``light`` multiplies whoever stands there.

    ``cast`` lists the kinds of actors besides people; ``weather`` is ``snow``, ``rain``, ``bubbles``,
    ``dust`` or nothing. ``people`` is False where nobody can stand; ``person`` is how tall
    one is on the painting, in heights of the film.
    """

    paint: Callable[[Easel], None]
    ground: float
    light: Colour = (255, 255, 255)
    cast: tuple[str, ...] = ()
    weather: str = ""
    people: bool = True
    person: float = 0.75


PLACES: dict[str, Place] = {
    "beach": Place(outdoors.beach, 0.84, cast=("gull", "boat"), person=0.62),
    "forest": Place(outdoors.forest, 0.93, (214, 226, 196), cast=("bird",), person=0.8),
    "desert": Place(outdoors.desert, 0.86, (255, 226, 196), weather="dust", person=0.6),
    "snow": Place(outdoors.snow, 0.88, (226, 234, 250), weather="snow", person=0.55),
    "meadow": Place(outdoors.meadow, 0.9, cast=("bird",), person=0.62),
    "underwater": Place(outdoors.underwater, 0.8, (170, 226, 240), ("fish",), "bubbles", people=False),
    "city_night": Place(town.city_night, 0.82, (168, 152, 190), cast=("car",), weather="rain", person=0.5),
    "street": Place(town.street, 0.79, cast=("car",), person=0.46),
    "office": Place(town.office, 0.9, (240, 244, 248), person=0.95),
    "kitchen": Place(town.kitchen, 0.88, (255, 244, 226), person=1.15),
    "corridor": Place(rooms.corridor, 0.87, (200, 200, 200), person=1.0),
    "restaurant": Place(rooms.restaurant, 0.88, (226, 176, 140), person=1.05),
    "library": Place(rooms.library, 0.9, (244, 226, 196), person=1.0),
}
"""Every place that a shot can name."""


def place_named(name: str) -> Place:
    """The place of that name.

    Raises:
        ValueError: an unknown name; the message lists the valid ones.
    """
    if name not in PLACES:
        raise ValueError(f"no place {name!r}; there are {', '.join(PLACES)}")
    return PLACES[name]


def paint_place(name: str, scene_seed: int, width_px: int, height_px: int) -> Picture.Image:
    """The whole place as an RGB picture of 4.4 × 2.5 times the film's size, the same for equal arguments."""
    size = (round(width_px * MASTER_WIDTHS), round(height_px * MASTER_HEIGHTS))
    place = place_named(name)
    order = list(PLACES).index(name)
    easel = Easel(Picture.new("RGB", size), np.random.default_rng([scene_seed, order]))
    place.paint(easel)
    return easel.picture
