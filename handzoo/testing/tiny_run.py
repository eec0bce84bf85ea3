"""A whole training run that takes a fraction of a second: what hooks are checked in.

Model, data and metric are HandZoo's own kinds, so that a hook finds what it finds in earnest:
samples with annotation and predictions, figures with their protocol, a visualizer that draws.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.visualization import Visualizer
from torch import Tensor, nn
from torch.utils.data import Dataset

from handzoo.engine.runner import HandRunner
from handzoo.evaluation.metrics import HandMetric
from handzoo.hands.topology import HandTopology
from handzoo.structures import HandDataSample, empty_annotation
from handzoo.testing.fixtures import make_targets

EPOCHS, SAMPLES, BATCH = 2, 6, 2
_SIDE = 16
_counter = itertools.count()


class TinyModel(BaseModel):
    """Stretches the template; dropout and a batch norm make it feel modes and seeds."""

    def __init__(self, topology: HandTopology) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3 * _SIDE * _SIDE, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(8, 3)
        template = topology.template - topology.template_joints[:1]
        self.register_buffer("template", template, persistent=False)
        self.register_buffer("joints", topology.regress_joints(template[None])[0], persistent=False)

    def forward(
        self, inputs: Sequence[Tensor], data_samples: Sequence[HandDataSample], mode: str = "tensor"
    ) -> Any:
        """Joints, losses or predicted samples, as MMEngine's ``mode`` says."""
        images = torch.stack(list(inputs)).float().flatten(1) / 255
        stretch = 1 + self.head(self.dropout(self.body(images)))[:, None]
        joints = self.joints * stretch
        if mode == "tensor":
            return joints
        if mode == "loss":
            wanted = torch.stack([sample.joints3d for sample in data_samples])
            return {"loss_joints": (joints - wanted).square().mean()}
        for sample, points, factor in zip(data_samples, joints, stretch, strict=True):
            sample.pred_camera = torch.tensor([6.0, 0.0, 0.0])
            sample.pred_joints = sample.pred_joints_from_vertices = points.detach()
            sample.pred_vertices = (self.template * factor).detach()
        return data_samples


class TinyDataset(Dataset):
    """Six annotated hands with noise for pictures."""

    metainfo = {"dataset": "conformance"}

    def __init__(self, topology: HandTopology) -> None:
        targets = make_targets(SAMPLES, topology, size=_SIDE)
        self.fields = {name: getattr(targets, name) for name in empty_annotation()}
        noise = torch.Generator().manual_seed(0)
        self.images = torch.randint(
            0, 256, (SAMPLES, 3, _SIDE, _SIDE), dtype=torch.uint8, generator=noise
        )

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> dict[str, Any]:
        fields = {name: value[index].clone() for name, value in self.fields.items()}
        meta = {"sample_id": index, "dataset": "conformance", "img_path": f"{index:08d}.jpg"}
        sample = HandDataSample(metainfo=meta, **fields)
        return {"inputs": self.images[index].clone(), "data_samples": sample}


class _Visualizer(Visualizer):
    """Draws a sample as its picture."""

    def draw_sample(self, image: np.ndarray, data_sample: HandDataSample) -> np.ndarray:
        """As :meth:`handzoo.visualization.HandVisualizer.draw_sample`."""
        return image


class _Runner(HandRunner):
    """HandZoo's runner without its inventory of the machine, which takes longer than the run."""

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        pass


@contextmanager
def tiny_runner(
    work_dir: Path,
    topology: HandTopology,
    hook: Hook | None = None,
    *,
    max_iters: int | None = None,
    resume: Path | None = None,
    test: bool = False,
) -> Iterator[HandRunner]:
    """A runner that is ready for ``train()`` (with validation), or for ``test()`` alone.

    Args:
        work_dir: where the run writes.
        topology: of the bundled hand.
        hook: what is checked; None for a run without it.
        max_iters: stop after so many of the 6 iterations.
        resume: checkpoint to go on from.
        test: no training part at all, as in ``handzoo test``.
    """
    name = f"conformance-{next(_counter)}"
    torch.manual_seed(0)
    model = TinyModel(topology)
    loader = {"batch_size": BATCH, "num_workers": 0, "dataset": TinyDataset(topology)}
    plain = {**loader, "sampler": {"type": "DefaultSampler", "shuffle": False}}
    evaluator = Evaluator([HandMetric(submission=False, workers=1, input_size=_SIDE)])
    parts: dict[str, Any]
    if test:
        parts = {"test_dataloader": plain, "test_cfg": {}, "test_evaluator": evaluator}
    else:
        shuffled = {**loader, "sampler": {"type": "DefaultSampler", "shuffle": True}}
        loop = {"type": "HandTrainLoop", "max_epochs": EPOCHS}
        parts = {
            "train_dataloader": shuffled,
            "train_cfg": loop if max_iters is None else {**loop, "max_iters": max_iters},
            "optim_wrapper": {
                "type": "HandOptimWrapper",
                "optimizer": {"type": "AdamW", "lr": 1e-2},
            },
            "val_dataloader": plain,
            "val_cfg": {},
            "val_evaluator": evaluator,
        }
    runner = _Runner(
        model=model,
        work_dir=str(work_dir),
        default_scope="handzoo",
        default_hooks={"logger": None, "checkpoint": None},
        custom_hooks=[] if hook is None else [hook],
        visualizer=_Visualizer(name=name),
        load_from=None if resume is None else str(resume),
        resume=resume is not None,
        randomness={"seed": 3},
        experiment_name=name,
        log_level="ERROR",
        **parts,
    )
    try:
        yield runner
    finally:
        for handler in list(runner.logger.handlers):  # they hold files below work_dir
            if isinstance(handler, logging.FileHandler):
                runner.logger.removeHandler(handler)
                handler.close()
