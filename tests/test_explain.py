"""Two scenes shot by shot: the numbers against loops, the command's three forms, and its page in a real browser."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import make_encoder, make_film, unit_rows
from test_contact_sheet import SPITEFUL, Page, browse
from test_film_pairs import naive_pairs

from m2s_index.catalog import Catalog
from m2s_index.errors import CatalogDamagedError
from m2s_index.movies import add_film
from m2s_index.pairing.explain import explain_pair
from m2s_index.types import FilmVectors

SCENES = ((0, 9), (9, 22), (22, 25))
"""One of nine shots, one of more than stand for it, and one of three."""


def add_shots(catalog, path, features, *, encoder, whole=False):
    """A film of 25 shots of 2 s in ``SCENES``, whose clock starts at 7 s."""
    film = make_film(path, [2.0] * 25)
    shots = tuple(replace(s, start_pts=s.start_pts + 7000, end_pts=s.end_pts + 7000) for s in film.shots)
    film = replace(film, shots=shots, start_pts=7000, end_pts=film.end_pts + 7000, scenes=SCENES)
    means = np.array([features[first:end].mean(axis=0) for first, end in SCENES])
    scenes = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    with catalog.write() as session:
        return add_film(session, film, FilmVectors(encoder, None if whole else features, scenes))


@pytest.fixture
def catalog(tmp_path):
    """Films of random shots, not normalised, of which some are the same; and one by an encoder of whole scenes."""
    random = np.random.default_rng(8)
    with Catalog.open(tmp_path / "catalog", create=True) as catalog:
        first, second = (random.standard_normal((25, 6)).astype(np.float32) for _ in "ab")
        second[3] = second[5] = first[14] = 2 * first[10]
        for name, features in (("first", first), ("second", second)):
            add_shots(catalog, f"/films/{name}.mp4", features, encoder=make_encoder(dimension=6))
        for name in ("third", "fourth"):
            rows = unit_rows(random, 25, 6)
            add_shots(catalog, f"/films/{name}.mp4", rows, encoder=make_encoder("whole", 6), whole=True)
        yield catalog


def features_of(catalog, name):
    ((data,),) = sql(
        catalog.folder, f"SELECT f.data FROM features f JOIN movies m ON m.id = f.movie_id WHERE m.name = '{name}'"
    )
    return np.frombuffer(data, np.float16).reshape(25, 6).astype(float)


@pytest.mark.parametrize(
    ("first", "second"), [("first#0", "second#2"), ("first#1", "second#0"), ("second#0", "second#1")]
)
def test_similarities_and_matches_are_the_naive_ones(catalog, first, second):
    """Cosines of the shots that stand for the scenes, one by one; matches best first, each shot once, ties by
    (i, j); also of two scenes of one film, and where a scene has more shots than stand for it.
    """
    found = explain_pair(catalog, first, second)
    nine = {0: range(9), 1: [9, 11, 12, 14, 15, 16, 18, 19, 21], 2: range(22, 25)}
    for ref, scene, shots in ((first, found.a, found.shots_a), (second, found.b, found.shots_b)):
        assert f"{scene.movie}#{scene.index}" == ref
        assert [shot.index for shot in shots] == list(nine[scene.index])
        assert [(s.start_seconds, s.end_seconds) for s in shots] == [
            (2.0 * s.index, 2.0 * s.index + 2) for s in shots
        ]
    x, y = features_of(catalog, found.a.movie), features_of(catalog, found.b.movie)
    for i, a in enumerate(found.shots_a):
        for j, b in enumerate(found.shots_b):
            u, v = x[a.index], y[b.index]
            cosine = sum(u * v) / math.sqrt(sum(u * u)) / math.sqrt(sum(v * v))
            assert found.similarities[i, j] == pytest.approx(cosine, abs=1e-6)
    places = [(found.shots_a.index(m.a), found.shots_b.index(m.b)) for m in found.matches]
    assert places == naive_pairs(found.similarities, keep=1.0)
    assert len(places) == min(found.similarities.shape)
    assert [(m.rank, m.score) for m in found.matches] == [
        (rank, found.similarities[place]) for rank, place in enumerate(places, 1)
    ]


def test_score_is_that_of_the_pair(catalog, m2s):
    """The scenes' score is what ``m2s pairs`` and ``m2s query`` say."""
    found = explain_pair(catalog, "first#1", "second#0")
    here = ("--catalog", catalog.folder)
    pairs = m2s("pairs", "first", "second", "--keep", "1", "--junk", "--json", *here).json()["pairs"]
    scores = {(pair["a"]["index"], pair["b"]["index"]): pair["score"] for pair in pairs}
    hits = m2s("query", "--scene", "first#1", "--movie", "second", "--json", *here).json()["hits"]
    assert {hit["index"]: hit["score"] for hit in hits}[0] == pytest.approx(found.score, abs=1e-6)
    assert (1, 0) not in scores or scores[1, 0] == found.score
    assert any(scores[i, j] == explain_pair(catalog, f"first#{i}", f"second#{j}").score for i, j in scores)


