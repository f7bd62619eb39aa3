"""The published SlowFast R101 checkpoints: reading their three layouts, and telling which network each is of.

PySlowFast's own files fit as they are; PyTorchVideo's and Caffe2's have their own names for the same layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from m2s_index.encoders.caffe2_pickle import read_caffe2
from m2s_index.encoders.slowfast_network import BLOCKS, SlowFast, Variant
from m2s_index.encoders.weights import fill, read_weights
from m2s_index.errors import WeightsError

AVA_CLASSES = 80
"""Networks with so many outputs were trained for detection, with a dilated last stage."""
_ZIP = b"PK"
_OLD_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch's files began until 1.5: its magic number, pickled."""

Names = Sequence[tuple[str, str]]

_PYTORCHVIDEO: Names = (
    (r"s1\.multipathway_blocks\.(\d)\.conv", "s1.pathway{0}_stem.conv"),
    (r"s1\.multipathway_blocks\.(\d)\.norm", "s1.pathway{0}_stem.bn"),
    (r"s(\d)\.multipathway_fusion\.conv_fast_to_slow", "s{0}_fuse.conv_f2s"),
    (r"s(\d)\.multipathway_fusion\.norm", "s{0}_fuse.bn"),
    (r"s(\d)\.multipathway_blocks\.(\d)\.res_blocks\.(\d+)\.branch1_conv", "s{0}.pathway{1}_res{2}.branch1"),
    (r"s(\d)\.multipathway_blocks\.(\d)\.res_blocks\.(\d+)\.branch1_norm", "s{0}.pathway{1}_res{2}.branch1_bn"),
    (
        r"s(\d)\.multipathway_blocks\.(\d)\.res_blocks\.(\d+)\.branch2\.conv_([abc])",
        "s{0}.pathway{1}_res{2}.branch2.{3}",
    ),
    (
        r"s(\d)\.multipathway_blocks\.(\d)\.res_blocks\.(\d+)\.branch2\.norm_([abc])",
        "s{0}.pathway{1}_res{2}.branch2.{3}_bn",
    ),
    (r"s7\.proj", "head.projection"),
)
"""Layers of PyTorchVideo, whose ``blocks.0`` is called s1 here, and so on."""

_CAFFE2: Names = (
    (r"conv1", "s1.pathway{pathway}_stem.conv"),
    (r"res_conv1_bn", "s1.pathway{pathway}_stem.bn"),
    (r"res(\d)_(\d+)_branch1((?:_bn)?)", "s{0}.pathway{pathway}_res{1}.branch1{2}"),
    (r"res(\d)_(\d+)_branch2([abc](?:_bn)?)", "s{0}.pathway{pathway}_res{1}.branch2.{2}"),
    (r"pool1_subsample", "s1_fuse.conv_f2s"),
    (r"pool1_subsample_bn", "s1_fuse.bn"),
    (r"res(\d)_\d+_branch2c_bn_subsample", "s{0}_fuse.conv_f2s"),
    (r"res(\d)_\d+_branch2c_bn_subsample_bn", "s{0}_fuse.bn"),
    (r"nonlocal_conv(\d)_(\d+)_(theta|phi|g|out)", "s{0}.pathway{pathway}_nonlocal{1}.conv_{2}"),
    (r"nonlocal_conv(\d)_(\d+)_bn", "s{0}.pathway{pathway}_nonlocal{1}.bn"),
    (r"pred", "head.projection"),
)
"""Layers of Caffe2; those of the fast pathway begin with ``t_`` there, which is taken off before."""
_CAFFE2_PARAMETERS = {"w": "weight", "b": "bias", "s": "weight", "rm": "running_mean", "riv": "running_var"}


def load_slowfast(path: Path) -> tuple[SlowFast, Variant]:
    """The network that a checkpoint is of, filled from it: every number in it has its place, and none is left.

    Raises:
        WeightsError: the file is missing, unsafe or damaged, or of another network.
    """
    tensors = read_checkpoint(path)
    variant = variant_of(tensors)
    with torch.device("meta"):
        network = SlowFast(variant)
    for name in network.state_dict():
        # How many batches training saw: Caffe2 does not say, and nobody asks.
        if name.endswith("num_batches_tracked"):
            tensors.setdefault(name, torch.zeros((), dtype=torch.int64))
    fill(network, tensors, path, assign=True)
    return network, variant


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors by PySlowFast's names, float32; names of no layer stay as they are.

    Raises:
        WeightsError: the file is missing, unsafe or damaged.
    """
    if _is_bare_pickle(path):
        return {_caffe2_name(name): torch.from_numpy(blob) for name, blob in read_caffe2(path).items()}
    tensors = {_pytorchvideo_name(name): value for name, value in read_weights(path).items()}
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def variant_of(tensors: Mapping[str, Tensor]) -> Variant:
    """Which network tensors are of, by their names and shapes; what they do not say is as published.

    Dilation leaves no trace in the numbers: the classifier's size tells networks trained on AVA, which have it.
    """
    classifier = tensors.get("head.projection.weight")
    classes = Variant().classes if classifier is None else classifier.shape[0]
    found = (re.fullmatch(r"s4\.pathway0_nonlocal(\d+)\.conv_theta\.weight", name) for name in tensors)
    return Variant(
        slow_temporal=_temporal_blocks(tensors, 0),
        fast_temporal=_temporal_blocks(tensors, 1),
        nonlocal_blocks=tuple(sorted(int(match[1]) for match in found if match)),
        dilated=classes == AVA_CLASSES,
        classes=classes,
    )


def _temporal_blocks(tensors: Mapping[str, Tensor], pathway: int) -> int:
    """How many of the fourth stage's blocks have a kernel of 3 frames."""
    names = (f"s4.pathway{pathway}_res{number}.branch2.a.weight" for number in range(BLOCKS[2]))
    return sum(name in tensors and tensors[name].ndim == 5 and tensors[name].shape[2] == 3 for name in names)


def _is_bare_pickle(path: Path) -> bool:
    """Whether a file is neither safetensors nor torch's, whatever its name: both zoos call some .pkl."""
    if path.suffix == ".safetensors" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return not file.read(len(_OLD_TORCH)).startswith((_ZIP, _OLD_TORCH))
    except OSError as exc:
        raise WeightsError(f"{path}: cannot be read ({exc.strerror}); check its permissions") from exc


def _pytorchvideo_name(name: str) -> str:
    numbered = re.sub(r"^blocks\.(\d)\.", lambda match: f"s{int(match[1]) + 1}.", name)
    layer, _, parameter = numbered.rpartition(".")
    renamed = _renamed(layer, _PYTORCHVIDEO)
    return f"{renamed}.{parameter}" if renamed else name


def _caffe2_name(name: str) -> str:
    layer, _, parameter = name.removeprefix("t_").rpartition("_")
    renamed = _renamed(layer, _CAFFE2, pathway=1 if name.startswith("t_") else 0)
    return f"{renamed}.{_CAFFE2_PARAMETERS[parameter]}" if renamed and parameter in _CAFFE2_PARAMETERS else name


def _renamed(layer: str, names: Names, **known: int) -> str | None:
    for pattern, template in names:
        if match := re.fullmatch(pattern, layer):
            return template.format(*match.groups(), **known)
    return None
