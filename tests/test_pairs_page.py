"""The page of pairs: what it shows is what was found, in one file, and in a real browser."""

from __future__ import annotations

import base64
import io
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add, make_encoder, unit_rows
from PIL import Image
from test_contact_sheet import SPITEFUL, Page
from test_explain import probe

from m2s_index.catalog import Catalog
from m2s_index.cli import pair_files
from m2s_index.cli.heat import STEPS, colours
from m2s_index.cli.pair_figures import matrix_figure, timeline_figure
from m2s_index.cli.pairs_page import pairs_page
from m2s_index.pairing.film_pairs import PairOptions, film_pairs
from m2s_index.types import ScenePair

NAME = SPITEFUL + "\x1b\u202e"


@pytest.fixture(scope="module")
def spiteful(built_catalog, tmp_path_factory):
    """A catalogue of four films of which one is called by markup and control characters."""
    own = shutil.copytree(built_catalog, tmp_path_factory.mktemp("spiteful") / "c")
    sql(own, f"UPDATE movies SET name = '{NAME.replace(chr(39), chr(39) * 2)}' WHERE name LIKE 'Alpha%'")
    return own


@pytest.fixture(scope="module")
def two_films(spiteful, tmp_path_factory, m2s):
    """The page of two films, and their pairs as JSON."""
    path = tmp_path_factory.mktemp("page") / "p.html"
    options = ("--keep", "1", "--windows", "--junk", "--json", "--html", path, "--catalog", spiteful)
    ran = m2s("pairs", NAME, "Beta", *options)
    assert ran.status == 0, ran.stderr
    assert f"page: {path}" in ran.stderr
    return path, ran.json()["pairs"]


def without_pictures(text):
    return re.sub(r"data:image/(jpeg|png);base64,[A-Za-z0-9+/=]+", "", text)


def test_pairs_are_shown_in_order(two_films):
    """Each with its rank, score, both films and times, and nine key frames of either."""
    path, pairs = two_films
    page = Page(path.read_text("utf-8"))
    shown_name = f"{SPITEFUL}��"
    shown = {pair["a"]["movie"]: shown_name for pair in pairs} | {"Beta Road (1991)": "Beta Road (1991)"}
    assert [section["id"] for section in page.all("section")] == [f"pair-{pair['rank']}" for pair in pairs]
    assert [section["aria-label"] for section in page.all("section")] == [
        f"pair {pair['rank']}: {shown[pair['a']['movie']]} and {shown[pair['b']['movie']]}" for pair in pairs
    ]
    assert [image["alt"] for image in page.all("img")] == [
        f"{shown[end['movie']]}, shots {end['index']} to {end['index'] + 8}, frame {number}"
        for pair in pairs
        for end in (pair["a"], pair["b"])
        for number in range(1, 10)
    ]
    words = "".join(page.text)
    assert f"Every window of 9 shots of {shown_name} (down)" in words
    assert "hatched" not in words
    assert re.findall(r"\bscore (-?[\d.]+)", words)[-len(pairs) :] == [f"{pair['score']:.3f}" for pair in pairs]
    assert f"{len(pairs)} pairs by gist" in words or f"{len(pairs)} pair by gist" in words


def test_all_is_in_the_file(two_films):
    """No address but its own sections', no script, nothing of a name but text, no control characters."""
    path, pairs = two_films
    text = path.read_text("utf-8")
    assert not re.search(r"https?:|//|url\(|@import|srcset|<script|<img src=x|[\x00-\x09\x0b-\x1f\u202e]",
                         without_pictures(text))  # fmt: skip
    links = [link["href"] for link in Page(text).all("a")]
    assert sorted(links) == sorted([f"#pair-{pair['rank']}" for pair in pairs] * 2)


@pytest.fixture
def catalog(tmp_path):
    """Two films of 7 and 5 scenes of 10 s."""
    with Catalog.open(tmp_path / "catalog", create=True) as catalog:
        random, encoder = np.random.default_rng(4), make_encoder(dimension=6)
        for name, scenes in (("first", 7), ("second", 5)):
            add(catalog, f"/films/{name}.mp4", unit_rows(random, scenes, 6), encoder=encoder)
        yield catalog


@pytest.fixture
def compared(catalog):
    """Their pairs, with scene 2 of the one and scene 4 of the other left out."""
    found = film_pairs(catalog, "first", "second", PairOptions(keep=1.0))
    found.a.usable[2] = found.b.usable[4] = False
    found.scores[2] = found.scores[:, 4] = -np.inf
    return replace(found, pairs=tuple(p for p in found.pairs if p.a.index != 2 and p.b.index != 4))


