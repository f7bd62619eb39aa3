"""``m2s train mine``: the pairs file, what is said, and the page of key frames in a real browser."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from catalog_contents import sql
from test_contact_sheet import SPITEFUL, Page, browse

from m2s_index.catalog import Catalog
from m2s_index.cli import train_mine
from m2s_index.keyframe_store import KeyFrameReader, decode_jpeg
from m2s_index.pairing.mining import mine, ranked
from m2s_index.pairing.pairs_file import COLUMNS, read_pairs
from m2s_index.pairing.similar_films import similar_films
from m2s_index.stored_frames import shot_frames

SHOTS = {"Alpha Beach (1990)": 20, "Beta Road (1991)": 12, "Gamma (1992)": 11}


def _shots(scene):
    return scene.movie, scene.first_shot, scene.last_shot


def test_mine(catalog_of_movies, tmp_path, m2s):
    """The command writes what mining finds, and says how many, of how many films, and which were left out."""
    out = tmp_path / "pairs.csv"
    command = ("train", "mine", "--signal", "genre", "--out", out, "--catalog", catalog_of_movies)
    ran = m2s(*command, "--json")
    assert ran.status == 0, ran.stderr
    with Catalog.open(catalog_of_movies) as catalog:
        expected = list(ranked(list(mine(catalog, similar_films(catalog, "genre", 10)))))
    query = "SELECT fingerprint, count(*) FROM movies JOIN shots ON movie_id = movies.id GROUP BY movies.id"
    found = list(read_pairs(out, dict(sql(catalog_of_movies, query))))
    assert [(p.scene.first_shot, p.other.first_shot) for p in found] == [
        (p.scene.first_shot, p.other.first_shot) for p in expected
    ]
    assert [p.score for p in found] == pytest.approx([p.score for p in expected])
    query = (
        "SELECT name, first_shot, end_shot - 1, start_seconds, end_seconds FROM scenes "
        "JOIN movies ON movies.id = movie_id WHERE end_shot - first_shot = 9"
    )
    stored = {row[:3]: list(row[3:]) for row in sql(catalog_of_movies, query)}
    both = [scene for pair in found for scene in (pair.scene, pair.other) if _shots(scene) in stored]
    assert both
    for scene in both:
        assert [scene.start_seconds, scene.end_seconds] == pytest.approx(stored[_shots(scene)], abs=1e-6)
    assert ran.json() == {
        "out": str(out), "html": None, "signal": "genre", "encoder": "gist", "films": 3, "film_pairs": 3,
        "pairs": len(expected), "too_short": 1, "not_embedded": 0, "seconds": pytest.approx(1, abs=60),
    }  # fmt: skip
    assert "films left out, of fewer than 9 shots: 1" in ran.stderr
    ran = m2s(*command, "--per-pair", "1", "--similar", "3")
    assert ran.stdout == f"3 scene pairs of 3 film pairs (3 films) by genre → {out}\n"
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS


def test_movie_encoder(catalog_of_movies, tmp_path, m2s):
    """With E_movie the pairs are those of its space, in films that are similar by its signal; one that was trained
    on other features is refused.
    """
    torch = pytest.importorskip("torch")
    from m2s_index.encoders.movie_encoder import load_movie_encoder, save_movie_encoder
    from m2s_index.encoders.movie_network import MovieNetwork
    from m2s_index.encoders.training.movie_config import MovieConfig

    config, path, out = MovieConfig(signal="genre"), tmp_path / "e_movie.safetensors", tmp_path / "pairs.csv"
    command = ("train", "mine", "--movie-encoder", path, "--out", out, "--json", "--catalog", catalog_of_movies)
    torch.manual_seed(0)
    with Catalog.open(catalog_of_movies) as catalog:
        similar = similar_films(catalog, "genre", 10)
        gist = similar.encoder.identity
        tensors = MovieNetwork(gist.dimension, config.hidden, config.features).state_dict()
        save_movie_encoder(path, tensors, config, gist)
        encode = load_movie_encoder(path, device="cpu").encode_shots
        expected = [pair.score for pair in ranked(list(mine(catalog, similar, encode=encode)))]
    ran = m2s(*command, "--html", tmp_path / "p.html")
    assert (ran.status, ran.json()["signal"], ran.json()["encoder"]) == (0, "genre", "gist"), ran.stderr
    with out.open() as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == pytest.approx(expected)
    assert "shot features of gist, by E_movie" in (tmp_path / "p.html").read_text("utf-8")
    save_movie_encoder(path, tensors, config, replace(gist, weights_sha256="other"))
    ran = m2s(*command)
    assert ran.status == 2
    assert "E_movie takes the shot features that encoder 'gist' gave when it was trained" in ran.stderr


def test_progress(catalog_of_movies, tmp_path, m2s, monkeypatch):
    """It says which films it is at, and about how long is left."""
    monkeypatch.setattr(train_mine, "_SHOWN_SECONDS", 0.0)
    ran = m2s("train", "mine", "--signal", "genre", "--out", tmp_path / "p.csv", "--catalog", catalog_of_movies)
    lines = re.findall(r"\[(\d)/3\] (.+) and (.+), \d+ s left", ran.stderr)
    assert [number for number, *_ in lines] == ["1", "2"]
    assert {name for _, *names in lines for name in names} <= SHOTS.keys()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "no ratings are known of any movie: import them with 'm2s movies import FILE'"),
        (("--signal", "genre", "--encoder", "clip"), "no embeddings by encoder 'clip'"),
        (("--signal", "genre", "--out", "no/p.csv"), "no: there is no such folder to put p.csv in; make it first"),
        (("--signal", "genre", "--html", "no/p.html"), "no: there is no such folder to put p.html in; make it"),
        (("--signal", "genre", "--per-pair", "0"), "--per-pair"),
    ],
)
def test_errors(catalog_of_movies, tmp_path, m2s, monkeypatch, options, words):
    """What cannot be mined is wrong usage, with what to do."""
    monkeypatch.chdir(tmp_path)
    ran = m2s("train", "mine", "--out", "p.csv", "--catalog", catalog_of_movies, *options)
    assert (ran.status, ran.stdout) == (2, "")
    assert words in ran.stderr


def test_no_similar_films(own_movies, tmp_path, m2s):
    """Where no two films are similar it says so, with how many films anything is known of."""
    sql(own_movies, "UPDATE title_genres SET genre = genre || title_id")
    sql(own_movies, "DELETE FROM title_files WHERE file LIKE 'Gamma%'")
    ran = m2s("train", "mine", "--signal", "genre", "--out", tmp_path / "p.csv", "--catalog", own_movies)
    assert ran.status == 2
    assert "no two indexed films are similar by genre: of 4 films 3 are of known movies; import" in ran.stderr
    assert not (tmp_path / "p.csv").exists()


@pytest.fixture(scope="module")
def mined_page(catalog_of_movies, tmp_path_factory, m2s):
    """A page of the pairs of films of which one is called by markup, and the pairs."""
    folder = tmp_path_factory.mktemp("page")
    own = shutil.copytree(catalog_of_movies, folder / "c")
    sql(own, f"UPDATE movies SET name = '{SPITEFUL.replace(chr(39), chr(39) * 2)}' WHERE name LIKE 'Alpha%'")
    ran = m2s(
        "train",
        "mine",
        "--signal",
        "genre",
        "--out",
        folder / "p.csv",
        "--html",
        folder / "p.html",
        "--catalog",
        own,
    )
    assert ran.status == 0, ran.stderr
    with (folder / "p.csv").open() as file:
        return folder / "p.html", list(csv.DictReader(file))


def test_page(mined_page, catalog_of_movies, tmp_path, m2s):
    """Best first, both scenes of each pair with nine key frames, film, times and score, all in the one file; with
    ``--top`` only so many.
    """
    path, rows = mined_page
    text = path.read_text("utf-8")
    page = Page(text)
    alts = [attributes["alt"] for attributes in page.all("img")]
    assert alts == [
        f"{row[f'{side}movie']}, shots {row[f'{side}first_shot']} to {row[f'{side}last_shot']}, frame {frame}"
        for row in rows
        for side in ("", "other_")
        for frame in range(1, 10)
    ]
    assert [attributes["tabindex"] for attributes in page.all("section")] == ["0"] * len(rows)
    assert [attributes["aria-label"] for attributes in page.all("section")] == [
        f"pair {rank}: {row['movie']} and {row['other_movie']}" for rank, row in enumerate(rows, start=1)
    ]
    words = " ".join(page.text)
    assert re.findall(r"score (-?[\d.]+)", words) == [f"{float(row['score']):.3f}" for row in rows]
    assert f"{len(rows)} scene pairs of 3 film pairs (3 films) by genre; shot features of gist" in words
    assert SPITEFUL in words
    assert not page.all("script")
    without_pictures = re.sub(r'src="data:image/jpeg;base64,[A-Za-z0-9+/=]+"', "", text)
    assert not re.search(r"https?:|//|url\(|@import|href|srcset", without_pictures)
    few = tmp_path / "few.html"
    arguments = ("--out", tmp_path / "p.csv", "--html", few, "--top", "1", "--catalog", catalog_of_movies)
    assert m2s("train", "mine", "--signal", "genre", *arguments).status == 0
    assert len(Page(few.read_text("utf-8")).all("section")) == 1
    assert "by genre, the best 1; shot" in few.read_text("utf-8")


def test_middle_key_frames(films, tmp_path, m2s):
    """Of a shot with several key frames the middle one is shown."""
    films = (films / "Short.mp4", "--frames-per-shot", "3")
    assert m2s("index", "build", *films, "--catalog", tmp_path).status == 0
    ((movie_id, file),) = sql(tmp_path, "SELECT id, keyframes_file FROM movies")
    with Catalog.open(tmp_path) as catalog, KeyFrameReader(catalog.keyframes_folder, file) as reader:
        stored = [[decode_jpeg(data) for data in reader.read(shot)] for shot in (2, 1)]
        shown = shot_frames(catalog, movie_id, (2, 1))
    assert [len(pictures) for pictures in stored] == [3, 3]
    for picture, (before, middle, after) in zip(shown, stored, strict=True):
        assert np.array_equal(picture, middle)
        assert not np.array_equal(before, after)


def test_page_without_key_frames(own_movies, tmp_path, m2s):
    """A film whose key frames are gone is shown in words, with the remedy; the others with pictures."""
    ((file,),) = sql(own_movies, "SELECT keyframes_file FROM movies WHERE name LIKE 'Gamma%'")
    (own_movies / "keyframes" / file).unlink()
    arguments = ("--per-pair", "1", "--out", tmp_path / "p.csv", "--html", tmp_path / "p.html")
    assert m2s("train", "mine", "--signal", "genre", *arguments, "--catalog", own_movies).status == 0
    page = Page((tmp_path / "p.html").read_text("utf-8"))
    assert len(page.all("img")) == 4 * 9
    assert " ".join(page.text).count("no key frames: ") == 2
    assert "m2s index repair" in " ".join(page.text)


PROBE = """<script>
const sections = [...document.querySelectorAll('section')], images = [...document.images], seen = [];
for (const section of sections) { section.focus(); seen.push(document.activeElement === section); }
const [left, right] = document.querySelectorAll('.pair > div');
document.body.dataset.probe = JSON.stringify({
  wide: document.documentElement.scrollWidth, window: innerWidth, focused: seen,
  pictures: images.every(image => image.complete && image.naturalWidth > 0),
  beside: left.getBoundingClientRect().top === right.getBoundingClientRect().top,
  dark: getComputedStyle(document.querySelector('h1')).color,
});
</script>"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("window", "options", "beside", "ink"),
    [
        ("1300,900", (), True, "rgb(0, 0, 0)"),
        ("500,900", (), False, "rgb(0, 0, 0)"),
        ("1300,900", ("--blink-settings=preferredColorScheme=0",), True, "rgb(255, 255, 255)"),
    ],
)
def test_page_in_a_browser(mined_page, tmp_path, window, options, beside, ink):
    """Chromium shows all pictures, scenes beside each other where there is room and below each other on a phone,
    nothing wider than the window, in light and dark; every pair can have the keyboard's focus.
    """
    path, rows = mined_page
    probed = tmp_path / "probed.html"
    probed.write_text(path.read_text("utf-8").replace("</body>", f"{PROBE}</body>"), "utf-8")
    dom = browse(probed, f"--window-size={window}", *options, "--dump-dom", profile=tmp_path / "profile").stdout
    ((body, *_),) = [Page(dom.decode()).all("body")]
    found = json.loads(body["data-probe"])
    assert found["wide"] <= found["window"]
    assert found["focused"] == [True] * len(rows)
    assert (found["pictures"], found["beside"], found["dark"]) == (True, beside, ink)
