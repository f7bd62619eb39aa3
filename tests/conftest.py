"""What tests share: real films, tiny and procedural; a catalogue built from them; the CLI as a function."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from catalog_contents import sql
from tiny_films import write_tiny_film

# Decoders and encoders of several test processes share few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("M2S_CATALOG", None)
# A shell switches interrupts off for what it starts in the background, and for all that this starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Ran:
    """What a command said."""

    status: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


Run = Callable[..., Ran]


def _run(*arguments: str | Path, **environment: str) -> Ran:
    """``m2s`` in this process; an exception that is no exit fails the test."""
    from click.testing import CliRunner

    from m2s_index.cli.main import main

    result = CliRunner().invoke(main, [str(a) for a in arguments], env=environment, catch_exceptions=False)
    gc.enable()  # commands that answer at once switch it off, for the rest of a process that is not theirs here
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def m2s() -> Run:
    """Run the command line: ``m2s("index", "status", "--catalog", folder)``."""
    return _run


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real films and labels, which are not part of the project."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("M2S_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real films in {folder}; M2S_TEST_DATA names another folder")
    return folder


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four films: of two scenes, of one, of a scene and two shots, and of fewer than nine shots.

    Nobody may change it: ``own_films`` is a copy for that.
    """
    folder = tmp_path_factory.mktemp("films")
    for name, seed, shots in (
        ("Alpha Beach (1990)", 10, 20),
        ("Beta Road (1991)", 11, 12),
        ("Gamma (1992)", 12, 11),
        ("Short", 13, 3),
    ):
        write_tiny_film(folder / f"{name}.mp4", seed, shots)
    return folder


@pytest.fixture
def own_films(films: Path, tmp_path: Path) -> Path:
    """A copy of ``films`` that the test may change."""
    return Path(shutil.copytree(films, tmp_path / "films"))


@pytest.fixture(scope="session")
def built_catalog(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of ``films`` by ``gist``. Nobody may change it: ``catalog_folder`` is a copy for that."""
    folder = tmp_path_factory.mktemp("built") / "catalog"
    done = _run("index", "build", films, "--encoder", "gist", "--catalog", folder, "--workers", "2")
    assert done.status == 0, done.stderr
    return folder


@pytest.fixture
def catalog_folder(built_catalog: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue of ``films`` that the test may change."""
    return Path(shutil.copytree(built_catalog, tmp_path / "catalog"))


GENRES = {"Alpha Beach (1990)": "Drama|War", "Beta Road (1991)": "Drama", "Gamma (1992)": "Drama", "Short": "Drama"}


@pytest.fixture(scope="session")
def catalog_of_movies(built_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of ``films``, all of which are similar by genre. Nobody may change it: ``own_movies`` is a copy
    for that.
    """
    folder = tmp_path_factory.mktemp("movies")
    table = folder / "movies.csv"
    table.write_text("movie,genres\n" + "".join(f"{movie},{genres}\n" for movie, genres in GENRES.items()))
    shutil.copytree(built_catalog, folder / "catalog")
    done = _run("movies", "import", table, "--catalog", folder / "catalog")
    assert done.status == 0, done.stderr
    return folder / "catalog"


@pytest.fixture
def own_movies(catalog_of_movies: Path, tmp_path: Path) -> Path:
    """A copy of ``catalog_of_movies`` that the test may change."""
    return Path(shutil.copytree(catalog_of_movies, tmp_path / "own"))


@pytest.fixture
def own_catalog(own_films: Path, catalog_folder: Path) -> Path:
    """The catalogue of ``own_films``, as a build would make it: its paths lead to them."""
    for film in own_films.iterdir():
        sql(catalog_folder, f"UPDATE movies SET path = CAST('{film}' AS BLOB) WHERE name = '{film.stem}'")
    return catalog_folder
