"""What a person sees while a run goes on. Nothing here can stop the run."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import Runner

from handzoo.registry import HOOKS

F = TypeVar("F", bound=Callable[..., None])


def harmless(method: F) -> F:
    """A hook method whose errors are logged once and then end the hook's work, not the run."""

    @functools.wraps(method)
    def guarded(self: Any, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if getattr(self, "failed", False):
            return
        try:
            method(self, runner, *args, **kwargs)
        except Exception as error:  # whatever it is, it is not worth a training run
            self.failed = True
            logging.getLogger("handzoo").warning(
                "%s.%s failed and is switched off for this run: %s: %s",
                type(self).__name__,
                method.__name__,
                type(error).__name__,
                error,
            )

    return guarded  # type: ignore[return-value]


@HOOKS.register_module()
class HandLoggerHook(LoggerHook):
    """MMEngine's logger hook (text, TensorBoard scalars), unable to stop a run.

    Args:
        **kwargs: see :class:`mmengine.hooks.LoggerHook`.
    """

    before_run = harmless(LoggerHook.before_run)
    after_train_iter = harmless(LoggerHook.after_train_iter)
    after_val_iter = harmless(LoggerHook.after_val_iter)
    after_test_iter = harmless(LoggerHook.after_test_iter)
    after_val_epoch = harmless(LoggerHook.after_val_epoch)
    after_test_epoch = harmless(LoggerHook.after_test_epoch)
    after_run = harmless(LoggerHook.after_run)


@HOOKS.register_module()
class ProgressHook(Hook):
    """One live line with the loss and the time that is left; plain log lines without a terminal.

    Args:
        enabled: ``'auto'`` draws only on a terminal; True and False decide.
    """

    priority = "LOW"

    def __init__(self, enabled: bool | str = "auto") -> None:
        self.enabled = enabled
        self._progress: Any = None
        self._tasks: dict[str, Any] = {}
        self._streams: list[tuple[logging.StreamHandler, Any]] = []

    @harmless
    def before_run(self, runner: Runner) -> None:
        """Start the line, and let log lines scroll above it."""
        wanted = sys.stdout.isatty() if self.enabled == "auto" else bool(self.enabled)
        if not wanted or not is_main_process() or self._progress is not None:
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.fields[note]}"),
            refresh_per_second=4,
        )
        self._progress.start()
        for handler in runner.logger.handlers:
            if type(handler) is logging.StreamHandler:
                self._streams.append((handler, handler.stream))
                handler.stream = sys.stdout  # rich has put its own proxy there

    @harmless
    def before_train(self, runner: Runner) -> None:
        """Show how far a resumed run has come."""
        self._advance("train", runner.iter, runner.max_iters)

    @harmless
    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Show iteration, loss and learning rate."""
        if self._progress is None:
            return
        loss = float(torch.as_tensor((outputs or {}).get("loss", float("nan"))).detach())
        rate = next(iter(runner.optim_wrapper.get_lr().values()))[0]
        self._advance("train", runner.iter + 1, runner.max_iters, f"loss {loss:.4g} lr {rate:.1e}")

    @harmless
    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Show how far validation is."""
        self._advance("val", batch_idx + 1, len(runner.val_dataloader))

    @harmless
    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Show how far the test is."""
        self._advance("test", batch_idx + 1, len(runner.test_dataloader))

    @harmless
    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Take the line of the validation away."""
        if self._progress is not None and "val" in self._tasks:
            self._progress.remove_task(self._tasks.pop("val"))

    @harmless
    def after_train(self, runner: Runner) -> None:
        """End the line."""
        self.stop()

    @harmless
    def after_run(self, runner: Runner) -> None:
        """End the line."""
        self.stop()

    def stop(self) -> None:
        """End the live line and give the log its stream back."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        while self._streams:
            handler, stream = self._streams.pop()
            handler.stream = stream

    def _advance(self, name: str, done: int, total: int, note: str = "") -> None:
        if self._progress is None:
            return
        if name not in self._tasks:
            # Starting at what was done before keeps the estimate of a resumed run honest.
            self._tasks[name] = self._progress.add_task(name, total=total, completed=done, note="")
        self._progress.update(self._tasks[name], completed=done, total=total, note=note)
