"""The one data set that all models of a comparison see, each through its own preprocessing.

Data set, split and samples are the same for all. A model keeps the pipeline of its config (crop,
size of its input), since that is part of the method; where its config is for other data, the
reference's pipeline is used with the model's input size.
"""

from __future__ import annotations

import copy
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handzoo.engine import data_choice
from handzoo.errors import ConfigError

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch.utils.data import DataLoader, Dataset

_FINGERPRINTED = 2000  # samples, evenly spread


@dataclass
class BenchmarkData:
    """What is evaluated on.

    Attributes:
        name: as it was asked for.
        test: config of the data set, without its pipeline.
        train: the same for training, or None where the config has none.
        pipeline, train_pipeline: for models whose config is for another data set.
        evaluator: config of the metrics, one or a list.
        limit: number of samples, evenly spread; None for all.
        fingerprint: hash of samples and annotation; set when the data were first opened.
        size: samples that are evaluated; set at the same time.
        total: samples of the whole data set.
    """

    name: str
    test: dict[str, Any]
    train: dict[str, Any] | None
    pipeline: list[Any]
    train_pipeline: list[Any]
    evaluator: Any
    limit: int | None = None
    fingerprint: str = ""
    size: int = 0
    total: int = 0
    metainfo: dict[str, Any] = field(default_factory=dict)

    def test_config(self, cfg: Config) -> dict[str, Any]:
        """Config of the test data for one model."""
        own = (cfg.get("test_dataloader") or cfg.get("val_dataloader") or {}).get("dataset")
        return {**copy.deepcopy(self.test), "pipeline": self._fit(own, self.pipeline)}

    def train_config(self, cfg: Config) -> dict[str, Any]:
        """Config of the training data for one model.

        Raises:
            ConfigError: the data set is for testing only.
        """
        if self.train is None:
            raise ConfigError(
                f"--budget: the data {self.name} have no training part. Leave --dataset out, or "
                "name data to train on."
            )
        own = (cfg.get("train_dataloader") or {}).get("dataset")
        return {**copy.deepcopy(self.train), "pipeline": self._fit(own, self.train_pipeline)}

    def _fit(self, own: Any, reference: list[Any]) -> list[Any]:
        return data_choice.fit_pipeline(own, self.test["type"], reference)

    def build(self, cfg: Config) -> Dataset:
        """Open the (limited) test data for one model, and note their fingerprint once."""
        from torch.utils.data import Subset

        from handzoo.registry import DATASETS

        dataset = DATASETS.build(self.test_config(cfg), key="test_dataloader.dataset")
        if hasattr(dataset, "full_init"):
            dataset.full_init()
        self.metainfo = dict(getattr(dataset, "metainfo", None) or {})
        indices = chosen_indices(len(dataset), self.limit)
        self.size, self.total = len(indices), len(dataset)
        if not self.fingerprint:
            self.fingerprint = fingerprint(dataset, indices)
        return dataset if len(indices) == len(dataset) else Subset(dataset, indices.tolist())

    def loader(self, cfg: Config, batch_size: int | None) -> DataLoader:
        """Batches of the test data for one model, in order."""
        from mmengine.dataset import pseudo_collate
        from torch.utils.data import DataLoader

        from handzoo.engine.train import fit_workers

        own = dict(cfg.get("test_dataloader") or cfg.get("val_dataloader") or {})
        fit_workers(own)
        dataset = self.build(cfg)
        batch_size = batch_size or own.get("batch_size", 8)
        # Starting a process costs more than it saves on a handful of batches.
        workers = 0 if self.size <= 8 * batch_size else own["num_workers"] if own else 0
        return DataLoader(
            dataset, batch_size=batch_size, num_workers=workers, collate_fn=pseudo_collate
        )


def crop_policy(pipeline: list[Any]) -> dict[str, Any]:
    """How a pipeline chooses the square of the picture that the model sees."""
    return next((dict(step) for step in pipeline if step.get("type") == "HandCrop"), {})


def chosen_indices(length: int, limit: int | None) -> np.ndarray:
    """All indices, or ``limit`` of them evenly spread."""
    if limit is None or limit >= length:
        return np.arange(length)
    return np.unique(np.linspace(0, length - 1, limit).round().astype(int))


def fingerprint(dataset: Any, indices: np.ndarray) -> str:
    """Hash of what is evaluated on: names, sizes and annotation of (at most 2000) samples."""
    digest = hashlib.sha256(f"{type(dataset).__name__} {len(dataset)} {len(indices)}".encode())
    if hasattr(dataset, "get_data_info"):
        for index in indices[chosen_indices(len(indices), _FINGERPRINTED)]:
            info = dataset.get_data_info(int(index))
            path = Path(str(info.get("img_path", "")))
            size = os.stat(path).st_size if path.is_file() else 0
            digest.update(f"{info.get('sample_id')} {path.name} {size}".encode())
            for key in ("joints3d", "vertices", "K", "root"):
                if key in info:
                    digest.update(np.ascontiguousarray(info[key], dtype=np.float64).tobytes())
    return digest.hexdigest()


def choose_data(dataset: str | None, reference: Config, limit: int | None) -> BenchmarkData:
    """The data of a comparison.

    Args:
        dataset: ``freihand``, ``rhd``, ... (a file of configs/_base_/datasets), or any config
            with a test set; None takes that of ``reference``.
        reference: config of the first model.
        limit: number of samples.

    Raises:
        ConfigError: unknown data set, or a config without test data.
    """
    cfg = reference if dataset is None else data_choice.dataset_config(dataset)
    name = dataset or reference.get("model_name", "")
    loader = cfg.get("test_dataloader") or cfg.get("val_dataloader")
    evaluator = cfg.get("test_evaluator") or cfg.get("val_evaluator")
    if loader is None or evaluator is None:
        raise ConfigError(
            f"{name}: has no test_dataloader and test_evaluator, so there is nothing to compare "
            "on. Name data with --dataset."
        )
    test, test_pipeline = data_choice.split_pipeline(loader)
    train, train_pipeline = None, []
    if cfg.get("train_dataloader"):
        train, train_pipeline = data_choice.split_pipeline(cfg.train_dataloader)
    return BenchmarkData(name, test, train, test_pipeline, train_pipeline, evaluator, limit)


def evaluator_configs(evaluator: Any, cfg: Config, size: int) -> list[dict[str, Any]]:
    """The benchmark's metrics for one model; they write no submission of their own."""
    configs = data_choice.evaluator_configs(evaluator, cfg, size)
    for config in configs:
        if config.get("type") in data_choice.HAND_METRICS:
            config.pop("out_dir", None)
            config["submission"] = False
    return configs