def test_command(catalog, m2s):
    """JSON, CSV and the tables say what the library found; matches are starred in the matrix."""
    found = explain_pair(catalog, "first#0", "second#2")
    command = ("explain", "first#0", "second@44", "--catalog", catalog.folder)
    said = m2s(*command, "--json").json()
    assert (said["encoder"], said["score"], said["a"]["index"], said["b"]["movie"]) == (
        "test",
        found.score,
        0,
        "second",
    )
    assert said["similarities"] == found.similarities.tolist()
    assert [shot["index"] for shot in said["b"]["shots"]] == [22, 23, 24]
    matches = [(m.rank, m.score, m.a.index, m.b.index, m.b.start_seconds) for m in found.matches]
    assert [
        (m["rank"], m["score"], m["a"]["index"], m["b"]["index"], m["b"]["start_seconds"]) for m in said["matches"]
    ] == matches
    rows = list(csv.DictReader(io.StringIO(m2s(*command, "--csv").stdout)))
    assert [
        (int(r["rank"]), float(r["score"]), int(r["index_a"]), int(r["index_b"]), float(r["start_seconds_b"]))
        for r in rows
    ] == matches
    matrix, best = m2s(*command).stdout.split("\n\n")
    cells = [line.split() for line in matrix.splitlines()[3:]]
    assert [[cell.rstrip("*") for cell in row[2:]] for row in cells] == [
        [f"{score:.2f}" for score in row] for row in found.similarities.tolist()
    ]
    starred = {(int(row[0]), 22 + j) for row in cells for j, cell in enumerate(row[2:]) if cell.endswith("*")}
    assert starred == {(match.a.index, match.b.index) for match in found.matches}
    assert [line.split()[:3] for line in best.splitlines()[3:]] == [
        [str(m.rank), f"{m.score:.3f}", str(m.a.index)] for m in found.matches
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("first#0", "1"), "'first#0' and '1' are both first#0: a scene is compared with another one"),
        (("first#0", "first#3"), "'first' has no scene #3: it has 3 scenes, #0 to #2"),
        (("first#0", "none#3"), "no movie is called 'none'"),
        (("first#0", "second#0", "--encoder", "clip"), "the catalogue has no embeddings by encoder 'clip'"),
        (("first#0", "third#0"), "third has no embeddings by encoder 'test' (it has: whole): make them with"),
        (
            ("third#0", "fourth#0", "--encoder", "whole"),
            "encoder 'whole' sees whole scenes and has no shots of third to compare",
        ),
        (("first#0", "second#0", "--html", "/no/such/folder/p.html"), "/no/such/folder/p.html: cannot be written"),
    ],
)
def test_wrong_usage(catalog, m2s, arguments, line):
    """A line that says what is wrong, and exit status 2."""
    ran = m2s("explain", *arguments, "--catalog", catalog.folder)
    assert (ran.status, ran.stdout) == (2, "")
    assert line in ran.stderr


def test_features_of_another_film(catalog):
    """Features that are fewer than the film's shots are damage, said with the remedy."""
    sql(catalog.folder, "UPDATE features SET rows = 24, data = substr(data, 1, 24 * 12) WHERE movie_id = 1")
    with pytest.raises(
        CatalogDamagedError, match="the features of 'first' by 'test' are damaged: run 'm2s index repair'"
    ):
        explain_pair(catalog, "first#0", "second#0")


@pytest.fixture(scope="module")
def explained(built_catalog, tmp_path_factory, m2s):
    """The page of two scenes, one of a film that is called by markup, and what the command said."""
    folder = tmp_path_factory.mktemp("explained")
    own = shutil.copytree(built_catalog, folder / "c")
    name = SPITEFUL + "\x1b\u202e"
    sql(own, f"UPDATE movies SET name = '{name.replace(chr(39), chr(39) * 2)}' WHERE name LIKE 'Alpha%'")
    ran = m2s("explain", f"{name}#1", "Short#0", "--html", folder / "p.html", "--json", "--catalog", own)
    assert ran.status == 0, ran.stderr
    return folder / "p.html", ran.json()


