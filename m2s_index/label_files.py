"""Labels as files have them: our own tables, LVU's files, and folders of films whose names are the label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from m2s_index.errors import UsageError
from m2s_index.files import VIDEO_SUFFIXES, full_path
from m2s_index.lvu import SPLITS, TASKS, is_lvu, lvu_files, read_lvu
from m2s_index.metadata import read_table
from m2s_index.names import display_path
from m2s_index.refs import parse_time

FILM_VOCABULARY = "film"
"""A whole-film label of this vocabulary says which film a clip is of: clips that share it are of one film."""

SPLIT_FOLDERS = {**{name: name for name in SPLITS}, "valid": "val", "validation": "val"}
"""A folder of one of these names, above those that name labels, says the split."""


@dataclass(frozen=True)
class FileLabel:
    """One label, of a film as the file names it; the seconds are None for the whole film.

    ``named_by`` says how: "name" is a file name as people write it, "stem" the very stem, case and all, "path"
    a whole path.
    """

    movie: str
    named_by: Literal["name", "stem", "path"]
    start_seconds: float | None
    end_seconds: float | None
    vocabulary: str
    value: str
    split: str | None
    source: str


def read_labels(path: Path, *, vocabulary: str | None = None, split: str | None = None) -> list[FileLabel]:
    """All labels of a table, of a file or folder of LVU's, or of a folder of folders of films.

    Args:
        path: what it is shows from its first line or, of a folder, from what is in it.
        vocabulary: what the labels are of, for formats that do not say; LVU's tasks have their own names.
        split: for formats that do not say; else it follows from the names of files or folders.

    Raises:
        UsageError: the format is unknown, or something in it makes no sense; file and line are named.
    """
    if path.is_dir():
        files = lvu_files(path)
        if not files:
            return _read_folders(path, vocabulary, split)
        return [label for file in files for label in _read_lvu(file, vocabulary, split)]
    if is_lvu(path):
        return _read_lvu(path, vocabulary, split)
    if vocabulary or split:
        raise UsageError(f"{path}: a table has columns 'vocabulary' and 'split'; they cannot be given for it")
    return _read_table(path)


def _read_table(path: Path) -> list[FileLabel]:
    labels = []
    for where, row in read_table(path, ("movie", "vocabulary", "value")):
        if not row["vocabulary"] or not row["value"]:
            raise UsageError(f"{where}: the vocabulary or the value is empty")
        start, end = _seconds(row.get("start", ""), where), _seconds(row.get("end", ""), where)
        if (start is None) != (end is None) or (start is not None and end is not None and start >= end):
            raise UsageError(f"{where}: a label needs both times, the start before the end, or neither")
        split, source = row.get("split") or None, display_path(path.name)
        labels.append(FileLabel(row["movie"], "name", start, end, row["vocabulary"], row["value"], split, source))
    return labels


def _read_lvu(path: Path, vocabulary: str | None, split: str | None) -> list[FileLabel]:
    """Each line's label, and which film its clip is of."""
    task = path.resolve().parent.name
    vocabulary = vocabulary or TASKS.get(task)
    split = split or SPLIT_FOLDERS.get(path.stem)
    if vocabulary is None or split is None:
        raise UsageError(
            f"{path}: the folder's name is none of LVU's tasks, or the file's none of {', '.join(SPLITS)}; "
            "say what it is with --vocabulary and --split"
        )
    source = f"LVU {task}/{path.name}"
    labels = []
    for clip in read_lvu(path):
        for kind, value, of in ((vocabulary, clip.value, split), (FILM_VOCABULARY, clip.film, None)):
            labels.append(FileLabel(clip.video_id, "stem", None, None, kind, value, of, source))
    return labels


def _read_folders(folder: Path, vocabulary: str | None, split: str | None) -> list[FileLabel]:
    """The name of the folder that a film lies in is its label."""
    if not vocabulary:
        raise UsageError(f"{folder}: say what the folders' names are with --vocabulary (place, genre, …)")
    labels = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in VIDEO_SUFFIXES or not path.is_file():
            continue
        above = (folder.resolve().name, *path.relative_to(folder).parent.parts)
        value = above[-1]
        if len(above) == 1 or value in SPLIT_FOLDERS:
            raise UsageError(f"{path}: it lies in no folder that names its label")
        found = next((SPLIT_FOLDERS[name] for name in reversed(above[:-1]) if name in SPLIT_FOLDERS), None)
        source = display_path(f"{above[0]}/")
        labels.append(
            FileLabel(full_path(path), "path", None, None, vocabulary, display_path(value), split or found, source)
        )
    if not labels:
        raise UsageError(f"{folder}: neither LVU's label files nor films in folders that name their label")
    return labels


def _seconds(text: str, where: str) -> float | None:
    if not text:
        return None
    seconds = parse_time(text)
    if seconds is None:
        raise UsageError(f"{where}: '{text}' is no time; write seconds (75.5) or 1:02:03")
    return float(seconds)
