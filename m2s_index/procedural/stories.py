"""A world of films with known themes, and what is known of them elsewhere: genres, synopses, and people's ratings.

All of it comes from one story. A genre is a choice of themes, a film has a genre and one scene of any theme, and
people like genres. Places, palettes, people, cut lengths and mean colours are drawn from another generator, which
knows nothing of the story: the same film with other themes has the same cuts, places and mean colours. As films do,
these come back to their sets: a film has one set for every two scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from m2s_index.procedural.places import PLACES
from m2s_index.procedural.spec import Direction, FilmSpec, Grade, ShotSpec
from m2s_index.procedural.themes import BEATS, THEMES, Beats, play

GENRES: dict[str, tuple[str, ...]] = {
    name: tuple((list(THEMES) * 2)[first : first + 2])
    for first, name in enumerate(
        ("Adventure", "Action", "Crime", "Western", "War", "Thriller", "Romance", "Comedy")
    )
}
"""The two themes of each genre. Every theme is of two genres, and no genre has a theme and its opposite."""

_SENTENCES: dict[str, tuple[str, str]] = {
    "feast": ("One by one the guests arrive for a feast", "A table fills, and the celebration begins"),
    "chase": ("A pursuer gains on the fugitive", "The chase closes in, step by step"),
    "approach": ("A stranger approaches and is recognised", "Somebody comes closer, until the face is seen"),
    "duel": ("Two rivals duel, eye to eye", "The rivals face each other down"),
    "parting": ("The company breaks up, one leaving after another", "All part, and the house is empty"),
    "escape": ("The prisoner escapes and outruns the guard", "An escape succeeds, the hunter falls behind"),
    "farewell": ("A farewell, and a figure lost in the distance", "The beloved leaves after a long farewell"),
    "vigil": ("Somebody keeps a lonely vigil until dawn", "A night of waiting, a vigil without news"),
}
_PLACES = tuple(name for name, place in PLACES.items() if place.people)
_SHOT_FRAMES = (6, 12)
_TOLD_SHARE = 0.8
"""Of a film's scenes, that its synopsis tells of."""


@dataclass(frozen=True)
class StoryFilm:
    """A film, what it is and what happens in it."""

    spec: FilmSpec
    genre: str
    themes: tuple[str, ...]
    synopsis: str


@dataclass(frozen=True)
class Rating:
    """How many stars (0.5 to 5) a person gave a film; both are numbers."""

    person: int
    film: int
    stars: float


@dataclass(frozen=True)
class World:
    """Films, and what people think of them."""

    films: tuple[StoryFilm, ...]
    ratings: tuple[Rating, ...]


def make_world(
    seed: int, *, films: int, scenes: int = 6, people: int = 300, size: tuple[int, int] = (128, 72)
) -> World:
    """A world from a seed: equal arguments, equal world.

    Args:
        seed: any number ≥ 0.
        films: how many.
        scenes: of each film, nine shots each.
        people: who rate films.
        size: of the pictures in pixels, even.
    """
    made = tuple(story_film(seed, number, scenes=scenes, size=size) for number in range(films))
    return World(made, _ratings(made, people, np.random.default_rng([seed, 31])))


def story_film(
    seed: int,
    number: int,
    *,
    scenes: int = 6,
    size: tuple[int, int] = (128, 72),
    themes: Sequence[str] | None = None,
) -> StoryFilm:
    """Film ``number`` of the world ``seed``, with other ``themes`` where they are given, one for each scene."""
    story, look = (np.random.default_rng([seed, stream, number]) for stream in (32, 33))
    genre = str(story.choice(list(GENRES)))
    drawn = [str(story.choice(GENRES[genre] if scene else list(THEMES))) for scene in range(scenes)]
    played = tuple(themes or story.permutation(drawn).tolist())
    sets = look.permutation(len(_PLACES))[: -(-scenes // 2)].tolist()
    order = look.permutation([*sets, *sets])[:scenes].tolist()
    warm = float(look.uniform(-1, 1))
    grade = Grade(contrast=float(look.uniform(0.8, 1.15)), saturation=float(look.uniform(0.5, 1.2)))
    shots = [
        shot
        for scene, (place, theme) in enumerate(zip(order, played, strict=True))
        for shot in _scene(
            scene, _PLACES[place], seed * 100_000 + number * 100 + place, theme, play(theme, story), warm, look
        )
    ]
    title, told = f"Story {seed}-{number:03}", _synopsis(played, [_PLACES[place] for place in order], story)
    spec = FilmSpec(title, tuple(shots), None, *size, Fraction(24), seed=seed * 1000 + number, grade=grade)
    return StoryFilm(spec, genre, played, told)


def _scene(
    scene: int, place: str, scene_seed: int, theme: str, beats: Beats, warm: float, look: np.random.Generator
) -> list[ShotSpec]:
    """The nine shots of a scene; the look is drawn in the same order whatever the theme is."""
    lengths = look.integers(*_SHOT_FRAMES, BEATS, endpoint=True).tolist()
    cameras = look.choice(["static", "slow_pan", "zoom"], BEATS).tolist()
    colours = _colours(warm, look)
    offsets, seeds = look.uniform(0, 1, BEATS).tolist(), look.integers(1 << 31, size=BEATS).tolist()
    return [
        ShotSpec(
            place,
            lengths[index],
            "cut" if scene or index else "start",
            framing=beat.framing,
            camera=cameras[index],
            offset=offsets[index],
            scene=scene,
            scene_seed=scene_seed,
            seed=seeds[index],
            direction=Direction(theme, beat.marks, beat.light, colours[index]),
        )
        for index, beat in enumerate(beats)
    ]


def _colours(warm: float, look: np.random.Generator) -> list[tuple[float, float, float]]:
    """Mean colours of nine shots: a scene's brightness and tint in a film's palette, and some way from them."""
    level, tint = look.uniform(85, 150), 0.5 * warm + 0.5 * look.uniform(-1, 1)
    levels = level + look.uniform(-20, 20, BEATS)
    greens = look.uniform(0.94, 1.06) + look.uniform(-0.02, 0.02, BEATS)
    return [
        (light * (1 + 0.18 * tint), light * green, light * (1 - 0.18 * tint))
        for light, green in zip(levels.tolist(), greens.tolist(), strict=True)
    ]


def _synopsis(themes: Sequence[str], places: Sequence[str], story: np.random.Generator) -> str:
    """What happens in most of the scenes, and where."""
    told = [
        f"{_SENTENCES[theme][int(story.integers(2))]} ({place.replace('_', ' ')})."
        for theme, place in zip(themes, places, strict=True)
        if story.random() < _TOLD_SHARE
    ]
    return " ".join(told) or "Nothing is known of it."


def _ratings(films: Sequence[StoryFilm], people: int, rng: np.random.Generator) -> tuple[Rating, ...]:
    """Everybody has two favourite genres and rates some of the films, more of the favourites than of others."""
    found = []
    for person in range(people):
        favourites = rng.choice(list(GENRES), 2, replace=False)
        for number, film in enumerate(films):
            liked = film.genre in favourites
            if rng.random() < (0.4 if liked else 0.15):
                halves = round(2 * float(rng.normal(4.3 if liked else 2.9, 0.7)))
                found.append(Rating(person, number, min(max(halves, 1), 10) / 2))
    return tuple(found)
