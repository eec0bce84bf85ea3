"""A head that answers the mean hand, moved by one learned offset."""

import torch
from torch import nn

from handzoo.models.base import MeshHead
from handzoo.structures import HandPrediction


class MeanHand(MeshHead):
    """The template for every image; the camera is read from the last map."""

    source = "hz-good"

    def __init__(self, feature_channels, topology) -> None:
        super().__init__()
        self.camera = nn.Linear(feature_channels[-1], 3)
        self.offset = nn.Parameter(torch.zeros(3))
        self.register_buffer("template", topology.template, persistent=False)
        self.register_buffer("down", topology.down, persistent=False)
        self.register_buffer("regressor", topology.joint_regressor, persistent=False)

    def forward(self, queries, features):
        pooled = features.maps[-1].mean(dim=(2, 3))
        camera = self.camera(pooled) + torch.tensor([6.0, 0.0, 0.0]).to(pooled)
        vertices = (self.template + self.offset).expand(len(pooled), -1, -1)
        joints = self.regressor @ vertices
        return HandPrediction(
            camera=camera,
            joints=joints,
            vertices=vertices,
            joints_from_vertices=joints,
            coarse_vertices=self.down @ vertices,
        )
