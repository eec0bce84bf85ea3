"""Point-guided feature sampling: one feature for each vertex, from where its heatmap says it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, QueryHead, QueryOutput
from handzoo.models.layers.residual import residual_branch
from handzoo.models.layers.transformer import sine_position
from handzoo.models.query_heads.mhf import sample_by_heatmap


class PointSampling(QueryHead):
    """A sampled feature for each coarse vertex, a learned token for each joint, and the camera's.

    Two branches of residual blocks read f1: heatmaps of the coarse vertices, and a feature map to
    which the sine code of the positions is added. The feature of a vertex is the mean of that map
    under the softmax of its heatmap. The camera's token is a learned mixture of the vertices'.

    Args:
        feature_channels: channels of the backbone's maps; the first is read.
        topology: gives the number of coarse vertices.
        channels: C of the feature map and of all tokens.
        num_blocks: residual blocks in a branch.
    """

    source = "PointHMR (Kim et al., CVPR 2023), section 3.2; model/network.py"

    def __init__(
        self,
        feature_channels: Sequence[int],
        topology: HandTopology,
        channels: int = 512,
        num_blocks: int = 2,
    ) -> None:
        super().__init__()
        self.out_channels = channels
        self.heatmap_branch = residual_branch(feature_channels[0], topology.num_coarse, num_blocks)
        self.feature_branch = residual_branch(feature_channels[0], channels, num_blocks)
        self.joint_tokens = nn.Parameter(torch.randn(NUM_JOINTS, channels))
        self.camera_token = nn.Linear(topology.num_coarse, 1)

    def forward(self, features: Features) -> QueryOutput:
        """Return 217 queries (B, 217, C) and logits ``vertices`` (B, 195, H / 4, W / 4).

        In training also ``vertices_x2``, the same logits on a grid twice as fine, on which the
        authors supervise them.
        """
        high = features.maps[0]
        heatmaps = {"vertices": self.heatmap_branch(high)}
        values = self.feature_branch(high)
        height, width = values.shape[2:]
        position = sine_position(self.out_channels, height, width).to(values)
        values = values + position.T.unflatten(1, (height, width))
        vertices = sample_by_heatmap(heatmaps["vertices"], values)
        camera = self.camera_token(vertices.transpose(1, 2)).transpose(1, 2)
        joints = self.joint_tokens.to(vertices).expand(len(vertices), -1, -1)
        if self.training:
            heatmaps["vertices_x2"] = F.interpolate(heatmaps["vertices"], scale_factor=2)
        return QueryOutput(torch.cat([camera, joints, vertices], dim=1), heatmaps)
