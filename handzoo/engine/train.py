"""Training: from a config to checkpoints, figures and pictures in a work directory.

Example:
    from handzoo.engine.config import load_config
    from handzoo.engine.train import train

    train(load_config('cliphand_s12_freihand'), epochs=1, work_dir='work_dirs/try')
"""

from __future__ import annotations

import contextlib
import copy
import os
import platform
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handzoo.engine.config import config_text
from handzoo.engine.run_info import RunInfo
from handzoo.errors import CheckpointError, ConfigError
from handzoo.evaluation.files import write_json
from handzoo.plugins import plugin_uses
from handzoo.resources import collect_resources

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

    from handzoo.engine.runner import HandRunner

DEFAULT_SEED = 0
_MMENGINE_HOOKS = (
    "runtime_info",
    "timer",
    "sampler_seed",
    "logger",
    "param_scheduler",
    "checkpoint",
)
_EPOCH_SETTINGS = ("begin", "end", "T_max", "step_size")


@dataclass
class TrainResult:
    """How a training run ended.

    Attributes:
        work_dir: everything that it wrote.
        stop_reason: ``'finished'``, ``'iteration limit'``, ``'time budget'``, ``'dry run'`` or a
            signal's name.
        interrupted: whether a signal ended it; ``interrupt.pth`` then goes on from there.
        epoch, iteration: completed.
        metrics: of the last validation.
        resources: rows of the resource table.
    """

    work_dir: Path
    stop_reason: str
    interrupted: bool
    epoch: int
    iteration: int
    metrics: dict[str, float] = field(default_factory=dict)
    resources: list[dict[str, str]] = field(default_factory=list)


def train(
    cfg: Config,
    *,
    work_dir: str | Path | None = None,
    resume: str | bool | None = None,
    amp: bool = False,
    seed: int | None = None,
    epochs: int | None = None,
    max_iters: int | None = None,
    time_budget: float | None = None,
    batch_size: int | None = None,
    require_real: bool = False,
    launcher: str = "none",
    dry_run: bool = False,
) -> TrainResult:
    """Train the model of a config.

    Args:
        cfg: see :func:`~handzoo.engine.config.load_config`; it is not changed.
        work_dir: where everything is written; ``work_dirs/<model name>`` if neither this nor the
            config says.
        resume: ``'auto'`` or True for the newest checkpoint of ``work_dir``, or a file.
        amp: mixed precision (bfloat16 on a CPU).
        seed: of all randomness; 0 if neither this nor the config says.
        epochs: another length of the schedule; milestones move in proportion.
        max_iters: stop after so many iterations; the schedule stays.
        time_budget: stop after so many minutes; the schedule stays.
        batch_size: per process, for training.
        require_real: refuse stand-ins.
        launcher: ``'none'``, ``'pytorch'`` or ``'slurm'``.
        dry_run: build everything, make one training step and stop; nothing is kept.

    Raises:
        HandZooError: anything that the user can cause and cure.
    """
    cfg = prepare(
        cfg,
        work_dir=work_dir,
        resume=resume,
        amp=amp,
        seed=seed,
        epochs=epochs,
        max_iters=1 if dry_run else max_iters,
        time_budget=time_budget,
        batch_size=batch_size,
        launcher=launcher,
    )
    with contextlib.ExitStack() as stack:
        if dry_run:
            cfg.work_dir = stack.enter_context(tempfile.TemporaryDirectory())
            cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
            cfg.default_hooks.checkpoint = None
        return _run(cfg, require_real, dry_run)


def _run(cfg: Config, require_real: bool, dry_run: bool) -> TrainResult:
    with collect_resources(require_real) as report:
        runner = make_runner(cfg)
        runner.run_info.resources = report
        # Build what opens resources now, so that the table comes before the first step.
        _ = runner.train_loop, runner.val_loop if cfg.get("val_dataloader") else None
        read_frozen_encoders(runner.model)
        announce(runner)
        runner.train()
    loop = runner.train_loop
    write_json(Path(runner.work_dir) / "resources.json", report.rows())
    history = runner.message_hub.runtime_info.get("metrics_history") or [{"metrics": {}}]
    return TrainResult(
        work_dir=Path(runner.work_dir),
        stop_reason="dry run" if dry_run else loop.stop_reason,
        interrupted=loop.interrupted,
        epoch=runner.epoch,
        iteration=runner.iter,
        metrics=dict(history[-1]["metrics"]),
        resources=report.rows(),
    )


