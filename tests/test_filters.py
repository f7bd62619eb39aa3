"""Filters: how they are written, and which scenes they leave."""

from __future__ import annotations

import numpy as np
import pytest
from catalog_factory import add, add_label, make_encoder, unit_rows
from hypothesis import given
from hypothesis import strategies as st

from m2s_index.catalog import Catalog
from m2s_index.errors import UnknownReferenceError, UsageError
from m2s_index.filters import (
    SceneFilter,
    format_years,
    parse_label,
    parse_years,
    resolve,
    without_movie,
)
from m2s_index.index_file import embedding_entries
from m2s_index.matrices import find_encoder
from m2s_index.scene_columns import SceneColumns, SceneRanges
from m2s_index.selection import Selection

ENCODER = make_encoder(dimension=4)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Film 1: scenes 1-4; film 2: 5-6; film 3: 7-9; film 4: 10."""
    with Catalog.open(tmp_path_factory.mktemp("filters"), create=True) as catalog:
        random = np.random.default_rng(0)

        def film(name, seconds, **values):
            rows = unit_rows(random, len(seconds), 4)
            return add(catalog, f"/f/{name}.mkv", rows, encoder=ENCODER, scene_seconds=seconds, **values)

        film("One", [10.0, 20.0, 30.0, 40.0], year=1990, genres=("Drama", "War"))
        film("Two", [10.0, 10.0], year=1995, genres=("war",))
        film("Three", [5.0, 50.0, 5.0], year=None, genres=("Drama",))
        film("Four", [60.0], year=2001)
        add_label(catalog, 1, "place", "office", 5.0, 20.0)  # the middles are 5, 20, 45 and 80 seconds
        add_label(catalog, 1, "place", "office", 44.0, 46.0)
        add_label(catalog, 1, "place", "hotel", 50.0, 60.0)
        add_label(catalog, 2, "place", "Hotel", None, 6.0)
        add_label(catalog, 3, "theme", "war")
        add_label(catalog, 3, "place", "office", 30.0, None)
        add_label(catalog, 4, "place", "office", 40.0, 20.0)
        yield catalog


def left(catalog, wanted, query_movie=None):
    with catalog.reader() as reader:
        entries = embedding_entries(reader, find_encoder(reader, None))
        ranges = SceneRanges(entries.movie_ids, entries.first_scene_ids, entries.first_scene_ids + entries.rows)
        selection = resolve(reader, wanted, SceneColumns(ranges))
        if query_movie is not None:
            selection = without_movie(selection, query_movie, ranges)
    ids = np.arange(1, 11)
    return ids.tolist() if selection is None else ids[selection.contains(ids)].tolist()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (SceneFilter(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (SceneFilter(movies=("One",)), [1, 2, 3, 4]),
        (SceneFilter(movies=("One", "four")), [1, 2, 3, 4, 10]),
        (SceneFilter(not_movies=("One", "Two")), [7, 8, 9, 10]),
        (SceneFilter(movies=("One",), not_movies=("One",)), []),
        (SceneFilter(years=(1990, 1995)), [1, 2, 3, 4, 5, 6]),
        (SceneFilter(years=(1991, None)), [5, 6, 10]),
        (SceneFilter(years=(None, 1994)), [1, 2, 3, 4]),
        (SceneFilter(years=(None, None)), [1, 2, 3, 4, 5, 6, 10]),
        (SceneFilter(genres=("Drama",)), [1, 2, 3, 4, 7, 8, 9]),
        (SceneFilter(genres=("War",)), [1, 2, 3, 4]),
        (SceneFilter(genres=("WAR",)), [1, 2, 3, 4, 5, 6]),
        (SceneFilter(genres=("War", "drama")), [1, 2, 3, 4, 7, 8, 9]),
        (SceneFilter(genres=("Western",)), []),
        (SceneFilter(genres=("War\udcff",)), []),
        (SceneFilter(labels=(("place", "office"),)), [1, 3, 8, 9]),
        (SceneFilter(labels=(("pl\udcffce", "office"),)), []),
        (SceneFilter(labels=(("place", "\udcffoffice"),)), []),
        (SceneFilter(labels=(("place", "hotel"),)), []),
        (SceneFilter(labels=(("place", "Hotel"),)), [5]),
        (SceneFilter(labels=(("place", "HOTEL"),)), [5]),
        (SceneFilter(labels=(("theme", "war"),)), [7, 8, 9]),
        (SceneFilter(labels=(("Theme", "War"),)), [7, 8, 9]),
        (SceneFilter(labels=(("theme", "love"),)), []),
        (SceneFilter(labels=(("place", "office"), ("place", "Hotel"))), [1, 3, 5, 8, 9]),
        (SceneFilter(labels=(("place", "office"), ("theme", "war"))), [8, 9]),
        (SceneFilter(min_seconds=30), [3, 4, 8, 10]),
        (SceneFilter(max_seconds=5), [7, 9]),
        (SceneFilter(min_seconds=10, max_seconds=20), [1, 2, 5, 6]),
        (SceneFilter(years=(1990, 1999), min_seconds=20, genres=("Drama",)), [2, 3, 4]),
    ],
)
def test_a_filter_leaves_the_scenes_for_which_all_of_it_holds(catalog, wanted, expected):
    assert left(catalog, wanted) == expected


def test_other_movies_is_a_range_that_is_negated(catalog):
    assert left(catalog, SceneFilter(), query_movie=2) == [1, 2, 3, 4, 7, 8, 9, 10]
    ranges = SceneRanges(np.array([7]), np.array([10]), np.array([20]))
    selection = without_movie(None, 7, ranges)
    assert selection.mask is None
    assert (selection.start, selection.end, selection.negated) == (10, 20, True)
    assert without_movie(None, 8, ranges) is None


def test_a_wrong_movie_in_a_filter_is_named(catalog):
    with pytest.raises(UnknownReferenceError, match="'Fivve'"):
        left(catalog, SceneFilter(not_movies=("Fivve",)))


def test_a_filter_is_described_as_it_is_typed():
    wanted = SceneFilter(
        movies=("Big Buck",), not_movies=("x'y",), other_movies=True, years=(1990, 1999), genres=("Drama",),
        labels=(("place", "living room"),), min_seconds=2.5, max_seconds=60,
    )  # fmt: skip
    assert wanted.describe() == (
        "--movie 'Big Buck' --not-movie 'x'\\''y' --other-movies --year 1990:1999 --genre Drama "
        "--label 'place=living room' --min-seconds 2.5 --max-seconds 60"
    )
    assert SceneFilter().describe() == ""
    assert not SceneFilter()
    assert wanted


@pytest.mark.parametrize(("low", "high"), [(-1, None), (float("nan"), None), (None, float("inf")), (3, 2)])
def test_a_length_that_cannot_be_is_refused(low, high):
    with pytest.raises(UsageError):
        SceneFilter(min_seconds=low, max_seconds=high)


@pytest.mark.parametrize(
    ("text", "years"),
    [("1990:1999", (1990, 1999)), ("1990:", (1990, None)), (":1999", (None, 1999)), ("1990", (1990, 1990))],
)
def test_years_are_written_in_four_ways(text, years):
    assert parse_years(f" {text} ") == years
    assert format_years(years) == text


@pytest.mark.parametrize("text", ["", ":", "90", "1990-1999", "1990:1999:2000", "1999:1990", "19900", "１９９０"])
def test_years_that_are_none_are_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"1990:1999|write 1990:1999"):
        parse_years(text)


@given(st.text(alphabet="0123456789: -x", max_size=10))
def test_years_that_are_read_are_written_back(text):
    try:
        years = parse_years(text)
    except UsageError:
        return
    assert parse_years(format_years(years)) == years


@given(st.text(max_size=12))
def test_a_label_is_read_or_refused(text):
    try:
        vocabulary, value = parse_label(text)
    except UsageError:
        assert not (text.partition("=")[0].strip() and text.partition("=")[2].strip())
    else:
        assert vocabulary
        assert value
        assert "=" not in vocabulary
        assert parse_label(f"{vocabulary}={value}") == (vocabulary, value)


@given(
    st.lists(st.integers(0, 60), unique=True).map(sorted),
    st.lists(st.booleans(), max_size=50),
    st.integers(0, 60),
    st.integers(0, 60),
    st.booleans(),
)
def test_a_selection_gives_the_same_answer_in_every_form(ids, bits, start, end, negated):
    start, end = sorted((start, end))
    ids = np.array(ids, np.int64)
    for selection in (
        Selection(mask=np.array(bits, np.bool_)),
        Selection(start, end, negated),
        Selection(mask=np.array(bits, np.bool_)).and_also(Selection(start, end, negated), 61),
    ):
        mask = selection.as_mask(61)
        assert selection.contains(ids).tolist() == mask[ids].tolist()
        assert selection.count(ids) == mask[ids].sum()
        assert selection.at(ids).contains(np.arange(len(ids))).tolist() == mask[ids].tolist()
