"""Pictures of validation hands, in TensorBoard and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from handzoo.engine.hooks.progress import harmless
from handzoo.registry import HOOKS


@HOOKS.register_module()
class HandVisualizationHook(Hook):
    """Draw the first hands of every validation and test with the runner's visualizer.

    The same samples are drawn each time, so that one sees them get better. The visualizer must
    have ``draw_sample``, as :class:`~handzoo.visualization.visualizer.HandVisualizer` has.

    Args:
        num_samples: hands per validation.
        interval: validations between two drawings.
        out_dir: folder below the work directory for the pictures as files; None for none.
    """

    priority = "LOW"

    def __init__(
        self, num_samples: int = 8, interval: int = 1, out_dir: str | None = "vis"
    ) -> None:
        self.num_samples = num_samples
        self.interval = interval
        self.out_dir = out_dir
        self._validations = 0
        self._drawn = 0

    @harmless
    def before_val_epoch(self, runner: Runner) -> None:
        """Count validations."""
        self._drawn = 0
        self._validations += 1

    @harmless
    def before_test_epoch(self, runner: Runner) -> None:
        """Start anew."""
        self._drawn = 0

    @harmless
    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw, if this validation's turn has come."""
        if (self._validations - 1) % self.interval == 0:
            in_training = not isinstance(runner._train_loop, (dict, type(None)))
            self._draw(runner, data_batch, outputs, "val", runner.iter if in_training else 0)

    @harmless
    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw the first hands of the test."""
        self._draw(runner, data_batch, outputs, "test", 0)

    def _draw(self, runner: Runner, data_batch: Any, outputs: Any, mode: str, step: int) -> None:
        if not is_main_process():
            return
        for image, sample in zip(data_batch["inputs"], outputs or (), strict=False):
            if self._drawn >= self.num_samples:
                return
            panel = runner.visualizer.draw_sample(to_picture(image), sample.cpu())
            runner.visualizer.add_image(f"{mode}/hand_{self._drawn:02d}", panel, step=step)
            if self.out_dir is not None:
                folder = Path(runner.work_dir) / self.out_dir
                folder.mkdir(parents=True, exist_ok=True)
                file = folder / f"{mode}_{self._drawn:02d}_{step:07d}.png"
                cv2.imwrite(str(file), cv2.cvtColor(panel, cv2.COLOR_RGB2BGR))
            self._drawn += 1


def to_picture(image: torch.Tensor) -> np.ndarray:
    """(3, H, W) uint8 tensor as the pipelines give it -> (H, W, 3) uint8 RGB array."""
    return np.ascontiguousarray(image.detach().cpu().numpy().transpose(1, 2, 0))