def prepare(
    cfg: Config,
    *,
    work_dir: str | Path | None = None,
    resume: str | bool | None = None,
    amp: bool = False,
    seed: int | None = None,
    epochs: int | None = None,
    max_iters: int | None = None,
    time_budget: float | None = None,
    batch_size: int | None = None,
    launcher: str = "none",
) -> Config:
    """A copy of ``cfg`` with the options of :func:`train` written into it."""
    cfg = copy.deepcopy(cfg)
    for key in ("train_dataloader", "train_cfg", "optim_wrapper"):
        if cfg.get(key) is None:
            raise ConfigError(f"{key}: missing in {cfg.get('model_name')}; training needs it.")
    cfg.work_dir = str(work_dir or cfg.get("work_dir") or Path("work_dirs") / cfg.model_name)
    cfg.launcher = launcher
    for key in ("default_hooks", "env_cfg", "randomness"):
        cfg[key] = cfg.get(key) or {}
    cfg.randomness.setdefault("seed", DEFAULT_SEED)
    if seed is not None:
        cfg.randomness.seed = seed
    if batch_size is not None:
        cfg.train_dataloader.batch_size = _positive(batch_size, "--batch-size")
    _set_loop(cfg, epochs, max_iters, time_budget)
    _set_optim(cfg, amp)
    _set_start(cfg, resume)
    _set_processes(cfg)
    return cfg


def _positive(value: float, option: str) -> Any:
    if value <= 0:
        raise ConfigError(f"{option}: must be positive, got {value}.")
    return value


def _set_loop(
    cfg: Config, epochs: int | None, max_iters: int | None, time_budget: float | None
) -> None:
    """Make the training loop HandZoo's, of the wanted length."""
    loop = cfg.train_cfg
    loop.pop("by_epoch", None)
    loop.setdefault("type", "HandTrainLoop")
    if epochs is not None and epochs != loop.get("max_epochs"):
        scale_schedule(cfg, _positive(epochs, "--epochs"))
    limits = {
        "max_iters": (max_iters, "--max-iters"),
        "time_budget": (time_budget, "--time-budget"),
    }
    for key, (value, option) in limits.items():
        if value is None:
            continue
        if loop.type != "HandTrainLoop":
            raise ConfigError(f"{option}: needs train_cfg.type 'HandTrainLoop', not {loop.type!r}.")
        loop[key] = _positive(value, option)


def scale_schedule(cfg: Config, epochs: int) -> None:
    """Change the number of epochs in place, and move the schedulers' milestones in proportion.

    Only schedulers that count epochs are touched. Milestones stay whole epochs of at least 1.
    """
    factor = epochs / cfg.train_cfg.max_epochs
    schedulers = cfg.get("param_scheduler") or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        if not scheduler.get("by_epoch", True):
            continue
        if "milestones" in scheduler:
            moved = {max(1, round(epoch * factor)) for epoch in scheduler.milestones}
            scheduler.milestones = sorted(moved)
        for key in _EPOCH_SETTINGS:
            value = scheduler.get(key)
            if value and value < 10**6:
                scheduler[key] = max(1, round(value * factor))
    cfg.train_cfg.max_epochs = epochs


def _set_optim(cfg: Config, amp: bool) -> None:
    wrapper = cfg.optim_wrapper
    wrapper.setdefault("type", "HandOptimWrapper")
    plain = {"OptimWrapper": "HandOptimWrapper", "AmpOptimWrapper": "HandAmpOptimWrapper"}
    wrapper.type = plain.get(wrapper.type, wrapper.type)
    if amp and wrapper.type == "HandOptimWrapper":
        wrapper.type = "HandAmpOptimWrapper"
    elif amp and wrapper.type != "HandAmpOptimWrapper":
        raise ConfigError(f"--amp: does not go with optim_wrapper.type {wrapper.type!r}.")


