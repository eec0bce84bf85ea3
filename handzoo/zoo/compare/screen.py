"""What a person sees while models are compared: which model, what is done, how long it takes."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

_BY_LINE = 20.0  # seconds between two lines where there is no terminal


class Screen:
    """A live line on a terminal, a line now and then elsewhere.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self.console = Console(quiet=quiet, highlight=False)
        self._total = self._done = 0
        self._started = self._last_line = time.monotonic()
        self._seconds: list[float] = []
        self._model_started = self._started

    def plan(self, models: int) -> None:
        """Say how many models there will be."""
        self._total, self._done, self._seconds = models, 0, []

    def start_model(self, label: str) -> None:
        """Announce a model."""
        self._model_started = time.monotonic()
        self.console.print(f"[bold]{self._done + 1} of {self._total}[/]  {_plain(label)}")

    def finish_model(self, error: str = "") -> None:
        """Say how it ended and how long the rest may take."""
        self._done += 1
        took = time.monotonic() - self._model_started
        if error:
            self.console.print(f"   [red]failed:[/] {_plain(error)}")
            return
        self._seconds.append(took)
        left = (self._total - self._done) * sum(self._seconds) / len(self._seconds)
        more = f", about {duration(left)} left for the others" if self._done < self._total else ""
        self.console.print(f"   done in {duration(took)}{more}")

    @contextlib.contextmanager
    def stage(self, label: str) -> Iterator[Callable[[str, int, int], None]]:
        """Yield the function that a long piece of work tells its progress."""
        live = _Live(self.console) if self.console.is_terminal and sys.stdout.isatty() else None

        def progress(what: str, done: int, total: int) -> None:
            if live is not None:
                live.update(what, done, total)
            elif time.monotonic() - self._last_line > _BY_LINE:
                self._last_line = time.monotonic()
                self.console.print(f"   {what}" + (f": {done} of {total}" if total > 1 else ""))

        try:
            yield progress
        finally:
            if live is not None:
                live.stop()


class _Live:
    """rich's progress, shown only while something is counted: training draws a line of its own."""

    def __init__(self, console: Any) -> None:
        self._console = console
        self._progress: Any = None
        self._task: Any = None
        self._what = ""

    def update(self, what: str, done: int, total: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        if done >= total:
            self.stop()
            return
        if self._progress is None or what != self._what:
            self.stop()
            self._what = what
            self._progress = Progress(
                TextColumn("   {task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
                refresh_per_second=4,
            )
            self._progress.start()
            self._task = self._progress.add_task(what, total=total)
        self._progress.update(self._task, completed=done, total=total)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def duration(seconds: float) -> str:
    """``'8 s'``, ``'3 min'``, ``'2.5 h'``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
