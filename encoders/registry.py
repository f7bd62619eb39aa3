"""Which encoders there are, by name. One literal dict; networks are imported only when one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from m2s_index.encoder import AnyEncoder, Encoder
from m2s_index.encoders.record import EncoderRecord
from m2s_index.encoders.shipped import completed
from m2s_index.errors import UsageError

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Options:
    """How an encoder is to run; None leaves the choice to the encoder."""

    weights: Path | None = None
    device: str | None = None
    precision: Precision | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Entry:
    """A record to show and a function that makes the encoder from its full name and options; ``ships`` says that
    it needs nothing but the package.
    """

    record: EncoderRecord
    make: Callable[[str, Options], AnyEncoder]
    ships: bool = False


def _gist(name: str, options: Options) -> AnyEncoder:
    from m2s_index.encoders.gist import GistEncoder

    if options.weights is not None:
        raise UsageError(f"encoder {name} has no weights; leave out the weights file {options.weights}")
    _check_numpy_only(name, options)
    return GistEncoder()


def _fisher(name: str, options: Options) -> AnyEncoder:
    from m2s_index.encoders.fisher import WEIGHTS, load_fisher

    _check_numpy_only(name, options)
    return load_fisher(options.weights or WEIGHTS)


def _check_numpy_only(name: str, options: Options) -> None:
    """Refuse what an encoder that is no network would overlook."""
    if options.device not in (None, "cpu"):
        raise UsageError(f"encoder {name} runs on the CPU only; leave out the device {options.device!r}")
    if options.precision not in (None, "fp32"):
        raise UsageError(f"encoder {name} computes in fp32 only; leave out the precision")
    if options.threads not in (None, 1):
        raise UsageError(f"encoder {name} computes in one thread; leave out the threads")


def _clip(name: str, options: Options) -> AnyEncoder:
    from m2s_index.encoders.timm_image import CLIP_MODEL, load_timm

    return load_timm(
        name,
        CLIP_MODEL,
        keep_head=True,
        crop_fraction=1.0,
        weights=options.weights,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
    )


def _timm(name: str, options: Options) -> AnyEncoder:
    from m2s_index.encoders.timm_image import load_timm

    return load_timm(
        name,
        name.removeprefix("timm:"),
        weights=options.weights,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
    )


def _slowfast(name: str, options: Options) -> AnyEncoder:
    from m2s_index.encoders.slowfast import load

    return load(
        name,
        weights=options.weights,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
    )


def _trained(name: str, options: Options) -> AnyEncoder:
    from m2s_index.encoders import scene_encoder, shot_encoder
    from m2s_index.encoders.training.checkpoint import read_header

    if options.weights is not None:
        raise UsageError(f"encoder {name} is its own weights; leave out the weights file {options.weights}")
    of_scenes = read_header(Path(name)).get("kind") == scene_encoder.KIND
    load = scene_encoder.load_scene_encoder if of_scenes else shot_encoder.load_shot_encoder
    return load(Path(name), device=options.device, precision=options.precision, threads=options.threads)


ENCODERS: dict[str, Entry] = {
    "gist": Entry(
        EncoderRecord(
            name="gist",
            dimension=512,
            weights="none",
            licence="Apache-2.0 (part of m2s)",
            source="Oliva and Torralba, IJCV 42(3), 2001",
            description="oriented filter energies on a grid: layout and texture; works offline, on the CPU",
            input_px=128,
            size_bytes=0,
        ),
        _gist,
        ships=True,
    ),
    "fisher": Entry(
        EncoderRecord(
            name="fisher",
            dimension=512,
            weights="part of m2s",
            licence="Apache-2.0 (part of m2s)",
            source="Perronnin, Sánchez and Mensink, ECCV 2010, fitted by benchmarks/train_shipped.py",
            description="what a picture is made of, beside gist; fitted without labels; works offline, on the CPU",
            input_px=160,
        ),
        _fisher,
        ships=True,
    ),
    "clip": Entry(
        EncoderRecord(
            name="clip",
            dimension=512,
            weights="hub: timm/vit_base_patch16_clip_224.openai, or --weights FILE",
            licence="MIT (openai/CLIP)",
            source="Radford et al., ICML 2021",
            description="CLIP ViT-B/16 image encoder with its projection: what is in the picture",
            input_px=224,
            mean=(0.48145466, 0.4578275, 0.40821073),
            std=(0.26862954, 0.26130258, 0.27577711),
        ),
        _clip,
    ),
    "slowfast_r101": Entry(
        EncoderRecord(
            name="slowfast_r101",
            dimension=2304,
            weights="--weights FILE: the authors' checkpoint",
            licence="Apache-2.0 (facebookresearch/SlowFast)",
            source="Feichtenhofer et al., ICCV 2019",
            description="SlowFast 8×8 R101: what moves; 64 frames from the middle of each scene",
            input_px=256,
            mean=(0.45, 0.45, 0.45),
            std=(0.225, 0.225, 0.225),
        ),
        _slowfast,
    ),
    "timm:": Entry(
        EncoderRecord(
            name="timm:<model>",
            dimension=None,
            weights="hub, or --weights FILE",
            licence="the model's own",
            source="timm (Wightman)",
            description="any image model of timm, pooled features, e.g. timm:resnet50.a1_in1k",
        ),
        _timm,
    ),
    ".safetensors": Entry(
        EncoderRecord(
            name="<file>.safetensors",
            dimension=None,
            weights="the file itself",
            licence="your own",
            source="'m2s train shot' or 'scene', as in Movies2Scenes (Chen et al., CVPR 2023)",
            description="E_shot or E_scene, trained on one's own films: the path of the file that training wrote",
        ),
        _trained,
    ),
}
"""By exact name; for a key that ends in a colon, by prefix; for one that begins with a dot, by ending."""


def list_encoders() -> tuple[EncoderRecord, ...]:
    """What ``make_encoder`` can make, in the order to show; imports no network."""
    return tuple(completed(entry.record) for entry in ENCODERS.values())


def shipped_encoders() -> Iterator[Encoder]:
    """Those that need nothing but the package, ready to run."""
    for name, entry in ENCODERS.items():
        if entry.ships:
            yield cast(Encoder, entry.make(name, Options()))


def make_encoder(
    name: str,
    *,
    weights: Path | None = None,
    device: str | None = None,
    precision: Precision | None = None,
    threads: int | None = None,
) -> AnyEncoder:
    """The encoder of that name, ready to run.

    Args:
        name: ``gist``, ``fisher``, ``clip``, ``slowfast_r101``, ``timm:<model>``, or the path of a file that was
            trained.
        weights: a local file (.safetensors, .pt, .pth; for SlowFast also Caffe2's .pkl); None takes the hub's
            cache, then the hub.
        device: ``cpu``, ``cuda`` or ``cuda:N``; None takes CUDA where there is one.
        precision: None takes bf16 on CUDA and fp32 on the CPU.
        threads: how many CPU threads a network may use (a setting of the whole process); None leaves it.

    Raises:
        UsageError: the name, device, precision or number of threads cannot be.
        WeightsError: the weights are missing, damaged or of another model.
    """
    if precision not in (None, "fp32", "bf16"):
        raise UsageError(f"precision {precision!r}: choose fp32 or bf16")
    if threads is not None and threads < 1:
        raise UsageError(f"threads {threads}: give at least 1")
    prefix, colon, model = name.partition(":")
    ending = Path(name).suffix
    entry = ENCODERS.get(ending if ending in ENCODERS else prefix + colon)
    if entry is None or (colon and not model):
        valid = ", ".join(entry.record.name for entry in ENCODERS.values())
        raise UsageError(f"unknown encoder {name!r}; choose one of: {valid}")
    return entry.make(name, Options(weights, device, precision, threads))
