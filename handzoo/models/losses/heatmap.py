"""Supervision of heatmaps by Gaussians at projected points."""

from __future__ import annotations

import torch
from torch import Tensor

from handzoo.hands.camera import perspective_project
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Loss, masked_mean
from handzoo.registry import LOSSES
from handzoo.structures import HandPrediction, HandTargets


def gaussian_profile(centre: Tensor, size: int, sigma: float) -> Tensor:
    """One-dimensional Gaussians over the cells of a heatmap, each summing to one.

    Args:
        centre: (...,) in cells; cell i covers i to i + 1 and has its middle at i + 0.5.
        size: number of cells.
        sigma: in cells.

    Returns:
        (..., size).
    """
    middles = torch.arange(size, device=centre.device, dtype=centre.dtype) + 0.5
    return torch.softmax(-((middles - centre[..., None]) ** 2) / (2 * sigma**2), -1)


def gaussian_heatmaps(points: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Gaussians at points: (B, N, 2) x and y in cells -> (B, N, H, W), each summing to one."""
    columns = gaussian_profile(points[..., 0], size[1], sigma)
    rows = gaussian_profile(points[..., 1], size[0], sigma)
    return rows[..., :, None] * columns[..., None, :]


def heatmap_divergence(logits: Tensor, points: Tensor, sigma: float) -> Tensor:
    """Kullback-Leibler divergence of each heatmap's softmax from the Gaussian at its point.

    A Gaussian is the product of its profiles, so that the cross entropy is
    ``logsumexp(logits) - rows^T logits columns`` and no target map is ever made.

    Args:
        logits: (B, N, H, W).
        points: (B, N, 2) x and y in cells.
        sigma: in cells.

    Returns:
        (B, N), zero where the softmax is the Gaussian.
    """
    logits = logits.float()
    columns = gaussian_profile(points[..., 0], logits.shape[3], sigma)
    rows = gaussian_profile(points[..., 1], logits.shape[2], sigma)
    expected = ((logits @ columns[..., None]).squeeze(-1) * rows).sum(-1)
    entropy = sum(torch.special.entr(profile).sum(-1) for profile in (columns, rows))
    return logits.flatten(2).logsumexp(-1) - expected - entropy


@LOSSES.register_module()
class HeatmapLoss(Loss):
    """Loss L_hp of the joints' and coarse vertices' heatmaps, at every scale the head gives.

    The head uses the softmax of its heatmaps, so the softmax is what is compared with the
    Gaussian. Joints need their 2D annotation; vertices need mesh, root and camera. Points
    outside the crop are left out.

    Args:
        topology: gives the coarse vertices of the annotated mesh.
        weight: of the loss.
        sigma: of the Gaussians, in cells of the heatmap, whatever its scale.
        image_size: side of the crop in pixels.
    """

    source = "CLIP-Hand, sections 3.3 and 3.7; PointHMR (Kim et al., CVPR 2023)"

    def __init__(
        self,
        topology: HandTopology,
        weight: float = 1.0,
        sigma: float = 1.5,
        image_size: int = 224,
    ) -> None:
        super().__init__()
        self.weight, self.sigma, self.image_size = weight, sigma, image_size
        self.register_buffer("down", topology.down, persistent=False)

    def forward(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        """Return ``loss_heatmap_joints`` and ``loss_heatmap_vertices`` where there are heatmaps."""
        losses: dict[str, Tensor] = {}
        for name, logits in (prediction.heatmaps or {}).items():
            kind = name.removesuffix("_x2")
            points, valid = self._points(kind, targets)
            cells = points * (logits.shape[-1] / self.image_size)
            cells = torch.where(valid[..., None], cells, 0.0)
            divergence = heatmap_divergence(logits, cells, self.sigma)
            term = self.weight * masked_mean(divergence, valid)
            key = f"loss_heatmap_{kind}"
            losses[key] = losses[key] + term if key in losses else term
        return losses

    def _points(self, kind: str, targets: HandTargets) -> tuple[Tensor, Tensor]:
        """Pixels (B, N, 2) and validity (B, N) of the points that heatmaps ``kind`` stand for."""
        if kind == "joints":
            points, valid = targets.joints2d, targets.joints2d_valid
        else:
            coarse = self.down @ targets.vertices + targets.root[:, None]
            known = targets.vertices_valid & targets.root_valid & targets.K_valid
            in_front = coarse[..., 2] > 1e-3
            depth = torch.where(in_front, coarse[..., 2], 1.0)
            coarse = torch.cat([coarse[..., :2], depth[..., None]], -1)
            points, valid = perspective_project(coarse, targets.K), known[:, None] & in_front
        inside = ((points >= 0) & (points < self.image_size)).all(-1)
        return points, valid & inside
