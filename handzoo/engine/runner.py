"""MMEngine's Runner with strict checkpoints, a quiet console and room for what a run is made of."""

from __future__ import annotations

import logging
import sys
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from handzoo.engine.build import allowed_missing
from handzoo.engine.checkpoint import load_weights, read_checkpoint
from handzoo.engine.compat import make_plain
from handzoo.engine.rescheduling import flat_schedulers, resume_schedule, schedule_settings
from handzoo.engine.run_info import RunInfo
from handzoo.engine.workers import shield_workers
from handzoo.errors import CheckpointError, ConfigError

# Long blocks that belong into the log file but not onto a person's screen.
_FILE_ONLY = ("System environment:", "Hooks will be executed in the following", "Exp name:",
              "Initialization information", "Distributed training is not used")  # fmt: skip
_NEEDED_TO_RESUME = ("optimizer", "message_hub")


class _ConsoleFilter(logging.Filter):
    """Keep the screen to what a person follows; the log file has everything."""

    def filter(self, record: logging.LogRecord) -> bool:
        start = record.getMessage()[:200]
        if start.startswith("Config:\n") or any(words in start for words in _FILE_ONLY):
            return False
        # On a terminal the progress line shows these.
        return not (start.startswith("Epoch(") and sys.stdout.isatty() and "[" in start[:20])


class HandRunner(Runner):
    """MMEngine's Runner.

    Attributes:
        run_info: model, config, resources, plugins and versions; hooks write it into checkpoints
            and result files.
        checkpoint_meta: what the checkpoint that was loaded says about itself.
    """

    run_info: RunInfo
    checkpoint_meta: dict[str, Any] = {}
    _checkpoint_schedulers: list[dict[str, Any]] = []

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """MMEngine's, which asks for a GPU in each process; here a group of CPUs will do too."""
        if self.distributed and not torch.cuda.is_available():
            if self.launcher != "pytorch":
                raise ConfigError(f"--launcher {self.launcher}: needs a GPU for each process.")
            if not torch.distributed.is_initialized():
                torch.distributed.init_process_group("gloo")
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> Any:
        """MMEngine's, then to the device that the config names, if it names one."""
        if self.distributed and model_wrapper_cfg is None and not torch.cuda.is_available():
            return MMDistributedDataParallel(
                module=model,
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get("find_unused_parameters", False),
            )
        wrapped = super().wrap_model(model_wrapper_cfg, model)
        device = self.cfg.get("device")
        return wrapped if device is None else wrapped.to(device)

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> DataLoader:
        """MMEngine's, with workers that a signal to the whole run does not end first."""
        return shield_workers(Runner.build_dataloader(*args, **kwargs))

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """MMEngine's logger, with the long blocks going to the file alone."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                handler.addFilter(_ConsoleFilter())
        return logger

    def resume(self, *args: Any, **kwargs: Any) -> None:
        """MMEngine's; and a schedule that the config has changed since is followed, not the old.

        Raises:
            ConfigError: it has changed and cannot be replayed.
        """
        schedulers = flat_schedulers(self.param_schedulers)
        own = [schedule_settings(scheduler.state_dict()) for scheduler in schedulers]
        super().resume(*args, **kwargs)
        states, length = self._checkpoint_schedulers, len(self.train_dataloader)
        if resume_schedule(schedulers, own, states, self.iter, length):
            rates = {f"{rate:.3g}" for rate in self.optim_wrapper.get_lr()["lr"]}
            self.logger.info(
                "The checkpoint was made under another schedule; the learning rate goes on at "
                f"{', '.join(sorted(rates))}, as if the run had followed this one from its start."
            )

    def load_checkpoint(
        self, filename: str, map_location: Any = "cpu", strict: bool = True, revise_keys: Any = ()
    ) -> dict[str, Any]:
        """Load weights strictly; to resume, the file must hold the whole state of a run.

        Only the config's ``allowed_missing`` may be missing in training; in a test also what
        training alone uses.

        Returns:
            The content of the file, for :meth:`mmengine.runner.Runner.resume`.

        Raises:
            CheckpointError: see :func:`handzoo.engine.checkpoint.load_weights`; or the file holds
                weights alone and is asked to resume from.
        """
        checkpoint = read_checkpoint(filename)
        if self._resume and any(key not in checkpoint.content for key in _NEEDED_TO_RESUME):
            raise CheckpointError(
                f"{filename}: holds weights only, so no run can go on from it. Resume from "
                "last.pth, or start a new run from these weights with --cfg-options "
                f"load_from={filename}."
            )
        training = self._train_loop is not None
        allowed = (
            list(self.cfg.get("allowed_missing", [])) if training else allowed_missing(self.cfg)
        )
        content = {
            "state_dict": checkpoint.state_dict,
            "meta": checkpoint.meta,
            **checkpoint.content,
        }
        # Before the weights are loaded: EMAHook exchanges averaged weights for trained ones here.
        self.call_hook("after_load_checkpoint", checkpoint=content)
        checkpoint.state_dict = content["state_dict"]
        model = self.model.module if is_model_wrapper(self.model) else self.model
        report = load_weights(model, checkpoint, self.cfg.get("model_name", ""), allowed)
        self.logger.info(f"{filename}: {report}")
        self._has_loaded = True
        self.checkpoint_meta = checkpoint.meta
        if training:
            # The file holds the data set's description with plain values; MMEngine compares it
            # with the live one and would warn of a difference that is none.
            live = getattr(self.train_dataloader.dataset, "metainfo", None)
            if repr(make_plain(live)) == repr(content["meta"].get("dataset_meta")):
                content["meta"]["dataset_meta"] = live
        self._checkpoint_schedulers = flat_schedulers(content.get("param_schedulers"))
        return content
