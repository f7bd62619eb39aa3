"""Files of tensors with a JSON header that says what they are: safetensors, no pickles, whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from m2s_index.encoders.weights import read_weights
from m2s_index.errors import TrainingError, UsageError, WeightsError, first_line
from m2s_index.files import sync_folder

_KEY = "m2s"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a file: to a temporary one beside it, synced and renamed.

    Raises:
        TrainingError: it cannot be written; what was at ``path`` is still there.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(whole, temporary, metadata={_KEY: json.dumps(header, sort_keys=True)})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
    except (OSError, SafetensorError) as exc:
        temporary.unlink(missing_ok=True)
        raise TrainingError(
            f"{path}: cannot be written ({first_line(exc)}); free the disk, or name another"
        ) from exc


def read_header(path: Path) -> dict[str, Any]:
    """What a file says it is.

    Raises:
        WeightsError: it is missing, no safetensors file, or none that m2s trained.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; name one that 'm2s train' made")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "null"))
    except (OSError, SafetensorError, ValueError) as exc:
        raise WeightsError(
            f"{path}: cannot be read as safetensors ({first_line(exc)}); pickles are not loaded: "
            "name a file that 'm2s train' made"
        ) from exc
    if not isinstance(header, dict):
        raise WeightsError(f"{path}: says nothing of how it was trained; name a file that 'm2s train' made")
    return header


def load_state(path: Path, expected: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a training that is to go on.

    Args:
        path: its checkpoint.
        expected: the header that the training would write now: its kind, its config, and what it learns from.

    Raises:
        WeightsError: the file is missing, damaged or no checkpoint of this kind.
        UsageError: the training was begun with other settings, or learned from something else.
    """
    header = read_header(path)
    if header.get("kind") != expected["kind"]:
        raise WeightsError(f"{path}: holds a {header.get('kind')!r}, not a {expected['kind']!r}")
    then, now = header.get("config", {}), expected["config"]
    changed = [f"{name} was {then.get(name)!r}, now {now[name]!r}" for name in now if then.get(name) != now[name]]
    if changed:
        raise UsageError(
            f"{path}: this training was begun with other settings: {'; '.join(changed)}. Resume it with the same, "
            "or begin another with a new --out"
        )
    for what in expected.keys() - {"kind", "config"}:
        if header.get(what) != expected[what]:
            raise UsageError(
                f"{path}: the {what} have changed since this training was begun; begin another with a new --out"
            )
    return read_weights(path)
