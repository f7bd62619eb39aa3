"""Where the boxes of a film file lie: what MP4 calls boxes, Matroska elements, AVI chunks, and a transport
stream packets. Only for damaging whole files: a reader of damaged ones would have to be far more careful.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MP4_FOLDERS = frozenset(b"moov trak mdia minf stbl dinf edts mvex moof traf udta".split())
EBML_FOLDERS = frozenset(
    (
        b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", b"\xae", b"\xe0", b"\x1f\x43\xb6\x75",
        b"\xa0", b"\x1c\x53\xbb\x6b", b"\xbb", b"\xb7", b"\x11\x4d\x9b\x74", b"\x4d\xbb", b"\x12\x54\xc3\x67",
        b"\x73\x73",
    )
)  # fmt: skip
"""Segment, Info, Tracks, TrackEntry, Video, Cluster, BlockGroup, Cues and theirs, SeekHead, Seek, Tags, Tag."""
TS_PACKET_BYTES = 188


@dataclass(frozen=True)
class Box:
    """Bytes ``start`` to ``end`` of a file. Its length stands in ``size_bytes`` bytes at ``size_at``."""

    name: bytes
    start: int
    end: int
    size_at: int
    size_bytes: int
    order: Literal["big", "little"] = "big"


def find_boxes(data: bytes) -> list[Box]:
    """All boxes of a film, those in others included, in the order of the file."""
    if data[4:8] == b"ftyp":
        return list(_mp4(data, 0, len(data)))
    if data[:4] == b"\x1a\x45\xdf\xa3":
        return list(_matroska(data, 0, len(data)))
    if data[:4] == b"RIFF":
        return list(_riff(data, 0, len(data)))
    assert data[0] == data[TS_PACKET_BYTES] == 0x47, "a film of a kind that is not known here"
    return list(_transport_stream(data))


def _mp4(data: bytes, at: int, end: int) -> Iterator[Box]:
    while at + 8 <= end:
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = size or end - at
        yield Box(name, at, at + size, at, 4)
        if name in MP4_FOLDERS:
            yield from _mp4(data, at + head, at + size)
        at += size


def _matroska(data: bytes, at: int, end: int) -> Iterator[Box]:
    while at < end:
        name = data[at : at + _vint_bytes(data[at])]
        size_at = at + len(name)
        size_bytes = _vint_bytes(data[size_at])
        limit = 1 << 7 * size_bytes
        size = int.from_bytes(data[size_at : size_at + size_bytes], "big") % limit
        # All ones: as long as what it is in.
        stop = end if size == limit - 1 else size_at + size_bytes + size
        yield Box(name, at, stop, size_at, size_bytes)
        if name in EBML_FOLDERS:
            yield from _matroska(data, size_at + size_bytes, stop)
        at = stop


def _vint_bytes(first: int) -> int:
    """How many bytes a number of Matroska takes, by the leading zeros of the first."""
    return 9 - first.bit_length()


def _riff(data: bytes, at: int, end: int) -> Iterator[Box]:
    while at + 8 <= end:
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        stop = min(end, at + 8 + size + size % 2)
        yield Box(name, at, stop, at + 4, 4, "little")
        if name in (b"RIFF", b"LIST"):
            yield from _riff(data, at + 12, stop)
        at = stop


def _transport_stream(data: bytes) -> Iterator[Box]:
    """Packets, named by their stream. Of lengths they have one, that of the adaptation field."""
    for at in range(0, len(data) - TS_PACKET_BYTES + 1, TS_PACKET_BYTES):
        stream = int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF
        yield Box(str(stream).encode(), at, at + TS_PACKET_BYTES, at + 4, 1)
