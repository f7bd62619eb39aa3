"""Showing how a build goes: bars in a terminal, a line a film elsewhere. All on standard error."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from m2s_index.cli.estimate import duration
from m2s_index.cli.output import say, shown

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from m2s_index.build import BuildEvent
    from m2s_index.plan import BuildPlan


class BuildProgress:
    """Hears a build's events. Use it as a context manager."""

    def __init__(self, plan: BuildPlan) -> None:
        from rich.console import Console

        console = Console(stderr=True)
        self._seconds = {film.file.path: film.info.duration_seconds or 0.0 for film in plan.films}
        self._total = sum(self._seconds.values()) or 1.0
        self._running: dict[str, float] = {}
        self._ended_seconds = 0.0
        self._ended = 0
        self._frames = 0
        self._count = len(plan.films)
        self._started = time.monotonic()
        self._bars: Progress | None = _bars(console) if console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}
        if self._bars:
            self._overall = self._bars.add_task("all films", total=self._total, note="")

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._bars:
            self._bars.stop()

    def event(self, event: BuildEvent) -> None:
        """Show it."""
        if event.kind == "progress":
            self._running[event.path] = min(event.seconds, self._seconds.get(event.path, event.seconds))
            self._move(event)
            return
        self._ended += 1
        self._frames += event.frames
        self._running.pop(event.path, None)
        self._ended_seconds += self._seconds.get(event.path, 0.0)
        if self._bars and event.path in self._tasks:
            self._bars.remove_task(self._tasks.pop(event.path))
        self._move_overall()
        line = self._line(event)
        if self._bars:
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            say(line)

    def _move(self, event: BuildEvent) -> None:
        if not self._bars:
            return
        if event.path not in self._tasks:
            total = self._seconds.get(event.path) or None
            self._tasks[event.path] = self._bars.add_task(shown(Path(event.path).name), total=total, note="")
        task = self._tasks[event.path]
        self._bars.update(task, completed=event.seconds)
        elapsed = self._bars.tasks[self._bars.task_ids.index(task)].elapsed or 0.001
        self._bars.update(task, note=f"{event.frames / elapsed:.0f} frames/s, {event.shots} shots")
        self._move_overall()

    def _move_overall(self) -> None:
        if self._bars:
            done = self._ended_seconds + sum(self._running.values())
            self._bars.update(self._overall, completed=done, note=f"{self._ended} of {self._count} films")

    def _line(self, event: BuildEvent) -> str:
        name = shown(Path(event.path).name)
        head = f"[{self._ended}/{self._count}] " if event.kind != "embedded" else ""
        if event.kind == "failed":
            return f"{head}failed: {shown(event.error)}"
        if event.kind == "embedded":
            return f"{name}: {event.scenes} scenes embedded"
        elapsed = time.monotonic() - self._started
        share = min(1.0, (self._ended_seconds + sum(self._running.values())) / self._total)
        left = elapsed / share - elapsed if share else 0.0
        damage = f", {event.damaged_packets} damaged packets" if event.damaged_packets else ""
        return (
            f"{head}{name}: {event.frames} frames, {event.shots} shots, {event.scenes} scenes{damage}; "
            f"{self._frames / elapsed:.0f} frames/s so far, {duration(left)} left"
        )


def _bars(console: object) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,  # type: ignore[arg-type]
    )
