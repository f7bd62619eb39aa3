"""Finding film files under what the user named, and telling one file from another. Nothing is decoded."""

from __future__ import annotations

import hashlib
import os
import stat
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


CATALOG_DATABASE = "catalog.sqlite"
CATALOG_PARTS = frozenset({CATALOG_DATABASE, f"{CATALOG_DATABASE}-wal", "keyframes", "index"})
"""What lies in a catalogue's folder: its stored pictures could be taken for film."""


def is_there(path: Path) -> bool:
    """Whether there is such a file, as far as one may look: of a closed folder nothing is there."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises there


@dataclass(frozen=True)
class Candidate:
    """A file that may be film. ``claims_video``: it was named, or its ending says so."""

    path: Path
    claims_video: bool


def find_candidates(
    paths: Iterable[Path],
    *,
    on_error: Callable[[Path, str], None],
) -> Iterator[Candidate]:
    """All regular files under ``paths``, in a fixed order, each once however many links lead to it.

    Hidden files and folders are passed over, and in folders what belongs to a catalogue, pipes and devices.
    Links to folders are followed; a loop of them is walked once.

    Args:
        on_error: told of each path that does not exist or cannot be looked at, and why.
    """
    seen: set[tuple[int, int]] = set()
    for named in paths:
        for path in _walk(named, seen, on_error):
            yield Candidate(path, path == named or path.suffix.lower() in VIDEO_SUFFIXES)


def _walk(root: Path, seen: set[tuple[int, int]], on_error: Callable[[Path, str], None]) -> Iterator[Path]:
    waiting = [root]
    while waiting:
        path = waiting.pop()
        try:
            status = path.stat()
            if _key(status) in seen:
                continue
            seen.add(_key(status))
            if stat.S_ISDIR(status.st_mode):
                entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
                if path / CATALOG_DATABASE in entries:
                    entries = [entry for entry in entries if entry.name not in CATALOG_PARTS]
                waiting += sorted(entries, key=os.fsencode, reverse=True)
                continue
        except OSError as exc:
            on_error(path, _why_not(path, exc))
            continue
        if stat.S_ISREG(status.st_mode) or path == root:
            yield path


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _why_not(path: Path, exc: OSError) -> str:
    if os.path.islink(path):  # noqa: PTH114 - Path.is_symlink raises where a name is too long
        return f"{path}: a link that leads nowhere ({exc.strerror}); mend or remove it"
    if isinstance(exc, FileNotFoundError):
        return f"{path}: there is no such file or folder; check its name"
    return f"{path}: cannot be looked at ({exc.strerror}); check its permissions"


def check_regular(path: Path) -> os.stat_result:
    """The status of a regular file, or of a link to one; pipes and devices are never opened: they may block.

    Raises:
        VideoError: it is something else, is empty, or cannot be looked at.
    """
    try:
        status = path.stat()
    except FileNotFoundError as exc:
        raise VideoError(f"{path}: there is no such file; check its name") from exc
    except OSError as exc:
        raise VideoError(f"{path}: cannot be read ({exc.strerror}); check its permissions") from exc
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device"
        raise VideoError(f"{path}: {kind}, not a file; name a film file")
    if status.st_size == 0:
        raise VideoError(f"{path}: the file is empty; copy it again")
    return status


def full_path(path: Path) -> str:
    """One spelling for one place: absolute, without ``..`` or links in its folders; the name as it is."""
    return str(path.parent.resolve() / path.name)


def identify(path: Path) -> FileIdentity:
    """Size, time of change and fingerprint of a file.

    Raises:
        VideoError: it cannot be read, is empty, or is no regular file.
    """
    status = check_regular(path)
    try:
        digest = hashlib.sha256(str(status.st_size).encode())
        with path.open("rb") as file:
            for start in sorted({0, max(0, (status.st_size - MIB) // 2), max(0, status.st_size - MIB)}):
                file.seek(start)
                digest.update(file.read(MIB))
    except OSError as exc:
        raise VideoError(f"{path}: cannot be read ({exc.strerror}); check its permissions") from exc
    return FileIdentity(full_path(path), status.st_size, status.st_mtime_ns, digest.hexdigest())


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
