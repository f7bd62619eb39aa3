"""The built distribution: what is in it, and that it runs where nothing of the checkout is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"m2s_index": "m2s_index", "encoders": "m2s_index/encoders", "cli": "m2s_index/cli",
           "migrations": "m2s_index/migrations"}  # fmt: skip
DATA = ("fisher.json", "fisher.safetensors", "place.json")

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "M2S"))}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The sdist, and the wheel that is built from it, with the tools that are here."""
    pytest.importorskip("build")
    pytest.importorskip("setuptools")
    copy, out = tmp_path_factory.mktemp("source") / "m2s", tmp_path_factory.mktemp("dist")
    nothing = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("m2s_index", "encoders", "cli", "migrations", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=nothing)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    for kind, source in (("--sdist", copy), ("--wheel", None)):
        if source is None:
            (sdist,) = out.glob("*.tar.gz")
            with tarfile.open(sdist) as archive:
                archive.extractall(out / "unpacked", filter="data")
            (source,) = (out / "unpacked").iterdir()
        built = run(sys.executable, "-m", "build", kind, "--no-isolation", "--outdir", out, source, cwd=out)
        assert built.returncode == 0, built.stdout + built.stderr
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(distributions, tmp_path_factory):
    """A Python with nothing but the wheel; what the wheel depends on is lent by the one that runs this."""
    folder = tmp_path_factory.mktemp("venv")
    assert run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder).returncode == 0
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    before = {path.name for path in site.iterdir()}
    installer = run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        distributions[1],
        cwd=folder,
    )
    assert installer.returncode == 0, installer.stdout + installer.stderr
    new = {path.name for path in site.iterdir()} - before
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder, site, new


def test_wheel_holds_every_module(distributions):
    """Every module of the four folders is in the wheel, under one import root."""
    with zipfile.ZipFile(distributions[1]) as wheel:
        names = set(wheel.namelist())
    for folder, place in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{place}/{path.relative_to(ROOT / folder).as_posix()}" in names
    assert "m2s_index/py.typed" in names


def test_nothing_else_is_in_the_wheel(distributions):
    """At the top level there are ``m2s_index`` and the metadata; no tests, no caches, and of data the encoders'."""
    with zipfile.ZipFile(distributions[1]) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"m2s_index"}
    others = {name for name in names if not name.endswith((".py", "py.typed")) and ".dist-info/" not in name}
    assert others == {f"m2s_index/encoders/data/{name}" for name in DATA}


def test_the_weights_are_in_both_distributions(distributions):
    """To the byte, and the wheel is no larger than they make it."""
    with zipfile.ZipFile(distributions[1]) as wheel:
        for name in DATA:
            assert wheel.read(f"m2s_index/encoders/data/{name}") == (ROOT / "encoders" / "data" / name).read_bytes()
    with tarfile.open(distributions[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"encoders/data/{name}" for name in DATA} <= names
    assert distributions[1].stat().st_size < 26_000_000


def test_licence(distributions):
    """The licence is in both distributions."""
    with zipfile.ZipFile(distributions[1]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
        assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()
        (metadata,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        assert b"License-Expression: Apache-2.0" in wheel.read(metadata)
    with tarfile.open(distributions[0]) as sdist:
        assert any(name.count("/") == 1 and name.endswith("/LICENSE") for name in sdist.getnames())


def test_only_one_name_in_site_packages(installed):
    """An installation adds one package and its metadata, nothing that another distribution might be called."""
    _, _, new = installed
    assert {name for name in new if not name.endswith(".dist-info")} == {"m2s_index"}
    assert len(new) == 2


def test_runs_from_the_wheel(installed, films, tmp_path):
    """From the wheel, far from the checkout: help, a migration, a build with its decoders, and a query."""
    folder, site, _ = installed
    m2s = folder / "bin" / "m2s"
    helped = run(m2s, "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    assert "index" in helped.stdout
    migrated = run(
        folder / "bin" / "python", "-c",
        "from pathlib import Path; from m2s_index.catalog import Catalog; import m2s_index.cli, m2s_index.encoders;"
        "Catalog.open(Path('made'), create=True).close();"
        "print(m2s_index.__file__, m2s_index.cli.__file__, m2s_index.encoders.__file__)",
        cwd=tmp_path,
    )  # fmt: skip
    assert migrated.returncode == 0, migrated.stderr
    assert all(Path(path).is_relative_to(site) for path in migrated.stdout.split())
    built = run(m2s, "index", "build", films / "Short.mp4", "--catalog", "made", "--workers", "1", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    assert run(m2s, "query", "--scene", "Short#0", "--catalog", "made", cwd=tmp_path).returncode == 0
    embedded = run(m2s, "index", "build", "--encoder", "fisher", "--catalog", "made", cwd=tmp_path)
    assert embedded.returncode == 0, embedded.stderr
    assert run(m2s, "index", "verify", "--catalog", "made", cwd=tmp_path).returncode == 0
    assert "fisher" in run(m2s, "encoders", "list", "--catalog", "made", cwd=tmp_path).stdout


def test_every_package_is_listed(distributions):
    """The sdist holds the four folders and what building needs."""
    with tarfile.open(distributions[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            assert path.relative_to(ROOT).as_posix() in names
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names
