"""``m2s query --batch``: what many queries at once find is what each finds alone."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from catalog_factory import add, make_encoder, unit_rows

from m2s_index.catalog import Catalog
from m2s_index.errors import UnknownReferenceError, UsageError
from m2s_index.filters import SceneFilter
from m2s_index.index_writer import write_index
from m2s_index.matrices import find_encoder
from m2s_index.search import Searcher

REFERENCES = ("Alpha Beach (1990)#0", "3", "Short#0", "Gamma@0:00:01", "Short#0")


@pytest.fixture
def batch(tmp_path):
    """A file of references, with an empty line and a byte-order mark."""
    path = tmp_path / "refs.txt"
    path.write_text("\ufeff" + "\n".join(REFERENCES[:2]) + "\n\n  " + "\r\n".join(REFERENCES[2:]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("filters", [(), ("--other-movies",), ("--movie", "Short"), ("--year", "1990:1991")])
def test_a_batch_is_its_queries_one_by_one(built_catalog, batch, m2s, filters):
    """In the file's order, the same scene twice where it is asked for twice, and whatever the filter."""
    command = ("query", "-k", "3", "--json", "--catalog", built_catalog, *filters)
    together = m2s(*command, "--batch", batch)
    assert together.status == 0, together.stderr
    alone = [m2s(*command, "--scene", reference).json() for reference in REFERENCES]
    assert together.json()["encoder"] == "gist"
    assert together.json()["results"] == [{"query": one["query"], "hits": one["hits"]} for one in alone]
    rows = list(csv.DictReader(io.StringIO(m2s(*command, "--csv", "--batch", batch).stdout)))
    expected = [(str(one["query"]["scene_id"]), str(hit["scene_id"])) for one in alone for hit in one["hits"]]
    assert [(row["query_scene_id"], row["scene_id"]) for row in rows] == expected


def test_a_batch_for_reading(built_catalog, batch, m2s):
    """A table for each query."""
    said = m2s("query", "--batch", batch, "-k", "2", "--catalog", built_catalog).stdout
    assert said.count("by gist") == len(REFERENCES)
    assert said.split("\n\n")[2] == m2s(
        "query", "--scene", "Short#0", "-k", "2", "--catalog", built_catalog
    ).stdout.removesuffix("\n")


def test_notes_are_said_once(built_catalog, batch, m2s):
    """A filter that leaves nothing is named once, not for every query."""
    ran = m2s("query", "--batch", batch, "--year", "1950", "--json", "--catalog", built_catalog)
    assert ran.status == 0
    assert ran.stderr.count("nothing left") == 1
    assert [one["hits"] for one in ran.json()["results"]] == [[]] * 5


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("Short#0\nNobody#3\n", (), "Nobody"),
        ("Short#0\n99999\n", (), "99999"),
        ("9" * 5000, (), "9999"),
        ("\n \n", (), "no scene in it"),
        ("Short#0\n", ("--html", "x.html"), "goes with --scene"),
        ("Short#0\n", ("--scene", "Short#0"), "either --scene REF or --batch FILE"),
        (None, (), "cannot be read"),
    ],
)
def test_batches_that_cannot_be_asked(built_catalog, tmp_path, m2s, text, arguments, words):
    """Refused before anything is searched."""
    path = tmp_path / "refs.txt"
    if text is not None:
        path.write_text(text)
    ran = m2s("query", "--batch", path, "--catalog", built_catalog, *arguments)
    assert (ran.status, ran.stdout) == (2, "")
    assert words in ran.stderr


def test_neither_a_scene_nor_a_batch(built_catalog, m2s):
    """One of them is needed."""
    assert "either --scene REF or --batch FILE" in m2s("query", "--catalog", built_catalog).stderr


@pytest.fixture
def tied(tmp_path):
    """A catalogue with many equal vectors, half of them not in its index file yet."""
    random = np.random.default_rng(0)
    encoder = make_encoder("test", 8)
    pool = unit_rows(random, 12, 8)
    with Catalog.open(tmp_path / "catalog", create=True) as catalog:
        for number in range(20):
            add(catalog, f"/films/{number}.mp4", pool[random.integers(0, 12, 15)], encoder=encoder)
            if number == 10:
                with catalog.reader() as reader:
                    stored = find_encoder(reader, None)
                write_index(catalog, stored, kind="exact")
        yield catalog


@pytest.mark.parametrize("at_once", [1, 7, 4096])
def test_ties_are_broken_by_id_in_batches_too(tied, monkeypatch, at_once):
    """Hundreds of equal vectors, in the index file and beside it: the same hits as alone, to the bit."""
    for module in ("search", "nearest"):
        monkeypatch.setattr(f"m2s_index.{module}.QUERIES_AT_ONCE", at_once)
    with Searcher(tied) as searcher:
        for wanted in (SceneFilter(), SceneFilter(movies=("3", "15")), SceneFilter(other_movies=True)):
            together = list(searcher.search_scenes(range(1, 60), 9, wanted))
            assert together == [searcher.search_scene(scene, 9, wanted) for scene in range(1, 60)]
            for result in together:
                keys = [(hit.distance, hit.scene.scene_id) for hit in result.hits]
                assert keys == sorted(keys)


def test_scenes_that_are_not_there_or_not_embedded(tied):
    """They are named before anything is found."""
    with Searcher(tied) as searcher, pytest.raises(UnknownReferenceError, match="9999"):
        next(searcher.search_scenes([1, 9999], 3))
    other = make_encoder("other", 4)
    add(tied, "/films/new.mp4", np.ones((1, 4), np.float32) / 2, encoder=other)
    with (
        Searcher(tied) as searcher,
        pytest.raises(UsageError, match="scene 301 has no embedding"),
    ):
        next(searcher.search_scenes([1, 301], 3))
