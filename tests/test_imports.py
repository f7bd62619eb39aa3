"""What is imported when: nothing heavy until a command needs it. Each test asks a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "torch", "torchvision", "timm", "faiss", "av", "numpy", "PIL", "sqlalchemy", "alembic", "rich", "safetensors",
    "pydantic", "matplotlib", "scipy", "sklearn", "cv2", "scenedetect",
)  # fmt: skip


def loaded(statement: str, *arguments: object) -> set[str]:
    """The packages that a fresh interpreter has loaded after a statement, whatever it printed or raised."""
    program = (
        f"import sys\ntry:\n    {statement}\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "import json; print(json.dumps([*sys.modules]), file=sys.__stdout__)"
    )
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout.splitlines()[-1]))


def heavy(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules} & set(HEAVY)


@pytest.mark.parametrize("module", ["m2s_index", "m2s_index.types", "m2s_index.errors", "m2s_index.encoders"])
def test_importing_the_library(module):
    """Importing the library loads none of what it works with (its types need NumPy to be written down)."""
    assert heavy(loaded(f"import {module}")) <= ({"numpy"} if module.endswith("types") else set())


@pytest.mark.parametrize("arguments", [["--help"], ["index", "--help"]])
def test_help(arguments):
    """Help loads click and little else: no heavy module, and nothing of the library but what is light."""
    modules = loaded("from m2s_index.cli.main import main; main(sys.argv[1:])", *arguments)
    assert heavy(modules) == set()
    ours = {
        module for module in modules if module.startswith("m2s_index.") and not module.startswith("m2s_index.cli")
    }
    assert ours <= {f"m2s_index.{name}" for name in ("encoders", "errors", "names", "files", "types")}


def test_one_command_waits_for_no_other():
    """A command loads its own module of commands, not those beside it."""
    modules = loaded("from m2s_index.cli.main import main; main(sys.argv[1:])", "eval", "retrieval", "--help")
    assert "m2s_index.cli.eval" in modules
    assert not modules & {f"m2s_index.cli.{name}" for name in ("demo", "eval_lvu", "index", "query", "train")}


@pytest.mark.parametrize("output", ["--json", "--format=table"])
def test_query(built_catalog, output):
    """A query from a cold start loads neither networks nor decoders, nor what only writers need."""
    run = "from m2s_index.cli.main import main; main(sys.argv[1:])"
    modules = loaded(run, "query", "--scene", "Short#0", output, "--catalog", built_catalog)
    assert heavy(modules) == {"faiss", "numpy"}


def test_contact_sheet(built_catalog, tmp_path):
    """A contact sheet needs pictures, but no decoder of film."""
    run = "from m2s_index.cli.main import main; main(sys.argv[1:])"
    arguments = ("query", "--scene", "Short#0", "--html", tmp_path / "x.html", "--catalog", built_catalog)
    assert not heavy(loaded(run, *arguments)) & {"torch", "timm", "av", "alembic"}


@pytest.mark.parametrize("command", ["status", "verify"])
def test_looking_at_a_catalogue(built_catalog, command):
    """Neither status nor verify loads a network or a migration."""
    run = "from m2s_index.cli.main import main; main(sys.argv[1:])"
    modules = loaded(run, "index", command, "--json", "--catalog", built_catalog)
    assert not heavy(modules) & {"torch", "timm", "av", "alembic"}


def test_building_loads_no_network(films, tmp_path):
    """A build with the default encoder loads no torch."""
    run = "from m2s_index.cli.main import main; main(sys.argv[1:])"
    arguments = ("index", "build", films / "Short.mp4", "--workers", "1", "--catalog", tmp_path / "c")
    # Decoders are spawned: they import the main module, which here has no file.
    assert not heavy(loaded(run, *arguments)) & {"torch", "timm", "torchvision"}


def test_mining_loads_no_network(catalog_of_movies, tmp_path):
    """Scene pairs are mined, and their page written, without torch; only E_movie needs it."""
    run = "from m2s_index.cli.main import main; main(sys.argv[1:])"
    files = ("--out", tmp_path / "p.csv", "--html", tmp_path / "p.html", "--catalog", catalog_of_movies)
    assert not heavy(loaded(run, "train", "mine", "--signal", "genre", *files)) & {"torch", "timm", "av", "alembic"}
