"""Parameters of a hand model, regressed from the pooled image: the family of MANO CNN and HMR."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError, suggest
from handzoo.hands.conventions import NUM_MANO_JOINTS, NUM_SHAPE, WRIST
from handzoo.hands.models import HandModel
from handzoo.hands.rotations import (
    axis_angle_to_matrix,
    matrix_to_rotation_6d,
    rotation_6d_to_matrix,
)
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, MeshHead
from handzoo.models.layers.mesh_output import INITIAL_SCALE
from handzoo.registry import MESH_HEADS, current_key_path
from handzoo.structures import HandPrediction

# Numbers for one joint.
ROTATIONS = {"6d": 6, "axis_angle": 3}


@MESH_HEADS.register_module()
class ManoRegressionHead(MeshHead):
    """Pooled f4 -> pose, shape and camera -> hand model -> mesh and joints.

    The layers give the difference from the mean hand, facing as ``initial_orientation`` says, with
    a camera that shows it whole; they start close to zero. With ``iterations`` above one, they see
    the parameters beside the features and return a correction, again and again: iterative error
    feedback, as in HMR and FrankMocap.

    ``aux`` of the prediction holds ``mano_rotations`` (B, 16, 3, 3), absolute, in MANO's order, and
    ``mano_shape`` (B, 10), for :class:`~handzoo.models.losses.ManoParameterLoss`.

    Args:
        feature_channels: D1..D4; f4 is pooled.
        topology: gives the coarse mesh.
        hand_model: MANO or one with its layout; not part of checkpoints.
        rotation: ``6d`` (Zhou et al. 2019, continuous) or ``axis_angle``, for each joint.
        channels: widths of the hidden layers.
        dropout: after each hidden layer.
        iterations: 1 regresses at once; more is error feedback.
        initial_orientation: axis-angle of the wrist at the start, radians.

    Raises:
        ConfigError: ``rotation`` or ``iterations`` is none of these.
    """

    source = (
        "MANO CNN: Zimmermann et al., FreiHAND, ICCV 2019; iterative: Kanazawa et al., HMR, CVPR "
        "2018, section 3.2, and Rong et al., FrankMocap, ICCVW 2021"
    )

    def __init__(
        self,
        feature_channels: Sequence[int],
        topology: HandTopology,
        hand_model: HandModel,
        rotation: str = "6d",
        channels: Sequence[int] = (1024, 1024),
        dropout: float = 0.5,
        iterations: int = 1,
        initial_orientation: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        super().__init__()
        if rotation not in ROTATIONS:
            raise ConfigError(
                f"{current_key_path('rotation')}: {rotation!r} is not one of "
                f"{', '.join(ROTATIONS)}. {suggest(rotation, ROTATIONS)}"
            )
        if iterations < 1:
            raise ConfigError(f"{current_key_path('iterations')}: {iterations} is less than 1.")
        self.rotation, self.iterations = rotation, iterations
        self.hand_model = hand_model
        mean = self._mean_parameters(torch.tensor(initial_orientation, dtype=torch.float32))
        # From the hand model, whose licence keeps it out of checkpoints.
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("down", topology.down, persistent=False)
        width = feature_channels[-1] + (len(mean) if iterations > 1 else 0)
        layers: list[nn.Module] = []
        for out in channels:
            layers += [nn.Linear(width, out), nn.ReLU(inplace=True), nn.Dropout(dropout)]
            width = out
        last = nn.Linear(width, len(mean))
        nn.init.xavier_uniform_(last.weight, gain=0.01)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def _mean_parameters(self, orientation: Tensor) -> Tensor:
        """Rotations of the mean pose, mean shape, and a camera that sees the whole hand."""
        absolute = torch.cat((orientation, self.hand_model.hands_mean.cpu())).view(-1, 3)
        if self.rotation == "6d":
            absolute = matrix_to_rotation_6d(axis_angle_to_matrix(absolute))
        camera = torch.tensor([INITIAL_SCALE, 0.0, 0.0])
        return torch.cat((absolute.flatten(), torch.zeros(NUM_SHAPE), camera))

    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Predict from the pooled f4; ``queries`` are not used."""
        pooled = features.maps[-1].mean((2, 3))
        parameters = self.mean.expand(pooled.shape[0], -1)
        for _ in range(self.iterations):
            seen = pooled
            if self.iterations > 1:
                seen = torch.cat((pooled, parameters.to(pooled)), dim=1)
            parameters = parameters + self.layers(seen)
        with torch.autocast(pooled.device.type, enabled=False):
            return self._compose(parameters.to(self.mean.dtype))

    def _compose(self, parameters: Tensor) -> HandPrediction:
        size = ROTATIONS[self.rotation]
        turns, shape, camera = parameters.split((NUM_MANO_JOINTS * size, NUM_SHAPE, 3), dim=1)
        turns = turns.unflatten(1, (NUM_MANO_JOINTS, size))
        to_matrix = rotation_6d_to_matrix if self.rotation == "6d" else axis_angle_to_matrix
        rotations = to_matrix(turns)
        posed = self.hand_model.pose_by_rotations(rotations, shape)
        wrist = posed.joints[:, WRIST : WRIST + 1]
        joints, vertices = posed.joints - wrist, posed.vertices - wrist
        return HandPrediction(
            camera=camera,
            joints=joints,
            vertices=vertices,
            joints_from_vertices=joints,
            coarse_vertices=self.down @ vertices,
            aux={"mano_rotations": rotations, "mano_shape": shape},
        )
