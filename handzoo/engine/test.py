"""Testing: a checkpoint on a data set, to a table, metrics.json and a submission file."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.model import is_model_wrapper

from handzoo.engine.data_choice import model_input_size
from handzoo.engine.hooks.results import finished_results
from handzoo.engine.train import fit_workers, make_runner
from handzoo.errors import ConfigError
from handzoo.evaluation.results import EvaluationResult, file_sha256
from handzoo.resources import collect_resources

if TYPE_CHECKING:
    from mmengine.config import Config

_PARTS = ("dataloader", "cfg", "evaluator")


def test(
    cfg: Config,
    checkpoint: str | Path,
    *,
    out: str | Path | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    require_real: bool = False,
    show_dir: str | Path | None = None,
    show_samples: int = 32,
    launcher: str = "none",
    deploy: bool = False,
) -> list[EvaluationResult]:
    """Evaluate a checkpoint on the config's test set.

    Args:
        cfg: see :func:`~handzoo.engine.config.load_config`; it is not changed.
        checkpoint: weights; they must fit key by key.
        out: folder for metrics.json, per_sample.npz, pred.json and pred.zip;
            ``test`` in the config's ``work_dir`` or in ``work_dirs/<model name>`` if
            omitted.
        device: such as ``'cpu'``; the accelerator if omitted and there is one.
        batch_size: per process.
        require_real: refuse stand-ins.
        show_dir: folder for pictures of predictions; None for none.
        show_samples: how many of them.
        launcher: ``'none'``, ``'pytorch'`` or ``'slurm'``.
        deploy: evaluate the deployed form (:mod:`handzoo.models.deploy`); noted in the results.

    Returns:
        One result per metric of the config, with checkpoint hash, resources, seed and versions;
        empty on other processes than the first.

    Raises:
        CheckpointError: the weights do not fit; names both models.
        ConfigError: the config has no test set.
    """
    cfg = prepare_test(cfg, checkpoint, out, device, batch_size, show_dir, show_samples, launcher)
    with collect_resources(require_real) as report:
        runner = make_runner(cfg)
        info = runner.run_info
        info.resources = report
        info.checkpoint = {"file": Path(checkpoint).name, "sha256": file_sha256(checkpoint)}
        loop = runner.test_loop
        for metric in loop.evaluator.metrics:
            if hasattr(metric, "out_dir"):
                metric.out_dir = Path(cfg.work_dir)
        runner.load_or_resume()
        info.notes += training_notes(runner.checkpoint_meta)
        if deploy:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            runner.model = model.deploy(image_size=model_input_size(cfg))
            info.notes.append("the deployed form of the model was evaluated")
        runner.test()
    return finished_results(loop.evaluator, info)


def prepare_test(
    cfg: Config,
    checkpoint: str | Path,
    out: str | Path | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    show_dir: str | Path | None = None,
    show_samples: int = 32,
    launcher: str = "none",
) -> Config:
    """A copy of ``cfg`` that only tests."""
    cfg = copy.deepcopy(cfg)
    for part in _PARTS:
        if cfg.get(f"test_{part}") is None:
            cfg[f"test_{part}"] = copy.deepcopy(cfg.get(f"val_{part}"))
        if cfg[f"test_{part}"] is None:
            raise ConfigError(f"test_{part}: missing in {cfg.model_name}; testing needs it.")
    if cfg.test_cfg.get("type") == "ValLoop":
        cfg.test_cfg.type = "TestLoop"
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler",
                *(f"val_{part}" for part in _PARTS)):  # fmt: skip
        cfg[key] = None
    cfg.work_dir = str(out or Path(cfg.get("work_dir") or f"work_dirs/{cfg.model_name}") / "test")
    cfg.resume, cfg.load_from = False, str(checkpoint)
    cfg.launcher = launcher
    cfg.device = device
    fit_workers(cfg.test_dataloader)
    if batch_size is not None:
        if batch_size <= 0:
            raise ConfigError(f"--batch-size: must be positive, got {batch_size}.")
        cfg.test_dataloader.batch_size = batch_size
    cfg.custom_hooks = []
    cfg.default_hooks = {
        "checkpoint": None,
        "param_scheduler": None,
        "logger": {"type": "HandLoggerHook", "interval": 50},
        "progress": {"type": "ProgressHook"},
        "results": {"type": "MetricsFileHook"},
    }
    if show_dir is not None:
        cfg.default_hooks.visualization = {
            "type": "HandVisualizationHook",
            "num_samples": show_samples,
            "out_dir": str(Path(show_dir).resolve()),
        }
    return cfg


def training_notes(meta: dict[str, Any]) -> list[str]:
    """What a reader must know about how the weights were made."""
    about = meta.get("handzoo", {})
    if not about:
        return ["the checkpoint does not say how it was made"]
    notes = []
    stand_ins = [row["name"] for row in about.get("resources", []) if row["status"] != "real"]
    if stand_ins:
        notes.append(f"the weights were trained with stand-ins: {', '.join(stand_ins)}")
    if "iter" in meta:
        notes.append(f"the weights are from epoch {meta['epoch']}, iteration {meta['iter']}")
    return notes
