"""Titles, years and genres: from a table, by file name, as people write such tables."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from catalog_factory import add, make_encoder, unit_rows

from m2s_index.catalog import Catalog
from m2s_index.errors import UsageError
from m2s_index.metadata import apply_metadata, read_metadata
from m2s_index.movies import list_movies

ENCODER = make_encoder(dimension=4)


@pytest.fixture
def apply(tmp_path):
    """Apply a table to a catalogue of some paths; returns (title, year, genres) by path, and who is unknown."""

    def run(text, *paths):
        (tmp_path / "movies.csv").write_bytes(text.encode())
        table = read_metadata(tmp_path / "movies.csv")
        with Catalog.open(tmp_path / "catalog", create=True) as catalog:
            for path in paths:
                add(
                    catalog,
                    path,
                    unit_rows(np.random.default_rng(0), 1, 4),
                    encoder=ENCODER,
                    title="old",
                    year=1900,
                )
            with catalog.write() as session:
                unknown = apply_metadata(session, table)
            with catalog.read() as session:
                return {m.path: (m.title, m.year, m.genres) for m in list_movies(session)}, unknown

    return run


def test_what_a_table_says_and_what_it_leaves(apply):
    """Title, year and genres are taken where the table has them; empty cells leave what is known."""
    found, unknown = apply(
        "movie,title,year,genres\na.mp4,A Film,1999,Drama|Comedy; Drama\nb,,2001,\nc.mkv,C,,\n",
        "/f/a.mp4", "/f/b.mp4", "/f/c.mkv", "/f/d.mp4",
    )  # fmt: skip
    assert unknown == []
    assert found == {
        "/f/a.mp4": ("A Film", 1999, ("Comedy", "Drama")),
        "/f/b.mp4": ("old", 2001, ()),
        "/f/c.mkv": ("C", 1900, ()),
        "/f/d.mp4": ("old", 1900, ()),
    }


def test_byte_order_mark_crlf_quotes_and_order(apply):
    """A table as a spreadsheet exports it."""
    found, unknown = apply(
        '\ufeffYear,"Title",Genres,MOVIE\r\n1999,"He said ""go"", twice","Drama|Sci-Fi","a, b.mp4"\r\n',
        "/f/a, b.mp4",
    )
    assert unknown == []
    assert found["/f/a, b.mp4"] == ('He said "go", twice', 1999, ("Drama", "Sci-Fi"))


@pytest.mark.parametrize(
    "name",
    [
        "Mr. Nobody",
        "Mr. Nobody.mp4",
        "MR. NOBODY",
        "Mr. Nobody.MKV",
        "films/Mr. Nobody.mp4",
        "/elsewhere/Mr. Nobody",
    ],
)
def test_names_with_a_dot(apply, name):
    """A name is the file's with or without an ending of video; a dot in it is no ending."""
    found, unknown = apply(f"movie,title\n{name},Yes\n", "/f/Mr. Nobody.mp4", "/f/Mr. Smith.mp4", "/f/Mr.mp4")
    assert unknown == []
    assert {path for path, (title, _, _) in found.items() if title == "Yes"} == {"/f/Mr. Nobody.mp4"}


def test_exact_name_before_the_stem(apply):
    """Where several files share a stem, the very file is meant; a stem alone means all of them."""
    found, _ = apply("movie,title\nx.mkv,One\ny,Both\n", "/f/x.mp4", "/f/x.mkv", "/f/y.mp4", "/g/y.mkv")
    assert [title for title, _, _ in found.values()] == ["old", "One", "Both", "Both"]


def test_unicode_forms(apply):
    """A name matches in whatever Unicode form it was written."""
    composed, decomposed = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    found, unknown = apply(f"movie,title\n{composed},Yes\n", f"/f/{decomposed}.mp4")
    assert (unknown, found[f"/f/{decomposed}.mp4"][0]) == ([], "Yes")


def test_unknown_movies_are_reported(apply):
    """Names that no film has are given back, as they were written."""
    _, unknown = apply("movie,title\nNowhere.mp4,N\na,A\nnobody,B\n", "/f/a.mp4")
    assert unknown == ["Nowhere.mp4", "nobody"]


def test_two_rows_for_one_movie(apply):
    """Of several rows for a movie the last one holds."""
    found, _ = apply("movie,title,genres\na,First,Drama|War\na.mp4,Second,War\n", "/f/a.mp4")
    assert found["/f/a.mp4"] == ("Second", 1900, ("War",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("movie,year\na,99\n", "line 2: the year '99'"),
        ("movie,year\na,1999\nb,19x9\n", "line 3: the year '19x9'"),
        ("movie,year\na,1999.0\n", "not four digits"),
        ("movie,year\na,-1999\n", "not four digits"),
        ('movie,title,year\na,"two\nlines",1999\nb,B,abc\n', "line 4"),
        ("movie,year\n,1999\n", "line 2: no movie is named"),
        ("title,year\nA,1999\n", "no column movie; its first line has: title, year"),
        ("", "has: nothing"),
    ],
)
def test_tables_that_make_no_sense(tmp_path, text, words):
    """A table that makes no sense is refused with its name, the line and the reason."""
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UsageError, match=words) as raised:
        read_metadata(tmp_path / "m.csv")
    assert "m.csv" in str(raised.value)


def test_build_with_metadata(catalog_folder, films, tmp_path, m2s):
    """``index build --metadata`` applies to films that are there, names those that are not, and filters use it."""
    (tmp_path / "m.csv").write_text("movie,title,year,genres\nShort.mp4,A Short One,1971,Drama\nNowhere,,1980,\n")
    ran = m2s("index", "build", "--metadata", tmp_path / "m.csv", "--catalog", catalog_folder)
    assert ran.status == 0
    assert "metadata: no film is called 'Nowhere'" in ran.stderr
    query = ("query", "--scene", "Gamma#0", "--json", "--catalog", catalog_folder)
    for options in (("--year", "1970:1979"), ("--genre", "drama")):
        (hit,) = m2s(*query, *options).json()["hits"]
        assert (hit["movie"], hit["title"], hit["year"]) == ("Short", "A Short One", 1971)
    assert (
        m2s("query", "--scene", "A Short#0", "--json", "--catalog", catalog_folder).json()["query"]["movie"]
        == "Short"
    )