def test_page(explained):
    """Key frames along both sides, every similarity, the matches framed and led to, all in one file."""
    path, said = explained
    text = path.read_text("utf-8")
    page = Page(text)
    shots = [len(said[side]["shots"]) for side in "ab"]
    assert len(page.all("td")) == shots[0] * shots[1]
    assert len(page.all("img")) == sum(shots) + 2 * len(said["matches"])
    assert [attributes["scope"] for attributes in page.all("th") if "scope" in attributes] == (
        ["col"] * shots[1] + ["row"] * shots[0]
    )
    assert len([attributes for attributes in page.all("td") if "class" in attributes]) == len(said["matches"])
    assert {a["href"] for a in page.all("a")} == {f"#{s['id']}" for s in page.all("section")}
    words = " ".join(page.text)
    for match in said["matches"]:
        assert f"{match['score']:.3f}" in words
    assert f"{SPITEFUL}��#1" in words
    without_pictures = text.replace("data:image/jpeg;base64,", "")
    assert not any(sign in without_pictures for sign in ("http:", "https:", "<script", "url(", "\x1b", "\u202e"))


def test_page_without_key_frames(own_catalog, tmp_path, m2s):
    """The film whose key frames are gone is shown by numbers, with the reason and the remedy."""
    ((file,),) = sql(own_catalog, "SELECT keyframes_file FROM movies WHERE name = 'Short'")
    (own_catalog / "keyframes" / file).unlink()
    html = tmp_path / "p.html"
    assert m2s("explain", "Short#0", "Alpha#0", "--html", html, "--catalog", own_catalog).status == 0
    page = Page(html.read_text("utf-8"))
    assert len(page.all("img")) == 9 + 3
    assert " ".join(page.text).count("no key frames: ") == 1
    assert "m2s index repair" in " ".join(page.text)


PROBE = """<script>
const seen = [], cells = [...document.querySelectorAll('td')], images = [...document.images];
for (const one of document.querySelectorAll('section, td a, .scroll')) {
  one.focus(); seen.push(document.activeElement === one);
}
const bright = cell => cell.style.backgroundColor.match(/\\d+/g).reduce((sum, part) => sum + +part, 0);
cells.sort((a, b) => bright(a) - bright(b));
parent.postMessage(JSON.stringify({
  wide: document.documentElement.scrollWidth, window: innerWidth, focused: seen.every(one => one),
  pictures: images.every(image => image.complete && image.naturalWidth > 0),
  ink: getComputedStyle(document.querySelector('h1')).color,
  dullest: cells[0].innerText, brightest: cells.at(-1).innerText,
}), '*');
</script>"""


def probe(path: Path, script: str, tmp_path: Path, width: int, *options: str) -> dict[str, object]:
    """What a script says of a page in a window of that width: a frame, for Chromium's own are 500 wide at least."""
    (tmp_path / "probed.html").write_text(path.read_text("utf-8").replace("</body>", f"{script}</body>"), "utf-8")
    outer = tmp_path / "outer.html"
    outer.write_text(
        "<body><script>onmessage = event => document.body.dataset.probe = event.data</script>"
        f'<iframe src="probed.html" style="width: {width}px; height: 900px; border: 0"></iframe></body>'
    )
    arguments = ("--window-size=1400,1000", "--virtual-time-budget=5000", *options, "--dump-dom")
    dom = browse(outer, *arguments, profile=tmp_path / "profile").stdout.decode()
    ((body, *_),) = [Page(dom).all("body")]
    said = body["data-probe"]
    assert said
    found: dict[str, object] = json.loads(said)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("width", [1300, 390])
@pytest.mark.parametrize(
    ("options", "ink"),
    [((), "rgb(0, 0, 0)"), (("--blink-settings=preferredColorScheme=0",), "rgb(255, 255, 255)")],
)
def test_page_in_a_browser(explained, tmp_path, width, options, ink):
    """Nothing is wider than the window, also on a phone; all pictures are shown; the matrix, its matches and their
    pictures can have the keyboard's focus; the highest similarity is the brightest cell.
    """
    path, said = explained
    found = probe(path, PROBE, tmp_path, width, *options)
    assert (found["window"], found["ink"]) == (width, ink)
    assert found["wide"] <= width
    assert found["focused"]
    assert found["pictures"]
    scores = [score for row in said["similarities"] for score in row]
    assert found["brightest"] == f"{max(scores):.2f}"
    assert found["dullest"] == f"{min(scores):.2f}"
