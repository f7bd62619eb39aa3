"""The contact sheet: one file that needs nothing else, and shows what it says in a real browser."""

from __future__ import annotations

import html.parser
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import sql
from PIL import Image

SPITEFUL = "<script>alert(1)<&\"'"


class Page(html.parser.HTMLParser):
    """What a page holds: its elements with their attributes, and its text by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def spiteful(films, tmp_path_factory, m2s):
    """A catalogue of a film whose name is markup, and others; and a sheet of its first scene."""
    folder = tmp_path_factory.mktemp("spiteful")
    (folder / "films").mkdir()
    shutil.copy(films / "Alpha Beach (1990).mp4", folder / "films" / f"{SPITEFUL}.mp4")
    shutil.copy(films / "Short.mp4", folder / "films" / "Short.mp4")
    shutil.copy(films / "Gamma (1992).mp4", folder / "films" / "Gamma (1992).mp4")
    (folder / "m.csv").write_text("movie,title,year\nShort,\"<img src=x onerror=alert(2)> & <b>'co'</b>\",1999\n")
    catalog = ("--catalog", folder / "c")
    given = ("--metadata", folder / "m.csv", "--encoder", "gist", *catalog)
    assert m2s("index", "build", folder / "films", *given).status == 0
    ran = m2s("query", "--scene", f"{SPITEFUL}#0", "--html", folder / "sheet.html", "--json", *catalog)
    assert ran.status == 0, ran.stderr
    return folder, ran.json()


def test_all_is_in_the_file(spiteful):
    """The page refers to nothing outside itself: no address, no script, no link, pictures as data."""
    folder, _ = spiteful
    text = (folder / "sheet.html").read_text("utf-8")
    page = Page(text)
    without_pictures = re.sub(r'src="data:image/jpeg;base64,[A-Za-z0-9+/=]+"', "", text)
    assert not re.search(r"https?:|//|url\(|@import", without_pictures)
    assert {tag for tag, _ in page.elements} <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "header", "span", "div", "img"
    }  # fmt: skip
    for attributes in page.all("img"):
        assert attributes["src"].startswith("data:image/jpeg;base64,")
    for _, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on") or name in ("href", "srcset", "action")}


def test_pictures_and_words(spiteful):
    """The query's nine key frames come first, then each hit's; every hit is there with film, times and score."""
    folder, found = spiteful
    page = Page((folder / "sheet.html").read_text("utf-8"))
    shown = [attributes["alt"] for attributes in page.all("img")]
    assert shown[:9] == [f"{SPITEFUL}#0, frame {number}" for number in range(1, 10)]
    names = list(dict.fromkeys(alt.rsplit(",", 1)[0] for alt in shown))
    assert names == [f"{SPITEFUL}#0"] + [f"{hit['movie']}#{hit['index']}" for hit in found["hits"]]
    assert shown.count("Short#0, frame 3") == 1
    text = " ".join(page.text)
    for hit in found["hits"]:
        assert f"score {hit['score']:.3f}" in text
    assert "0:00:00.0 – 0:00:01.5" in text
    assert "<img src=x onerror=alert(2)> & <b>'co'</b> (1999)" in text
    assert SPITEFUL in text


def browse(page: Path, *arguments: str | Path, profile: Path) -> subprocess.CompletedProcess[bytes]:
    """Open a page from disk in headless Chromium, without a network."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here")
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
        "--proxy-server=127.0.0.1:9", f"--user-data-dir={profile}", *map(str, arguments), page.as_uri(),
    ]  # fmt: skip
    browser = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        stdout, _ = browser.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        os.killpg(browser.pid, signal.SIGKILL)
        stdout, _ = browser.communicate()
        raise
    return subprocess.CompletedProcess(command, browser.returncode, stdout)


@pytest.mark.slow
def test_in_a_browser(spiteful, tmp_path):
    """Chromium opens it from disk and paints it: pictures in rows, no script run, no element made of a name."""
    folder, found = spiteful
    picture = tmp_path / "sheet.png"
    browse(
        folder / "sheet.html", f"--screenshot={picture}", "--window-size=1200,900", profile=tmp_path / "profile"
    )  # fmt: skip
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(float)
    assert pixels.shape == (900, 1200, 3)
    # The query's pictures, a row of nine across the page, are pictures: they vary, and from each other.
    rows = pixels.std(axis=(1, 2))
    assert rows.max() > 25
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 5000
    dom = browse(folder / "sheet.html", "--dump-dom", profile=tmp_path / "profile").stdout.decode()
    page = Page(dom)
    assert not page.all("script")
    assert len(page.all("img")) == len(Page((folder / "sheet.html").read_text("utf-8")).all("img"))
    assert SPITEFUL in " ".join(page.text)
    assert len(page.all("section")) == 1 + len(found["hits"])


def test_scene_whose_key_frames_are_gone(own_catalog, tmp_path, m2s):
    """A scene without key frames is shown in words, with the reason and the remedy; the rest with pictures."""
    ((file,),) = sql(own_catalog, "SELECT keyframes_file FROM movies WHERE name = 'Short'")
    ((other,),) = sql(own_catalog, "SELECT keyframes_file FROM movies WHERE name LIKE 'Gamma%'")
    (own_catalog / "keyframes" / file).unlink()
    (own_catalog / "keyframes" / other).write_bytes(b"PK, but no zip")
    sheet = tmp_path / "sheet.html"
    ran = m2s("query", "--scene", "Short#0", "--html", sheet, "--catalog", own_catalog)
    assert ran.status == 0, ran.stderr
    page = Page(sheet.read_text("utf-8"))
    text = " ".join(page.text)
    assert text.count("no key frames: ") == 2
    assert "m2s index repair" in text
    assert len(page.all("img")) == 9 + 9 + 9


def test_no_hits(built_catalog, tmp_path, m2s):
    """A sheet without hits shows the query."""
    arguments = ("--year", "1800", "--html", tmp_path / "sheet.html", "--catalog", built_catalog)
    assert m2s("query", "--scene", "Short#0", *arguments).status == 0
    page = Page((tmp_path / "sheet.html").read_text("utf-8"))
    assert len(page.all("img")) == 3
    assert "0 hits by gist" in " ".join(page.text)


def test_small_enough_to_send(spiteful):
    """A picture takes a few kilobytes, so that a sheet of ten hits goes by mail."""
    folder, _ = spiteful
    page = Page((folder / "sheet.html").read_text("utf-8"))
    assert (folder / "sheet.html").stat().st_size < 25_000 * len(page.all("img"))
