"""PointHMR's supervision of the vertices' heatmaps: the one right cell of each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from handzoo.errors import ConfigError
from handzoo.hands.camera import (
    normalized_to_pixels,
    perspective_project,
    weak_perspective_project,
)
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Loss, masked_mean
from handzoo.registry import current_key_path
from handzoo.structures import HandPrediction, HandTargets

CAMERAS = ("annotated", "predicted")
NAMES = ("vertices_x2", "vertices")  # the finer one first
SMOOTH = 1e-5


class PointLoss(Loss):
    """Dice loss plus binary cross entropy of the finest vertex heatmaps' softmax.

    The target of a heatmap is one at the cell of its coarse vertex and zero elsewhere. Vertices
    outside the crop are left out (the authors' index lets some of them wrap to the next row).

    Args:
        topology: gives the coarse vertices of the annotated mesh.
        weight: of the loss; 10 in the released code.
        entropy: weight of the cross entropy beside the dice loss.
        camera: how the annotated mesh is projected: ``annotated`` by the camera of the crop, or
            ``predicted`` by the predicted one, as the authors do, whose data sets lack cameras.
        image_size: side of the crop in pixels.

    Raises:
        ConfigError: ``camera`` is neither.
    """

    source = "PointHMR (Kim et al., CVPR 2023), section 3.4; tools/loss.py dice_loss"

    def __init__(
        self,
        topology: HandTopology,
        weight: float = 10.0,
        entropy: float = 1e3,
        camera: str = "annotated",
        image_size: int = 224,
    ) -> None:
        super().__init__()
        if camera not in CAMERAS:
            raise ConfigError(
                f"{current_key_path('camera')}: {camera!r} is none of {', '.join(CAMERAS)}."
            )
        self.weight, self.entropy, self.camera = weight, entropy, camera
        self.image_size = image_size
        self.register_buffer("down", topology.down, persistent=False)

    def forward(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        """Return ``loss_points`` of the batch.

        Raises:
            ConfigError: the prediction has no heatmaps of vertices.
        """
        heatmaps = prediction.heatmaps or {}
        logits = next((heatmaps[name] for name in NAMES if name in heatmaps), None)
        if logits is None:
            raise ConfigError(
                "model.loss: PointLoss needs heatmaps of the vertices, and the query head makes "
                "none; PointHMR's is dict(type='pointhmr/PointSampling')."
            )
        points, valid = self._points(prediction, targets)
        height, width = logits.shape[2:]
        column, row = (points * points.new_tensor([width, height]) / self.image_size).unbind(-1)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        cell = torch.where(inside, row.floor() * width + column.floor(), 0.0).long()
        loss = self._of_cells(logits.float().flatten(2).softmax(-1), cell)
        return {"loss_points": self.weight * masked_mean(loss, valid & inside)}

    def _of_cells(self, chance: Tensor, cell: Tensor) -> Tensor:
        """Dice loss and cross entropy (B, V) of probabilities (B, V, cells) and the right cells.

        The target is zero but in one cell, so no target map is made.
        """
        right = chance.gather(2, cell[..., None]).squeeze(2)
        dice = 1.0 - 2.0 * (right + SMOOTH) / (chance.sum(2) + 1.0 + 2.0 * SMOOTH)
        nowhere = chance.new_zeros(()).expand_as(chance)
        entropy = F.binary_cross_entropy(chance, nowhere, reduction="none").sum(2)
        here, not_here = (
            F.binary_cross_entropy(right, target, reduction="none")
            for target in (torch.ones_like(right), torch.zeros_like(right))
        )
        return dice + self.entropy * (entropy + here - not_here) / chance.shape[2]

    @torch.no_grad()
    def _points(
        self, prediction: HandPrediction, targets: HandTargets
    ) -> tuple[Tensor, Tensor]:
        """Pixels (B, V, 2) of the annotated coarse vertices, and which of them are known."""
        coarse = self.down @ targets.vertices
        known = targets.vertices_valid[:, None].expand(coarse.shape[:2])
        if self.camera == "predicted":
            projected = weak_perspective_project(coarse, prediction.camera)
            return normalized_to_pixels(projected, self.image_size), known
        coarse = coarse + targets.root[:, None]
        in_front = coarse[..., 2] > 1e-3
        depth = torch.where(in_front, coarse[..., 2], 1.0)
        coarse = torch.cat([coarse[..., :2], depth[..., None]], -1)
        known = known & in_front & (targets.root_valid & targets.K_valid)[:, None]
        return perspective_project(coarse, targets.K), known
