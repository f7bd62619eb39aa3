"""SQLite keeps any value in any column: verify names each that does not belong, and repair takes its row out."""

from __future__ import annotations

import pytest
from catalog_contents import contents, sql

ALPHA = "(SELECT id FROM movies WHERE name LIKE 'Alpha%')"
LABEL = (
    "INSERT INTO labels (movie_id, start_seconds, end_seconds, vocabulary, value, source) "
    f"VALUES ({ALPHA}, {{}}, {{}}, 'place', {{}}, 'places.csv')"
)
ROWS = {
    "a text for a label's time": (LABEL.format("'soon'", 3.0, "'beach'"), "labels, row 1, column start_seconds"),
    "bytes for a label's value": (LABEL.format(1.0, 3.0, "x'ff'"), "labels, row 1, column value"),
    "bytes for a genre": (f"INSERT INTO movie_genres VALUES ({ALPHA}, x'ff')", "movie_genres, row 1, column genre"),
    "a text for a file's size": (
        "INSERT INTO failures (path, size_bytes, modified_ns, error, failed_at) VALUES (x'2f61', 'big', 0, '', '')",
        "failures, row 1, column size_bytes",
    ),
    "a text for a run's blocks": (
        "INSERT INTO pair_runs VALUES (1, (SELECT id FROM encoders), '', '', '', 'exact', 'many', 0, '', NULL)",
        "pair_runs, row 1, column blocks",
    ),
    "a text for a matrix's rows": (
        "UPDATE embeddings SET rows = 'x' WHERE id = 2",
        "embeddings, row 2, column rows",
    ),
    "a text for a matrix": ("UPDATE features SET data = 'x' WHERE id = 2", "features, row 2, column data"),
    "a text for a generation": ("UPDATE index_files SET generation = 'x'", "index_files, row 1, column generation"),
    "a text for an entry's rows": (
        "UPDATE index_entries SET rows = 'x' WHERE embedding_id = 2",
        "index_entries, row 2, column rows",
    ),
}


@pytest.mark.parametrize("kind", ROWS)
def test_value_of_another_type(own_catalog, m2s, kind):
    """The row is named with its table and column, and gone after a repair, which leaves a sound catalogue."""
    statement, where = ROWS[kind][0], f"table {ROWS[kind][1]}"
    sql(own_catalog, statement)
    ran = m2s("index", "verify", "--catalog", own_catalog, "--json")
    problems = ran.json()["problems"]
    assert (ran.status, [problem["where"] for problem in problems]) == (1, [where])
    assert problems[0]["remedy"].startswith("run 'm2s index repair'")
    ran = m2s("index", "repair", "--catalog", own_catalog)
    assert ran.status == 0
    assert f"{where}: deleted" in ran.stdout
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0


def test_title_and_year_of_another_type(own_catalog, built_catalog, m2s):
    """A build keeps what is known of a film, so that repair guesses a title and year that are none anew."""
    sql(own_catalog, f"UPDATE movies SET title = x'41', year = 'MCMXC' WHERE id = {ALPHA}")
    assert m2s("index", "verify", "--catalog", own_catalog).status == 1
    assert "title and year guessed" in m2s("index", "repair", "--catalog", own_catalog).stdout
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0
    assert contents(own_catalog) == contents(built_catalog)


def test_two_values_of_another_type_in_one_row(own_catalog, m2s):
    """A film without a path goes, and with it what else was wrong in its row."""
    sql(own_catalog, f"UPDATE movies SET path = 'text', title = x'41' WHERE id = {ALPHA}")
    assert m2s("index", "verify", "--catalog", own_catalog).status == 1
    assert m2s("index", "repair", "--catalog", own_catalog).status == 0
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0


def test_rotation_by_odd_degrees(own_catalog, m2s):
    """Films may be turned by any angle, either way; by more than a whole turn none is."""
    for degrees, status in ((-35, 0), (270, 0), (361, 1)):
        sql(own_catalog, f"UPDATE movies SET rotation_degrees = {degrees} WHERE id = {ALPHA}")
        assert m2s("index", "verify", "--catalog", own_catalog).status == status


def test_last_generation(own_catalog, m2s):
    """From the largest number that SQLite has there is no next generation: repair counts anew."""
    sql(own_catalog, "UPDATE index_files SET generation = 9223372036854775807")
    assert m2s("index", "repair", "--catalog", own_catalog).status == 0
    assert sql(own_catalog, "SELECT generation FROM index_files") == [(1,)]
    assert m2s("index", "verify", "--catalog", own_catalog).status == 0


def test_label_without_an_end(own_catalog, m2s):
    """A label that starts and does not end is of no stretch, nor of the whole film."""
    sql(own_catalog, LABEL.format(1.0, "NULL", "'beach'"))
    ran = m2s("index", "verify", "--catalog", own_catalog)
    assert ran.status == 1
    assert "a label of what its film does not have: place=beach from 0:00:01" in ran.stdout
    assert m2s("index", "repair", "--catalog", own_catalog).status == 0
    assert sql(own_catalog, "SELECT * FROM labels") == []


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("DROP TABLE failures", "there is no table failures"),
        ("ALTER TABLE failures DROP COLUMN error", "there is no column error in table failures"),
    ],
)
def test_table_unlike_the_schema(own_catalog, m2s, statement, missing):
    """What the database lacks of the schema is named; no command goes on without it, and each says what to do."""
    sql(own_catalog, statement)
    ran = m2s("index", "verify", "--catalog", own_catalog)
    assert ran.status == 1
    assert f"catalog.sqlite: {missing}; restore a backup" in ran.stdout
    ran = m2s("index", "repair", "--catalog", own_catalog)
    assert ran.status == 1
    assert f"({missing}): restore a backup" in ran.stderr
    ran = m2s("index", "status", "--catalog", own_catalog)
    assert ran.status == 1
    assert "run 'm2s index verify', or restore a backup" in ran.stderr


def test_fingerprint_of_another_film(own_catalog, m2s):
    """A film whose fingerprint is not the one that its key frames were named by has another film's."""
    sql(
        own_catalog,
        f"UPDATE movies SET fingerprint = (SELECT fingerprint FROM movies WHERE name = 'Short') WHERE id = {ALPHA}",
    )
    ran = m2s("index", "verify", "--catalog", own_catalog)
    assert ran.status == 1
    assert "key frames that are missing or damaged: Alpha Beach (1990)" in ran.stdout
