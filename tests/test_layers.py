"""The arrows of the design, read from the source: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "m2s_index": ROOT / "m2s_index",
    "m2s_index.encoders": ROOT / "encoders",
    "m2s_index.cli": ROOT / "cli",
    "m2s_index.migrations": ROOT / "migrations",
}
LIGHT_FOR_CLI = {"m2s_index", "m2s_index.encoders", "m2s_index.errors", "m2s_index.files", "m2s_index.names"}
"""What commands may import before they run, besides each other."""
KNOWLEDGE = {"types", "errors", "scenes", "titles", "names", "refs", "files", "metadata", "labels", "metrics"}
CATALOGUE = {
    "db", "reading", "sessions", "schema", "settings", "catalog", "movies", "matrices", "matrix_writer", "migrate",
    "checks.values",
}  # fmt: skip
WORK = {
    "build", "plan", "assembly", "embed", "search", "search_state", "verify", "status", "index_file", "index_writer"
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One import: who, what, at which line; ``running`` where only running a function makes it."""

    importer: str
    module: str
    line: int
    running: bool
    relative: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.module}"


def modules() -> dict[str, Path]:
    """Every module of ours by its import name."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join((package, *parts)).removesuffix(".__init__")
            found[name] = path
    return found


def imports() -> Iterator[Import]:
    """Every import in them, also those inside functions, but not those for type checkers alone."""
    ours = modules()
    for name, path in ours.items():
        yield from _imports(name, ast.parse(path.read_text("utf-8")), ours, running=False)


def _imports(name: str, node: ast.AST, ours: dict[str, Path], *, running: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield from _imports(name, other, ours, running=running)
        elif isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(name, alias.name, child.lineno, running, relative=False)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                module = child.module or ""
                whole = f"{module}.{alias.name}"
                yield Import(name, whole if whole in ours else module, child.lineno, running, child.level > 0)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(name, child, ours, running=running or inside)


ALL = list(imports())


def layer(module: str) -> str:
    """Which of the four folders a module of ours is in; "" for others'."""
    for package in ("m2s_index.encoders", "m2s_index.cli", "m2s_index.migrations", "m2s_index"):
        if module == package or module.startswith(package + "."):
            return package
    return ""


def test_the_test_sees_the_source():
    """All four folders are read, and the imports that are known to be there are found."""
    assert {layer(name) for name in modules()} == set(FOLDERS)
    assert any(i.importer == "m2s_index.cli.build" and i.module == "m2s_index.build" and i.running for i in ALL)
    assert any(i.importer == "m2s_index.catalog" and i.module == "m2s_index.db" and not i.running for i in ALL)


@pytest.mark.parametrize(
    ("importer", "never"),
    [
        ("m2s_index", {"m2s_index.encoders", "m2s_index.cli"}),
        ("m2s_index.encoders", {"m2s_index.cli", "m2s_index.migrations"}),
        ("m2s_index.cli", {"m2s_index.migrations"}),
        ("m2s_index.migrations", {"m2s_index.encoders", "m2s_index.cli"}),
    ],
)
def test_arrows_between_folders(importer, never):
    """The library knows no encoder and no command, encoders know no command."""
    assert [str(i) for i in ALL if layer(i.importer) == importer and layer(i.module) in never] == []


def test_only_the_migrator_knows_the_migrations():
    """Alembic and the migrations are reached through one module."""
    found = {
        i.importer for i in ALL if layer(i.module) == "m2s_index.migrations" and layer(i.importer) == "m2s_index"
    }
    assert found == {"m2s_index.migrate"}
    at_start = {i.importer for i in ALL if i.module.startswith("alembic") and not i.running}
    assert {layer(importer) for importer in at_start} <= {"m2s_index.migrations"}


def test_migrations_import_the_schema_alone():
    """Migrations see the models and nothing else; the steps themselves see not even those."""
    for i in ALL:
        if layer(i.importer) == "m2s_index.migrations" and layer(i.module):
            assert i.module in ("m2s_index.schema", "m2s_index.db"), str(i)
            assert not i.importer.startswith("m2s_index.migrations.versions"), str(i)


def test_encoders_import_little_of_the_library():
    """An encoder needs pictures and errors: no catalogue, no build, no search."""
    forbidden = {f"m2s_index.{name}" for name in CATALOGUE | WORK}
    assert [str(i) for i in ALL if layer(i.importer) == "m2s_index.encoders" and i.module in forbidden] == []


def test_arrows_inside_the_library():
    """What is known does not know who stores it, and what is stored does not know who works with it."""
    work = {f"m2s_index.{name}" for name in WORK}
    for name in CATALOGUE | {"types", "errors", "scenes", "names", "files", "titles"}:
        assert [str(i) for i in ALL if i.importer == f"m2s_index.{name}" and i.module in work] == []
    for name in ("types", "errors", "names", "titles"):
        allowed = {"m2s_index.errors"} if name != "errors" else set()
        found = {i.module for i in ALL if i.importer == f"m2s_index.{name}" and layer(i.module)}
        assert found <= allowed, name
    for name in ("video", "clips", "extract", "wire", "workers", "shots", "keyframe_picker", "bars"):
        known = {f"m2s_index.{part}" for part in CATALOGUE}
        assert [str(i) for i in ALL if i.importer == f"m2s_index.{name}" and i.module in known] == []


def test_names_are_absolute():
    """There are no relative imports, and the folders' bare names are never imported: that is a second module."""
    for i in ALL:
        assert not i.relative, str(i)
        assert i.module.partition(".")[0] not in ("encoders", "cli", "migrations"), str(i)


def test_every_import_of_ours_is_there():
    """No import names a module that is not in the four folders."""
    ours = modules()
    assert [str(i) for i in ALL if layer(i.module) and i.module not in ours] == []


def test_commands_import_click_alone():
    """Modules of commands import the standard library, click, each other and what is light; the rest inside
    the function that needs it.
    """
    import sys

    for i in ALL:
        if layer(i.importer) == "m2s_index.cli" and not i.running:
            top = i.module.partition(".")[0]
            light = layer(i.module) == "m2s_index.cli" or i.module in LIGHT_FOR_CLI
            assert top in sys.stdlib_module_names or top == "click" or light, str(i)


def test_only_commands_print():
    """The library and the encoders neither print nor end the process."""
    for name, path in modules().items():
        if layer(name) == "m2s_index.cli":
            continue
        body = ast.parse(path.read_text("utf-8")).body
        # Some modules say, run as programs, how their constants came about.
        imported = [
            part for part in body if not (isinstance(part, ast.If) and "__main__" in ast.unparse(part.test))
        ]
        for node in (node for part in imported for node in ast.walk(part)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "exit", "sys.exit", "sys.stdout.write"), f"{name}:{node.lineno}"


def test_one_module_opens_films():
    """PyAV opens files for reading in one module; other modules of the library do not."""
    opening = [
        name
        for name, path in modules().items()
        if "av.open(" in path.read_text("utf-8") and not name.startswith("m2s_index.procedural")
    ]
    assert opening == ["m2s_index.video"]
