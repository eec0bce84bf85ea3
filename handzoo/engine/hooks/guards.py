"""Guards: losses that are not finite, and signals that ask a run to end."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from handzoo.errors import TrainingError
from handzoo.registry import HOOKS


@HOOKS.register_module()
class FiniteGuardHook(Hook):
    """Report steps that the optimiser left out because they were not finite; give up in time.

    Args:
        patience: bad steps in a row after which training ends.
    """

    priority = "VERY_HIGH"

    def __init__(self, patience: int = 20) -> None:
        self.patience = patience

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Look at the step that was just made.

        Raises:
            TrainingError: too many bad steps in a row, or the model's buffers are spoilt.
        """
        in_a_row = getattr(runner.optim_wrapper, "skipped_in_a_row", 0)
        if not in_a_row:
            return
        bad = [name for name, value in (outputs or {}).items() if not _finite(value)]
        what = ", ".join(bad) if bad else "the gradients (every loss is finite)"
        samples = ", ".join(_sample_ids(data_batch)) or "unknown"
        message = f"Iteration {runner.iter + 1}: not finite: {what}; samples {samples}."
        spoilt = [
            name
            for name, buffer in runner.model.named_buffers()
            if buffer.is_floating_point() and "running_" in name and not _finite(buffer)
        ]
        if spoilt:
            raise TrainingError(
                f"{message} The running statistics {spoilt[0]} (and {len(spoilt) - 1} more) are "
                "no longer finite, so the model cannot recover. Look at these samples, or go on "
                "from last.pth with a smaller learning rate (--resume)."
            )
        if in_a_row >= self.patience:
            raise TrainingError(
                f"{message} {in_a_row} steps in a row were left out. Lower "
                "optim_wrapper.optimizer.lr, set optim_wrapper.clip_grad=\"{'max_norm': 1.0}\", "
                "or train without --amp."
            )
        runner.logger.warning(f"{message} The step was left out ({in_a_row} in a row).")


def _finite(value: Any) -> bool:
    return bool(torch.isfinite(torch.as_tensor(value)).all())


def _sample_ids(data_batch: Any) -> list[str]:
    samples = data_batch.get("data_samples", []) if isinstance(data_batch, dict) else []
    return [
        str(getattr(sample, "sample_id", getattr(sample, "img_path", "?"))) for sample in samples
    ]


@HOOKS.register_module()
class GracefulStopHook(Hook):
    """Let the first SIGINT or SIGTERM end training after the current step, with a checkpoint.

    The second one ends the process at once. What was installed before is put back afterwards.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}

    def before_train(self, runner: Runner) -> None:
        """Install the handlers; only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            return

        def stop(number: int, frame: FrameType | None) -> None:
            name = signal.Signals(number).name
            self._restore()  # a second signal acts at once
            runner.logger.warning(f"{name}: saving after this step; once more to end at once.")
            runner.train_loop.request_stop(name)

        if hasattr(runner.train_loop, "request_stop"):
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, stop)

    def after_train(self, runner: Runner) -> None:
        """Put the previous handlers back."""
        self._restore()

    def after_run(self, runner: Runner) -> None:
        """Put the previous handlers back, also after testing."""
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)
