"""Weights on disk: where the hub's cache keeps them, reading them, and fitting them to a network.

No pickles: a file is safetensors, or goes through ``torch.load(weights_only=True)``. Nothing is loaded in
part: every parameter of the network must be in the file, and the file may hold nothing else but the
classifier that was left off.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2s_index.errors import WeightsError, first_line

if TYPE_CHECKING:
    from torch import Tensor, nn

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_HUB_SECONDS = 5.0
_SHOWN_KEYS = 5
_LOG = logging.getLogger(__name__)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU.

    Raises:
        WeightsError: the file is missing, unreadable, damaged, or holds something else than tensors.
    """
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path, device="cpu"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice of torch's on files that are refused here anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # safetensors, zipfile, pickle and torch each raise their own
        wanted = "expected safetensors, or a state dict saved by torch.save (.pt, .pth, .bin)"
        # torch's own words advise to load it unsafely.
        unsafe = "it holds more than tensors, and could run code, or is no weights file"
        reason = unsafe if "weights_only" in str(exc) else first_line(exc)
        raise WeightsError(f"{path}: cannot be read as weights ({reason}); {wanted}") from exc
    for wrapper in ("state_dict", "model", "model_state"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise WeightsError(f"{path}: holds no state dict (names and tensors)")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def load_into(
    network: nn.Module,
    path: Path,
    *,
    dropped: tuple[str, ...] = (),
    convert: Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]] | None = None,
) -> None:
    """Fill a network from a file.

    Args:
        network: changed in place.
        path: the file.
        dropped: names of layers that the network leaves out and the file may have (the classifier).
        convert: brings another layout into the network's; tried where the names do not fit as they are.

    Raises:
        WeightsError: the file cannot be read or its names or shapes do not fit; some of them are listed.
    """
    tensors = read_weights(path)
    expected = network.state_dict()
    if convert is not None and _strangers(tensors, expected, dropped) != ([], []):
        try:
            tensors = convert(tensors, network)
        except Exception as exc:  # a converter made for other files may fail in any way on this one
            _LOG.debug("%s: not converted (%s)", path, first_line(exc))
    fill(network, tensors, path, dropped=dropped)


def fill(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    path: Path,
    *,
    dropped: tuple[str, ...] = (),
    assign: bool = False,
) -> None:
    """Give every parameter and buffer of a network its tensor.

    Args:
        network: changed in place.
        tensors: by the network's own names.
        path: where they come from, for messages.
        dropped: as in ``load_into``.
        assign: take the tensors themselves instead of copying into the network's own (one on ``meta``).

    Raises:
        WeightsError: names or shapes do not fit; some of them are listed.
    """
    expected = network.state_dict()
    problems = _misfit(tensors, expected, dropped)
    if problems:
        raise WeightsError(
            f"{path}: these weights are not of this model: {'; '.join(problems)}. "
            "Give the file saved from the same model, or choose the encoder that it belongs to"
        )
    network.load_state_dict({key: tensors[key] for key in expected}, assign=assign)


def hub_file(repository: str, filename: str | None = None) -> Path:
    """The weights of a hub repository: from the hub's cache, else downloaded into it.

    One request of a few seconds finds out whether the hub answers, since its own client tries again for
    almost half a minute.

    Raises:
        WeightsError: the file is neither in the cache nor to be had; the message says where to put it.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub import try_to_load_from_cache as cached

    names = (filename,) if filename else HUB_FILES
    for name in names:
        found = cached(repository, name)
        if isinstance(found, str):
            return Path(found)
    reason = "HF_HUB_OFFLINE is set"
    for name in () if constants.HF_HUB_OFFLINE else names:
        try:
            get_hf_file_metadata(hf_hub_url(repository, name), timeout=_HUB_SECONDS)
            return Path(hf_hub_download(repository, name, etag_timeout=_HUB_SECONDS))
        except Exception as exc:  # httpx, requests and the hub each raise their own
            reason = first_line(exc)
    raise WeightsError(
        f"no weights for {repository}: not in the hub's cache ({constants.HF_HUB_CACHE}), and the hub cannot "
        f"be reached ({reason}). On a machine with network, fetch {names[0]} from "
        f"https://huggingface.co/{repository} and pass it with --weights {names[0]}, or copy that machine's "
        f"folder {Path(constants.HF_HUB_CACHE) / ('models--' + repository.replace('/', '--'))} here"
    )


def _misfit(tensors: Mapping[str, Any], expected: Mapping[str, Tensor], dropped: tuple[str, ...]) -> list[str]:
    """What keeps the tensors from filling the expected ones exactly; empty where they fit."""
    missing, extra = _strangers(tensors, expected, dropped)
    shapes = [
        f"{key} is {list(tensors[key].shape)}, expected {list(value.shape)}"
        for key, value in expected.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    problems = [(f"{len(missing)} missing", missing), (f"{len(extra)} unknown", extra)]
    problems.append((f"{len(shapes)} of another shape", shapes))
    return [f"{what} ({_some(keys)})" for what, keys in problems if keys]


def _strangers(
    tensors: Mapping[str, Any], expected: Mapping[str, Any], dropped: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """Names that the tensors lack, and names that they have too many."""
    left_off = tuple(f"{layer}." for layer in dropped)
    extra = (key for key in tensors.keys() - expected.keys() if not key.startswith(left_off))
    return sorted(expected.keys() - tensors.keys()), sorted(extra)


def _some(keys: list[str]) -> str:
    more = f", … {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
    return ", ".join(keys[:_SHOWN_KEYS]) + more
