"""``m2s query``: hits as a table, JSON and CSV; what is data and what is not."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from catalog_contents import contents

ARGUMENTS = ("query", "--scene", "Alpha Beach#0", "--catalog")


def test_json(built_catalog, m2s):
    """The JSON has the fields that others rely on, of the right types, best hit first."""
    ran = m2s(*ARGUMENTS, built_catalog, "--json")
    assert ran.status == 0
    found = ran.json()
    assert found["encoder"] == "gist"
    query = found["query"]
    assert (query["movie"], query["index"], query["start_seconds"]) == ("Alpha Beach (1990)", 0, 0.0)
    assert isinstance(query["scene_id"], int)
    assert isinstance(query["end_seconds"], float)
    hits = found["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4]
    types = {
        "rank": int, "scene_id": int, "movie": str, "movie_id": int, "index": int, "start_seconds": float,
        "end_seconds": float, "distance": float, "score": float,
    }  # fmt: skip
    for hit in hits:
        assert {name: type(hit[name]) for name in types} == types
    assert query["scene_id"] not in [hit["scene_id"] for hit in hits]
    assert [hit["distance"] for hit in hits] == sorted(hit["distance"] for hit in hits)
    assert {hit["title"] for hit in hits} == {"Alpha Beach", "Beta Road", "Gamma", "Short"}
    assert {hit["year"] for hit in hits} == {1990, 1991, 1992, None}


def test_scores_are_cosines_and_distances_are_not_squared(built_catalog, m2s):
    """Against the stored vectors: the score is their cosine, the distance their Euclidean distance."""
    stored = {
        (name.removesuffix(".mp4"), index): vector
        for name, film in contents(built_catalog).items()
        for index, vector in enumerate(np.frombuffer(film["embeddings"][0][-1], "<f4").reshape(-1, 512))
    }
    query = stored["Alpha Beach (1990)", 0].astype(np.float64)
    for hit in m2s(*ARGUMENTS, built_catalog, "--json").json()["hits"]:
        vector = stored[hit["movie"], hit["index"]].astype(np.float64)
        assert hit["score"] == pytest.approx(float(query @ vector), abs=1e-6)
        assert hit["distance"] == pytest.approx(float(np.linalg.norm(query - vector)), abs=1e-6)


def test_stdout_is_data_and_stderr_the_rest(built_catalog, tmp_path, m2s):
    """Standard output holds one JSON document or one CSV table, whatever else is to be said."""
    ran = m2s(*ARGUMENTS, built_catalog, "--json", "--html", tmp_path / "x.html", "--year", "1800")
    assert ran.json()["hits"] == []
    assert "contact sheet" in ran.stderr
    assert "--year 1800" in ran.stderr
    ran = m2s(*ARGUMENTS, built_catalog, "--csv", "--html", tmp_path / "x.html")
    assert len(list(csv.reader(io.StringIO(ran.stdout)))) == 5


def test_formats_agree(built_catalog, m2s):
    """CSV and table hold the hits of the JSON, in order."""
    hits = m2s(*ARGUMENTS, built_catalog, "--json").json()["hits"]
    rows = list(csv.DictReader(io.StringIO(m2s(*ARGUMENTS, built_catalog, "--csv").stdout)))
    assert [row["scene_id"] for row in rows] == [str(hit["scene_id"]) for hit in hits]
    assert [float(row["distance"]) for row in rows] == [hit["distance"] for hit in hits]
    assert list(rows[0])[:4] == ["rank", "scene_id", "movie", "movie_id"]
    lines = m2s(*ARGUMENTS, built_catalog).stdout.splitlines()
    found = [line for line in lines if line.strip()[:1].isdigit()]
    for line, hit in zip(found, hits, strict=True):
        assert hit["movie"] in line
        assert f"{hit['score']:.3f}" in line


@pytest.mark.parametrize("ref", ["Alpha Beach#1", "Alpha Beach (1990).mp4#1", "alpha#1", "Alpha Beach@0:00:08"])
def test_references(built_catalog, m2s, ref):
    """A scene is found by index or time, its movie by file name, title or a start of it; and by its id."""
    query = m2s("query", "--scene", ref, "--json", "--catalog", built_catalog).json()["query"]
    assert (query["movie"], query["index"]) == ("Alpha Beach (1990)", 1)
    by_id = m2s("query", "--scene", str(query["scene_id"]), "--json", "--catalog", built_catalog).json()["query"]
    assert by_id == query


@pytest.mark.parametrize(
    ("options", "movies"),
    [
        (("-k", "2"), 2),
        (("--movie", "Beta Road"), ["Beta Road (1991)"]),
        (("--movie", "Beta Road", "--movie", "Short"), ["Beta Road (1991)", "Short"]),
        (("--not-movie", "Beta Road", "--other-movies"), ["Gamma (1992)", "Short"]),
        (("--other-movies",), ["Beta Road (1991)", "Gamma (1992)", "Short"]),
        (("--year", "1991:1992"), ["Beta Road (1991)", "Gamma (1992)"]),
        (("--year", "1992"), ["Gamma (1992)"]),
        (("--max-seconds", "2"), ["Short"]),
        (("--min-seconds", "2", "--other-movies"), ["Beta Road (1991)", "Gamma (1992)"]),
    ],
)
def test_filters(built_catalog, m2s, options, movies):
    """Only what a filter leaves is a hit."""
    hits = m2s(*ARGUMENTS, built_catalog, *options, "--json").json()["hits"]
    if isinstance(movies, int):
        assert len(hits) == movies
    else:
        assert sorted({hit["movie"] for hit in hits}) == movies


def test_catalogue_from_the_environment(built_catalog, m2s):
    """``M2S_CATALOG`` names the catalogue; the option wins over it."""
    assert m2s("query", "--scene", "Short#0", "--json", M2S_CATALOG=str(built_catalog)).status == 0
    ran = m2s("query", "--scene", "Short#0", "--catalog", built_catalog, M2S_CATALOG="/nowhere")
    assert ran.status == 0


def test_sheet_that_cannot_be_written(built_catalog, tmp_path, m2s):
    """A contact sheet that cannot be written is an error that names it."""
    ran = m2s(*ARGUMENTS, built_catalog, "--html", tmp_path / "none" / "x.html")
    assert ran.status != 0
    assert str(tmp_path / "none" / "x.html") in ran.stderr
