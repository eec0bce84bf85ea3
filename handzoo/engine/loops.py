"""The training loop: epochs that can be left in the middle and taken up again exactly there."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import all_reduce, is_distributed
from mmengine.runner import EpochBasedTrainLoop

from handzoo.engine.sampling import ResumableSampler, SeededDataset, seed_step
from handzoo.registry import DATASETS, LOOPS

FINISHED = "finished"
ITERATIONS = "iteration limit"
TIME = "time budget"


@LOOPS.register_module()
class HandTrainLoop(EpochBasedTrainLoop):
    """MMEngine's epoch loop with a time budget, an iteration limit and exact resumption.

    Every step is seeded from seed, iteration and rank, every sample from seed, epoch and index;
    an epoch that was left in the middle goes on with the next batch.

    Args:
        runner: the runner.
        dataloader: its ``train_dataloader``, built or as config.
        max_epochs: epochs of the whole schedule.
        max_iters: stop after so many iterations in all, if that comes first.
        time_budget: stop after so many minutes of this call, if that comes first. The schedule of
            the learning rate is not shortened by it.
        val_begin, val_interval, dynamic_intervals: see MMEngine's loop.

    Attributes:
        stop_reason: why training ended; ``'finished'``, ``'iteration limit'``,
            ``'time budget'`` or the name of a signal.
        interrupted: whether a signal asked to stop; validation is then left out.
    """

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        max_epochs: int,
        max_iters: int | None = None,
        time_budget: float | None = None,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ) -> None:
        if isinstance(dataloader, dict):
            dataloader = self._prepare(dataloader, runner.seed)
        super().__init__(runner, dataloader, max_epochs, val_begin, val_interval, dynamic_intervals)
        self.limited = max_iters is not None and max_iters < self._max_iters
        if self.limited:
            self._max_iters = max_iters
        self.time_budget = time_budget
        self.stop_reason = FINISHED
        self.interrupted = False
        self._request: str | None = None

    @staticmethod
    def _prepare(dataloader: dict[str, Any], seed: int) -> dict[str, Any]:
        """Wrap the data set so that its samples are reproducible; make the sampler resumable."""
        dataloader = copy.copy(dataloader)
        dataset = dataloader["dataset"]
        if isinstance(dataset, dict):
            dataset = DATASETS.build(dataset, key="train_dataloader.dataset")
        if hasattr(dataset, "full_init"):
            dataset.full_init()
        dataloader["dataset"] = SeededDataset(dataset, seed)
        sampler = dict(dataloader.get("sampler") or {"type": "ResumableSampler"})
        if sampler["type"] == "DefaultSampler":
            sampler["type"] = "ResumableSampler"
        dataloader["sampler"] = sampler
        return dataloader

    def request_stop(self, reason: str) -> None:
        """Ask the loop to end after the current iteration, without validation."""
        self._request = reason

    def run(self) -> torch.nn.Module:
        """Train; validates when due, and once more when a limit ends training early."""
        self._started = time.monotonic()
        self.runner.call_hook("before_train")
        while self._epoch < self._max_epochs and not self._is_over():
            complete = self.run_epoch()
            if self.interrupted:
                break
            self._decide_current_val_interval()
            if self.runner.val_loop is not None and (self._val_is_due(complete)):
                self.runner.val_loop.run()
        self.runner.call_hook("after_train")
        return self.runner.model

    def _val_is_due(self, complete: bool) -> bool:
        if not complete or self._is_over() or self._epoch == self._max_epochs:
            return True
        return self._epoch >= self.val_begin and self._epoch % self.val_interval == 0

    def _is_over(self) -> bool:
        return self.stop_training or self.stop_reason != FINISHED

    def run_epoch(self) -> bool:
        """Run the rest of one epoch.

        Returns:
            Whether its last batch was reached.
        """
        runner = self.runner
        runner.call_hook("before_train_epoch")
        runner.model.train()
        length = len(self.dataloader)
        for index, batch in enumerate(self._batches(), self._done_in_epoch()):
            seed_step(runner.seed or 0, self._iter, runner.rank)
            self.run_iter(index, batch)
            complete = index + 1 == length
            if self._must_stop():
                break
        else:
            complete = True
        if complete:
            runner.call_hook("after_train_epoch")
            self._epoch += 1
        return complete

    def _done_in_epoch(self) -> int:
        """How many batches of the current epoch a resumed run has behind it."""
        done = self._iter - self._epoch * len(self.dataloader)
        if 0 <= done < len(self.dataloader):
            return done
        # Another batch size or data set than before: go on with the whole epoch.
        self.runner.logger.warning(
            f"The run had {self._iter} iterations in {self._epoch} epochs, which does not fit "
            f"{len(self.dataloader)} an epoch; going on at the start of epoch {self._epoch + 1}."
        )
        self._iter = self._epoch * len(self.dataloader)
        return 0

    def _batches(self) -> Iterator[Any]:
        loader = self.dataloader
        done = self._done_in_epoch()
        if hasattr(loader.dataset, "set_epoch"):  # also reached through MMEngine's wrappers
            loader.dataset.set_epoch(self._epoch)
        if not isinstance(loader.sampler, ResumableSampler):
            batches = iter(loader)
            for _ in range(done):
                next(batches)
            return batches
        # The loader reads the sampler while it runs, so the start is set back only afterwards.
        loader.sampler.start = done * (loader.batch_size or 1)
        return iter(loader)

    def _must_stop(self) -> bool:
        """Decide, alike on all processes, whether this iteration was the last one."""
        code = 0
        if self.limited and self._iter >= self._max_iters:
            code = 1
        elapsed = time.monotonic() - self._started
        if self.time_budget is not None and elapsed >= 60 * self.time_budget:
            code = 2
        if self._request is not None:
            code = 3
        if is_distributed():
            flag = torch.tensor(code, device=next(self.runner.model.parameters()).device)
            all_reduce(flag, "max")
            code = int(flag)
        if code:
            self.stop_reason = (ITERATIONS, TIME, self._request or "signal")[code - 1]
            self.interrupted = code == 3
        return bool(code)
