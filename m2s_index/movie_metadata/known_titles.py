"""Movies that metadata speaks of, in the catalogue: stored, linked to the films that are indexed, and named.

An indexed film is of the title that a table gives for its file; without one, of the only title that has its title
and year. The link is worked out when it is asked for, so that films which are indexed later have it too.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from m2s_index.errors import UnknownReferenceError
from m2s_index.metadata import FileNames, MovieMetadata, read_imdb_id
from m2s_index.schema import MovieRow, TitleFileRow, TitleGenreRow, TitleRow

MAX_LISTED = 10
_ARTICLES = re.compile(r"^(?:the|an?) ")


@dataclass(frozen=True)
class KnownTitle:
    """A movie that metadata speaks of; None where it does not say."""

    title_id: int
    imdb_id: str | None
    title: str | None
    year: int | None

    def __str__(self) -> str:
        """Title and year, for reading: "The Matrix (1999)"."""
        name = self.title or self.imdb_id or f"title {self.title_id}"
        return f"{name} ({self.year})" if self.year else name


def store_titles(session: Session, records: Sequence[MovieMetadata]) -> int:
    """Add what files say to what is known; a later record counts more, an empty value says nothing.

    A record is of the title with its IMDb id; without one, of the title that its file name is of.

    Returns:
        How many titles are new.
    """
    before = session.scalar(select(func.count()).select_from(TitleRow)) or 0
    by_id, by_file = _insert_new(session, records)
    values = {
        row.id: dict(row._mapping)
        for row in session.execute(select(TitleRow.id, TitleRow.title, TitleRow.year, TitleRow.synopsis))
    }
    touched: dict[int, None] = {}
    genres: dict[int, tuple[str, ...]] = {}
    files: dict[str, int] = {}
    for record in records:
        title_id = by_id[record.imdb_id] if record.imdb_id else by_file[record.movie or ""]
        said = {"title": record.title, "year": record.year, "synopsis": record.synopsis}
        values[title_id] |= {name: value for name, value in said.items() if value}
        touched[title_id] = None
        if record.genres:
            genres[title_id] = record.genres
        if record.movie:
            files[record.movie] = title_id
    if touched:
        session.execute(update(TitleRow), [values[title_id] for title_id in touched])
    _replace(session, TitleGenreRow.title_id, [{"title_id": t, "genre": g} for t in genres for g in genres[t]])
    _replace(session, TitleFileRow.file, [{"file": file, "title_id": files[file]} for file in files])
    # A title that was known by a file alone, which now is of one with an IMDb id.
    filed = select(TitleFileRow.title_id)
    session.execute(delete(TitleRow).where(TitleRow.imdb_id.is_(None), TitleRow.id.not_in(filed)))
    return (session.scalar(select(func.count()).select_from(TitleRow)) or 0) - before


def link_movies(session: Session) -> dict[int, int]:
    """The title of each indexed film that has one: title ids by movie id."""
    titles: dict[tuple[str, int], list[int]] = {}
    for title_id, title, year in session.execute(select(TitleRow.id, TitleRow.title, TitleRow.year)):
        if title and year:
            titles.setdefault((title_key(title), year), []).append(title_id)
    links = {}
    for movie_id, title, year in session.execute(select(MovieRow.id, MovieRow.title, MovieRow.year)):
        found = titles.get((title_key(title), year), []) if title and year else []
        if len(found) == 1:
            links[movie_id] = found[0]
    names = FileNames(session)
    for file, title_id in session.execute(select(TitleFileRow.file, TitleFileRow.title_id)):
        links |= dict.fromkeys(names.find(file), title_id)
    return links


def find_title(session: Session, text: str) -> KnownTitle:
    """The title that ``text`` names: an IMDb id, an indexed film's file, a title with or without its year, or the
    start of one.

    Raises:
        UnknownReferenceError: nothing, or more than one thing, is called that; or nothing is known of that film.
    """
    titles = {row.id: KnownTitle(*row) for row in session.execute(select(*_COLUMNS).order_by(TitleRow.id))}
    for found in _readings(session, text.strip(), titles):
        if len(found) > 1:
            shown = ", ".join(f"{title} {title.imdb_id or ''}".strip() for title in found[:MAX_LISTED])
            more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
            raise UnknownReferenceError(f"'{text}' may be any of {shown}{more}: give the year or the IMDb id")
        if found:
            return found[0]
    raise UnknownReferenceError(_unknown(session, text, titles))


def title_key(title: str) -> str:
    """A title as it is compared: without case, marks, or an English article in front."""
    folded = unicodedata.normalize("NFKC", title).casefold().replace("&", " and ")
    words = re.sub(r"[\W_]+", " ", re.sub(r"['’]", "", folded)).strip()
    return _ARTICLES.sub("", words) or folded


_COLUMNS = (TitleRow.id, TitleRow.imdb_id, TitleRow.title, TitleRow.year)


def _insert_new(session: Session, records: Sequence[MovieMetadata]) -> tuple[dict[str, int], dict[str, int]]:
    """Title ids by IMDb id and by file name, after empty rows were made for those that had none."""
    known = select(TitleRow.imdb_id, TitleRow.id).where(TitleRow.imdb_id.is_not(None))
    by_id: dict[str, int] = {imdb_id: title_id for imdb_id, title_id in session.execute(known) if imdb_id}
    by_file = {row.file: row.title_id for row in session.execute(select(TitleFileRow.file, TitleFileRow.title_id))}
    imdb_ids = list(dict.fromkeys(r.imdb_id for r in records if r.imdb_id and r.imdb_id not in by_id))
    by_id |= zip(imdb_ids, _insert(session, [{"imdb_id": imdb_id} for imdb_id in imdb_ids]), strict=True)
    by_file |= {record.movie: by_id[record.imdb_id] for record in records if record.movie and record.imdb_id}
    files = list(dict.fromkeys(record.movie for record in records if record.movie and record.movie not in by_file))
    by_file |= zip(files, _insert(session, [{"imdb_id": None} for _ in files]), strict=True)
    return by_id, by_file


def _insert(session: Session, rows: list[dict[str, str | None]]) -> list[int]:
    """The ids of new titles, one for each row."""
    new = insert(TitleRow).returning(TitleRow.id, sort_by_parameter_order=True)
    return list(session.scalars(new, rows)) if rows else []


def _replace(session: Session, owner: InstrumentedAttribute[Any], rows: list[dict[str, Any]]) -> None:
    """Put rows in place of all that have one of their owners."""
    if rows:
        owners = dict.fromkeys(row[owner.key] for row in rows)
        mark: BindParameter[Any] = bindparam("owner")
        # One statement for each owner, prepared once: SQLite takes no list of them all.
        session.connection().execute(delete(owner.class_).where(owner == mark), [{"owner": o} for o in owners])
        session.execute(insert(owner.class_), rows)


def _readings(session: Session, text: str, titles: dict[int, KnownTitle]) -> Iterator[list[KnownTitle]]:
    """What ``text`` may name, from the strictest reading to the loosest."""
    if re.fullmatch(r"tt\d+", text, re.ASCII):
        wanted = read_imdb_id(text, "")
        yield [title for title in titles.values() if title.imdb_id == wanted]
    links = link_movies(session)
    linked = {links[movie_id]: None for movie_id in FileNames(session).find(text) if movie_id in links}
    yield [titles[title_id] for title_id in linked]
    key = title_key(text)
    keys = [(title, title_key(title.title), title_key(str(title))) for title in titles.values() if title.title]
    yield [title for title, *names in keys if key in names]
    yield [title for title, *names in keys if key and any(name.startswith(key) for name in names)]


def _unknown(session: Session, text: str, titles: dict[int, KnownTitle]) -> str:
    if not titles:
        return "nothing is known of any movie: run 'm2s movies import FILE' first"
    if FileNames(session).find(text):
        return (
            f"'{text}' is indexed, but no metadata is of it: import a table that gives its imdb_id, or its title "
            "and year as the metadata has them"
        )
    shown = {title_key(name): str(title) for title in titles.values() for name in (title.title or "", str(title))}
    near = difflib.get_close_matches(title_key(text), shown, n=5, cutoff=0.6)
    names = dict.fromkeys(f"'{shown[key]}'" for key in near)
    meant = f"; did you mean {' or '.join(names)}?" if names else ""
    return f"no movie is called '{text}'{meant}"
