"""Damaged films in bulk: each must end indexed or with a clear error, and leave the catalogue sound.

    python benchmarks/fuzz.py DATA/video --mutants 10000 --seed 0 --jobs 2

Prints a table by kind of damage and one by film, the slowest films, every kind of error, and the rule for single
bits: of the films of which a plain PyAV loop still decodes 90 % of the frames, 90 % are to be indexed. Mutant N of
a seed is always the same: ``--first N --mutants 1 --keep FOLDER`` writes it down. Status 1 where something does not
hold.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from machine import machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from mutants import KINDS, Piece, build_mutants, is_clear, make_mutant, plain_frames, real_pieces

BATCH = 100
WHOLE_ENOUGH = 0.9
ENDS = ("indexed", "refused", "deadline", "died", "same")


@dataclass(frozen=True)
class Result:
    """What became of one mutant. ``plain`` is the share of the sound film's frames that a plain loop decodes:
    known of single bits, and of those that were not indexed.
    """

    number: int
    kind: str
    piece: str
    end: str
    error: str
    clear: bool
    seconds: float
    plain: float | None


@cache
def pieces_with_frames(folder: Path) -> tuple[list[Piece], dict[str, int]]:
    """The pieces, and how many frames each has."""
    pieces = real_pieces(folder)
    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch) / piece.name for piece in pieces]
        for path, piece in zip(paths, pieces, strict=True):
            path.write_bytes(piece.data)
        counts = plain_frames(paths, deadline_seconds=60)
    return pieces, {piece.name: count for piece, count in zip(pieces, counts, strict=True)}


def run_batch(folder: Path, first: int, end: int, seed: int, deadline_seconds: float) -> tuple[list[Result], str]:
    """Mutants ``first`` to ``end`` in one catalogue; returns also what is wrong with that afterwards."""
    pieces, frames = pieces_with_frames(folder)
    mutants = [make_mutant(pieces, number, seed) for number in range(first, end)]
    with tempfile.TemporaryDirectory() as scratch:
        fates, problems = build_mutants(mutants, Path(scratch), deadline_seconds=deadline_seconds)
        asked = [fate.mutant for fate in fates if fate.mutant.kind == "one bit" or fate.end != "indexed"]
        paths = [Path(scratch) / "films" / mutant.file_name for mutant in asked]
        counts = plain_frames(paths, deadline_seconds=deadline_seconds)
    plain = {mutant.number: count / frames[mutant.piece.name] for mutant, count in zip(asked, counts, strict=True)}
    return [
        Result(
            fate.mutant.number, fate.mutant.kind, fate.mutant.piece.name, fate.end, fate.error, is_clear(fate),
            fate.seconds, plain.get(fate.mutant.number),
        )
        for fate in fates
    ], problems  # fmt: skip


def run(arguments: argparse.Namespace, known: set[int]) -> Iterator[tuple[list[Result], str]]:
    """All batches but the known ones, as they are done, as far as the time allows."""
    end = arguments.first + arguments.mutants
    stop = time.monotonic() + 60 * arguments.minutes
    with ProcessPoolExecutor(arguments.jobs) as executor:
        batches = [
            executor.submit(
                run_batch, arguments.folder, start, min(end, start + BATCH), arguments.seed, arguments.deadline
            )
            for start in range(arguments.first, end, BATCH)
            if start not in known
        ]
        for batch in as_completed(batches):
            yield batch.result()
            if time.monotonic() > stop:
                executor.shutdown(wait=False, cancel_futures=True)
                return


def read_log(path: Path | None) -> tuple[list[Result], list[str]]:
    """What an earlier run with this seed and its successors wrote down, a batch a line."""
    results: list[Result] = []
    problems: list[str] = []
    if path and path.exists():
        for line in path.read_text().splitlines():
            batch = json.loads(line)
            results += [Result(**values) for values in batch["results"]]
            problems += [batch["problem"]] if batch["problem"] else []
    return results, problems


def table(results: Sequence[Result], by: str, names: Sequence[str]) -> None:
    """How many of each name came to each end."""
    print(f"{by:24}{'mutants':>9}" + "".join(f"{end:>10}" for end in ENDS))
    for name in (*names, "all"):
        mine = Counter(result.end for result in results if name in (getattr(result, by), "all"))
        print(f"{name:24}{mine.total():9,}" + "".join(f"{mine[end]:10,}" for end in ENDS))
    print()


def report(results: Sequence[Result], problems: Sequence[str]) -> bool:
    """Print it all; returns whether all that is asked holds."""
    table(results, "kind", list(KINDS))
    table(results, "piece", sorted({result.piece for result in results}))
    slow = sorted(results, key=lambda result: -result.seconds)[:3]
    print("slowest:", "; ".join(f"{r.seconds:.1f} s, {r.number} ({r.kind}, {r.piece}: {r.end})" for r in slow))
    kinds = Counter(re.sub(r"^\S+: |\d+", "", result.error) for result in results if result.error)
    for error, count in kinds.most_common():
        print(f"{count:7,}  {error}")
    lost = [r for r in results if r.end != "indexed" and r.end != "same" and (r.plain or 0) >= WHOLE_ENOUGH]
    for r in lost:
        print(f"not indexed, though a plain loop reads {r.plain:.0%}: {r.number} ({r.kind}, {r.piece}): {r.error}")
    whole = [r for r in results if r.kind == "one bit" and (r.plain or 0) >= WHOLE_ENOUGH]
    indexed = sum(r.end in ("indexed", "same") for r in whole)
    share = indexed / len(whole) if whole else 1.0
    print(
        f"single bits: a plain loop reads {WHOLE_ENOUGH:.0%} of {len(whole)}, {indexed} are indexed ({share:.2%})"
    )
    unclear = [r for r in results if not r.clear]
    for r in unclear:
        print(f"no clear error: {r.number} ({r.kind}, {r.piece}): {r.error!r}")
    for problem in problems:
        print(f"a catalogue that is not sound: {problem}")
    return not unclear and not problems and share >= WHOLE_ENOUGH


def keep(arguments: argparse.Namespace) -> None:
    """Write the mutants down instead, to look at them."""
    pieces = real_pieces(arguments.folder)
    for number in range(arguments.first, arguments.first + arguments.mutants):
        mutant = make_mutant(pieces, number, arguments.seed)
        (arguments.keep / mutant.file_name).write_bytes(mutant.data)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="DATA/video")
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--deadline", type=float, default=20.0, help="seconds without progress")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no further hundred after so long")
    parser.add_argument("--log", type=Path, help="go on with what this file says, and add to it")
    parser.add_argument("--keep", type=Path, help="write the mutants into this folder instead of indexing them")
    return parser.parse_args()


def main() -> None:
    """Run the batches and report."""
    arguments = parse()
    if arguments.keep:
        keep(arguments)
        return
    started = time.monotonic()
    results, problems = read_log(arguments.log)
    for done, wrong in run(arguments, {result.number for result in results}):
        results += done
        problems += [wrong] if wrong else []
        if arguments.log:
            with arguments.log.open("a") as log:
                log.write(json.dumps({"results": [asdict(result) for result in done], "problem": wrong}) + "\n")
        print(f"{len(results):,} of {arguments.mutants:,}, {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(
        f"{machine()}; {len(results):,} mutants, seed {arguments.seed}, {arguments.jobs} jobs, "
        f"deadline {arguments.deadline:g} s, {time.monotonic() - started:.0f} s"
    )
    sys.exit(0 if report(results, problems) else 1)


if __name__ == "__main__":
    main()
