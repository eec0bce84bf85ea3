"""The losses on joints, mesh and projection: section 3.7, equation 1."""

from __future__ import annotations

from torch import Tensor

from handzoo.hands.camera import pixels_to_normalized, weak_perspective_project
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Loss, masked_mean, where_known
from handzoo.models.losses.heatmap import HeatmapLoss
from handzoo.registry import LOSSES
from handzoo.structures import HandPrediction, HandTargets


@LOSSES.register_module()
class HandLoss(Loss):
    """Vertices, 3D joints, 2D joints and heatmaps, each over what is annotated.

    - vertices: L1 of the fine mesh, and of the coarse mesh where the method has one;
    - 3D joints: squared error of the predicted joints, and of those regressed from the mesh;
    - 2D joints: L1 of the weak-perspective projection of both, in units of half the crop;
    - heatmaps: :class:`~handzoo.models.losses.HeatmapLoss`.

    Every term is the mean over its valid entries, in metres (3D) or half crops (2D).

    Args:
        topology: gives the coarse vertices of the annotated mesh.
        vertices, joints3d, joints2d, heatmap: weights; the defaults are the paper's. A term with
            weight zero is not computed.
        coarse: weight of the coarse mesh in units of that of the fine mesh.
        sigma: of the heatmaps' Gaussians, in cells.
        image_size: side of the crop in pixels.
    """

    source = "CLIP-Hand, section 3.7, equation 1"

    def __init__(
        self,
        topology: HandTopology,
        vertices: float = 1000.0,
        joints3d: float = 1000.0,
        joints2d: float = 100.0,
        heatmap: float = 1.0,
        coarse: float = 1.0,
        sigma: float = 1.5,
        image_size: int = 224,
    ) -> None:
        super().__init__()
        self.vertices, self.joints3d, self.joints2d = vertices, joints3d, joints2d
        self.coarse = coarse
        self.image_size = image_size
        self.register_buffer("down", topology.down, persistent=False)
        self.heatmap = HeatmapLoss(topology, heatmap, sigma, image_size) if heatmap else None

    def forward(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        """Return the weighted losses ``loss_*`` of the batch."""
        losses: dict[str, Tensor] = {}
        if self.vertices:
            losses |= self._vertices(prediction, targets)
        if self.joints3d:
            losses |= self._joints3d(prediction, targets)
        if self.joints2d:
            losses |= self._joints2d(prediction, targets)
        if self.heatmap is not None:
            losses |= self.heatmap(prediction, targets)
        return losses

    def _vertices(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        valid = targets.vertices_valid
        wanted = where_known(targets.vertices, valid)
        distance = (prediction.vertices - wanted).abs()
        losses = {"loss_vertices": self.vertices * masked_mean(distance, valid)}
        if self.coarse and prediction.coarse_vertices is not None:
            distance = (prediction.coarse_vertices - self.down @ wanted).abs()
            weight = self.vertices * self.coarse
            losses["loss_vertices_coarse"] = weight * masked_mean(distance, valid)
        return losses

    def _joints3d(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        wanted = where_known(targets.joints3d, targets.joints3d_valid)

        def term(joints: Tensor) -> Tensor:
            squared = (joints - wanted).square()
            return self.joints3d * masked_mean(squared, targets.joints3d_valid)

        return {
            "loss_joints3d": term(prediction.joints),
            "loss_joints3d_mesh": term(prediction.joints_from_vertices),
        }

    def _joints2d(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        pixels = where_known(targets.joints2d, targets.joints2d_valid)
        wanted = pixels_to_normalized(pixels, self.image_size)

        def term(joints: Tensor) -> Tensor:
            projected = weak_perspective_project(joints, prediction.camera)
            distance = (projected - wanted).abs()
            return self.joints2d * masked_mean(distance, targets.joints2d_valid)

        return {
            "loss_joints2d": term(prediction.joints),
            "loss_joints2d_mesh": term(prediction.joints_from_vertices),
        }
