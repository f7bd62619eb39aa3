"""References to scenes and movies."""

from __future__ import annotations

import contextlib
import unicodedata
from fractions import Fraction

import numpy as np
import pytest
from catalog_factory import add, make_encoder, unit_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from m2s_index.catalog import Catalog
from m2s_index.errors import UnknownReferenceError, UsageError
from m2s_index.refs import find_movie, find_scene, format_time, parse_time

ENCODER = make_encoder(dimension=4)
CAFE = unicodedata.normalize("NFD", "Café Society")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    films = [
        ("/films/Big Buck Bunny.mp4", [10.0, 20.0, 3600.0], "Big Buck Bunny"),
        ("/films/Big Fish (2003).mkv", [5.0], "Big Fish"),
        ("/films/1917.mkv", [5.0, 5.0], None),
        ("/films/Take #9 @ home.mkv", [7.0, 7.0], None),
        ("/films/a/clip.mp4", [1.0], None),
        ("/films/b/clip.mp4", [1.0], None),
        (f"/films/{CAFE}.mkv", [4.0], None),
        ("/films/Alien.mkv", [4.0], None),
        ("/films/Aliens.mkv", [4.0], None),
        ("/films/bad\udcffname.mkv", [4.0], None),
    ]
    with Catalog.open(tmp_path_factory.mktemp("refs"), create=True) as catalog:
        random = np.random.default_rng(0)
        for path, seconds, title in films:
            vectors = unit_rows(random, len(seconds), 4)
            add(catalog, path, vectors, encoder=ENCODER, scene_seconds=seconds, title=title)
        yield catalog


def scene(catalog, ref):
    with catalog.reader() as reader:
        return find_scene(reader, ref)


def movie(catalog, text, **options):
    with catalog.reader() as reader:
        return find_movie(reader, text, **options).name


@pytest.mark.parametrize(
    ("ref", "name", "index"),
    [
        ("1", "Big Buck Bunny", 0),
        (" 4 ", "Big Fish (2003)", 0),
        ("Big Buck Bunny#1", "Big Buck Bunny", 1),
        ("Big Buck Bunny.mp4#1", "Big Buck Bunny", 1),
        ("/films/Big Buck Bunny.mp4#1", "Big Buck Bunny", 1),
        ("big buck#2", "Big Buck Bunny", 2),
        ("big buck @ 0", "Big Buck Bunny", 0),
        ("big buck@9.999", "Big Buck Bunny", 0),
        ("big buck@10", "Big Buck Bunny", 1),
        ("big buck@0:10", "Big Buck Bunny", 1),
        ("big buck@60:29.5", "Big Buck Bunny", 2),
        ("big buck@1:00:29.5", "Big Buck Bunny", 2),
        ("1917#1", "1917", 1),
        ("Take #9 @ home#1", "Take #9 @ home", 1),
        ("Take #9 @ home@8", "Take #9 @ home", 1),
        ("café society#0", CAFE, 0),
        ("Alien#0", "Alien", 0),
        ("aliens#0", "Aliens", 0),
        ("b/clip.mp4#0", None, None),
        ("/films/b/clip.mp4#0", "clip", 0),
    ],
)
def test_a_reference_names_one_scene(catalog, ref, name, index):
    if name is None:
        with pytest.raises(UnknownReferenceError):
            scene(catalog, ref)
    else:
        found = scene(catalog, ref)
        assert (found.movie, found.index) == (name, index)


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("0", r"no scene with the id 0: ids here run from 1 to"),
        ("999999999999999999", "no scene with the id"),
        ("99999999999999999999999", "is no scene: a scene is written 12"),
        ("", "is no scene"),
        ("Big Buck Bunny", r"is no scene: a scene is written 12 \(its id\), 'MOVIE#7'"),
        ("#3", "names no movie before the #"),
        ("Alien#x", "'x' after the # of 'Alien#x' is no scene index"),
        ("Alien#-1", "is no scene index"),
        ("Alien#²", "is no scene index"),
        ("Alien@", "is no time"),
        ("Alien@1:60", "is no time"),
        ("Alien@1:99:00", "is no time"),
        ("Alien#1", r"'Alien' has no scene #1: it has 1 scene$"),
        ("Big Buck Bunny#3", r"has no scene #3: it has 3 scenes, #0 to #2"),
        ("Big Buck Bunny@1:00:30", "has no scene at 1:00:30: it is 1:00:30 long"),
        ("Bigg Buck Buny#0", "no movie is called 'Bigg Buck Buny'; did you mean 'Big Buck Bunny'"),
        ("buck bunny#0", "did you mean 'Big Buck Bunny'"),
        ("zzzzzz#0", "'m2s index status' lists the movies"),
        ("big#0", r"'big' may be any of 'Big Buck Bunny', 'Big Fish \(2003\)'$"),
        ("clip#0", "'clip' may be any of '/films/a/clip.mp4', '/films/b/clip.mp4'"),
    ],
)
def test_a_wrong_reference_says_what_there_is(catalog, ref, message):
    with pytest.raises(UnknownReferenceError, match=message):
        scene(catalog, ref)


def test_a_bare_number_is_a_movie_id_only_where_asked_for(catalog):
    assert movie(catalog, "1917") == "1917"
    assert movie(catalog, "2", bare_number_is_id=True) == "Big Fish (2003)"
    assert movie(catalog, "1917.mkv", bare_number_is_id=True) == "1917"
    with pytest.raises(UnknownReferenceError, match="no movie with the id 1917"):
        movie(catalog, "1917", bare_number_is_id=True)


def test_a_name_that_is_not_utf8_can_be_named_as_it_is_shown(catalog):
    assert movie(catalog, "bad\udcffname") == "bad\ufffdname"
    assert movie(catalog, "bad\ufffdname.mkv") == "bad\ufffdname"


def test_many_candidates_are_not_all_listed(tmp_path):
    with Catalog.open(tmp_path, create=True) as catalog:
        rows = unit_rows(np.random.default_rng(0), 1, 4)
        for i in range(14):
            add(catalog, f"/films/part {i:02}.mkv", rows, encoder=ENCODER)
        with pytest.raises(UnknownReferenceError, match=r"'part 09' and 4 more$"):
            movie(catalog, "part")


def test_an_empty_catalogue_says_so(tmp_path):
    with Catalog.open(tmp_path, create=True) as catalog:
        with pytest.raises(UnknownReferenceError, match="holds no scenes"):
            scene(catalog, "1")
        with pytest.raises(UnknownReferenceError, match="holds no movies"):
            movie(catalog, "x")


@given(st.integers(0, 359_999_999))
def test_a_time_is_read_exactly_in_every_form(milliseconds):
    seconds = Fraction(milliseconds, 1000)
    whole, rest = divmod(milliseconds, 1000)
    minutes, short = divmod(whole, 60)
    hours, short_minutes = divmod(minutes, 60)
    assert parse_time(f"{whole}.{rest:03}") == seconds
    assert parse_time(f"{minutes}:{short:02}.{rest:03}") == seconds
    assert parse_time(f"{hours}:{short_minutes:02}:{short:02}.{rest:03}") == seconds
    assert parse_time(format_time(float(seconds))) == whole


@settings(max_examples=60)
@given(st.text(max_size=12) | st.from_regex(r"(big|Alien|12|clip)?[#@][0-9:.]{0,8}", fullmatch=True))
def test_any_text_names_a_scene_or_is_refused(catalog, text):
    with contextlib.suppress(UsageError):
        assert scene(catalog, text).scene_id > 0
