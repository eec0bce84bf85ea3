"""Run a config's model on other data than its own: what ``--dataset`` means.

The data set, its split and its metrics are the other's; the model keeps its batch size and the
size of its input. Where its config is for the same data set it keeps its pipeline too, since the
crop is part of the method.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handzoo.errors import ConfigError, suggest
from handzoo.zoo.index import configs_root

if TYPE_CHECKING:
    from mmengine.config import Config

_SIZED = ("HandAffine", "RandomHandAffine")
HAND_METRICS = ("HandMetric", "RHDMetric", "DexterObjectMetric")
DEFAULT_INPUT_SIZE = 224


def dataset_names() -> list[str]:
    """Data sets that ``--dataset`` takes by name."""
    return sorted(path.stem for path in (configs_root() / "_base_" / "datasets").glob("*.py"))


def dataset_config(dataset: str) -> Config:
    """The config of a data set.

    Args:
        dataset: ``freihand``, ``rhd``, ... (a file of configs/_base_/datasets), or any config
            with a test set.

    Raises:
        ConfigError: unknown; names what there is.
    """
    from mmengine.config import Config

    from handzoo.engine.config import load_config

    by_name = configs_root() / "_base_" / "datasets" / f"{dataset}.py"
    if by_name.is_file():
        return Config.fromfile(str(by_name), lazy_import=False, import_custom_modules=False)
    if not Path(dataset).suffix and os.sep not in dataset:
        names = dataset_names()
        hint = suggest(dataset, names)
        if hint or not _is_model(dataset):
            raise ConfigError(
                f"--dataset {dataset!r}: unknown. {hint} There are: {', '.join(names)}; or name "
                "a config file with a test set."
            )
    return load_config(dataset)


def _is_model(name: str) -> bool:
    from handzoo.zoo.index import find_config

    return find_config(name) is not None


def use_dataset(cfg: Config, dataset: str) -> Config:
    """A copy of a config with another's data, pipelines and metrics.

    Args:
        cfg: of a model; see :func:`~handzoo.engine.config.load_config`.
        dataset: see :func:`dataset_config`.

    Returns:
        The config; without training data where ``dataset`` is for testing only.

    Raises:
        ConfigError: unknown data set, or one without a test set.
    """
    other = dataset_config(dataset)
    cfg = copy.deepcopy(cfg)
    size = model_input_size(cfg)
    # What validates during training is also what tests, unless a data set says otherwise.
    parts = {"train": "train", "val": "val" if other.get("val_dataloader") else "test"}
    parts["test"] = "test" if other.get("test_dataloader") else "val"
    for part, source in parts.items():
        loader = other.get(f"{source}_dataloader")
        evaluator = other.get(f"{source}_evaluator")
        if loader is None and part == "train":
            cfg.train_dataloader = None
            continue
        if loader is None or (evaluator is None and part != "train"):
            raise ConfigError(
                f"--dataset {dataset}: has no {source}_dataloader and {source}_evaluator, so no "
                "model of hands can be judged on it."
            )
        own = cfg.get(f"{part}_dataloader")
        data, pipeline = split_pipeline(loader)
        data["pipeline"] = fit_pipeline(own and own.get("dataset"), data["type"], pipeline)
        if own is None:
            cfg[f"{part}_dataloader"] = copy.deepcopy(loader)
        cfg[f"{part}_dataloader"].dataset = data
        if part != "train":
            cfg[f"{part}_evaluator"] = evaluator_configs(evaluator, cfg, size)
    if not cfg.get("work_dir"):
        cfg.work_dir = str(Path("work_dirs") / f"{cfg.model_name}_on_{Path(dataset).stem}")
    return cfg


def split_pipeline(loader: Any) -> tuple[dict[str, Any], list[Any]]:
    """A loader's data set without its pipeline, and the pipeline; both copies."""
    dataset = copy.deepcopy(loader["dataset"])
    dataset = dataset.to_dict() if hasattr(dataset, "to_dict") else dict(dataset)
    return dataset, list(dataset.pop("pipeline", []))


def fit_pipeline(own: Any, dataset_type: str, reference: list[Any]) -> list[Any]:
    """The pipeline by which a model sees a data set.

    Args:
        own: the data set of the model's config, or None.
        dataset_type: class of the data set that is wanted.
        reference: its pipeline, used if ``own`` is another class, with the size that ``own`` has.
    """
    if own and own.get("type") == dataset_type and own.get("pipeline"):
        return copy.deepcopy(list(own["pipeline"]))
    pipeline = copy.deepcopy(reference)
    size = input_size(own.get("pipeline", [])) if own else None
    for step in pipeline:
        if size is not None and step.get("type") in _SIZED:
            step["size"] = size
    return pipeline


def input_size(pipeline: list[Any]) -> int | None:
    """Side of the crop that a pipeline makes, if it says so."""
    sizes = [step.get("size") for step in pipeline if step.get("type") in _SIZED]
    return sizes[-1] if sizes else None


def model_input_size(cfg: Any) -> int:
    """Side of the crop in a config's test pipeline; 224 if it does not say, or there is none."""
    cfg = cfg or {}
    loader = cfg.get("test_dataloader") or cfg.get("val_dataloader") or {}
    pipeline = (loader.get("dataset") or {}).get("pipeline") or []
    return input_size(pipeline) or DEFAULT_INPUT_SIZE


def evaluator_configs(evaluator: Any, cfg: Config, size: int) -> list[dict[str, Any]]:
    """The metrics for one model: the data set's, with the model's input size and its own way to
    joints (reported, or regressed from the mesh).
    """
    configs = [evaluator] if isinstance(evaluator, dict) else list(evaluator)
    own = cfg.get("test_evaluator") or cfg.get("val_evaluator") or {}
    own = own if isinstance(own, dict) else (own or [{}])[0]
    made = []
    for config in configs:
        config = json.loads(json.dumps(config.to_dict() if hasattr(config, "to_dict") else config))
        if config.get("type") in HAND_METRICS:
            config["input_size"] = size
            if own.get("type") in HAND_METRICS and "joints_from" in own:
                config["joints_from"] = own["joints_from"]
            order = (own.get("protocol") or {}).get("joint_order")
            if order is not None:
                config["protocol"] = {**(config.get("protocol") or {}), "joint_order": order}
        made.append(config)
    return made
