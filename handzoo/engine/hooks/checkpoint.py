"""Checkpoints that are whole or absent, and that load without running foreign code."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from handzoo.engine.compat import plain_checkpoint
from handzoo.engine.run_info import RunInfo
from handzoo.errors import ConfigError, suggest
from handzoo.evaluation.files import atomic_path
from handzoo.registry import HOOKS

LAST, BEST, INTERRUPT = "last.pth", "best.pth", "interrupt.pth"


@HOOKS.register_module()
class HandCheckpointHook(Hook):
    """Keep the last and the best checkpoint of a run.

    ``last.pth`` and ``interrupt.pth`` hold everything that going on needs; ``best.pth`` the
    weights alone. A file is written beside its place and then moved there, so that a crash leaves
    the one before intact. All of them load with ``torch.load(weights_only=True)``.

    Args:
        interval: epochs between two saves of ``last.pth``.
        minutes: minutes between two saves within an epoch; None for none.
        keep_epochs: also keep ``epoch_<n>.pth`` every so many epochs; None for none.
        save_best: the metric that decides, lower is better; ``'auto'`` takes PA-MPJPE, else
            MPJPE; None keeps no best checkpoint.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        interval: int = 1,
        minutes: float | None = 30.0,
        keep_epochs: int | None = None,
        save_best: str | None = "auto",
    ) -> None:
        self.interval = interval
        self.minutes = minutes
        self.keep_epochs = keep_epochs
        self.save_best = save_best
        self.best: float | None = None
        self._saved_iter = -1
        self._saved_at = time.monotonic()

    def before_train(self, runner: Runner) -> None:
        """Take over the best value of the run that is resumed."""
        self._saved_iter = runner.iter
        self._saved_at = time.monotonic()
        if runner.message_hub.runtime_info.get("best_value") is not None and runner.iter > 0:
            self.best = float(runner.message_hub.get_info("best_value"))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save within a long epoch."""
        overdue = self.minutes is not None and (
            time.monotonic() - self._saved_at >= 60 * self.minutes
        )
        if overdue:
            self._save(runner, LAST, epoch=runner.epoch, iteration=runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save when an epoch is complete."""
        epoch = runner.epoch + 1  # the loop counts up only after this call
        if epoch % self.interval == 0 or epoch == runner.max_epochs:
            self._save(runner, LAST, epoch, runner.iter)
        if self.keep_epochs and epoch % self.keep_epochs == 0:
            self._save(runner, f"epoch_{epoch}.pth", epoch, runner.iter)

    def before_val(self, runner: Runner) -> None:
        """Save what is not saved yet, since validation may take long or fail."""
        self._save_if_behind(runner, LAST)

    def after_train(self, runner: Runner) -> None:
        """Save the end of the run; under its own name if a signal ended it."""
        if getattr(runner.train_loop, "interrupted", False):
            self._saved_iter = -1
            self._save_if_behind(runner, INTERRUPT)
        else:
            self._save_if_behind(runner, LAST)

    def _save_if_behind(self, runner: Runner, name: str) -> None:
        training = runner._train_loop is not None and not isinstance(runner._train_loop, dict)
        if training and runner.iter > 0 and runner.iter != self._saved_iter:
            self._save(runner, name, runner.epoch, runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the weights if no earlier validation was better."""
        if self.save_best is None or not metrics or runner.iter == 0:
            return
        key = pick_metric(self.save_best, metrics)
        if key is None:
            return
        value = float(metrics[key])
        if math.isfinite(value) and (self.best is None or value < self.best):
            self.best = value
            runner.message_hub.update_info("best_value", value)
            runner.message_hub.update_info("best_metric", key)
            self._save(runner, BEST, runner.epoch, runner.iter, metrics=metrics, weights_only=True)
            runner.logger.info(f"Best so far: {key} = {value:.3f}; saved as {BEST}.")

    @master_only
    def _save(
        self,
        runner: Runner,
        name: str,
        epoch: int,
        iteration: int,
        metrics: dict[str, float] | None = None,
        weights_only: bool = False,
    ) -> None:
        path = Path(runner.work_dir) / name
        checkpoint = collect_state(runner, epoch, iteration, metrics, weights_only)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())  # on the disk before it takes the old one's name
        if not weights_only:
            with atomic_path(Path(runner.work_dir) / "last_checkpoint") as temporary:
                temporary.write_text(str(path))
            self._saved_iter = iteration
            self._saved_at = time.monotonic()


def pick_metric(wanted: str, metrics: dict[str, Any]) -> str | None:
    """The key of ``metrics`` that ``wanted`` names; None if 'auto' finds no length.

    Raises:
        ConfigError: a metric is named that the evaluation did not give.
    """
    if wanted in metrics:
        return wanted
    tails = {key.rsplit("/", 1)[-1]: key for key in metrics}
    if wanted != "auto":
        if wanted in tails:
            return tails[wanted]
        raise ConfigError(
            f"default_hooks.checkpoint.save_best: the evaluation gave no {wanted!r}. "
            f"{suggest(wanted, tails)} It gave: {', '.join(metrics)}."
        )
    for name in ("pa_mpjpe", "mpjpe", "pa_mpvpe", "mpvpe", "epe_2d", "loss"):
        for tail, key in tails.items():
            if tail.casefold().replace("-", "_") == name:
                return key
    return None


def collect_state(
    runner: Runner,
    epoch: int,
    iteration: int,
    metrics: dict[str, float] | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """The checkpoint of a runner, in MMEngine's layout and with plain values only.

    Args:
        runner: the runner.
        epoch: completed epochs.
        iteration: completed iterations.
        metrics: figures of the validation that the checkpoint is kept for.
        weights_only: leave out what only going on needs.

    Returns:
        Mapping with ``meta`` (``meta['handzoo']`` is :meth:`RunInfo.as_dict`), ``state_dict`` and
        ``message_hub``; also ``optimizer``, ``param_schedulers`` and what hooks add unless
        ``weights_only``. Hooks may exchange the weights: with EMAHook they are the averaged ones.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    info: RunInfo | None = getattr(runner, "run_info", None)
    if info is None:
        info = RunInfo(model=runner.experiment_name, config="", seed=runner.seed)
    checkpoint: dict[str, Any] = {
        "meta": {
            "epoch": epoch,
            "iter": iteration,
            "seed": runner.seed,
            "experiment_name": runner.experiment_name,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "metrics": metrics or {},
            "dataset_meta": getattr(runner.train_dataloader.dataset, "metainfo", None),
            "handzoo": info.as_dict(),
        },
        "state_dict": model.state_dict(),
        "message_hub": runner.message_hub.state_dict(),
    }
    if not weights_only:
        checkpoint["optimizer"] = runner.optim_wrapper.state_dict()
        schedulers = runner.param_schedulers or []
        checkpoint["param_schedulers"] = [scheduler.state_dict() for scheduler in schedulers]
    kept = list(checkpoint)
    # Hooks that remember something (EMAHook its averages) put it in here.
    runner.call_hook("before_save_checkpoint", checkpoint=checkpoint)
    if weights_only:
        checkpoint = {key: checkpoint[key] for key in kept}
    return plain_checkpoint(checkpoint)
