"""The Visualizer: one panel a hand, to every backend that the config names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.visualization import LocalVisBackend, Visualizer
from torch import Tensor

from handzoo.hands.camera import normalized_to_pixels, weak_perspective_project
from handzoo.registry import HAND_MODELS, VISUALIZERS
from handzoo.structures import HandDataSample
from handzoo.visualization.panels import tile
from handzoo.visualization.renderer import (
    CLAY,
    Style,
    overlay_mesh,
    overlay_weak_perspective,
    side_view,
)
from handzoo.visualization.skeleton import draw_skeleton


@VISUALIZERS.register_module()
class HandVisualizer(Visualizer):
    """Draws image, 2D skeleton, mesh overlay and side view; prediction above ground truth.

    Args:
        hand_model: whose faces the meshes have.
        size: side of each picture of the panel in pixels; the crop's own size if None.
        meshes: render meshes (needs PyTorch3D). Without, a panel is image and skeleton.
        name: of the instance, for MMEngine.
        **visualizer: arguments of :class:`mmengine.visualization.Visualizer` (``vis_backends``,
            ``save_dir``).
    """

    def __init__(
        self,
        hand_model: dict[str, Any] | None = None,
        size: int | None = None,
        meshes: bool = True,
        name: str = "visualizer",
        **visualizer: Any,
    ) -> None:
        super().__init__(name=name, **visualizer)
        self.hand_model = hand_model or {"type": "auto"}
        self.size = size
        self.meshes = meshes
        self._faces: Tensor | None = None

    @property
    def faces(self) -> Tensor:
        """(1538, 3) faces of the hand model, built on first use."""
        if self._faces is None:
            self._faces = HAND_MODELS.build(self.hand_model, key="visualizer.hand_model").faces
        return self._faces

    def draw_sample(
        self,
        image: np.ndarray | Tensor,
        data_sample: HandDataSample,
        draw_gt: bool = True,
        draw_pred: bool = True,
    ) -> np.ndarray:
        """One panel.

        Args:
            image: the crop, (H, W, 3) uint8 RGB or (3, H, W) uint8.
            data_sample: its annotation and prediction; either may be missing.
            draw_gt: draw the annotation, where there is any.
            draw_pred: draw the prediction, where there is one.

        Returns:
            (H', W', 3) uint8 RGB.
        """
        crop = _as_picture(image)
        rows, captions = [], []
        if draw_pred and "pred_joints" in data_sample:
            rows.append(self._prediction_row(crop, data_sample))
            captions.append(["image", "predicted joints", "predicted mesh", "from the side"])
        if draw_gt:
            truth = self._truth_row(crop, data_sample)
            if truth or not rows:
                rows.append([crop, *truth])
                captions.append(["image", "annotated joints", "annotated mesh", "from the side"])
        if not rows:
            rows, captions = [[crop]], [["image"]]
        captions = [names[: len(row)] for names, row in zip(captions, rows, strict=True)]
        return tile(rows, captions, self.size)

    def _prediction_row(self, crop: np.ndarray, sample: HandDataSample) -> list[np.ndarray]:
        camera = _cpu(sample.pred_camera)
        projected = weak_perspective_project(_cpu(sample.pred_joints)[None], camera[None])[0]
        # Weak perspective reaches from edge to edge of the crop; pixel centres are at integers.
        joints2d = normalized_to_pixels(projected, crop.shape[0])
        row = [crop, draw_skeleton(crop, joints2d.numpy())]
        if self.meshes and "pred_vertices" in sample:
            vertices = _cpu(sample.pred_vertices)
            row.append(overlay_weak_perspective(crop, vertices, self.faces, camera))
            row.append(side_view(vertices, self.faces, crop.shape[0]))
        return row

    def _truth_row(self, crop: np.ndarray, sample: HandDataSample) -> list[np.ndarray]:
        row = []
        if "joints2d_valid" in sample and bool(sample.joints2d_valid.any()):
            valid = _cpu(sample.joints2d_valid).numpy()
            row.append(draw_skeleton(crop, _cpu(sample.joints2d).numpy(), valid))
        has_mesh = "vertices_valid" in sample and bool(sample.vertices_valid)
        if not (row and self.meshes and has_mesh):
            return row
        vertices = _cpu(sample.vertices)
        style = Style(color=CLAY)
        if bool(sample.root_valid) and bool(sample.K_valid):
            placed = vertices + _cpu(sample.root)
            row.append(overlay_mesh(crop, placed, self.faces, _cpu(sample.K), style))
            row.append(side_view(vertices, self.faces, crop.shape[0], style=style))
        return row

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray | Tensor,
        data_sample: HandDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        out_file: str | Path | None = None,
        step: int = 0,
        **_: Any,
    ) -> None:
        """Draw a panel and hand it to the backends, or write it to ``out_file``.

        Args:
            name: of the picture in the backends, such as ``val/3``.
            image: the crop, (H, W, 3) or (3, H, W) uint8 RGB.
            data_sample: annotation and prediction.
            draw_gt: draw the annotation.
            draw_pred: draw the prediction.
            out_file: write a picture file instead of logging.
            step: iteration or epoch that the picture belongs to.
        """
        panel = self.draw_sample(image, data_sample or HandDataSample(), draw_gt, draw_pred)
        self.set_image(panel)
        if out_file is not None:
            Path(out_file).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(out_file), panel[..., ::-1])
        else:
            self.add_image(name, panel, step)

    @master_only
    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        """Hand a picture (H, W, 3) to every backend.

        A slash in ``name`` groups pictures in TensorBoard; where names become files, it would
        name a folder that is not there, and cv2 would drop the picture without a word.
        """
        for backend in self._vis_backends.values():
            flat = isinstance(backend, LocalVisBackend)
            backend.add_image(name.replace("/", "_") if flat else name, image, step)


def _cpu(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    return tensor.float() if tensor.is_floating_point() else tensor


def _as_picture(image: np.ndarray | Tensor) -> np.ndarray:
    """(H, W, 3) uint8 of a picture or of a channels-first tensor."""
    if isinstance(image, torch.Tensor):
        array = image.detach().cpu().numpy()
        if array.ndim == 3 and array.shape[0] == 3:
            array = array.transpose(1, 2, 0)
        return np.ascontiguousarray(array)
    return np.ascontiguousarray(image)
