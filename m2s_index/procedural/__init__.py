"""Small procedural films which know their own truth, for ``m2s demo``, tests and benchmarks.

Everything is painted with NumPy and Pillow from a seed; nothing is downloaded. ``make_film`` writes a
specification, ``render`` a video file with ``<stem>.truth.json`` beside it.
"""

from __future__ import annotations

from m2s_index.procedural.films import DEMO_MIX, HARD_MIX, Mix, demo_films, evaluation_films, make_film
from m2s_index.procedural.places import PLACES
from m2s_index.procedural.render import film_frames, render
from m2s_index.procedural.spec import EventSpec, FilmSpec, Grade, ShotSpec
from m2s_index.procedural.stories import GENRES, StoryFilm, World, make_world
from m2s_index.procedural.themes import THEMES
from m2s_index.procedural.truth import (
    EventTruth,
    FilmTruth,
    SceneTruth,
    ShotTruth,
    film_truth,
    load_truth,
    truth_path,
)
from m2s_index.procedural.writer import CODEC_OPTIONS, write_video

__all__ = [
    "CODEC_OPTIONS",
    "DEMO_MIX",
    "GENRES",
    "HARD_MIX",
    "PLACES",
    "THEMES",
    "EventSpec",
    "EventTruth",
    "FilmSpec",
    "FilmTruth",
    "Grade",
    "Mix",
    "SceneTruth",
    "ShotSpec",
    "ShotTruth",
    "StoryFilm",
    "World",
    "demo_films",
    "evaluation_films",
    "film_frames",
    "film_truth",
    "load_truth",
    "make_film",
    "make_world",
    "render",
    "truth_path",
    "write_video",
]
