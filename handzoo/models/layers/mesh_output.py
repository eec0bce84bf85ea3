"""From tokens or vectors to a prediction: what the linear ends of mesh heads share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.structures import HandPrediction

# Weak-perspective scale (1/metres) at which a hand of 20 cm fills a crop; the camera starts there.
INITIAL_SCALE = 8.0


class MeshOutput(nn.Module):
    """Points of joints and coarse vertices and a camera -> :class:`HandPrediction`.

    Nothing here is learned; the sampling matrices are the topology's and not part of checkpoints.

    Args:
        topology: upsampling, joint regressor and template.
        add_template: take the points as offsets from the mean hand instead of as coordinates,
            which helps a short training.
    """

    def __init__(self, topology: HandTopology, add_template: bool = False) -> None:
        super().__init__()
        self.add_template = add_template
        self.register_buffer("up", topology.up, persistent=False)
        self.register_buffer("joint_regressor", topology.joint_regressor, persistent=False)
        self.register_buffer("template_joints", topology.template_joints, persistent=False)
        self.register_buffer("template_coarse", topology.template_coarse, persistent=False)

    def forward(self, points: Tensor, camera: Tensor) -> HandPrediction:
        """Compose the prediction, in float32 whatever the precision of the network.

        Args:
            points: (B, 21 + 195, 3) joints, then coarse vertices, metres.
            camera: (B, 3) difference of (s, tx, ty) from the camera at the start.
        """
        with torch.autocast(points.device.type, enabled=False):
            return self._compose(points.float(), camera.float())

    def _compose(self, points: Tensor, camera: Tensor) -> HandPrediction:
        joints, coarse = points[:, :NUM_JOINTS], points[:, NUM_JOINTS:]
        if self.add_template:
            joints, coarse = joints + self.template_joints, coarse + self.template_coarse
        vertices = self.up @ coarse
        start = camera.new_tensor([INITIAL_SCALE, 0.0, 0.0])
        return HandPrediction(
            camera=camera + start,
            joints=joints,
            vertices=vertices,
            joints_from_vertices=self.joint_regressor @ vertices,
            coarse_vertices=coarse,
        )


def small_linear(in_channels: int, out_channels: int, std: float = 1e-3) -> nn.Linear:
    """A linear layer that starts close to zero: centimetres, not metres, come out of it."""
    layer = nn.Linear(in_channels, out_channels)
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer
