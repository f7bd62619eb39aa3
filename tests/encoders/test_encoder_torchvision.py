"""torchvision beside a torch that it was not built for, in processes of their own."""

import os
import subprocess
import sys

PRELUDE = """
import sys, torch
from m2s_index.encoders.torchvision_shim import import_torchvision
from m2s_index.errors import EncoderError

def declared():
    known = {schema.name for schema in torch._C._jit_get_all_schemas()}
    return [f"torchvision::{name}" in known for name in ("nms", "qnms")]
"""

MISMATCHED = """
import torch
@torch.library.register_fake("torchvision::nms")
def nms(dets, scores, iou_threshold):
    return dets
@torch.library.register_fake("torchvision::qnms")
def qnms(dets, scores, iou_threshold):
    return dets
"""

FAILURES = """
for package in ("torchvision", "other", "broken"):
    sys.path.insert(0, f"{root}/{package}")
    try:
        print("imported", declared(), import_torchvision().__file__.split("/")[-3])
    except EncoderError as exc:
        print(exc)
    sys.modules.pop("torchvision", None)
"""


def package(root, source):
    """A folder to put on the path, with a torchvision in it that consists of this source."""
    (root / "torchvision").mkdir(parents=True)
    (root / "torchvision" / "__init__.py").write_text(source)
    return root


def run(code, *path):
    """Run code after the prelude in a fresh process with folders before all others on its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    out = subprocess.run(
        [sys.executable, "-c", PRELUDE + code], env=environment, capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stderr
    return out.stdout.splitlines()


def test_missing_operators_are_declared(tmp_path):
    """A package that describes operators which nobody defined can be imported all the same."""
    folder = package(tmp_path, MISMATCHED)
    assert run("print(import_torchvision().__name__, declared())", folder) == ["torchvision [True, True]"]


def test_nothing_happens_where_the_two_match_and_other_failures_are_told(tmp_path):
    """One that imports is left alone, nothing declared; what no declaration mends says what to install."""
    package(tmp_path / "torchvision", "")
    package(tmp_path / "other", "raise RuntimeError('operator torchvision::x does not exist')")
    package(tmp_path / "broken", "raise ImportError('no file')")
    lines = run(f"root = {str(tmp_path)!r}" + FAILURES)
    remedy = "install the torchvision built for the installed torch"
    assert lines == [
        "imported [False, False] torchvision",
        f"torchvision cannot be imported (operator torchvision::x does not exist); {remedy}",
        f"torchvision cannot be imported (no file); {remedy}",
    ]
