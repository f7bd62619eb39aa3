"""``m2s shots``: shot boundaries as a table, JSON and CSV."""

from __future__ import annotations

import csv
import io
from fractions import Fraction


def test_json(films, m2s):
    """The JSON has the fields that others rely on, of the right types, and shots without gaps."""
    ran = m2s("shots", films / "Alpha Beach (1990).mp4", "--json")
    assert (ran.status, ran.stderr) == (0, "")
    found = ran.json()
    assert found["movie"] == "Alpha Beach (1990)"
    assert Fraction(found["frame_rate"]) == 24
    assert found["frame_rate"] == "24/1"
    shots = found["shots"]
    assert [shot["index"] for shot in shots] == list(range(20))
    for shot in shots:
        assert isinstance(shot["start_frame"], int)
        assert isinstance(shot["end_frame"], int)
        assert isinstance(shot["start_seconds"], float)
        assert isinstance(shot["end_seconds"], float)
        assert shot["start_seconds"] == round(shot["start_frame"] / 24, 6)
        assert shot["end_seconds"] == round(shot["end_frame"] / 24, 6)
    assert [shot["transition"] for shot in shots] == ["start"] + ["cut"] * 19
    assert shots[0]["start_frame"] == 0
    assert [shot["start_frame"] for shot in shots[1:]] == [shot["end_frame"] for shot in shots[:-1]]


def test_short_forms_and_formats_agree(films, m2s):
    """``--json`` is ``--format json``; the CSV has the same rows; the table has a row for each shot."""
    film = films / "Gamma (1992).mp4"
    shots = m2s("shots", film, "--format", "json").json()["shots"]
    assert m2s("shots", film, "--json").json()["shots"] == shots
    rows = list(csv.DictReader(io.StringIO(m2s("shots", film, "--csv").stdout)))
    assert len(rows) == len(shots) == 11
    for row, shot in zip(rows, shots, strict=True):
        assert {name: "" if value is None else str(value) for name, value in shot.items()} == row
    table = m2s("shots", film).stdout
    assert sum("cut" in line for line in table.splitlines()) == 10


def test_options(films, m2s):
    """The shortest shot and the detector are those asked for."""
    film = films / "Gamma (1992).mp4"
    assert len(m2s("shots", film, "--min-shot", "1000", "--json").json()["shots"]) == 1
    found = m2s("shots", film, "--detector", "keyframes", "--json")
    assert found.json()["detector"] == "keyframes"
    assert m2s("shots", film, "--detector", "none such").status == 2


def test_nothing_is_written(own_films, tmp_path, m2s, monkeypatch):
    """It needs no catalogue, and makes none."""
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert m2s("shots", own_films / "Short.mp4").status == 0
    assert sorted(tmp_path.rglob("*")) == before
