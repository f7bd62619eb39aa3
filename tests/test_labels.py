"""Labels: in from tables as people make them, counted, and used by queries."""

from __future__ import annotations

import pytest
from catalog_contents import contents, sql


@pytest.fixture
def table(tmp_path):
    """Write a table; returns its path."""

    def write(text, encoding="utf-8"):
        path = tmp_path / "labels.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_labels_of_films_and_of_stretches(catalog_folder, table, m2s):
    """A label with times is on the scenes whose middle it covers, one without on the whole film."""
    path = table(
        "movie,start,end,vocabulary,value,split\n"
        "Alpha Beach (1990).mp4,0,3.5,place,beach,train\n"
        'Beta Road (1991),,,genre,"road, movie",\n'
        "short,0:00:00,0:00:01,place,beach,val\n"
    )
    ran = m2s("labels", "import", path, "--catalog", catalog_folder)
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout.startswith("3 labels imported")
    query = ("query", "--scene", "Gamma#0", "--json", "--catalog", catalog_folder, "--label")
    hits = {(h["movie"], h["index"]) for h in m2s(*query, "place=beach").json()["hits"]}
    assert hits == {("Alpha Beach (1990)", 0), ("Short", 0)}
    assert [h["movie"] for h in m2s(*query, "genre=road, movie").json()["hits"]] == ["Beta Road (1991)"]
    counted = m2s("labels", "list", "--json", "--catalog", catalog_folder).json()["labels"]
    assert counted == [
        {"vocabulary": "genre", "value": "road, movie", "split": None, "labels": 1, "movies": 1},
        {"vocabulary": "place", "value": "beach", "split": "train", "labels": 1, "movies": 1},
        {"vocabulary": "place", "value": "beach", "split": "val", "labels": 1, "movies": 1},
    ]
    assert m2s("labels", "list", "--csv", "--catalog", catalog_folder).stdout.splitlines()[1:] == [
        'genre,"road, movie",,1,1',
        "place,beach,train,1,1",
        "place,beach,val,1,1",
    ]


def test_the_same_table_again(catalog_folder, table, m2s):
    """A label that is there is not added again."""
    path = table("movie,start,end,vocabulary,value\nShort,0,1,place,a\nShort,0,1,place,a\nShort,,,place,a\n")
    assert m2s("labels", "import", path, "--catalog", catalog_folder).stdout.startswith("2 labels")
    assert m2s("labels", "import", path, "--catalog", catalog_folder).stdout.startswith("0 labels")
    assert len(sql(catalog_folder, "SELECT * FROM labels")) == 2


def test_tables_as_programs_write_them(catalog_folder, table, m2s):
    """A byte-order mark, CRLF, quotes, columns in any order and case, further columns, and blanks."""
    path = table(
        "\ufeffSplit, Value ,note,VOCABULARY,movie\r\n"
        'train," office\n(large)",x,place, "Short" \r\n'
        "\r\n"
        "val,café,,place,folder/Short.mkv\r\n"
    )
    ran = m2s("labels", "import", path, "--catalog", catalog_folder)
    assert ran.status == 0, ran.stderr
    assert [row[3] for row in contents(catalog_folder)["Short.mp4"]["labels"]] == ["office\n(large)", "café"]


def test_films_that_are_not_here(catalog_folder, table, m2s):
    """Films that the catalogue lacks are named, the others' labels come in, and the status is 1."""
    path = table("movie,vocabulary,value\nNothing.mp4,place,a\nShort,place,a\nNothing.mp4,place,b\n")
    ran = m2s("labels", "import", path, "--catalog", catalog_folder)
    assert ran.status == 1
    assert ran.stderr == "labels: no film is called 'Nothing.mp4'\n"
    assert ran.stdout.startswith("1 labels imported, 1 films")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("movie,start,end,vocabulary,value\nShort,5,1,place,a\n", "line 2"),
        ("movie,start,end,vocabulary,value\nShort,0,1,place,a\nShort,5,,place,a\n", "line 3"),
        ("movie,start,end,vocabulary,value\nShort,soon,1,place,a\n", "'soon' is no time"),
        ("movie,start,end,vocabulary,value\nShort,-1,1,place,a\n", "'-1' is no time"),
        ("movie,start,end,vocabulary,value\nShort,nan,1,place,a\n", "'nan' is no time"),
        ("movie,vocabulary,value\nShort,place,\n", "line 2"),
        ('movie,vocabulary,value\nShort,"pl\nace",a\nShort,,a\n', "line 4"),
        ("movie;vocabulary;value\nShort;place;a\n", "no column movie"),
        ("", "no column movie"),
        ("movie,value\nShort,a\n", "no column vocabulary"),
    ],
)
def test_tables_that_make_no_sense(catalog_folder, table, m2s, text, words):
    """A table that makes no sense is refused whole, with its name, the line and the reason."""
    path = table(text)
    ran = m2s("labels", "import", path, "--catalog", catalog_folder)
    assert ran.status == 2
    assert ran.stdout == ""
    assert str(path) in ran.stderr
    assert words in ran.stderr
    assert sql(catalog_folder, "SELECT * FROM labels") == []


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_table_that_is_not_utf8(catalog_folder, table, m2s, encoding):
    """Text of another encoding is refused with that as the reason."""
    ran = m2s(
        "labels",
        "import",
        table("movie,vocabulary,value\nShort,place,café\n", encoding),
        "--catalog",
        catalog_folder,
    )
    assert ran.status == 2
    assert "not a CSV table in UTF-8" in ran.stderr


def test_table_that_is_not_there(catalog_folder, tmp_path, m2s):
    """A missing table is wrong usage."""
    ran = m2s("labels", "import", tmp_path / "none.csv", "--catalog", catalog_folder)
    assert ran.status == 2
    assert "cannot be read" in ran.stderr


def test_many_films_that_are_not_here(catalog_folder, table, m2s):
    """The first twenty are named, the others counted; JSON names them all."""
    names = [f"gone{number:02}" for number in range(25)]
    path = table("movie,vocabulary,value\n" + "".join(f"{name},place,a\n" for name in names))
    ran = m2s("labels", "import", path, "--catalog", catalog_folder)
    assert ran.status == 1
    assert "'gone19'" in ran.stderr
    assert "'gone20'" not in ran.stderr
    assert "and 5 more films" in ran.stderr
    told = m2s("labels", "import", path, "--json", "--catalog", catalog_folder).json()
    assert told == {"imported": 0, "unknown_movies": names}


def test_what_a_table_says_itself(catalog_folder, table, m2s):
    """Vocabulary and split are columns of a table, no options."""
    path = table("movie,vocabulary,value\nShort,place,a\n")
    ran = m2s("labels", "import", path, "--split", "val", "--catalog", catalog_folder)
    assert ran.status == 2
    assert "cannot be given" in ran.stderr


def test_label_filters_without_case(catalog_folder, table, m2s):
    """Several values of one vocabulary are alternatives; what is typed in another case is found."""
    path = table("movie,vocabulary,value\nShort,place,Office\nGamma (1992),place,beach\n")
    assert m2s("labels", "import", path, "--catalog", catalog_folder).status == 0
    query = ("query", "--scene", "Alpha Beach#0", "--json", "--catalog", catalog_folder)
    one = m2s(*query, "--label", "PLACE=office").json()["hits"]
    both = m2s(*query, "--label", "place=Office", "--label", "place=beach").json()["hits"]
    assert [hit["movie"] for hit in one] == ["Short"]
    assert {hit["movie"] for hit in both} == {"Short", "Gamma (1992)"}
