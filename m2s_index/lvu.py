"""The published labels of LVU (Wu and Krähenbühl, CVPR 2021) as files: nine tasks, three splits each.

The files end in .csv and are separated by white space. Seven tasks have classes: ``class_id class_name
youtube_id imdb_id``. Two are regressions: ``like_count dislike_count youtube_id imdb_id`` and ``view_count
youtube_id imdb_id``. A clip is a file called as its video id; case matters in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from m2s_index.errors import UsageError
from m2s_index.files import VIDEO_SUFFIXES

TASKS = {
    "scene": "place",
    "relationship": "relationship",
    "way_speaking": "way_speaking",
    "director": "director",
    "genre": "genre",
    "writer": "writer",
    "year": "year",
    "like_ratio": "like_ratio",
    "view_count": "view_count",
}
"""The tasks' folders, and what each one's labels are called here: the paper calls the task ``scene`` place."""

SPLITS = ("train", "val", "test")

_HEADERS = {
    ("class_id", "class_name", "youtube_id", "imdb_id"): "class",
    ("like_count", "dislike_count", "youtube_id", "imdb_id"): "like ratio",
    ("view_count", "youtube_id", "imdb_id"): "view count",
}


@dataclass(frozen=True)
class LvuClip:
    """One line: ``value`` is the class's name; for the regressions the share of likes, and the number of views."""

    video_id: str
    film: str
    value: str


def is_lvu(path: Path) -> bool:
    """Whether a file's first line is that of one of LVU's."""
    try:
        with path.open("r", encoding="utf-8", errors="replace") as file:
            return tuple(file.readline(1000).split()) in _HEADERS
    except OSError:
        return False


def has_classes(path: Path) -> bool:
    """Whether a file is of one of the seven tasks with classes."""
    return _HEADERS.get(tuple(_lines(path)[0].split())) == "class"


def lvu_files(folder: Path) -> list[Path]:
    """The label files in a task's folder, or in the folder of all tasks, by task and split."""
    folders = [folder, *(folder / task for task in TASKS)]
    return [path for inside in folders for split in SPLITS if is_lvu(path := inside / f"{split}.csv")]


def read_lvu(path: Path) -> list[LvuClip]:
    """The clips of one file, in order.

    Raises:
        UsageError: the file cannot be read, or a line is not of LVU's form; the line is named.
    """
    header, *lines = _lines(path)
    kind = _HEADERS.get(tuple(header.split()))
    if kind is None:
        raise UsageError(f"{path}: not a label file of LVU; its first line is '{header[:80]}'")
    clips = []
    for number, line in enumerate(lines, start=2):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != len(header.split()):
            raise UsageError(f"{path}, line {number}: {len(fields)} fields, the first line names {header.split()}")
        *given, video_id, film = fields
        clips.append(LvuClip(video_id, film, _value(kind, given, f"{path}, line {number}")))
    return clips


def _value(kind: str, given: list[str], where: str) -> str:
    if kind == "class":
        return given[1]
    try:
        counts = [int(number) for number in given]
    except ValueError as exc:
        raise UsageError(f"{where}: '{' '.join(given)}' is no number") from exc
    if kind == "view count":
        return str(counts[0])
    if min(counts) < 0 or not sum(counts):
        raise UsageError(f"{where}: {counts[0]} likes and {counts[1]} dislikes have no ratio")
    return f"{counts[0] / sum(counts):.6f}"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines() or [""]
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8 text"
        raise UsageError(f"{path}: cannot be read ({reason})") from exc


def task_files(folder: Path, task: str) -> dict[str, Path]:
    """A task's label files by split, from the folder of all tasks.

    Raises:
        UsageError: there is no such task, it has no classes to retrieve, or its files are not there.
    """
    if task not in TASKS:
        raise UsageError(f"LVU has no task '{task}': choose one of {', '.join(TASKS)}")
    files = {split: folder / task / f"{split}.csv" for split in SPLITS}
    for path in files.values():
        if not is_lvu(path):
            raise UsageError(
                f"{path}: no label file of LVU; --labels names the folder that holds the tasks' folders "
                f"({', '.join(TASKS)})"
            )
    if not has_classes(files["train"]):
        raise UsageError(f"LVU's task '{task}' is a regression: its labels are numbers, of which none is right")
    return files


def find_clips(folder: Path, video_ids: Iterable[str]) -> dict[str, Path]:
    """The files under a folder that are called as one of the video ids, by id; the first by name of several."""
    wanted = set(video_ids)
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.stem in wanted and path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            found.setdefault(path.stem, path)
    return found
