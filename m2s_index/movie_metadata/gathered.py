"""Facts of films gathered from the lines of a file, none of which may contradict another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from m2s_index.errors import UsageError


class Gathered:
    """Facts by film, each with the line that said it. A film is named by whatever the file names it by."""

    def __init__(self) -> None:
        self._facts: dict[str, dict[str, tuple[str, Any]]] = {}

    def add(self, film: str, where: str, **facts: Any) -> None:
        """What the line ``where`` says of a film; empty values say nothing.

        Raises:
            UsageError: another line said something else; both are named.
        """
        known = self._facts.setdefault(film, {})
        for name, value in facts.items():
            if value in (None, "", ()):
                continue
            line, said = known.setdefault(name, (where, value))
            if said != value:
                raise UsageError(
                    f"{where}: the {name} of '{film}' is {_shown(value)}, but {line} says {_shown(said)}: "
                    "correct one of the two"
                )

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each film with its facts, in the order of the lines that named it first."""
        for film, facts in self._facts.items():
            yield film, {name: value for name, (_, value) in facts.items()}


def _shown(value: object) -> str:
    text = "|".join(value) if isinstance(value, tuple) else str(value)
    return f"'{text}'" if len(text) <= 60 else f"'{text[:59]}…'"
