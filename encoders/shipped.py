"""What the package carries of its encoders besides code: how weights came about, and figures that were measured.

``data/<name>.json`` is written with the weights (``benchmarks/train_shipped.py``), ``data/place.json`` by
``benchmarks/pictures.py --record``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from m2s_index.encoders.record import EncoderRecord

DATA = Path(__file__).with_name("data")
PLACE = DATA / "place.json"


def completed(record: EncoderRecord) -> EncoderRecord:
    """The record with what is known of its weights, and how well it finds places, where that was measured."""
    made = DATA / f"{record.name}.json"
    if made.is_file():
        training = json.loads(made.read_text("utf-8"))
        record = replace(
            record,
            size_bytes=training["weights_bytes"],
            weights_sha256=training["weights_sha256"],
            training=training,
        )
    return replace(record, place=_place().get(record.name))


@cache
def _place() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PLACE.read_text("utf-8"))["encoders"]
    return found
