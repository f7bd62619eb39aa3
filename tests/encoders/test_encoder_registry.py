"""The registry's names, options and errors."""

from pathlib import Path

import pytest

from m2s_index.encoders.registry import ENCODERS, list_encoders, make_encoder
from m2s_index.errors import UsageError


def test_names_are_listed_once_with_their_records():
    """What is listed is what can be made."""
    records = list_encoders()
    assert [record.name for record in records] == [
        "gist",
        "fisher",
        "clip",
        "slowfast_r101",
        "timm:<model>",
        "<file>.safetensors",
    ]
    assert all(record.licence and record.source and record.description for record in records)
    assert set(ENCODERS) == {"gist", "fisher", "clip", "slowfast_r101", "timm:", ".safetensors"}


@pytest.mark.parametrize("name", ["", "gits", "timm", "timm:", "clip:x", "resnet50"])
def test_an_unknown_name_lists_the_valid_ones(name):
    """So that a typing mistake is mended at once."""
    with pytest.raises(UsageError, match=r"choose one of: gist, fisher, clip, slowfast_r101, timm:<model>"):
        make_encoder(name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": Path("x.safetensors")}, "no weights"),
        ({"device": "cuda"}, "CPU only"),
        ({"precision": "bf16"}, "fp32 only"),
        ({"precision": "fp8"}, "fp32 or bf16"),
        ({"threads": 0}, "at least 1"),
    ],
)
def test_options_that_gist_cannot_have(options, said):
    """An option that would be ignored is refused."""
    with pytest.raises(UsageError, match=said):
        make_encoder("gist", **options)


def test_gist_by_name():
    """Its record's dimension is its identity's."""
    encoder = make_encoder("gist", device="cpu", precision="fp32", threads=1)
    assert encoder.identity.name == "gist"
    assert encoder.identity.dimension == list_encoders()[0].dimension
