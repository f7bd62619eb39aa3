"""Reading a catalogue in SQL, through the standard library's sqlite3 alone.

Whatever a search asks goes through here, as does what a search and a writer both ask (``sessions.reader_of``).
Queries are constant texts and their values always bound; a list is bound as JSON, for ``json_each``, and so is
what a person typed, which need not be text that SQLite takes. Columns that ``schema`` decodes come as they are
stored: paths as bytes, rational numbers as text.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2s_index.errors import CatalogDamagedError
from m2s_index.types import Int64Array

Values = Sequence[str | int | float | bytes | None]


class Reader:
    """One read transaction: all that is asked of it comes from one state of the catalogue.

    ``connection`` is SQLite's, for what is no query.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, query: str, values: Values = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, fetched as they are asked for."""
        return self.connection.execute(query, values)

    def first(self, query: str, values: Values = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        return next(self.rows(query, values), None)

    def value(self, query: str, values: Values = ()) -> Any:
        """The first column of a query's first row, or None."""
        row = self.first(query, values)
        return row[0] if row else None

    def columns(self, query: str, values: Values, dtype: str) -> NDArray[np.void]:
        """A query's rows as a structured array, read without a Python object for each.

        Args:
            query: gives numbers alone; NULL only in columns of floats, where it becomes NaN.
            values: what is bound to it.
            dtype: of the columns, "i8,f8" say; they become the fields f0, f1, …

        Raises:
            CatalogDamagedError: it gives something else.
        """
        try:
            return np.fromiter(self.rows(query, values), np.dtype(dtype))
        except (TypeError, ValueError, OverflowError) as exc:
            raise CatalogDamagedError(
                f"the catalogue holds something else where numbers belong ({exc}): run 'm2s index repair'"
            ) from exc

    def ids(self, query: str, values: Values = ()) -> Int64Array:
        """The single column of whole numbers that a query gives: int64 [N]."""
        return np.fromiter((row[0] for row in self.rows(query, values)), np.int64)

    def texts(self, query: str, values: Values = ()) -> list[str]:
        """The single column of texts that a query gives."""
        return [text for (text,) in self.rows(query, values)]


def json_list(values: Iterable[str | int]) -> str:
    """Values to be bound where a query says ``IN (SELECT value FROM json_each(?))``."""
    return json.dumps(list(values))
