"""Importing torchvision where its compiled half does not fit the installed torch.

timm needs torchvision, if only its pure-Python parts. The registry's torchvision is a CUDA build; beside a
CPU build of torch its library does not load, and the import ends in "operator torchvision::nms does not
exist", because it describes an operator that nobody defined. Defining the operator's schema is enough: it
stays without a kernel, and calling it still fails. Nothing happens where the two match.
"""

from __future__ import annotations

import importlib
import re
from types import ModuleType

from m2s_index.errors import EncoderError

_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")
_SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def import_torchvision() -> ModuleType:
    """torchvision, imported; operators that its compiled half should have defined are declared.

    Raises:
        EncoderError: torchvision is missing or fails to import for another reason.
    """
    import torch

    for _ in range(len(_SCHEMAS) + 1):
        try:
            return importlib.import_module("torchvision")
        except RuntimeError as exc:
            found = _MISSING.search(str(exc))
            if found is None or found[1] not in _SCHEMAS:
                raise EncoderError(_message(str(exc))) from exc
            torch.library.define(f"torchvision::{found[1]}", _SCHEMAS[found[1]])
        except ImportError as exc:
            raise EncoderError(_message(str(exc))) from exc
    raise EncoderError(_message("its operators stay unknown after they were declared"))


def _message(reason: str) -> str:
    return f"torchvision cannot be imported ({reason}); install the torchvision built for the installed torch"
