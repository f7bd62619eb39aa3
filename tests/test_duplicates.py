"""The same pictures in two films: stretches of made-up fingerprints, of rendered films and of real ones."""

from __future__ import annotations

import shutil
from fractions import Fraction

import numpy as np
import pytest
from catalog_contents import sql
from film_factory import Look, boxed, write_film
from PIL import Image

from m2s_index.catalog import Catalog
from m2s_index.pairing.duplicates import same_stretches
from m2s_index.pairing.film_pairs import PairOptions, film_pairs
from m2s_index.pairing.film_rows import ShotTimes
from m2s_index.procedural import Mix, film_frames, make_film

PRINTS = np.eye(40, dtype=np.float32)
"""Fingerprints of forty shots that have nothing in common."""


def times(*lengths):
    ends = np.cumsum(lengths).astype(float)
    return ShotTimes(tuple((ends - lengths).tolist()), tuple(ends.tolist()))


def shots_of(stretches):
    return [(s.first_a, s.first_b, s.same) for s in stretches]


def test_excerpt():
    """Shots 5 to 9 of a film, the first and last of them shorter: one stretch, of what both have."""
    film = times(*[4.0] * 20)
    found = same_stretches(PRINTS[5:10], PRINTS[:20], times(1, 4, 4, 4, 3), film)
    assert shots_of(found) == [(0, 5, 5)]
    (stretch,) = found
    assert (stretch.start_a_seconds, stretch.end_a_seconds) == (0, 16)
    assert (stretch.start_b_seconds, stretch.end_b_seconds) == (23, 39)
    assert stretch.score == pytest.approx(1)


def test_turned_round():
    """The longer film first: the same stretches with their ends exchanged."""
    a, b = (PRINTS[[7, 8, 3, 20]], times(2, 3, 4, 5)), (PRINTS[:12], times(*[4.0] * 12))
    there, back = (same_stretches(x[0], y[0], x[1], y[1]) for x, y in ((a, b), (b, a)))
    assert shots_of(there) == [(0, 7, 2), (2, 3, 1)]
    assert [(b, a, n) for a, b, n in shots_of(back)] == shots_of(there)
    assert [(s.start_b_seconds, s.end_b_seconds) for s in back] == [
        (s.start_a_seconds, s.end_a_seconds) for s in there
    ]


def test_cuts_that_do_not_agree_end_a_run():
    """Shots in the same order, one in the middle twice as long in one film: two stretches, not one."""
    lengths = [4, 4, 4, 4, 4, 4]
    found = same_stretches(PRINTS[:6], PRINTS[:6], times(*lengths), times(4, 4, 8, 4, 4, 4))
    assert shots_of(found) == [(0, 0, 3), (3, 3, 3)]


def test_missed_cut():
    """Two shots are one in the other film, and a key frame shows something else: still one stretch."""
    film, encode = PRINTS[:9], PRINTS[[0, 1, 2, 4, 5, 39, 7, 8]]
    found = same_stretches(encode, film, times(4, 4, 8, 4, 4, 4, 4, 4), times(*[4.0] * 9))
    assert shots_of(found) == [(0, 0, 7)]
    assert (found[0].end_a, found[0].end_b) == (8, 9)
    assert (found[0].start_b_seconds, found[0].end_b_seconds) == (0, 36)
    elsewhere = PRINTS[[0, 1, 2, 6, 7, 8]]
    found = same_stretches(elsewhere, film, times(*[4.0] * 6), times(*[4.0] * 9))
    assert shots_of(found) == [(0, 0, 3), (3, 6, 3)]


def test_faster_film():
    """A film sped up by 4 % and more, for television, is the same."""
    lengths = np.array([6.0, 3, 9, 20, 2, 40, 5])
    found = same_stretches(PRINTS[:7], PRINTS[:7], times(*lengths), times(*lengths * 24 / 25))
    assert shots_of(found) == [(0, 0, 7)]


def test_trailer_that_jumps_about():
    """Shots by themselves count where a run says that the films are the same; else only as good as equal ones."""
    trailer, film = [30, 4, 5, 31, 12, 4], PRINTS[:20]
    found = same_stretches(PRINTS[trailer], film, times(*[2.0] * 6), times(*[4.0] * 20))
    assert shots_of(found) == [(1, 4, 2), (4, 12, 1), (5, 4, 1)]
    weak = 0.6 * PRINTS[[30, 4, 31, 12]]
    assert same_stretches(weak, film, times(*[2.0] * 4), times(*[4.0] * 20)) == []
    strong = 0.8 * PRINTS[[30, 4, 31]]
    assert shots_of(same_stretches(strong, film, times(*[2.0] * 3), times(*[4.0] * 20))) == [(1, 4, 1)]


