"""The file of scene pairs: what was written is read, and what makes no sense is refused with its line."""

from __future__ import annotations

import pytest

from m2s_index.errors import UsageError
from m2s_index.pairing.pairs_file import COLUMNS, MinedPair, MinedScene, read_pairs, write_pairs

SHOTS = {"a" * 64: 20, "b" * 64: 9}
PAIR = MinedPair(
    0.123456789,
    MinedScene("a" * 64, 'Alpha, "Beach"\nline', 11, 19, 1.5, 20.25),
    MinedScene("b" * 64, " Bêta", 0, 8, 0.0, 9.000001),
)
LINE = f"0.5,A,0,8,0,9,B,0,8,0,9,{'a' * 64},{'b' * 64}"


def test_written_and_read(tmp_path):
    """Pairs come back as they were, in their order, names with commas, quotes and line ends too."""
    path = tmp_path / "pairs.csv"
    pairs = [PAIR, MinedPair(-1e-7, PAIR.other, PAIR.scene)]
    write_pairs(path, iter(pairs))
    assert list(read_pairs(path, SHOTS)) == pairs
    assert path.read_text().startswith(",".join(COLUMNS) + "\n")
    assert [PAIR.scene.shots, PAIR.other.shots] == [9, 9]
    assert [file.name for file in tmp_path.iterdir()] == ["pairs.csv"]


def test_whole_or_not_at_all(tmp_path):
    """A file that cannot be finished leaves the one that was there, and nothing beside it."""
    path = tmp_path / "pairs.csv"
    write_pairs(path, [PAIR])
    before = path.read_bytes()

    def broken():
        yield PAIR
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_pairs(path, broken())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["pairs.csv"]
    with pytest.raises(UsageError, match=r"no/pairs\.csv: cannot be written \(No such file"):
        write_pairs(tmp_path / "no" / "pairs.csv", [PAIR])


def test_other_columns_and_orders(tmp_path):
    """Columns are found by name: a table that went through a spreadsheet is read, its byte-order mark too."""
    path = tmp_path / "pairs.csv"
    cells = dict(zip(COLUMNS, LINE.split(","), strict=True)) | {"note": "good"}
    names = sorted(cells, reverse=True)
    path.write_text(f"\ufeff{','.join(names)}\r\n{','.join(cells[name] for name in names)}\r\n")
    (pair,) = read_pairs(path, SHOTS)
    assert (pair.score, pair.scene.movie, pair.other.fingerprint) == (0.5, "A", "b" * 64)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (LINE.replace("0.5", "nan", 1), "score is 'nan', not a number"),
        (LINE.replace("0.5", "", 1), "score is '', not a number"),
        (LINE.replace("A,0,8", "A,-1,8"), "first_shot is '-1', not the number of a shot"),
        (LINE.replace("A,0,8", "A,0,8.0"), "last_shot is '8.0', not the number of a shot"),
        (LINE.replace("B,0,8", "B,0,²"), "other_last_shot is '²', not the number of a shot"),
        (LINE.replace("B,0,8", "B,1,9"), "shots 1 to 9 of 'B', which has 9 (0 to 8); mine again"),
        (LINE.replace("A,0,8", "A,8,0"), "shots 8 to 0 of 'A', which has 20"),
        (LINE.replace("B,0,8,0,9", "B,0,8,9,0"), "a scene cannot last from 9 to 0 seconds"),
        (LINE.replace("A,0,8,0,9", "A,0,8,0,inf"), "end_seconds is 'inf', not a number"),
        (LINE.replace("b" * 64, "c" * 64), "the film 'B' (fingerprint 'cccccccccccc') is not in the catalogue"),
        ("0.5,A", "ends before its last column"),
    ],
)
def test_lines_that_make_no_sense(tmp_path, wrong, words):
    """The line is named, and what is wrong with it; those before it have been read."""
    path = tmp_path / "pairs.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{LINE}\n{wrong}\n")
    pairs = read_pairs(path, SHOTS)
    assert next(pairs).score == 0.5
    with pytest.raises(UsageError) as caught:
        next(pairs)
    assert f"pairs.csv, line 3: {words}" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no column score, movie, "),
        (b"score,movie\n1,A\n", "no column first_shot, last_shot, "),
        (",".join(COLUMNS).encode(), "holds no pair of scenes"),
        (b"\xff\xfe\x00", "not a CSV table in UTF-8"),
        (",".join(COLUMNS).encode() + b"\n" + b"x" * 200_000, "not a CSV table in UTF-8 (field larger"),
    ],
)
def test_files_that_are_none(tmp_path, content, words):
    """What is no file of pairs is refused, with where one comes from."""
    path = tmp_path / "pairs.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        list(read_pairs(path, SHOTS))
    assert words in str(caught.value)


def test_no_file(tmp_path):
    """A file that is not there is wrong usage."""
    with pytest.raises(UsageError, match=r"pairs\.csv: cannot be read \(No such file"):
        next(read_pairs(tmp_path / "pairs.csv", SHOTS))
