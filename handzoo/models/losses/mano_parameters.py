"""Pose and shape of a parametric hand."""

from __future__ import annotations

import torch
from torch import Tensor

from handzoo.errors import ConfigError
from handzoo.hands.conventions import NUM_MANO_JOINTS
from handzoo.hands.models import HandModel
from handzoo.hands.rotations import axis_angle_to_matrix
from handzoo.models.base import Loss, masked_mean, where_known
from handzoo.registry import LOSSES, current_key_path
from handzoo.structures import HandPrediction, HandTargets


@LOSSES.register_module()
class ManoParameterLoss(Loss):
    """Rotations and shape like the annotated ones, where a data set gives a hand model's.

    - pose: squared error of the entries of the 16 rotation matrices, which unlike that of
      axis-angle vectors does not depend on how a rotation is written;
    - shape: squared error of the coefficients;
    - shape prior: squared coefficients of every sample, annotated or not; keeps the hands of data
      sets without a mesh plausible.

    Args:
        hand_model: says what mean pose the annotation is relative to.
        pose, shape, shape_prior: weights. A term with weight zero is not computed.
    """

    source = "HMR (Kanazawa et al., CVPR 2018), section 3; prior: Hasson et al., CVPR 2019"

    def __init__(
        self,
        hand_model: HandModel,
        pose: float = 1.0,
        shape: float = 1.0,
        shape_prior: float = 0.0,
    ) -> None:
        super().__init__()
        self.pose, self.shape, self.shape_prior = pose, shape, shape_prior
        mean = torch.zeros(3 * NUM_MANO_JOINTS)
        if not hand_model.flat_hand_mean:
            mean[3:] = hand_model.hands_mean.cpu()
        self.register_buffer("mean_pose", mean, persistent=False)

    def forward(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        """Return the weighted losses ``loss_mano_*`` of the batch.

        Raises:
            ConfigError: the mesh head predicts no parameters.
        """
        if not {"mano_rotations", "mano_shape"} <= set(prediction.aux):
            raise ConfigError(
                f"{current_key_path('model.loss')}: ManoParameterLoss reads 'mano_rotations' and "
                "'mano_shape', which this mesh head does not predict; use it with "
                "mesh_head=dict(type='ManoRegressionHead')."
            )
        rotations, shape = prediction.aux["mano_rotations"], prediction.aux["mano_shape"]
        valid = targets.mano_valid
        losses: dict[str, Tensor] = {}
        if self.pose:
            known = where_known(targets.pose, valid).to(rotations) + self.mean_pose
            wanted = axis_angle_to_matrix(known.unflatten(1, (NUM_MANO_JOINTS, 3)))
            losses["loss_mano_pose"] = self.pose * masked_mean((rotations - wanted) ** 2, valid)
        if self.shape:
            wanted = where_known(targets.shape, valid)
            losses["loss_mano_shape"] = self.shape * masked_mean((shape - wanted) ** 2, valid)
        if self.shape_prior:
            losses["loss_mano_shape_prior"] = self.shape_prior * shape.square().mean()
        return losses