def _set_start(cfg: Config, resume: str | bool | None) -> None:
    """Resolve ``resume`` to a file, before anything is built."""
    if not resume:
        return
    if resume is True or resume == "auto":
        found = newest_checkpoint(Path(cfg.work_dir))
        cfg.resume = found is not None
        cfg.load_from = str(found) if found is not None else None
        return
    if not Path(resume).is_file():
        raise CheckpointError(f"--resume: {resume}: there is no such checkpoint file.")
    cfg.resume, cfg.load_from = True, str(resume)


def newest_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint that a run in ``work_dir`` would go on from; None if there is none."""
    candidates = [work_dir / "last.pth", work_dir / "interrupt.pth", *work_dir.glob("epoch_*.pth")]
    there = [path for path in candidates if path.is_file()]
    return max(there, key=lambda path: path.stat().st_mtime, default=None)


def _set_processes(cfg: Config) -> None:
    """Start methods, back ends and numbers of processes that this machine has."""
    import torch

    for part in ("train", "val", "test"):
        fit_workers(cfg.get(f"{part}_dataloader"))
    if platform.system() == "Windows":
        cfg.env_cfg.mp_cfg = {**cfg.env_cfg.get("mp_cfg", {}), "mp_start_method": "spawn"}
    backend = "nccl" if torch.cuda.is_available() and platform.system() != "Windows" else "gloo"
    cfg.env_cfg.dist_cfg = {"backend": backend, **cfg.env_cfg.get("dist_cfg", {})}


def fit_workers(loader: dict[str, Any] | None) -> None:
    """Use no more worker processes than there are cores (in place)."""
    if loader is None:
        return
    loader["num_workers"] = min(loader.get("num_workers", 0), _cores())
    if not loader["num_workers"]:
        for key in ("persistent_workers", "prefetch_factor"):  # refused without workers
            loader.pop(key, None)


def _cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def make_runner(cfg: Config) -> HandRunner:
    """Build the Runner of a prepared config; its model and loops are built, nothing has run.

    The model and everything else is checked when it is read, and a checkpoint to start from when
    it is loaded.
    """
    from handzoo.engine.runner import HandRunner

    text = config_text(cfg)
    for name, hook in list(cfg.default_hooks.items()):
        if hook is None and name not in _MMENGINE_HOOKS:
            cfg.default_hooks.pop(name)  # MMEngine lets None switch off its own hooks only
    # MMEngine keeps loggers and message hubs by name and second; two runs must not share them.
    cfg.experiment_name = f"{cfg.model_name.replace('/', '_')}_{secrets.token_hex(3)}"
    uses = plugin_uses()
    runner = HandRunner.from_cfg(cfg)
    runner.run_info = RunInfo(
        model=cfg.get("model_name", ""),
        config=text,
        seed=runner.seed,
        plugin_uses=uses,
    )
    return runner


def read_frozen_encoders(model: nn.Module) -> None:
    """Read the weights of frozen encoders now, which would otherwise wait for the first batch."""
    guidance = getattr(getattr(model, "module", model), "guidance", None)
    for module in guidance.modules() if guidance is not None else ():
        if callable(getattr(module, "init_weights", None)):
            module.init_weights()


def announce(runner: HandRunner) -> None:
    """Print the resource table and what is about to run; write the table as resources.json."""
    from mmengine.dist import is_main_process
    from rich.console import Console

    if not is_main_process():
        return
    report = runner.run_info.resources
    write_json(Path(runner.work_dir) / "resources.json", report.rows())
    console = Console()
    if report.uses:
        console.print(report.table())
    loader, loop = runner.train_dataloader, runner.train_loop
    console.print(
        f"[bold]{runner.run_info.model}[/]: {len(loader.dataset):,} samples, "
        f"{len(loader):,} iterations an epoch at batch size {loader.batch_size}, "
        f"{loop.max_epochs} epochs, seed {runner.seed}; writing to {runner.work_dir}",
        highlight=False,
    )
    limit = getattr(loop, "time_budget", None)
    if limit is not None:
        console.print(f"Stops after {limit:g} minutes of training, then validates.")
    if getattr(loop, "limited", False):
        console.print(f"Stops after {loop.max_iters} iterations, then validates.")
    if not report.all_real:
        console.print(
            "[yellow]Something stands in for a real resource: figures of this run say nothing "
            "about the published data sets.[/]"
        )
