"""A tiny estimator, data set and metric, so that whole runs take a second."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import Dataset

from handzoo.registry import DATASETS, ESTIMATORS, METRICS
from handzoo.resources import resolve

SIDE = 8


@ESTIMATORS.register_module()
class ToyEstimator(BaseModel):
    """Fits the mean of an image; with dropout, so that seeds of the steps matter.

    Args:
        width: of the hidden layer.
        poison: iterations (counted by calls) whose loss is NaN.
        resource: a resource to ask for when it is built.
    """

    def __init__(
        self,
        width: int = 16,
        poison: tuple[int, ...] = (),
        resource: str | None = None,
        data_preprocessor: Any = None,
    ) -> None:
        super().__init__(data_preprocessor)
        self.body = nn.Sequential(nn.Linear(3 * SIDE * SIDE, width), nn.ReLU(), nn.Dropout(0.2))
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 1)
        self.poison = set(poison)
        self.calls = 0
        if resource is not None:
            resolve(resource)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        images = torch.stack(list(inputs)).float().flatten(1) / 255
        out = self.head(self.norm(self.body(images)))[:, 0]
        if mode == "tensor":
            return out
        if mode == "predict":
            for sample, value in zip(data_samples, out, strict=True):
                sample.pred = value.detach()
            return data_samples
        target = torch.stack([sample.target for sample in data_samples])
        loss = (out - target).square().mean()
        if self.calls in self.poison:
            loss = loss * float("nan")
        self.calls += 1
        return {"loss_fit": loss, "loss_other": 0.0 * out.sum()}


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Random images with random augmentation from all three generators."""

    metainfo = {"dataset": "toy", "tips": np.arange(5)}

    def __init__(self, size: int = 24, augment: bool = True) -> None:
        self.size = size
        self.augment = augment

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = torch.full((3, SIDE, SIDE), float(index * 10 % 255))
        if self.augment:
            noise = random.random() + np.random.rand()  # noqa: NPY002  (as old transforms do)
            image += noise + torch.rand(3, SIDE, SIDE)
        sample = BaseDataElement(metainfo={"sample_id": index})
        sample.target = torch.tensor(index / self.size)
        return {"inputs": image.clamp(0, 255).to(torch.uint8), "data_samples": sample}


@METRICS.register_module()
class ToyMetric(BaseMetric):
    """Mean absolute error under the name that checkpoints are chosen by."""

    default_prefix = "toy"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [float((s["pred"] - s["target"]).abs()) for s in data_samples]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"PA-MPJPE": float(np.mean(results))}


def config_dict(work_dir: Path, **changes: Any) -> dict[str, Any]:
    """A whole config of the toy; keyword arguments replace top-level keys."""
    loader = {
        "batch_size": 4,
        "num_workers": 0,
        "dataset": {"type": "ToyDataset"},
        "sampler": {"type": "DefaultSampler", "shuffle": True},
    }
    val_loader = {
        **loader,
        "dataset": {"type": "ToyDataset", "size": 8, "augment": False},
        "sampler": {"type": "DefaultSampler", "shuffle": False},
    }
    cfg = {
        "model_name": "toy",
        "default_scope": "handzoo",
        "work_dir": str(work_dir),
        "model": {"type": "ToyEstimator"},
        "train_dataloader": loader,
        "val_dataloader": val_loader,
        "train_cfg": {"by_epoch": True, "max_epochs": 3, "val_interval": 1},
        "val_cfg": {"type": "ValLoop"},
        "val_evaluator": [{"type": "ToyMetric"}],
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 1e-2}},
        "param_scheduler": [
            {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 4},
            {"type": "MultiStepLR", "milestones": [1, 2], "gamma": 0.1, "by_epoch": True},
        ],
        "default_hooks": {
            "logger": {"type": "HandLoggerHook", "interval": 2},
            "progress": {"type": "ProgressHook"},
            "guard": {"type": "FiniteGuardHook", "patience": 3},
            "stop": {"type": "GracefulStopHook"},
            "checkpoint": {"type": "HandCheckpointHook"},
            "results": {"type": "MetricsFileHook"},
        },
        "randomness": {"seed": 7},
    }
    cfg.update(changes)
    return cfg