def test_longer_run_wins():
    """A shot that is in the film twice belongs where its neighbours are."""
    film = PRINTS[[1, 9, 0, 1, 2, 3]]
    found = same_stretches(PRINTS[:4], film, times(*[3.0] * 4), times(*[3.0] * 6))
    assert shots_of(found) == [(0, 2, 4)]


def test_nothing_in_common():
    """Different pictures, and junk, whose fingerprint is zeros."""
    zeros = np.zeros((4, 40), np.float32)
    for a, b in ((PRINTS[:4], PRINTS[10:30]), (zeros, zeros), (zeros, PRINTS)):
        assert same_stretches(a, b, times(*[3.0] * len(a)), times(*[3.0] * len(b))) == []


MIX = Mix(shot_frames=(20, 40), transitions=(("cut", 1.0),), cameras=(("slow_pan", 1.0),), event_share=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, m2s):
    """A film of 27 shots; a small, dark, letterboxed encode of 12 of them at 25 frames a second; another film."""
    folder = tmp_path_factory.mktemp("same")
    film = make_film(70, shots=27, size=(320, 180), mix=MIX)
    frames = list(film_frames(film))
    write_film(folder / "film.mp4", frames)
    start, end = film.start_frames[9] + 5, film.start_frames[21] - 5
    look = Look("mpeg4", rate=Fraction(25))
    excerpt = (
        boxed(np.asarray(Image.fromarray(frame).resize((240, 180))) // 5 * 4, 22, 22, 0, 0)
        for frame in frames[start:end]
    )
    write_film(folder / "excerpt.avi", excerpt, look)
    write_film(folder / "other.mp4", film_frames(make_film(71, shots=20, size=(320, 180), mix=MIX)))
    assert m2s("index", "build", folder, "--workers", "1", "--catalog", folder / "catalog").status == 0
    counts = sql(
        folder / "catalog", "SELECT m.name, count(*) FROM shots s JOIN movies m ON m.id = s.movie_id GROUP BY 1"
    )
    assert dict(counts) == {"film": 27, "excerpt": 11, "other": 20}
    return folder / "catalog", (start / 24, end / 24)


def test_rendered_excerpt(folder):
    """It is one stretch, in time to a frame or two, in spite of size, codec, rate, brightness, bars and a missed
    cut; no pair of scenes says the same again.
    """
    catalog, (start, end) = folder
    with Catalog.open(catalog) as opened:
        found = film_pairs(opened, "excerpt", "film", PairOptions(1.0))
        assert film_pairs(opened, "excerpt", "film", PairOptions(duplicates="only")).pairs == found.pairs[:1]
        hidden = film_pairs(opened, "excerpt", "film", PairOptions(1.0, duplicates="hide")).pairs
    first, *others = found.pairs
    assert (first.rank, first.kind) == (1, "duplicate")
    assert (first.a.start_seconds, first.b.start_seconds) == pytest.approx((0, start), abs=0.1)
    assert (first.a.end_seconds, first.b.end_seconds) == pytest.approx(((end - start) * 24 / 25, end), abs=0.6)
    assert {pair.kind for pair in others} == {"similar"}
    assert [(p.a, p.b, p.score) for p in hidden] == [(p.a, p.b, p.score) for p in others]
    assert all(not (pair.b.first_shot < 21 and pair.b.end_shot > 9) for pair in others)


def test_other_films_are_no_duplicates(folder):
    """Films that share places, not pictures, have no stretch in common."""
    with Catalog.open(folder[0]) as catalog:
        for name in ("film", "excerpt"):
            found = film_pairs(catalog, "other", name)
            assert found.pairs
            assert {pair.kind for pair in found.pairs} == {"similar"}


def test_command(folder, m2s):
    """The kind is in every form of output."""
    catalog = folder[0]
    only = m2s("pairs", "excerpt", "film", "--duplicates", "only", "--json", "--catalog", catalog)
    assert [pair["kind"] for pair in only.json()["pairs"]] == ["duplicate"]
    assert "same" in m2s("pairs", "excerpt", "film", "--catalog", catalog).stdout
    nothing = m2s("pairs", "other", "film", "--duplicates", "only", "--catalog", catalog)
    assert "nothing in other and film is so much alike" in nothing.stderr


def test_all_films(folder, m2s):
    """Stretches come first, as two films give them, whatever percentile is asked for; no pair of scenes says the
    same again.
    """
    catalog = folder[0]
    only = m2s("pairs", "excerpt", "film", "--duplicates", "only", "--json", "--catalog", catalog).json()["pairs"]
    found = {}
    for way in ("show", "hide", "only"):
        ran = m2s("pairs", "--all", "--keep", "1", "--duplicates", way, "--json", "--catalog", catalog)
        found[way] = [{**pair, "rank": None} for pair in ran.json()["pairs"]]
        assert [pair["rank"] for pair in ran.json()["pairs"]] == list(range(1, len(found[way]) + 1))
        assert m2s("pairs", "--show", "--duplicates", way, "--json", "--catalog", catalog).stdout == ran.stdout
    assert found["only"] == [{**pair, "rank": None} for pair in only]
    assert found["show"] == found["only"] + found["hide"]
    (same,) = only
    for pair in found["hide"]:
        ends = {pair[side]["movie"]: pair[side] for side in "ab"}
        assert not all(
            same[side]["movie"] in ends
            and same[side]["start_seconds"] < ends[same[side]["movie"]]["end_seconds"]
            and ends[same[side]["movie"]]["start_seconds"] < same[side]["end_seconds"]
            for side in "ab"
        )
    shown = ("pairs", "--show", "--json", "--catalog", catalog)
    assert m2s(*shown, "--top", "1").json()["pairs"] == only
    assert m2s(*shown, "--min-percentile", "100").json()["pairs"][:1] == only
    least = ("pairs", "--all", "--keep", "1", "--min-score", str(same["score"] + 0.01))
    assert m2s(*least, "--duplicates", "only", "--json", "--catalog", catalog).json()["pairs"] == []


def test_all_films_without_key_frames(folder, tmp_path, m2s):
    """Junk is known, but what is a duplicate can no longer be seen: a line for each film that should have been."""
    own = shutil.copytree(folder[0], tmp_path / "c")
    for file in (own / "keyframes").iterdir():
        file.unlink()
    ran = m2s("pairs", "--all", "--keep", "0.9", "--json", "--catalog", own)
    assert {pair["kind"] for pair in ran.json()["pairs"]} == {"similar"}
    assert [line.partition(": its key frames cannot be read")[0] for line in ran.stderr.splitlines()] == [
        "pairs: excerpt", "pairs: film", "pairs: other"
    ]  # fmt: skip


@pytest.mark.slow
def test_real_films(shared_data, tmp_path, m2s):
    """The excerpt and the trailer of Big Buck Bunny find their places in the film, told from what is only alike; no
    two different films share a picture.
    """
    assert m2s("index", "build", shared_data / "video", "--workers", "2", "--catalog", tmp_path).status == 0
    with Catalog.open(tmp_path) as catalog:
        film = "big_buck_bunny_2008_full_252p"
        excerpt = film_pairs(catalog, "bbb_first30s_720p_vp8", film).pairs
        trailer = film_pairs(catalog, "bbb_trailer_2008_480p", film).pairs
        both = film_pairs(catalog, "bbb_first30s_720p_vp8", "bbb_trailer_2008_480p").pairs
        everything = m2s("pairs", "--all", "--json", "--catalog", tmp_path).json()["pairs"]
        names = [name for (name,) in sql(tmp_path, "SELECT name FROM movies ORDER BY name")]
        for a in names:
            for b in names:
                if a < b and "b" not in (a[0] + b[0]):
                    assert film_pairs(catalog, a, b, PairOptions(duplicates="only")).pairs == (), (a, b)
    assert [pair.kind for pair in excerpt] == ["duplicate", "similar"]
    # Over all films these very stretches come first, and that which the trailer shares with the excerpt.
    same = [pair for pair in (*excerpt, *trailer, *both) if pair.kind == "duplicate"]
    ends = [{(p.a.movie, round(p.a.start_seconds, 3)), (p.b.movie, round(p.b.start_seconds, 3))} for p in same]
    first = [
        {(scene["movie"], round(scene["start_seconds"], 3)) for scene in (p["a"], p["b"])}
        for p in everything
        if p["kind"] == "duplicate"
    ]
    assert sorted(map(sorted, first)) == sorted(map(sorted, ends))
    assert [pair["kind"] for pair in everything[: len(same)]] == ["duplicate"] * len(same)
    assert (excerpt[0].a.first_shot, excerpt[0].a.end_shot) == (0, 5)
    assert (excerpt[0].b.start_seconds, excerpt[0].b.end_seconds) == pytest.approx((0, 30), abs=0.25)
    # Shots of the trailer and where they are in the film, as seen by eye; the other thirteen are cards, or show
    # another moment of a shot that moves. Film shot 5 is a second take of 3.
    places = {
        1: (3, 5),
        3: (27,),
        5: (32,),
        6: (27,),
        7: (28,),
        8: (29,),
        10: (85,),
        11: (84,),
        15: (39,),
        16: (40,),
    }
    found = {}
    for pair in trailer:
        if pair.kind == "duplicate":
            found |= {
                pair.a.first_shot + i: pair.b.first_shot + i for i in range(pair.a.end_shot - pair.a.first_shot)
            }
    assert all(found[shot] in where for shot, where in places.items())
    assert found.keys() <= places.keys() | {18}
    kinds = [pair.kind for pair in trailer]
    assert kinds == sorted(kinds)
