"""The losses of METRO's and FastMETRO's training scripts for hands."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from handzoo.errors import ConfigError
from handzoo.hands.camera import pixels_to_normalized, weak_perspective_project
from handzoo.hands.conventions import WRIST
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Loss, masked_mean, where_known
from handzoo.registry import LOSSES, current_key_path
from handzoo.structures import HandPrediction, HandTargets

NORMS = {"l1": F.l1_loss, "l2": F.mse_loss}


@LOSSES.register_module()
class MetroLoss(Loss):
    """Fine and coarse mesh, 3D joints and their projection, each relative to the predicted wrist.

    3D joints, predicted and regressed from the mesh, are compared relative to their own wrist.
    METRO leaves the mesh and the projected joints where they were predicted; FastMETRO moves
    them to the wrist as well (``relative_mesh``), and adds :class:`MeshShapeLoss`.

    Every term is the mean over its valid entries, in metres (3D) or half crops (2D).

    Args:
        topology: gives the coarse vertices of the annotated mesh.
        vertices, coarse: weights of the fine and of the coarse mesh, L1.
        joints3d, joints2d: weights, each for predicted and for regressed joints alike.
        joints_norm: ``l2`` (squared error, METRO) or ``l1`` (FastMETRO), for 3D and 2D.
        relative_mesh: see above.
        image_size: side of the crop in pixels.

    Raises:
        ConfigError: ``joints_norm`` is neither.
    """

    source = "METRO tools/run_metro_handmesh.py; FastMETRO tools/run_fastmetro_handmesh.py"

    def __init__(
        self,
        topology: HandTopology,
        vertices: float = 0.5,
        coarse: float = 0.5,
        joints3d: float = 1.0,
        joints2d: float = 1.0,
        joints_norm: str = "l2",
        relative_mesh: bool = False,
        image_size: int = 224,
    ) -> None:
        super().__init__()
        if joints_norm not in NORMS:
            raise ConfigError(
                f"{current_key_path('joints_norm')}: {joints_norm!r} is none of {', '.join(NORMS)}."
            )
        self.vertices, self.coarse = vertices, coarse
        self.joints3d, self.joints2d = joints3d, joints2d
        self.distance = NORMS[joints_norm]
        self.relative_mesh = relative_mesh
        self.image_size = image_size
        self.register_buffer("down", topology.down, persistent=False)

    def forward(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        """Return the weighted losses ``loss_*`` of the batch."""
        if self.relative_mesh:
            prediction = wrist_relative(prediction)
        losses = self._mesh(prediction, targets)
        wanted = where_known(targets.joints3d, targets.joints3d_valid)
        pixels = where_known(targets.joints2d, targets.joints2d_valid)
        wanted2d = pixels_to_normalized(pixels, self.image_size)
        predicted = {"": prediction.joints, "_mesh": prediction.joints_from_vertices}
        for name, joints in predicted.items():
            relative = joints - joints[:, WRIST : WRIST + 1]
            error = self.distance(relative, wanted, reduction="none")
            mean = masked_mean(error, targets.joints3d_valid)
            losses[f"loss_joints3d{name}"] = self.joints3d * mean
            projected = weak_perspective_project(joints, prediction.camera)
            error = self.distance(projected, wanted2d, reduction="none")
            mean = masked_mean(error, targets.joints2d_valid)
            losses[f"loss_joints2d{name}"] = self.joints2d * mean
        return losses

    def _mesh(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        valid = targets.vertices_valid
        wanted = where_known(targets.vertices, valid)
        error = (prediction.vertices - wanted).abs()
        losses = {"loss_vertices": self.vertices * masked_mean(error, valid)}
        if prediction.coarse_vertices is not None:
            error = (prediction.coarse_vertices - self.down @ wanted).abs()
            losses["loss_vertices_coarse"] = self.coarse * masked_mean(error, valid)
        return losses


def wrist_relative(prediction: HandPrediction) -> HandPrediction:
    """Move the joints to their wrist, and the mesh to the wrist that is regressed from it."""
    own = prediction.joints[:, WRIST : WRIST + 1]
    mesh = prediction.joints_from_vertices[:, WRIST : WRIST + 1]
    coarse = prediction.coarse_vertices
    return prediction.replace(
        joints=prediction.joints - own,
        vertices=prediction.vertices - mesh,
        joints_from_vertices=prediction.joints_from_vertices - mesh,
        coarse_vertices=None if coarse is None else coarse - mesh,
    )