def test_matrix(compared):
    """A pixel an entry: the highest is the brightest, what is left out is clear; each pair's frame is on its
    cell.
    """
    figure = matrix_figure(compared, compared.pairs)
    (data,) = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", figure)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))
    assert picture.shape == (7, 5, 4)
    finite = np.isfinite(compared.scores)
    assert np.array_equal(picture[..., 3] == 255, finite)
    assert np.array_equal(picture[..., 3] == 0, ~finite)
    order = np.argsort(np.where(finite, compared.scores, np.inf), axis=None)[: finite.sum()]
    light = picture[..., :3].astype(int).sum(axis=2).ravel()[order]
    assert light[0] == sum(STEPS[0])
    assert light[-1] == sum(STEPS[-1])
    assert (np.diff(light) >= -3).all()  # but for rounding, the higher the brighter
    ((width, height),) = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', figure)
    cell_width, cell_height = float(width) / 5, float(height) / 7
    frames = re.findall(
        r'href="#pair-(\d+)".*?<rect class="edge" x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)"',
        figure,
    )
    assert [(int(rank), *(float(number) for number in numbers)) for rank, *numbers in frames] == [
        (
            pair.rank,
            *(
                pytest.approx(number, abs=0.06)
                for number in (
                    pair.b.index * cell_width, pair.a.index * cell_height, cell_width, cell_height
                )
            ),
        )
        for pair in reversed(compared.pairs)  # the best above the others
    ]  # fmt: skip
    low, high = compared.scores[finite].min(), compared.scores[finite].max()
    assert f"score {low:.3f} <i></i> {high:.3f} · hatched: left out" in figure
    assert "Every scene of first (down) against every one of second (across)" in figure


def test_colours():
    """Scores from the lowest to the highest go from the first colour to the last; equal ones have one colour."""
    shades = colours(np.array([[-0.5, 0.0, 0.5], [0.25, -np.inf, 0.5]], np.float32))
    assert shades[0].tolist() == [list(STEPS[0]), list(STEPS[2]), list(STEPS[4])]
    assert shades[1].tolist() == [list(STEPS[3]), [0, 0, 0], list(STEPS[4])]
    assert (colours(np.full((2, 2), 0.7, np.float32)) == STEPS[0]).all()
    assert (colours(np.full((1, 2), -np.inf, np.float32)) == 0).all()


def test_time_line(compared):
    """Each pair's arc goes from the middle of its scene in the one film to the middle of it in the other; what is
    left out is marked on the films.
    """
    figure = timeline_figure(compared, compared.pairs)
    arcs = re.findall(r'href="#pair-(\d+)".*?<path d="M([\d.]+) [\d.]+ C[-\d. ]+ ([\d.]+) [\d.]+"/>', figure)
    assert sorted((int(rank), float(x), float(y)) for rank, x, y in arcs) == [
        (pair.rank, pytest.approx((pair.a.index + 0.5) / 7 * 1000, abs=0.06),
         pytest.approx((pair.b.index + 0.5) / 5 * 1000, abs=0.06))
        for pair in compared.pairs
    ]  # fmt: skip
    starts = [float(x) for x in re.findall(r'<rect class="junk" x="([\d.]+)"', figure)]
    assert starts == [pytest.approx(2 / 7 * 1000, abs=0.06), 800.0]


def test_the_same_pictures_are_told_apart(catalog, compared):
    """A stretch over several scenes is one frame over all of them, orange, and said to be the same pictures; pairs
    have percentile and scaled score where these are known.
    """
    stretch_a, stretch_b = replace(compared.a.scenes[1], end_shot=4), replace(compared.b.scenes[0], end_shot=2)
    same = ScenePair(1, 0.9, stretch_a, stretch_b, "duplicate")
    other = replace(compared.pairs[0], rank=2, percentile=98.76, csls=0.123)
    text = pairs_page(catalog, [same, other], "x", "y", compared)
    ((x, y, width, height),) = re.findall(
        r'<a class="mark duplicate".*?<rect class="edge" x="([-\d.]+)" y="([-\d.]+)"'
        r' width="([\d.]+)" height="([\d.]+)"',
        text,
    )  # fmt: skip
    ((whole_width, whole_height),) = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)" width', text)
    assert (float(x), float(width)) == (0, pytest.approx(float(whole_width) * 2 / 5, abs=0.06))
    assert float(y) == pytest.approx(float(whole_height) / 7, abs=0.06)
    assert float(height) == pytest.approx(float(whole_height) * 3 / 7, abs=0.06)
    assert text.count("orange: the same pictures") == 2
    assert text.count('<span class="same">the same pictures</span>') == 1
    assert f"percentile 98.8 · score {other.score:.3f} · scaled 0.123" in text
    assert "score 0.900</span>" in text
    assert text.count("no key frames: ") == 4  # these films were never filmed


