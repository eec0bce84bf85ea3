"""One model of a comparison: train it if there is a budget, evaluate it, count it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from handzoo.engine.build import load_estimator
from handzoo.engine.config import config_text
from handzoo.engine.data_choice import DEFAULT_INPUT_SIZE, input_size
from handzoo.errors import ConfigError
from handzoo.evaluation.results import EvaluationResult, file_sha256
from handzoo.resources import collect_resources
from handzoo.zoo.compare.cost import inference_cost, train_step_cost
from handzoo.zoo.compare.data import BenchmarkData, crop_policy, evaluator_configs
from handzoo.zoo.compare.outcome import (
    ModelOutcome,
    Predictions,
    outcome_folder,
    outcome_key,
    published_figures,
    trial_folder,
)
from handzoo.zoo.compare.settings import Settings
from handzoo.zoo.compare.specs import ModelSpec
from handzoo.zoo.compare.training import train_trial

if TYPE_CHECKING:
    from mmengine.config import Config

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, how much there is."""


def measure_model(
    spec: ModelSpec, cfg: Config, data: BenchmarkData, settings: Settings, progress: Progress
) -> ModelOutcome:
    """Everything about one model except the times that are taken in turns.

    A model that was finished before under the same conditions is read from its files.

    Args:
        spec: which model.
        cfg: its config.
        data: what it is evaluated on.
        settings: of the comparison.
        progress: told how far it is.

    Raises:
        KeyboardInterrupt: a signal ended a training; the same call goes on with it.
        HandZooError: the model cannot be built, loaded, trained or evaluated.
    """
    with collect_resources(settings.require_real) as report:
        data.build(cfg)  # also takes the fingerprint that the key needs
        outcome = start_outcome(spec, cfg, data, settings)
        done = ModelOutcome.load(outcome.folder, outcome.key, spec.label)
        if done is not None:
            progress("finished before", 1, 1)
            return done
        for trial in range(settings.trials):
            checkpoint = spec.checkpoint
            if settings.budget is not None:
                checkpoint = train_trial(spec, cfg, data, settings, outcome, trial)
            torch.manual_seed(settings.seed + trial)  # of weights that no file gives
            estimator, _ = load_estimator(cfg, checkpoint, settings.device)
            result, predictions = evaluate(estimator, cfg, data, settings, progress)
            _describe(result, outcome, checkpoint, settings.seed + trial)
            folder = trial_folder(outcome.folder, trial)
            result.resources = report.rows()
            result.save(folder)
            if trial == 0:
                predictions.save(folder)
                outcome.identity = identity(estimator, cfg, data, result, predictions)
                outcome.plugins = plugins_of(estimator, spec)
                progress("counting", 0, 1)
                outcome.cost, notes = inference_cost(
                    spec.label, estimator, outcome.identity["input_size"], settings
                )
                outcome.notes += notes
            # As a later call will find it: rounding must not make a resumed comparison another.
            outcome.results.append(EvaluationResult.load(folder))
        del estimator
        if settings.train_steps:
            progress("timing training steps", 0, 1)
            cost, notes = train_step_cost(cfg, data, settings)
            outcome.cost |= cost
            outcome.notes += notes
        outcome.resources = merged_resources(report.rows(), outcome.training)
    outcome.save()
    return outcome


def start_outcome(
    spec: ModelSpec, cfg: Config, data: BenchmarkData, settings: Settings
) -> ModelOutcome:
    """The outcome of a model of which nothing is known yet but what it is."""
    config = config_text(cfg)
    weights: dict[str, Any] = {"kind": "random"}
    if spec.checkpoint is not None:
        kind = "published" if spec.published_weights else "checkpoint"
        weights = {
            "kind": kind, "file": str(spec.checkpoint), "sha256": file_sha256(spec.checkpoint),
        }  # fmt: skip
    if settings.budget is not None:
        start = {"started_from": weights} if spec.checkpoint is not None else {}
        weights = {"kind": "trained", "budget": str(settings.budget), **start}
    conditions = {
        name: value
        for name, value in settings.to_dict().items()
        if name
        in ("limit", "budget", "trials", "train_batch_size", "batch_size", "seed", "device",
            "train_steps", "require_real", "latency_batch_size")
    }  # fmt: skip
    evaluator = evaluator_configs(data.evaluator, cfg, 0)
    conditions["data"] = [data.test_config(cfg), evaluator]
    if settings.budget is not None:
        conditions["train"] = data.train_config(cfg)
    text = weights.get("started_from", weights).get("sha256", "")
    conditions = json.loads(json.dumps(conditions, default=str))
    key = outcome_key(config, text, data.fingerprint, conditions)
    return ModelOutcome(
        label=spec.label,
        model=cfg.get("model_name", spec.label),
        method=spec.entry.method if spec.entry else "",
        key=key,
        config=config,
        weights=weights,
        published=published_figures(spec.entry),
        folder=outcome_folder(settings.out, spec.label, key),
    )


