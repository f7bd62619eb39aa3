"""Damaged copies of films, what disks, lines and ill will do to them, all of it seeded; and what a build and a
plain loop over the decoder make of them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random

import av
from boxes import Box, find_boxes
from plain_builds import MeanColour

from m2s_index.build import Builder, BuildEvent
from m2s_index.catalog import Catalog
from m2s_index.lock import BuildLock
from m2s_index.plan import plan_build
from m2s_index.types import BuildOptions
from m2s_index.verify import verify_catalog
from m2s_index.workers import WorkerPool

FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm", ".ts": "mpegts", ".avi": "avi"}
REAL_PIECES = (
    ("his_girl_friday_1940_6s_480p.mp4", 0, ".mp4", {}),
    ("sintel_2010_trailer_204p.mp4", 14, ".mkv", {}),
    ("penny_and_chip_compilation_360p.mp4", 20, ".mp4", {"movflags": "frag_keyframe+empty_moov"}),
    ("elephants_dream_2006_first72s_360p.ts", 30, ".ts", {}),
    ("elephants_dream_2006_first72s_360p.ts", 50, ".avi", {}),
    ("tears_of_steel_2012_battle_332p.webm", 10, ".webm", {}),
)
"""Real films of which a piece is cut: from which second, into which container, and how that is written."""
WHOLE_REAL_FILM = "nasa_13013_180p.mp4"
PIECE_SECONDS = 2


@dataclass(frozen=True)
class Piece:
    """A sound film of a few seconds. ``name`` has its ending."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Mutant:
    """A damaged copy. The same piece, kind, seed and number give the same bytes."""

    piece: Piece
    kind: str
    number: int
    data: bytes

    @property
    def file_name(self) -> str:
        """A name of its own, with the ending that its container has."""
        return f"{self.number:06}{Path(self.piece.name).suffix}"


@dataclass(frozen=True)
class Fate:
    """What became of a mutant in a build.

    ``end`` is "indexed", "refused", "deadline" (no progress for too long: killed), "died" (the worker) or
    "same" (the damage changed nothing: a copy of another one). ``error`` is what the build said, and
    ``seconds`` the time since it said the last.
    """

    mutant: Mutant
    end: str
    error: str
    seconds: float


def real_pieces(folder: Path) -> list[Piece]:
    """Pieces of the films in ``folder``, stream copies in five containers, and one film whole."""
    pieces = [
        Piece("_".join(name.split("_")[:2]) + suffix, cut(folder / name, suffix, start, **options))
        for name, start, suffix, options in REAL_PIECES
    ]
    return [*pieces, Piece(WHOLE_REAL_FILM, (folder / WHOLE_REAL_FILM).read_bytes())]


def cut(source: Path, suffix: str, start_seconds: int, **options: str) -> bytes:
    """Two seconds of a film from the first key frame after a second on: its own packets in a container."""
    with av.open(str(source)) as film:
        stream = film.streams.video[0]
        kept: list[av.Packet] = []
        for packet in film.demux(stream):
            if packet.dts is None or (not kept and not packet.is_keyframe):
                continue
            seconds = packet.dts * packet.time_base - (stream.start_time or 0) * packet.time_base
            if not kept and seconds < start_seconds:
                continue
            if kept and (packet.dts - kept[0].dts) * packet.time_base >= PIECE_SECONDS:
                break
            kept.append(packet)
        first = kept[0].dts
        for packet in kept:
            packet.pts, packet.dts = (packet.pts or packet.dts) - first, packet.dts - first
        return _written(stream, kept, suffix, options)


def _written(stream: av.VideoStream, packets: Sequence[av.Packet], suffix: str, options: dict[str, str]) -> bytes:
    target = BytesIO()
    options = {"fflags": "+bitexact", **options}
    with av.open(target, "w", format=FORMATS[suffix], options=options) as written:
        copy = written.add_stream_from_template(stream)
        for packet in packets:
            packet.stream = copy
            written.mux(packet)
    return target.getvalue()


# --- the kinds of damage ------------------------------------------------------------------------------


def truncated(piece: Piece, random: Random) -> bytes:
    """The end is missing."""
    return piece.data[: random.randrange(len(piece.data))]


def one_bit(piece: Piece, random: Random) -> bytes:
    """A single bit is wrong."""
    return _flipped(piece.data, random, 1)


def many_bits(piece: Piece, random: Random) -> bytes:
    """Two to some hundred bits are wrong: all over the file, or in a stretch at either end, where indexes are."""
    bits = 2 ** random.randrange(1, 9)
    size = len(piece.data)
    start, stop = random.choice(((0, size), (0, 2048), (size - 2048, size)))
    return piece.data[:start] + _flipped(piece.data[start:stop], random, bits) + piece.data[stop:]


def dropped_packets(piece: Piece, random: Random) -> bytes:
    """Packets never arrived, what is left is muxed anew: one of them, up to half of them."""
    share = random.choice((0.02, 0.1, 0.5))
    with av.open(BytesIO(piece.data)) as film:
        stream = film.streams.video[0]
        packets = [packet for packet in film.demux(stream) if packet.dts is not None]
        lost = {random.randrange(len(packets))} | {i for i in range(len(packets)) if random.random() < share}
        kept = [packet for number, packet in enumerate(packets) if number not in lost]
        return _written(stream, kept, Path(piece.name).suffix, {})


def swapped_boxes(piece: Piece, random: Random) -> bytes:
    """Two boxes, neither in the other, have changed places."""
    boxes = find_boxes(piece.data)
    while True:
        first, second = sorted((_any_box(boxes, random), _any_box(boxes, random)), key=lambda box: box.start)
        if first.end <= second.start:
            break
    data = piece.data
    moved = (data[second.start : second.end], data[first.end : second.start], data[first.start : first.end])
    return data[: first.start] + b"".join(moved) + data[second.end :]


