"""Junk shots: rendered cards, credits and black frames are recognised, painted places and real shots are not."""

from __future__ import annotations

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add, make_encoder, unit_rows
from film_factory import boxed
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from m2s_index.catalog import Catalog
from m2s_index.junk import picture_junk
from m2s_index.junk_marks import mostly_junk
from m2s_index.keyframe_store import encode_jpeg
from m2s_index.pairing.film_pairs import PairOptions, film_pairs
from m2s_index.procedural import film_frames, make_film, write_video
from m2s_index.types import Crop, Scene

SIZE = (480, 270)


def card(lines, ground=(0, 0, 0), ink=(255, 255, 255), px=30, size=SIZE):
    """Centred lines of text on a plain ground."""
    picture = Image.new("RGB", size, ground)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(px)
    top = (size[1] - len(lines) * px * 1.3) / 2
    for number, line in enumerate(lines):
        draw.text((size[0] / 2, top + number * px * 1.3), line, ink, font, anchor="ma")
    return np.asarray(picture)


def logo(ground=(255, 255, 255), ink=(30, 110, 190)):
    """A ring and a bar."""
    picture = Image.new("RGB", SIZE, ground)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((170, 40, 310, 180), outline=ink, width=28)
    draw.rectangle((130, 200, 350, 230), fill=ink)
    return np.asarray(picture)


def noisy(picture, depth, seed=0):
    noise = np.random.default_rng(seed).normal(0, depth, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


NAMES = ["Anna Berg    Gaffer", "Tom Diaz    Best Boy", "Ida Fenn    Grip", "Jo Hall    Sound", "Mia Kerr    Boom"]
CARDS = {
    "black": (np.zeros((270, 480, 3), np.uint8), "black"),
    "black with grain": (noisy(np.full((270, 480, 3), 8.0), 3), "black"),
    "white": (np.full((270, 480, 3), 250, np.uint8), "plain"),
    "grey with grain": (noisy(np.full((270, 480, 3), 120.0), 3), "plain"),
    "title": (card(["THE LONG SHORE"]), "card"),
    "small title": (card(["a film by nobody"], px=14), "card"),
    "large title": (card(["NIGHT", "LEDGER"], px=80), "card"),
    "title on blue": (card(["One big rabbit"], (20, 40, 90), (240, 220, 90)), "card"),
    "title on white": (card(["GET READY"], (255, 255, 255), (40, 170, 220), 52), "card"),
    "title with grain": (noisy(card(["WINTER POST"], px=40), 4), "card"),
    "logo": (logo(), "card"),
    "credits": (card(NAMES * 2, px=15), "credits"),
    "dense credits": (card([f"{a}     {b}" for a in NAMES for b in NAMES[:4]], px=9), "credits"),
}


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("size", [(544, 306), (320, 180)])
def test_cards(name, size):
    """Whatever they are drawn with, at the sizes key frames have."""
    picture, kind = CARDS[name]
    stored = encode_jpeg(np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)))
    assert picture_junk(stored) == kind


def test_bars_do_not_count():
    """A picture in letterbox is looked at inside its bars: these would make half of any ground."""
    frame = next(iter(film_frames(make_film(3, shots=1, size=(480, 270), places=["beach"]))))
    crop = Crop(0, 70, 480, 130)
    assert picture_junk(encode_jpeg(boxed(frame, 70, 70, 0, 0)), crop) is None
    assert picture_junk(encode_jpeg(boxed(card(["THE END"]), 70, 70, 0, 0, 16)), crop) == "card"


def test_what_a_camera_sees_is_no_card():
    """A figure, however bright, before a black or plain ground: its light falls off, and edges are soft."""
    ramp = np.linspace(0, 255, 480)
    disc = Image.new("L", SIZE)
    ImageDraw.Draw(disc).ellipse((180, 40, 300, 230), fill=255)
    soft = np.asarray(disc.filter(ImageFilter.GaussianBlur(4))) / 255
    for ground in (0, 200):
        figure = ground + (ramp - ground) * soft
        assert picture_junk(encode_jpeg(np.repeat(figure[..., None], 3, 2).astype(np.uint8))) is None


@pytest.mark.slow
def test_painted_places_are_no_junk():
    """Of every place, wide and close, no picture is taken for a card; a flash or fade makes some plain or black."""
    for seed in range(2):
        film = make_film(40 + seed, shots=117, size=(320, 180))
        for index, frame in enumerate(film_frames(film)):
            if index in film.start_frames and index:
                assert picture_junk(encode_jpeg(frame)) in (None, "plain", "black")


@pytest.fixture(scope="module")
def with_cards(tmp_path_factory, m2s):
    """A catalogue of two films with three shots of cards between painted ones, a scene every three shots."""
    folder = tmp_path_factory.mktemp("cards")
    drawn = (card(["THE LONG SHORE"], px=44), np.zeros(SIZE, np.uint8), card(["END"], (240,) * 3, (0, 0, 0), 90))
    cards = [np.asarray(Image.fromarray(picture).convert("RGB").resize((160, 90))) for picture in drawn]
    for name, seed in (("one", 5), ("two", 6)):
        painted = [frame for i, frame in enumerate(pictures(seed)) if i < 6 * 24]
        frames = [*painted[:72], *(c for c in cards for _ in range(24)), *painted[72:]]
        write_video(folder / f"{name}.mp4", iter(frames), rate=24)
    options = ("--scene-shots", "3", "--scene-stride", "3", "--workers", "1", "--catalog", folder / "catalog")
    assert m2s("index", "build", folder, *options).status == 0
    return folder / "catalog"


