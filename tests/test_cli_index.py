"""``m2s index`` and ``m2s encoders``: the shapes of what they print, and where."""

from __future__ import annotations

import json

from catalog_contents import sql

from m2s_index.encoders import DEFAULT


def test_build_json(films, tmp_path, m2s):
    """A build's JSON has the fields that others rely on, of the right types; all else is on stderr."""
    (tmp_path / "text.mp4").write_text("no film")
    ran = m2s("index", "build", films / "Short.mp4", tmp_path / "text.mp4", "--catalog", tmp_path / "c", "--json")
    assert ran.status == 1
    done = ran.json()
    assert {name: done["movies"][name] for name in ("indexed", "unchanged", "failed")} == {
        "indexed": 1, "unchanged": 0, "failed": 1
    }  # fmt: skip
    assert (done["shots"], done["scenes"]) == (3, 1)
    assert isinstance(done["seconds"], float)
    (failure,) = done["failures"]
    assert failure.keys() >= {"path", "error"}
    assert failure["path"] == str(tmp_path / "text.mp4")
    assert "1 films to index" in ran.stderr
    assert "of disk" in ran.stderr
    assert "[1/1] Short.mp4: 37 frames, 3 shots, 1 scenes" in ran.stderr


def test_build_in_words(films, tmp_path, m2s):
    """Without ``--json`` standard output is one line, what was done; the index's kind and reason are said."""
    ran = m2s("index", "build", films / "Short.mp4", "--catalog", tmp_path / "c")
    assert ran.stdout.count("\n") == 1
    assert ran.stdout.startswith("1 films indexed (3 shots, 1 scenes)")
    assert "index: exact, 1 scenes" in ran.stderr
    (encoder,) = m2s("index", "status", "--json", "--catalog", tmp_path / "c").json()["encoders"]
    assert (encoder["name"], encoder["default"]) == (DEFAULT, True)


def test_kind_of_index(catalog_folder, films, m2s):
    """The kind of index that is asked for is made, recorded and shown."""
    ran = m2s("index", "build", films, "--catalog", catalog_folder, "--index", "graph")
    assert ran.status == 0
    assert "index: graph, 5 scenes (asked for)" in ran.stderr
    (encoder,) = m2s("index", "status", "--json", "--catalog", catalog_folder).json()["encoders"]
    assert (encoder["index"], encoder["index_reason"]) == ("graph", "asked for")
    hits = m2s("query", "--scene", "Short#0", "--json", "--catalog", catalog_folder).json()["hits"]
    assert len(hits) == 4


def test_status(built_catalog, films, m2s):
    """Status says what is there: films with their facts, totals, encoders with their index."""
    state = m2s("index", "status", "--json", "--catalog", built_catalog).json()
    assert (state["shots"], state["scenes"], len(state["movies"])) == (46, 5, 4)
    alpha = next(movie for movie in state["movies"] if movie["movie"].startswith("Alpha"))
    assert (alpha["title"], alpha["year"], alpha["shots"], alpha["scenes"]) == ("Alpha Beach", 1990, 20, 2)
    assert alpha["path"] == str(films / "Alpha Beach (1990).mp4")
    assert (alpha["codec"], alpha["width"], alpha["height"]) == ("h264", 160, 90)
    (encoder,) = state["encoders"]
    assert (encoder["name"], encoder["default"], encoder["movies"], encoder["scenes"]) == ("gist", True, 4, 5)
    assert (encoder["index"], encoder["fresh"], encoder["gone"]) == ("exact", 0, 0)
    size = sum(path.stat().st_size for path in built_catalog.rglob("*") if path.is_file())
    assert size <= state["bytes"] <= size + 100_000  # with what SQLite keeps while it looks
    table = m2s("index", "status", "--catalog", built_catalog).stdout
    assert "4 films" in table
    assert "Alpha Beach (1990)" in table


def test_verify_json(own_catalog, m2s):
    """Verify's JSON has the fields that others rely on."""
    sql(own_catalog, "DELETE FROM index_files")
    found = m2s("index", "verify", "--json", "--catalog", own_catalog).json()
    assert found["ok"] is False
    assert all(problem.keys() >= {"what", "where", "remedy"} for problem in found["problems"])
    assert isinstance(found["notes"], list)


def test_encoders(built_catalog, tmp_path, m2s):
    """What can be made is listed without a catalogue; with one, what it holds as well."""
    found = m2s("encoders", "list", "--json", "--catalog", tmp_path / "none").json()
    available = {encoder["name"]: encoder for encoder in found["available"]}
    assert list(available)[:3] == ["gist", "fisher", "clip"]
    for name in ("gist", "fisher"):
        assert available[name]["key_frames_per_second"] > 1
        assert 0 < available[name]["place"]["all"]["photograph"]["p@1"] < 100
    assert (available["gist"]["size_bytes"], available["clip"]["key_frames_per_second"]) == (0, None)
    assert found["stored"] == []
    assert not (tmp_path / "none").exists()
    (stored,) = m2s("encoders", "list", "--json", "--catalog", built_catalog).json()["stored"]
    assert (stored["name"], stored["default"]) == ("gist", True)
    table = m2s("encoders", "list", "--catalog", built_catalog).stdout
    assert "timm:<model>" in table
    header, _, gist, fisher = table.splitlines()[:4]
    assert all(column in header for column in ("dimension", "size", "frames/s", "place P@1", "licence", "weights"))
    assert f"{available['fisher']['place']['all']['photograph']['p@1']:.1f}" in fisher
    assert "0 B" in gist
    assert "7 MB" in fisher


def test_encoder_info(built_catalog, m2s):
    """Info shows the identity of a stored encoder, and the record of one that can be made."""
    info = m2s("encoders", "info", "gist", "--json", "--catalog", built_catalog).json()
    assert (info["dimension"], info["metric"], info["weights_sha256"]) == (512, "cosine", "")
    assert info["place"]["all"]["scene"].keys() == {"p@1", "p@5", "p@10"}
    assert info["movies"] == 4
    assert "weights" in m2s("encoders", "info", "clip", "--catalog", built_catalog).json()
    shipped = m2s("encoders", "info", "fisher", "--json", "--catalog", built_catalog).json()
    assert {source["licence"] for source in shipped["training"]["data"]} >= {"CC BY 3.0"}
    assert shipped["training"]["weights_sha256"] == shipped["weights_sha256"]
    assert shipped["training"]["recipe"]["seed"] >= 0
    ran = m2s("encoders", "info", "nothing", "--catalog", built_catalog)
    assert ran.status == 2
    assert "gist" in ran.stderr


def test_json_is_plain_where_the_terminal_is(built_catalog, m2s):
    """JSON is one document that any parser reads, with two spaces to a level."""
    text = m2s("index", "status", "--json", "--catalog", built_catalog).stdout
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
