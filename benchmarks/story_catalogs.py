"""A world of procedural films as two catalogues, one to train on and one held out, made by m2s's own commands.

    python benchmarks/story_catalogs.py DIR [--films 100] [--seed 0]

makes one catalogue, DIR/m2s-catalog, with labels, and DIR/movies.csv, which is not imported: what the README's
``m2s train adapt`` begins with.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from m2s_index.cli.main import main as m2s_main
from m2s_index.procedural import FilmTruth, StoryFilm, World, make_world, render

BASE = "gist"
"""The encoder of shots that E_movie and E_scene take features of."""


@dataclass(frozen=True)
class StoryCatalogs:
    """Folders of catalogues; no film is in both. Only the films of ``trained`` have metadata."""

    trained: Path
    held_out: Path


def m2s(*arguments: str | Path) -> str:
    """Run a command in this process; returns what it wrote to standard output. A failure ends the program."""
    with contextlib.redirect_stdout(io.StringIO()) as written:
        status = m2s_main([str(argument) for argument in arguments], standalone_mode=False)
    if status:
        raise SystemExit(status)
    return written.getvalue()


def make_catalogs(seed: int, *, trained: int, held_out: int, folder: Path) -> StoryCatalogs:
    """Render a world of so many films into ``folder``, index their true shots, import what is known of them."""
    world = make_world(seed, films=trained + held_out)
    catalogs = StoryCatalogs(folder / "trained", folder / "held-out")
    for catalog, films in ((catalogs.trained, world.films[:trained]), (catalogs.held_out, world.films[trained:])):
        _index(catalog, films, folder / f"{catalog.name}-films")
    _import_metadata(catalogs.trained, world, trained, folder)
    return catalogs


def make_catalog(seed: int, *, films: int, folder: Path) -> None:
    """Render a world of so many films into ``folder``, index their true shots, write down what is known of them."""
    world = make_world(seed, films=films)
    _index(folder / "m2s-catalog", world.films, folder / "films")
    _write_movies(folder / "movies.csv", world.films)


def _index(catalog: Path, films: Sequence[StoryFilm], folder: Path) -> None:
    folder.mkdir(parents=True)
    truths = [render(film.spec, folder / film.spec.file_name) for film in films]
    cuts = folder / "cuts"
    cuts.mkdir()
    for truth in truths:
        columns = ("start_frame", "end_frame", "transition", "end_seconds")
        shots = truth.as_dict()["shots"]
        _write(cuts / f"{truth.movie}.csv", columns, ([shot[name] for name in columns] for shot in shots))
    _write(
        folder / "labels.csv",
        ("movie", "start", "end", "vocabulary", "value", "split"),
        (row for truth in truths for row in _labels(truth)),
    )
    m2s(
        "index",
        "build",
        *sorted(folder.glob("*.mp4")),
        "--shots-from",
        cuts,
        "--encoder",
        BASE,
        "--catalog",
        catalog,
    )
    m2s("labels", "import", folder / "labels.csv", "--catalog", catalog)


def _labels(truth: FilmTruth) -> list[tuple[object, ...]]:
    return [
        (f"{truth.movie}.mp4", scene["start_seconds"], scene["end_seconds"], vocabulary, scene[vocabulary], "all")
        for scene in truth.as_dict()["scenes"]
        for vocabulary in ("theme", "place")
    ]


def _import_metadata(catalog: Path, world: World, films: int, folder: Path) -> None:
    """A table of genres and synopses, and MovieLens's files for the ratings."""
    lens = folder / "movielens"
    lens.mkdir()
    _write_movies(folder / "movies.csv", world.films[:films])
    numbers = range(1, films + 1)
    _write(lens / "links.csv", ("movieId", "imdbId", "tmdbId"), ((n, f"{n:07}", n) for n in numbers))
    _write(
        lens / "ratings.csv",
        ("userId", "movieId", "rating", "timestamp"),
        ((r.person + 1, r.film + 1, r.stars, 0) for r in world.ratings if r.film < films),
    )
    m2s("movies", "import", folder / "movies.csv", lens, "--catalog", catalog)


def _write_movies(path: Path, films: Sequence[StoryFilm]) -> None:
    _write(
        path,
        ("movie", "title", "year", "genres", "synopsis", "imdb_id"),
        (
            (film.spec.file_name, film.spec.title, 2000, film.genre, film.synopsis, f"tt{number:07}")
            for number, film in enumerate(films, start=1)
        ),
    )


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    make_catalog(arguments.seed, films=arguments.films, folder=arguments.folder)


if __name__ == "__main__":
    main()