def _describe(
    result: EvaluationResult, outcome: ModelOutcome, checkpoint: Path | None, seed: int
) -> None:
    """Complete a result with what the run was made of; for trained weights also the outcome."""
    result.model, result.seed = outcome.model, seed
    if checkpoint is None:
        outcome.notes = ["random weights: its accuracy says nothing about the method"]
    else:
        result.checkpoint = {"file": Path(checkpoint).name, "sha256": file_sha256(checkpoint)}
        if outcome.weights["kind"] != "trained":
            outcome.notes += _training_notes(checkpoint)
    result.notes = list(outcome.notes)


def merged_resources(
    rows: list[dict[str, str]], training: list[dict[str, Any]]
) -> list[dict[str, str]]:
    """What evaluation used, and what training used besides."""
    merged = {row["name"]: row for trial in training for row in trial["resources"]}
    return list({**merged, **{row["name"]: row for row in rows}}.values())


def _training_notes(checkpoint: Path) -> list[str]:
    from handzoo.engine.checkpoint import read_checkpoint
    from handzoo.engine.test import training_notes

    return training_notes(read_checkpoint(checkpoint).meta)


def evaluate(
    estimator: nn.Module,
    cfg: Config,
    data: BenchmarkData,
    settings: Settings,
    progress: Progress,
) -> tuple[EvaluationResult, Predictions]:
    """Predict every sample and compute the benchmark's metrics, as tools/test.py does.

    Raises:
        ConfigError: no metric of the benchmark keeps a result.
    """
    from mmengine.evaluator import Evaluator

    from handzoo.registry import METRICS

    loader = data.loader(cfg, settings.batch_size)
    evaluator: Evaluator | None = None
    kept: list[Any] = []
    done = 0
    for batch in loader:
        if evaluator is None:
            size = int(batch["inputs"][0].shape[-1])
            configs = evaluator_configs(data.evaluator, cfg, size)
            evaluator = Evaluator(
                [METRICS.build(config, key="test_evaluator") for config in configs]
            )
            evaluator.dataset_meta = data.metainfo
        with torch.inference_mode():
            samples = estimator.test_step(batch)
        evaluator.process(data_samples=samples, data_batch=batch)
        kept += [_kept(sample, done + index) for index, sample in enumerate(samples)]
        done += len(samples)
        progress("evaluating", done, data.size)
    progress("computing metrics", 0, 1)
    evaluator.evaluate(done)
    results = [metric.result for metric in evaluator.metrics if getattr(metric, "result", None)]
    if not results:
        raise ConfigError(
            "test_evaluator: none of its metrics keeps a result that can be compared; use "
            "HandMetric, or a metric derived from it."
        )
    columns = zip(*kept, strict=True)
    ids, camera, joints, vertices = (np.stack(column) for column in columns)
    return results[0], Predictions(ids, camera, joints, vertices)


def _kept(sample: Any, index: int) -> tuple[Any, ...]:
    def array(value: Tensor) -> np.ndarray:
        return value.detach().float().cpu().numpy()

    identifier = sample.get("sample_id")
    return (
        str(index if identifier is None else identifier),
        array(sample.pred_camera),
        array(sample.pred_joints),
        array(sample.pred_vertices),
    )


def identity(
    estimator: nn.Module,
    cfg: Config,
    data: BenchmarkData,
    result: EvaluationResult,
    predictions: Predictions,
) -> dict[str, Any]:
    """What decides which of a model's figures can be compared with another model's."""
    hand = getattr(estimator, "hand_model", None)
    regressor = getattr(hand, "joint_regressor", None)
    pipeline = data.test_config(cfg)["pipeline"]
    return {
        "joint_order": result.protocol.get("joint_order", ""),
        "joints_from": result.protocol.get("joints_from", ""),
        "hand_model": getattr(hand, "name", "not stated"),
        "hand_model_sha256": _hash(getattr(hand, "v_template", None)),
        "joint_regressor_sha256": _hash(regressor),
        "num_joints": int(predictions.joints.shape[1]),
        "num_vertices": int(predictions.vertices.shape[1]),
        "input_size": input_size(pipeline) or DEFAULT_INPUT_SIZE,
        "crop": crop_policy(pipeline),
    }


def _hash(value: Tensor | None) -> str:
    if value is None:
        return ""
    return hashlib.sha256(value.detach().float().cpu().numpy().tobytes()).hexdigest()


def plugins_of(estimator: nn.Module, spec: ModelSpec) -> list[dict[str, str]]:
    """Name, version and distribution of the plugins that a model takes classes from."""
    from handzoo.plugins import plugin_manager

    classes = {type(module) for module in estimator.modules()}
    brought_by = spec.entry.plugin if spec.entry else ""
    return [
        {"name": p.name, "version": p.version, "distribution": p.distribution}
        for p in plugin_manager().all()
        if p.name == brought_by or any(value in classes for value in p.loaded.values()
                                       if isinstance(value, type))
    ]  # fmt: skip
