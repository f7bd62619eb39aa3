"""File names as text that can be shown. Imports nothing heavy: every command needs it."""

from __future__ import annotations

from pathlib import Path


def display_path(path: str) -> str:
    """A path as text that can be shown: bytes that are not UTF-8 become replacement characters."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def display_name(path: str) -> str:
    """A file's stem as text that can be shown."""
    return display_path(Path(path).stem)


def printable(text: str) -> str:
    """A text whose control characters nothing can act on, a terminal or a format of lines: a file name may hold
    any.
    """
    return "".join(c if c.isprintable() else "�" for c in text)