def test_all_films(spiteful, tmp_path, m2s):
    """A run over all films, and what is shown of it later, on a page each: without the figures of two films."""
    found, again = tmp_path / "found.html", tmp_path / "again.html"
    own = shutil.copytree(spiteful, tmp_path / "c")
    ran = m2s("pairs", "--all", "--junk", "--html", found, "--json", "--catalog", own)
    assert ran.status == 0, ran.stderr
    pairs = ran.json()["pairs"]
    assert m2s("pairs", "--show", "--html", again, "--catalog", own).status == 0
    text = found.read_text("utf-8")
    assert again.read_text("utf-8") == text
    page = Page(text)
    assert len(pairs) > 2
    assert [section["aria-label"].replace("�", "") for section in page.all("section")] == [
        f"pair {pair['rank']}: {pair['a']['movie']} and {pair['b']['movie']}".replace(NAME, SPITEFUL)
        for pair in pairs
    ]
    assert not page.all("svg")
    assert "Similar scenes of all films" in page.text


def test_only_the_best_are_shown(spiteful, tmp_path, m2s, monkeypatch):
    """A page of ten thousand pairs could not be opened: it has the best, and says so."""
    monkeypatch.setattr(pair_files, "PAGE_PAIRS", 2)
    own = shutil.copytree(spiteful, tmp_path / "c")
    ran = m2s("pairs", "--all", "--junk", "--html", tmp_path / "p.html", "--json", "--catalog", own)
    page = Page((tmp_path / "p.html").read_text("utf-8"))
    assert [section["id"] for section in page.all("section")] == ["pair-1", "pair-2"]
    assert f"{len(ran.json()['pairs'])} pairs by gist" in " ".join(page.text)
    assert "; the best 2 are shown" in " ".join(page.text)


def test_no_pairs(spiteful, tmp_path, m2s):
    """Two films of which nothing is alike: the matrix, and no pair."""
    html = tmp_path / "p.html"
    ran = m2s("pairs", "Beta", "Gamma", "--min-score", "2", "--junk", "--html", html, "--catalog", spiteful)
    assert ran.status == 0, ran.stderr
    page = Page(html.read_text("utf-8"))
    assert (len(page.all("section")), len(page.all("svg")), len(page.all("a"))) == (0, 2, 0)
    assert "0 pairs by gist" in " ".join(page.text)


def test_folder_that_is_not_there(spiteful, tmp_path, m2s):
    """Said before anything is compared."""
    ran = m2s("pairs", "--all", "--html", tmp_path / "no" / "p.html", "--catalog", spiteful)
    assert (ran.status, ran.stdout) == (2, "")
    assert "no: there is no such folder to put p.html in; make it first" in ran.stderr


PROBE = """<script>
const seen = [], images = [...document.images];
for (const one of document.querySelectorAll('section, svg a')) {
  one.focus(); seen.push(document.activeElement === one);
}
const box = one => one.getBoundingClientRect();
const [left, right] = document.querySelectorAll('.pair > div');
const matrix = box(document.querySelector('.matrix svg')), down = box(document.querySelector('.down'));
parent.postMessage(JSON.stringify({
  wide: document.documentElement.scrollWidth, window: innerWidth, focused: seen.every(one => one),
  pictures: images.every(image => image.complete && image.naturalWidth > 0),
  beside: box(left).top === box(right).top, matrix: [matrix.width, matrix.height],
  label: Math.abs(down.height - matrix.height) < 2 && down.right <= matrix.left,
  ink: getComputedStyle(document.querySelector('h1')).color,
}), '*');
</script>"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "options", "beside", "ink"),
    [
        (1300, (), True, "rgb(0, 0, 0)"),
        (390, (), False, "rgb(0, 0, 0)"),
        (1300, ("--blink-settings=preferredColorScheme=0",), True, "rgb(255, 255, 255)"),
    ],
)
def test_in_a_browser(two_films, tmp_path, width, options, beside, ink):
    """Chromium shows all pictures, scenes beside each other where there is room and below each other on a phone;
    nothing is wider than the window; pairs, frames and arcs can have the keyboard's focus; the matrix is as long as
    its label beside it.
    """
    path, _ = two_films
    found = probe(path, PROBE, tmp_path, width, *options)
    assert (found["window"], found["beside"], found["ink"]) == (width, beside, ink)
    assert found["wide"] <= width
    assert found["focused"]
    assert found["pictures"]
    assert found["label"]
    assert min(found["matrix"]) > 100