def oversized_box(piece: Piece, random: Random) -> bytes:
    """A box says that it is longer than it is: as long as can be, by a little, or by some number."""
    box = _any_box(find_boxes(piece.data), random)
    bits = 7 * box.size_bytes if piece.data[:4] == b"\x1a\x45\xdf\xa3" else 8 * box.size_bytes
    field = piece.data[box.size_at : box.size_at + box.size_bytes]
    said = int.from_bytes(field, box.order)
    limit = 1 << bits
    size = random.choice((limit - 2, limit // 2, said % limit + 1, random.randrange(limit)))
    # The bits above a Matroska length say how many bytes it takes: they stay.
    longer = (said // limit * limit + size % limit).to_bytes(box.size_bytes, box.order)
    return piece.data[: box.size_at] + longer + piece.data[box.size_at + box.size_bytes :]


KINDS: dict[str, Callable[[Piece, Random], bytes]] = {
    "truncated": truncated,
    "one bit": one_bit,
    "many bits": many_bits,
    "packets dropped": dropped_packets,
    "boxes swapped": swapped_boxes,
    "box oversized": oversized_box,
}


def make_mutant(pieces: Sequence[Piece], number: int, seed: int) -> Mutant:
    """Mutant ``number`` of a seed: kinds take turns, and pieces within each kind."""
    kind = list(KINDS)[number % len(KINDS)]
    piece = pieces[number // len(KINDS) % len(pieces)]
    random = Random(f"{seed} {number} {kind} {piece.name}")
    return Mutant(piece, kind, number, KINDS[kind](piece, random))


def _flipped(data: bytes, random: Random, bits: int) -> bytes:
    flipped = bytearray(data)
    for _ in range(bits):
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def _any_box(boxes: Sequence[Box], random: Random) -> Box:
    """A box of any name with equal chances: there are many of pictures, and few of each that lead to them."""
    named: dict[bytes, list[Box]] = defaultdict(list)
    for box in boxes:
        named[box.name].append(box)
    return random.choice(named[random.choice(sorted(named))])


# --- what becomes of them -----------------------------------------------------------------------------


def build_mutants(mutants: Sequence[Mutant], scratch: Path, *, deadline_seconds: float) -> tuple[list[Fate], str]:
    """Index them, with one worker, in a new catalogue in the empty folder ``scratch``.

    Returns:
        What became of each, and what a check of the catalogue found wrong with it: nothing, it is hoped.
    """
    films, by_path = scratch / "films", {}
    films.mkdir()
    for mutant in mutants:
        path = films / mutant.file_name
        path.write_bytes(mutant.data)
        by_path[str(path)] = mutant
    heard: dict[str, float] = {}
    last = time.monotonic()

    def hear(event: BuildEvent) -> None:
        nonlocal last
        if event.kind != "progress":
            now = time.monotonic()
            heard[event.path], last = now - last, now

    with (
        Catalog.open(scratch / "catalog", create=True) as catalog,
        BuildLock(scratch / "catalog"),
        WorkerPool(1, no_progress_seconds=deadline_seconds) as pool,
    ):
        options = BuildOptions()
        plan = plan_build(catalog, [films], options, pool)
        last = time.monotonic()
        done = Builder(catalog, MeanColour(), options, on_event=hear).run(plan, pool)
        problems = verify_catalog(catalog).problems
    errors = {failure.path: failure.error for failure in done.failures}
    same = {path for path, _ in done.copies}
    fates = [
        Fate(mutant, _end(errors.get(path), path in same), errors.get(path, ""), heard.get(path, 0.0))
        for path, mutant in by_path.items()
    ]
    assert sum(fate.end == "indexed" for fate in fates) == done.indexed
    return fates, "; ".join(f"{problem.what}: {problem.where}" for problem in problems)


def _end(error: str | None, same: bool) -> str:
    if error is None:
        return "same" if same else "indexed"
    if "made no progress for" in error:
        return "deadline"
    return "died" if ": the decoder " in error else "refused"


def is_clear(fate: Fate) -> bool:
    """Whether a mutant was indexed, or refused in a line that names the file, the reason and what to do."""
    named = f"/{fate.mutant.file_name}: " in fate.error and "; " in fate.error
    return not fate.error or (named and fate.error.isprintable() and "unexpected" not in fate.error)


PLAIN_LOOP = """
import sys
import av
av.logging.set_level(av.logging.PANIC)
for path in sys.argv[1:]:
    frames = 0
    try:
        with av.open(path) as film:
            for packet in film.demux(video=0):
                try:
                    frames += len(packet.decode())
                except av.error.FFmpegError:
                    pass
    except (av.error.FFmpegError, IndexError):
        pass
    print(frames, flush=True)
"""


def plain_frames(paths: Sequence[Path], *, deadline_seconds: float) -> list[int]:
    """How many frames of each a plain loop over PyAV decodes, in processes of their own; 0 where it dies."""
    counts: list[int] = []
    while len(counts) < len(paths):
        rest = [str(path) for path in paths[len(counts) :]]
        try:
            ran = subprocess.run(
                [sys.executable, "-c", PLAIN_LOOP, *rest],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=deadline_seconds * len(rest),
                check=False,
            )
            said = ran.stdout
        except subprocess.TimeoutExpired as exc:
            said = exc.stdout or b""
        counts += [int(line) for line in said.split()]
        if len(said.split()) < len(rest):
            counts.append(0)
    return counts
