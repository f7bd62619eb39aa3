"""How well encoders without training tell places apart, and how fast: precision at 1, 5, 10 and ms a frame.

    python benchmarks/descriptor.py FOLDER [--encoder gist] [--weights FILE]

FOLDER holds train/<class>/*.jpg (the gallery) and test/<class>/*.jpg (the queries). A hit is a gallery item
of the query's class among the k nearest by cosine; ties break by file order. A scene is nine photographs of
one class in the order of their names, their features averaged; the remainder of a class is dropped. The
baseline is the picture itself at 16×16, less the gallery's mean.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy loads: the speed printed is that of one thread

import numpy as np
from PIL import Image as PILImage

from m2s_index.encoder import Encoder
from m2s_index.encoders.registry import make_encoder
from m2s_index.types import Float32Array, Image, Int64Array

KS = (1, 5, 10)
SCENE_PHOTOGRAPHS = 9


@dataclass(frozen=True)
class Items:
    """Features float32 [N, D] and class numbers int64 [N]."""

    features: Float32Array
    classes: Int64Array

    def scenes(self) -> Items:
        """Means over nine items of a class, in order; each class's remainder is dropped."""
        means, classes = [], []
        for number in np.unique(self.classes):
            rows = self.features[self.classes == number]
            whole = rows[: len(rows) // SCENE_PHOTOGRAPHS * SCENE_PHOTOGRAPHS]
            means.append(whole.reshape(-1, SCENE_PHOTOGRAPHS, rows.shape[1]).mean(1))
            classes += [number] * len(means[-1])
        return Items(np.concatenate(means), np.asarray(classes, np.int64))


def precisions(queries: Items, gallery: Items) -> list[float]:
    """Mean precision at each of KS, per cent, by cosine."""
    scores = unit(queries.features) @ unit(gallery.features).T
    order = np.argsort(-scores, axis=1, kind="stable")
    hits = gallery.classes[order] == queries.classes[:, None]
    return [100 * float(hits[:, :k].mean()) for k in KS]


def unit(rows: Float32Array) -> Float32Array:
    """Rows scaled to unit length; rows of zeros stay."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def photographs(folder: Path) -> tuple[list[Image], Int64Array]:
    """All pictures of a split and their class numbers, in the order of class and file names."""
    pictures: list[Image] = []
    classes: list[int] = []
    for number, place in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in sorted(place.glob("*.jpg")):
            with PILImage.open(path) as picture:
                pictures.append(np.asarray(picture.convert("RGB")))
            classes.append(number)
    if not pictures:
        raise SystemExit(f"{folder}: no <class>/*.jpg in it")
    return pictures, np.asarray(classes, np.int64)


def encode(encoder: Encoder, pictures: Sequence[Image]) -> Float32Array:
    """Features of all pictures, in batches."""
    starts = range(0, len(pictures), encoder.batch_size)
    return np.concatenate([encoder.encode_frames(pictures[i : i + encoder.batch_size]) for i in starts])


def tiny(pictures: Sequence[Image], side_px: int = 16) -> Float32Array:
    """The baseline: each picture's grey values at 16×16, float32 [N, 256]."""
    small = [PILImage.fromarray(p).convert("L").resize((side_px, side_px)) for p in pictures]
    return np.stack([np.asarray(s, np.float32).ravel() for s in small])


def milliseconds(encoder: Encoder, width_px: int, height_px: int, repeats: int = 60) -> float:
    """Median time of one frame, each encoded alone where the encoder does not batch."""
    frame = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    frames = [frame] * (1 if encoder.batch_size >= 32 else encoder.batch_size)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        encoder.encode_frames(frames)
        times.append((time.perf_counter() - start) / len(frames))
    return 1000 * float(np.median(times[1:]))


def show(name: str, queries: Items, gallery: Items) -> None:
    """One line: precision per photograph and per scene."""
    alone, scenes = precisions(queries, gallery), precisions(queries.scenes(), gallery.scenes())
    figures = "  ".join(f"{value:5.1f}" for value in alone) + "   |  " + "  ".join(f"{v:5.1f}" for v in scenes)
    print(f"{name:24s} {figures}")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", default="gist", help="name as in `m2s encoders list` (default: gist)")
    parser.add_argument("--weights", type=Path, help="weights file, for encoders that need one")
    options = parser.parse_args()
    encoder = make_encoder(options.encoder, weights=options.weights, threads=1)
    train, train_classes = photographs(options.folder / "train")
    test, test_classes = photographs(options.folder / "test")
    print(f"{len(test)} queries, {len(train)} in the gallery; columns: per photograph | per scene of nine")
    print(
        f"{'':24s} "
        + "  ".join(f"{f'P@{k}':>5s}" for k in KS)
        + "   |  "
        + "  ".join(f"{f'P@{k}':>5s}" for k in KS)
    )
    small = tiny(train)
    mean = small.mean(0)
    show("tiny image 16×16", Items(tiny(test) - mean, test_classes), Items(small - mean, train_classes))
    show(
        options.encoder,
        Items(encode(encoder, test), test_classes),
        Items(encode(encoder, train), train_classes),
    )
    for width, height in ((256, 256), (448, 252), (800, 332), (1280, 720), (1920, 1080)):
        print(f"{width}×{height}: {milliseconds(encoder, width, height):.2f} ms a frame")


if __name__ == "__main__":
    main()
