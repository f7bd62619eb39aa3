"""Finding film files under what the user named, and telling one file from another. Nothing is decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from m2s_index.errors import VideoError
from m2s_index.types import FileIdentity

MIB = 1 << 20

VIDEO_SUFFIXES = frozenset(
    """
    .3g2 .3gp .asf .avi .divx .dv .f4v .flv .m1v .m2p .m2t .m2ts .m2v .m4v .mkv .mov .mp4 .mpe .mpeg .mpg
    .mpv .mts .mxf .nut .ogm .ogv .qt .rm .rmvb .ts .vob .webm .wmv .y4m
    """.split()  # noqa: SIM905 - forty quotes would hide the names
)
"""Files are recognised by probing. An ending only decides whether one that is no film, found in a folder,
is a failure (it claims to be one) or simply another kind of file."""


@dataclass(frozen=True)
class Candidate:
    """A file that may be film. ``claims_video``: it was named, or its ending says so."""

    path: Path
    claims_video: bool


def find_candidates(
    paths: Iterable[Path],
    *,
    on_error: Callable[[Path, str], None],
    exclude: Path | None = None,
) -> Iterator[Candidate]:
    """All regular files under ``paths``, in a fixed order, each once however many links lead to it.

    Hidden files and folders are passed over, and the folder ``exclude`` (the catalogue itself). Links to
    folders are followed; a loop of them is walked once.

    Args:
        on_error: told of each path that does not exist and each folder that cannot be listed, and why.
    """
    seen: set[tuple[int, int]] = set()
    excluded = exclude.resolve() if exclude else None
    for path in paths:
        if path.is_dir():
            for found in _walk(path, seen, excluded, on_error):
                yield Candidate(found, found.suffix.lower() in VIDEO_SUFFIXES)
        elif not path.exists():
            on_error(path, f"{path}: there is no such file or folder")
        elif _first_time(path, seen):
            yield Candidate(path, True)


def _first_time(path: Path, seen: set[tuple[int, int]]) -> bool:
    status = path.stat()
    key = (status.st_dev, status.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


def _walk(
    folder: Path,
    seen: set[tuple[int, int]],
    excluded: Path | None,
    on_error: Callable[[Path, str], None],
) -> Iterator[Path]:
    if folder.resolve() == excluded or not _first_time(folder, seen):
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as exc:
        on_error(folder, f"{folder}: cannot be listed ({exc.strerror}); check its permissions")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if entry.is_dir():
            yield from _walk(path, seen, excluded, on_error)
        elif entry.is_file() and _first_time(path, seen):
            yield path


def identify(path: Path) -> FileIdentity:
    """Size, time of change and fingerprint of a file.

    Raises:
        VideoError: it cannot be read, or is empty.
    """
    try:
        status = path.stat()
        if status.st_size == 0:
            raise VideoError(f"{path}: the file is empty; copy it again")
        digest = hashlib.sha256(str(status.st_size).encode())
        with path.open("rb") as file:
            for start in sorted({0, max(0, (status.st_size - MIB) // 2), max(0, status.st_size - MIB)}):
                file.seek(start)
                digest.update(file.read(MIB))
    except OSError as exc:
        raise VideoError(f"{path}: cannot be read ({exc.strerror}); check its permissions") from exc
    return FileIdentity(str(path.absolute()), status.st_size, status.st_mtime_ns, digest.hexdigest())


def display_path(path: str) -> str:
    """A path as text that can be shown: bytes that are not UTF-8 become replacement characters."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def display_name(path: str) -> str:
    """A file's stem as text that can be shown."""
    return display_path(Path(path).stem)
