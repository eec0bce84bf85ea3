"""Local shape of the mesh: lengths of edges and directions of faces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from handzoo.hands.topology import HandTopology
from handzoo.models.base import Loss, masked_mean, where_known
from handzoo.registry import LOSSES
from handzoo.structures import HandPrediction, HandTargets

LENGTH_EPS = 1e-8  # square metres; keeps the gradient of a vanishing edge finite
SIDES = ((0, 1), (0, 2), (1, 2))  # as pairs of a face's corners


@LOSSES.register_module()
class MeshShapeLoss(Loss):
    """Edge lengths like the annotated ones, and edges at right angles to the annotated normals.

    - edges: L1 of the lengths of the three sides of every face, metres;
    - normals: |cosine| between each side of a predicted face and the annotated face's normal.

    Args:
        topology: gives the faces.
        edge, normal: weights.
    """

    source = "FastMETRO section 3.4, after I2L-MeshNet (Moon and Lee, ECCV 2020), section 7"

    def __init__(self, topology: HandTopology, edge: float = 100.0, normal: float = 10.0) -> None:
        super().__init__()
        self.edge, self.normal = edge, normal
        self.register_buffer("faces", topology.faces, persistent=False)

    def forward(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        """Return ``loss_edge`` and ``loss_normal``."""
        valid = targets.vertices_valid
        predicted = self._sides(prediction.vertices)
        annotated = self._sides(where_known(targets.vertices, valid))
        length, wanted = (
            (sides.square().sum(-1) + LENGTH_EPS).sqrt() for sides in (predicted, annotated)
        )
        normals = F.normalize(torch.cross(annotated[:, 0], annotated[:, 1], dim=-1), dim=-1)
        cosine = (F.normalize(predicted, dim=-1) * normals[:, None]).sum(-1)
        return {
            "loss_edge": self.edge * masked_mean((length - wanted).abs(), valid),
            "loss_normal": self.normal * masked_mean(cosine.abs(), valid),
        }

    def _sides(self, vertices: Tensor) -> Tensor:
        """Side vectors of every face: (B, 778, 3) -> (B, 3, F, 3)."""
        corners = vertices[:, self.faces]
        return torch.stack([corners[:, :, b] - corners[:, :, a] for a, b in SIDES], dim=1)
