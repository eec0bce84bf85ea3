"""metrics.json: the figures of a validation or test, with everything they depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from handzoo.engine.run_info import RunInfo
from handzoo.evaluation.files import write_json
from handzoo.evaluation.results import METRICS_FILE, EvaluationResult
from handzoo.registry import HOOKS


def finished_results(evaluator: Any, info: RunInfo | None) -> list[EvaluationResult]:
    """The results of an evaluator's metrics, completed with what the run was made of."""
    results = []
    for metric in evaluator.metrics:
        result = getattr(metric, "result", None)
        if result is None:
            continue
        if info is not None:
            result.model = info.model
            result.seed = info.seed
            result.checkpoint = dict(info.checkpoint)
            result.resources = info.resources.rows()
            result.notes = list(dict.fromkeys([*result.notes, *info.notes]))
        results.append(result)
    return results


@HOOKS.register_module()
class MetricsFileHook(Hook):
    """Write ``metrics.json`` into the work directory after every validation and test.

    The file holds the newest figures with their protocol, resources, seed and versions, and a
    history with one row per validation.

    Args:
        out_dir: folder to write to instead of the work directory.
    """

    priority = "LOW"

    def __init__(self, out_dir: str | None = None) -> None:
        self.out_dir = out_dir
        self.history: list[dict[str, Any]] = []

    def before_train(self, runner: Runner) -> None:
        """Take over the history of the run that is resumed."""
        if runner.iter > 0:
            self.history = list(runner.message_hub.runtime_info.get("metrics_history", []))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the figures of this validation and write the file."""
        row = {"epoch": None, "iter": None, "metrics": dict(metrics or {})}
        if not isinstance(runner._train_loop, (dict, type(None))):
            row.update(epoch=runner.epoch, iter=runner.iter)
        self.history.append(row)
        runner.message_hub.update_info("metrics_history", self.history)
        self._write(runner, runner.val_evaluator, row)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the figures of the test."""
        self._write(runner, runner.test_evaluator, {"metrics": dict(metrics or {})})

    @master_only
    def _write(self, runner: Runner, evaluator: Any, row: dict[str, Any]) -> None:
        info: RunInfo | None = getattr(runner, "run_info", None)
        more = {key: value for key, value in row.items() if key != "metrics"}
        more["history"] = self.history
        if info is not None:
            more |= {"plugins": info.plugins, "config_sha256": info.config_sha256}
        folder = Path(self.out_dir or runner.work_dir)
        results = finished_results(evaluator, info)
        if not results:  # metrics of a plugin, which keep no result object
            about = {} if info is None else info.as_dict()
            write_json(folder / METRICS_FILE, {**about, **row, **more})
        for index, result in enumerate(results):
            result.save(folder / f"metric_{index}" if index else folder, **more)
