"""Titles and years are guessed from file names as media servers do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2s_index.titles import guess_title

BRACKETED = {
    "Big Buck Bunny (2008)": ("Big Buck Bunny", 2008),
    "2001 A Space Odyssey (1968)": ("2001 A Space Odyssey", 1968),
    "1917 (2019)": ("1917", 2019),
    "2012 (2009)": ("2012", 2009),
    "2046 (2004)": ("2046", 2004),
    "Title [2008]": ("Title", 2008),
    "Title {2008}": ("Title", 2008),
    "(500) Days of Summer (2009)": ("(500) Days of Summer", 2009),
    "[REC] 2 (2009)": ("[REC] 2", 2009),
    "The.Matrix.(1999).1080p": ("The Matrix", 1999),
    "The Thing (1982) - Director's Cut": ("The Thing", 1982),
    "Death Race 2000 (1975)": ("Death Race 2000", 1975),
    "Blade Runner 2049 (2017) [1080p]": ("Blade Runner 2049", 2017),
    "Film (2008) {imdb-tt1234567}": ("Film", 2008),
    "Film {tmdb-603} (2008)": ("Film", 2008),
    "Amélie (2001)": ("Amélie", 2001),
    "七人の侍 (1954)": ("七人の侍", 1954),
    "Roundhay Garden Scene (1888)": ("Roundhay Garden Scene", 1888),
}
RELEASES = {
    "Blade.Runner.2049.2017.1080p.BluRay": ("Blade Runner 2049", 2017),
    "2001.A.Space.Odyssey.1968.2160p.UHD.BluRay.x265": ("2001 A Space Odyssey", 1968),
    "1984.1984.720p.BluRay": ("1984", 1984),
    "2012.2009.1080p": ("2012", 2009),
    "Wonder.Woman.1984.2020.WEB-DL.x264": ("Wonder Woman 1984", 2020),
    "Apollo.13.1995.DVDRip": ("Apollo 13", 1995),
    "Room.237.2012": ("Room 237", 2012),
    "U-571.2000": ("U-571", 2000),
    "Se7en.1995.REMASTERED.1080p": ("Se7en", 1995),
    "Spider-Man.No.Way.Home.2021.2160p.WEB-DL": ("Spider-Man No Way Home", 2021),
    "his_girl_friday_1940_6s_480p": ("his girl friday", 1940),
    "Film.2008.part1": ("Film", 2008),
    "Film - 1999": ("Film", 1999),
}
WITHOUT_YEAR = {
    "1917": "1917",
    "1941": "1941",
    "Blade Runner 2049": "Blade Runner 2049",
    "Some.Movie.1080p.BluRay.x264-GRP": "Some Movie",
    "penny_and_chip_compilation_360p": "penny and chip compilation",
    "Film [tmdbid=603]": "Film",
    "Holiday 2019-07-04": "Holiday 2019-07-04",
    "VID_20190704_101112": "VID 20190704 101112",
    "clip_1920x1080": "clip 1920x1080",
    "1080p": "1080p",
    "(2008)": "(2008)",
    "...": "...",
    "-": "-",
}
EPISODES = {
    "Show.Name.S01E02.720p.HDTV.x264": ("Show Name S01E02", None),
    "Show Name - S01E02 - The Pilot": ("Show Name - S01E02 - The Pilot", None),
    "Doctor.Who.2005.S01E02.720p": ("Doctor Who S01E02", 2005),
    "Doctor Who (2005) - s01e02 - Rose": ("Doctor Who s01e02", 2005),
    "Show.S01E01E02.WEBRip": ("Show S01E01E02", None),
}


@pytest.mark.parametrize(("name", "expected"), {**BRACKETED, **RELEASES}.items())
def test_title_and_year_are_told_apart(name: str, expected: tuple[str, int]) -> None:
    """A year in brackets counts, else the last one before what a release says of itself."""
    assert guess_title(name) == expected


@pytest.mark.parametrize(("name", "title"), WITHOUT_YEAR.items())
def test_numbers_that_are_no_year_stay_in_the_title(name: str, title: str) -> None:
    """A year that opens the name, one still to come, a date and a picture size are no year of release."""
    assert guess_title(name) == (title, None)


@pytest.mark.parametrize(("name", "expected"), EPISODES.items())
def test_an_episode_keeps_its_number(name: str, expected: tuple[str, int | None]) -> None:
    """Two episodes of a series get two titles."""
    assert guess_title(name) == expected


@given(st.text(min_size=1, max_size=60))
def test_any_name_gives_a_title(name: str) -> None:
    """No file name makes the guess fail, and none is left without a title."""
    title, year = guess_title(name)
    assert title
    assert year is None or 1880 <= year <= 2099


@given(st.text("abcdefgh xyz", min_size=1, max_size=30).map(str.strip).filter(bool), st.integers(1890, 2030))
def test_the_convention_of_media_servers_round_trips(title: str, year: int) -> None:
    """``Title (year)`` gives back both."""
    assert guess_title(f"{title} ({year})") == (title, year)
