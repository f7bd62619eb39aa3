"""Damaged films: each is indexed, or refused in a clear line; no worker's end is the build's, and the catalogue
that is left is sound. ``benchmarks/fuzz.py`` does the same ten thousand times.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from boxes import find_boxes
from film_factory import Look, pictures, remux, write_film
from mutants import KINDS, Piece, build_mutants, is_clear, make_mutant, plain_frames, real_pieces

MUTANTS = 150
DEADLINE_SECONDS = 20
SEED = 1


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Piece]:
    """Small films of other codecs than the real ones, in five containers."""
    folder, frames = tmp_path_factory.mktemp("rendered"), pictures()
    h264 = write_film(folder / "h264.mp4", frames, audio_seconds=2)
    paths = [
        h264,
        remux(h264, folder / "fragments.mp4", movflags="frag_keyframe+empty_moov"),
        write_film(folder / "mpeg2.ts", frames, Look("mpeg2video")),
        write_film(folder / "mpeg4.avi", frames, Look("mpeg4")),
        write_film(folder / "vp9.webm", frames, Look("libvpx-vp9")),
        write_film(folder / "hevc.mkv", frames, Look("libx265", options={"x265-params": "log-level=none"})),
    ]
    return [Piece(path.name, path.read_bytes()) for path in paths]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[Piece]:
    """Pieces of real films."""
    return real_pieces(shared_data / "video")


@pytest.mark.slow
@pytest.mark.parametrize("kind_of_film", ["rendered", "real"])
def test_damaged_films(kind_of_film: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Of 150 mutants each is indexed or refused by name with the reason and the remedy; the catalogue is sound; and
    of those with one flipped bit of which a plain loop decodes nine tenths of the frames, nine tenths are indexed.
    """
    pieces: list[Piece] = request.getfixturevalue(kind_of_film)
    mutants = [make_mutant(pieces, number, SEED) for number in range(MUTANTS)]
    fates, problems = build_mutants(mutants, tmp_path, deadline_seconds=DEADLINE_SECONDS)
    assert problems == ""
    assert [(fate.mutant, fate.error) for fate in fates if not is_clear(fate)] == []
    ends = {fate.mutant.number: fate.end for fate in fates}
    assert len(ends) == MUTANTS
    assert {"indexed", "refused"} <= set(ends.values())

    single = [mutant for mutant in mutants if mutant.kind == "one bit"]
    sound = {piece.name: tmp_path / piece.name for piece in pieces}
    for piece in pieces:
        sound[piece.name].write_bytes(piece.data)
    counts = plain_frames(
        [*sound.values(), *(tmp_path / "films" / mutant.file_name for mutant in single)],
        deadline_seconds=DEADLINE_SECONDS,
    )
    whole = dict(zip(sound, counts[: len(sound)], strict=True))
    decoded = zip(single, counts[len(sound) :], strict=True)
    readable = [mutant for mutant, count in decoded if count >= 0.9 * whole[mutant.piece.name]]
    assert len(readable) >= len(single) // 2
    assert sum(ends[mutant.number] == "indexed" for mutant in readable) >= 0.9 * len(readable)


def test_mutants_are_the_same_each_time(rendered: list[Piece]) -> None:
    """A seed and a number are one mutant, of a size that its damage explains; all kinds and films take turns."""
    mutants = [make_mutant(rendered, number, SEED) for number in range(60)]
    assert mutants == [make_mutant(rendered, number, SEED) for number in range(60)]
    assert {mutant.kind for mutant in mutants} == set(KINDS)
    assert {mutant.piece.name for mutant in mutants} == {piece.name for piece in rendered}
    for mutant in mutants:
        data, sound = mutant.data, mutant.piece.data
        if mutant.kind == "truncated":
            assert sound.startswith(data)
            assert len(data) < len(sound)
        elif mutant.kind == "one bit":
            changed = int.from_bytes(data, "big") ^ int.from_bytes(sound, "big")
            assert changed.bit_count() == 1
        elif mutant.kind == "boxes swapped":
            assert sorted(data) == sorted(sound)
        elif mutant.kind in ("many bits", "box oversized"):
            assert len(data) == len(sound)
    assert len({mutant.data for mutant in mutants}) > 50


def test_boxes_are_found(rendered: list[Piece]) -> None:
    """Of every container the boxes that hold the film's description and its pictures are found, inside the file."""
    names = {
        "h264.mp4": {b"moov", b"stsd", b"mdat"},
        "fragments.mp4": {b"moof", b"trun", b"mdat"},
        "mpeg2.ts": {b"0", b"256"},
        "mpeg4.avi": {b"strh", b"00dc", b"idx1"},
        "vp9.webm": {bytes.fromhex("1f43b675"), b"\xa3", b"\xae"},
        "hevc.mkv": {bytes.fromhex("1f43b675"), b"\xa3", b"\xae"},
    }
    for piece in rendered:
        boxes = find_boxes(piece.data)
        assert names[piece.name] <= {box.name for box in boxes}
        assert all(0 <= box.start <= box.size_at < box.end <= len(piece.data) for box in boxes)
        at = 0
        for box in boxes:
            if box.start >= at:
                # One that is in no other: they follow each other without a gap.
                assert box.start == at
                at = box.end
        assert at == len(piece.data)
