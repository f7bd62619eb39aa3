"""A small world with known stories: a catalogue with labels, and a table of what is known of its films."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from m2s_index.procedural import make_world, render


def write_table(path: Path, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def make_story_catalog(m2s: Callable[..., Any], folder: Path, *, films: int, scenes: int = 3) -> Path:
    """``folder`` with ``catalog``, labelled by place and theme, and ``movies.csv``, which is not imported."""
    world = make_world(7, films=films, scenes=scenes, size=(64, 36))
    sources, cuts = folder / "films", folder / "cuts"
    sources.mkdir(parents=True)
    cuts.mkdir()
    labels: list[tuple[Any, ...]] = []
    for film in world.films:
        truth = render(film.spec, sources / film.spec.file_name)
        facts = truth.as_dict()
        columns = ("start_frame", "end_frame", "transition", "end_seconds")
        write_table(cuts / f"{truth.movie}.csv", columns, [tuple(s[c] for c in columns) for s in facts["shots"]])
        labels += [
            (f"{truth.movie}.mp4", scene["start_seconds"], scene["end_seconds"], name, scene[name], "")
            for scene in facts["scenes"]
            for name in ("place", "theme")
        ]
    catalog = folder / "catalog"
    films_made = sorted(sources.glob("*.mp4"))
    built = m2s("index", "build", *films_made, "--encoder", "gist", "--shots-from", cuts, "--catalog", catalog)
    assert built.status == 0, built.stderr
    shutil.rmtree(sources)
    table = write_table(folder / "l.csv", ("movie", "start", "end", "vocabulary", "value", "split"), labels)
    assert m2s("labels", "import", table, "--catalog", catalog).status == 0
    write_table(
        folder / "movies.csv",
        ("movie", "title", "year", "genres", "synopsis", "imdb_id"),
        [
            (film.spec.file_name, film.spec.title, 2000, film.genre, film.synopsis, f"tt{number:07}")
            for number, film in enumerate(world.films, start=1)
        ],
    )
    return folder
