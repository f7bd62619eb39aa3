"""Title and year as media servers guess them from a file's name: ``Title (2008)``, ``Title.2008.1080p``."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_YEAR = r"(?:18[89]|19\d|20\d)\d"
_IN_BRACKETS = re.compile(rf"(?P<title>.*\S)\s*[\(\[\{{](?P<year>{_YEAR})[\)\]\}}]")
# Not a date (2019-07-04), not a size (1920x1080), and never the first word: that is the title.
_BARE_YEAR = re.compile(rf"(?<=[ ._-])(?P<year>{_YEAR})(?=$|[ ._-])(?![ ._-]\d\d[ ._-]\d\d(?!\d))")
_EPISODE = re.compile(r"(?:^|(?<=[ ._-]))S\d{1,3}[ ._]?E\d{1,4}(?:[ ._-]?E\d{1,4})*(?=$|[ ._-])", re.IGNORECASE)
_RELEASE = re.compile(
    r"""[ ._\-\[\(]+(?:\d{3,4}[pi]|[48]k|uhd|hdr(?:10)?|blu-?ray|b[dr]-?rip|web-?(?:dl|rip)|dvd-?(?:rip|scr|r)?
    |hd-?(?:tv|rip)|[xh][ .]?26[45]|hevc|xvid|divx|av1|remux|proper|repack|unrated|extended|remastered|imax)
    (?=$|[ ._\-\]\)])""",
    re.IGNORECASE | re.VERBOSE,
)
_ID = re.compile(r"[\[\{](?:imdb|tmdb|tvdb)(?:id)?[-=][\w-]+[\]\}]", re.IGNORECASE)
_SEPARATORS = re.compile(r"[._\s]+")
_EDGES = " -._"


def guess_title(name: str) -> tuple[str, int | None]:
    """Title and year from a file's stem; the year is None where the name has none.

    A year in brackets counts first, then the last one before what a release says of itself (``1080p``,
    ``BluRay``); one that opens the name is its title, and one still to come is none. An episode's number
    stays in the title: it tells it from the others.

    >>> guess_title("Big Buck Bunny (2008)")
    ('Big Buck Bunny', 2008)
    >>> guess_title("Blade.Runner.2049.2017.1080p.BluRay")
    ('Blade Runner 2049', 2017)
    """
    text = _ID.sub("", name)
    release = _RELEASE.search(text, 1)
    head = text[: release.start()] if release else text
    title, year = head, None
    if match := _IN_BRACKETS.match(text):
        title, year = match["title"], int(match["year"])
    else:
        years = [m for m in _BARE_YEAR.finditer(head) if int(m["year"]) <= datetime.now(UTC).year + 1]
        if years and head[: years[-1].start()].strip(_EDGES):
            title, year = head[: years[-1].start()], int(years[-1]["year"])
    episode = _EPISODE.search(text)
    if episode and not _EPISODE.search(title):
        title = f"{title.rstrip(_EDGES)} {episode[0]}"
    # Dots and underscores stand for spaces only where there are no spaces.
    if " " not in head.strip():
        title = _SEPARATORS.sub(" ", title)
    return title.strip(" -") or name, year
