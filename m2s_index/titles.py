"""Title and year as media servers guess them from a file's name: ``Title (2008)``, ``Title.2008.1080p``."""

from __future__ import annotations

import re

_IN_BRACKETS = re.compile(r"^(?P<title>.+?)\s*[\(\[\{](?P<year>(?:18|19|20)\d\d)[\)\]\}]")
_RELEASE_STYLE = re.compile(r"^(?P<title>.+?)[ ._-]+(?P<year>(?:18|19|20)\d\d)(?=$|[ ._-])")
_SEPARATORS = re.compile(r"[._\s]+")


def guess_title(name: str) -> tuple[str, int | None]:
    """Title and year from a file's stem; the year is None where the name has none.

    >>> guess_title("Big Buck Bunny (2008)")
    ('Big Buck Bunny', 2008)
    >>> guess_title("his_girl_friday_1940_6s_480p")
    ('his girl friday', 1940)
    """
    match = _IN_BRACKETS.match(name) or _RELEASE_STYLE.match(name)
    title = match["title"] if match else name
    # Dots and underscores stand for spaces only where there are no spaces.
    if " " not in title.strip():
        title = _SEPARATORS.sub(" ", title)
    return title.strip(" -") or name, int(match["year"]) if match else None
