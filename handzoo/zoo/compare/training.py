"""Training within a budget: the same data, length and seeds for every model, each by its recipe."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from handzoo.errors import ConfigError
from handzoo.evaluation.files import write_json
from handzoo.evaluation.results import file_sha256
from handzoo.zoo.compare.data import BenchmarkData
from handzoo.zoo.compare.outcome import ModelOutcome
from handzoo.zoo.compare.settings import Settings
from handzoo.zoo.compare.specs import ModelSpec

if TYPE_CHECKING:
    from mmengine.config import Config

TRAINED_FILE = "trained.json"


def train_trial(
    spec: ModelSpec,
    cfg: Config,
    data: BenchmarkData,
    settings: Settings,
    outcome: ModelOutcome,
    trial: int,
) -> Path:
    """Train one trial within the budget, or go on with it. -> its last checkpoint.

    Nothing is validated on the way: the last weights are evaluated, not the luckiest ones.

    Raises:
        KeyboardInterrupt: a signal ended it; its state is kept.
    """
    from handzoo.engine.train import newest_checkpoint, train

    folder = outcome.folder / f"train_{trial}"
    last, marker = folder / "last.pth", folder / TRAINED_FILE
    if marker.is_file() and last.is_file():
        outcome.training.append(json.loads(marker.read_text()))
        return last
    cfg = training_config(spec, cfg, data)
    epochs, iterations = settings.budget.amount, None
    if settings.budget.unit == "iterations":
        iterations = settings.budget.amount
        epochs = epochs_of(cfg, iterations, settings.train_batch_size)
    started = time.monotonic()
    result = train(
        cfg,
        work_dir=folder,
        resume="auto" if newest_checkpoint(folder) is not None else None,
        seed=settings.seed + trial,
        epochs=epochs,
        max_iters=iterations,
        batch_size=settings.train_batch_size,
        require_real=settings.require_real,
    )
    if result.interrupted:
        raise KeyboardInterrupt
    batch = settings.train_batch_size or cfg.train_dataloader.get("batch_size", 8)
    row = {
        "seed": settings.seed + trial,
        "iterations": result.iteration,
        "images": result.iteration * batch,
        "seconds": time.monotonic() - started,
        "sha256": file_sha256(last),
        "resources": result.resources,
    }
    outcome.training.append(row)
    write_json(marker, row)
    return last


def training_config(spec: ModelSpec, cfg: Config, data: BenchmarkData) -> Config:
    """The model's own recipe on the benchmark's training data, without validation."""
    cfg = copy.deepcopy(cfg)
    if cfg.get("train_dataloader") is None:
        raise ConfigError(f"{spec.label}: its config has no train_dataloader, so it cannot be "
                          "trained with --budget.")  # fmt: skip
    cfg.train_dataloader.dataset = data.train_config(cfg)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.default_hooks.visualization = None
    if spec.checkpoint is not None:
        cfg.load_from = str(spec.checkpoint)
    return cfg


def epochs_of(cfg: Config, iterations: int, batch_size: int | None) -> int:
    """Epochs that so many iterations reach into, so that the schedule shrinks to the budget."""
    from handzoo.registry import DATASETS

    loader = cfg.train_dataloader
    size = len(DATASETS.build(copy.deepcopy(loader.dataset), key="train_dataloader.dataset"))
    batch_size = batch_size or loader.get("batch_size", 8)
    per_epoch = size // batch_size if loader.get("drop_last") else math.ceil(size / batch_size)
    return max(1, math.ceil(iterations / max(1, per_epoch)))


def settle_train_batch(settings: Settings, reference: Config) -> Settings:
    """Where the budget counts iterations, all models see batches of one size."""
    iterations = settings.budget is not None and settings.budget.unit == "iterations"
    if not iterations or settings.train_batch_size is not None:
        return settings
    batch_size = (reference.get("train_dataloader") or {}).get("batch_size", 8)
    return dataclasses.replace(settings, train_batch_size=batch_size)