def pictures(seed):
    """Six painted shots of a second each."""
    from m2s_index.procedural import FilmSpec, ShotSpec

    places = ("beach", "office", "snow", "desert", "kitchen", "forest")
    shots = tuple(
        ShotSpec(place, 24, "cut" if i else "start", scene=i, seed=seed + i, scene_seed=seed)
        for i, place in enumerate(places)
    )
    return film_frames(FilmSpec("Film", shots, None, 160, 90))


KINDS = [None, None, None, "card", "black", "card", None, None, None]


def test_marked_when_indexed(with_cards):
    """A build stores the kind of every shot, and an empty text for those that are no junk."""
    stored = sql(with_cards, 'SELECT movie_id, junk FROM shots ORDER BY movie_id, "index"')
    assert stored == [(movie, kind or "") for movie in (1, 2) for kind in KINDS]


def test_junk_is_not_paired(with_cards, m2s):
    """Scenes of cards are left out of pairs of two films and of all, unless they are asked for."""
    with Catalog.open(with_cards) as catalog:
        left, every = (film_pairs(catalog, "one", "two", PairOptions(1.0, junk=junk)) for junk in (False, True))
    assert {pair.a.index for pair in left.pairs} == {pair.b.index for pair in left.pairs} == {0, 2}
    assert (every.pairs[0].a.index, every.pairs[0].b.index) == (1, 1)
    assert every.pairs[0].score == pytest.approx(1, abs=1e-3)
    for flags, indexes in (((), {0, 2}), (("--junk",), {0, 1, 2})):
        found = m2s("pairs", "--all", "--keep", "1", *flags, "--json", "--catalog", with_cards).json()["pairs"]
        assert {pair["a"]["index"] for pair in found} == indexes


def test_catalogue_that_knows_nothing_of_junk(with_cards, m2s):
    """Key frames are looked at: by pairs of two films, and for good by those of all."""
    sql(with_cards, "UPDATE shots SET junk = NULL WHERE movie_id = 2")
    with Catalog.open(with_cards) as catalog:
        found = film_pairs(catalog, "one", "two", PairOptions(1.0))
    assert {pair.b.index for pair in found.pairs} == {0, 2}
    assert m2s("pairs", "--all", "--top", "3", "--catalog", with_cards).status == 0
    stored = sql(with_cards, 'SELECT junk FROM shots WHERE movie_id = 2 ORDER BY "index"')
    assert stored == [(kind or "",) for kind in KINDS]


def test_films_of_junk_alone(with_cards, tmp_path, m2s):
    """There is nothing to pair, and a line says why."""
    sql(with_cards, "UPDATE shots SET junk = 'black' WHERE movie_id = 2")
    ran = m2s("pairs", "one", "two", "--json", "--catalog", with_cards)
    assert (ran.status, ran.json()["pairs"]) == (0, [])
    assert ran.stderr == "pairs: two has no scene that can be paired: all are mostly junk (see --junk)\n"
    ran = m2s("pairs", "--all", "--catalog", with_cards)
    assert ran.status == 2
    assert "1 film with a scene that can be paired: most shots are junk (see --junk)" in ran.stderr
    sql(with_cards, "UPDATE shots SET junk = NULL WHERE movie_id = 2")


def test_most_shots_of_a_scene():
    """Half of them is not most."""
    scenes = [Scene(i, 1, "x", i, *shots, 0.0, 1.0) for i, shots in enumerate([(0, 2), (1, 4), (2, 4), (0, 4)])]
    assert mostly_junk(scenes, ["card", None, "black", "black"]).tolist() == [False, True, True, True]


def test_key_frames_that_are_gone(tmp_path, m2s):
    """Scenes are paired as they are, with a line for each film of which junk is not known."""
    with Catalog.open(tmp_path, create=True) as catalog:
        for name in ("one", "two"):
            vectors = unit_rows(np.random.default_rng(0), 3, 4)
            add(catalog, f"/{name}.mp4", vectors, encoder=make_encoder(dimension=4))
    for arguments in (("one", "two"), ("--all",)):
        ran = m2s("pairs", *arguments, "--json", "--catalog", tmp_path)
        assert (ran.status, len(ran.json()["pairs"])) == (0, 3)
        assert [line.partition(";")[0] for line in ran.stderr.splitlines()] == [
            f"pairs: {name}: its key frames cannot be read: which scenes are junk or duplicates is not known"
            for name in ("one", "two")
        ]


@pytest.mark.slow
def test_real_films(shared_data, tmp_path, m2s):
    """Of nine real films the cards, the logo, the credits and the black end are marked, and nothing else."""
    ran = m2s("index", "build", shared_data / "video", "--workers", "2", "--catalog", tmp_path)
    assert ran.status == 0
    marked = sql(
        tmp_path,
        "SELECT m.name, t.\"index\", t.junk FROM shots t JOIN movies m ON m.id = t.movie_id WHERE t.junk != '' "
        'ORDER BY m.name, t."index"',
    )
    trailer = [("bbb_trailer_2008_480p", index, "card") for index in (0, 2, 4, 9, 14, 17, 19)]
    assert marked == [
        *trailer,
        ("big_buck_bunny_2008_full_252p", 135, "credits"),
        ("penny_and_chip_compilation_360p", 33, "card"),
        ("sintel_2010_trailer_204p", 14, "card"),
        ("sintel_2010_trailer_204p", 15, "credits"),
        ("sintel_2010_trailer_204p", 16, "black"),
    ]
