"""The plainest mesh heads: the ends of CLIP-Hand's ablation that leave MTED out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from handzoo.errors import ConfigError
from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, MeshHead
from handzoo.models.layers.mesh_output import MeshOutput, small_linear
from handzoo.registry import MESH_HEADS, current_key_path
from handzoo.structures import HandPrediction


@MESH_HEADS.register_module()
class LinearMeshHead(MeshHead):
    """Global pooling and one linear layer; Table 5, rows a and c (there with HFA's map as well).

    Args:
        feature_channels: D1..D4; f4 is pooled.
        high_channels: D of the neck's map, which is pooled too if there is one.
        topology: upsampling and joint regressor.
        add_template: predict offsets from the mean hand.
    """

    source = "CLIP-Hand, table 5, rows a and c"

    def __init__(
        self,
        feature_channels: Sequence[int],
        topology: HandTopology,
        high_channels: int | None = None,
        add_template: bool = False,
    ) -> None:
        super().__init__()
        self.num_points = NUM_JOINTS + topology.num_coarse
        self.uses_high = high_channels is not None
        width = feature_channels[-1] + (high_channels or 0)
        self.points = small_linear(width, 3 * self.num_points)
        self.camera = small_linear(width, 3)
        self.output = MeshOutput(topology, add_template)

    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Predict from the pooled maps; ``queries`` are not used."""
        pooled = features.maps[-1].mean((2, 3))
        if self.uses_high:
            pooled = torch.cat([pooled, features.high.mean((2, 3))], 1)
        points = self.points(pooled).unflatten(1, (self.num_points, 3))
        return self.output(points, self.camera(pooled))


@MESH_HEADS.register_module()
class TokenLinearHead(MeshHead):
    """One linear layer on every query; Table 5, row d.

    Args:
        query_channels: C of the queries, the camera's first.
        topology: upsampling and joint regressor.
        add_template: predict offsets from the mean hand.

    Raises:
        ConfigError: the estimator has no query head.
    """

    source = "CLIP-Hand, table 5, row d"

    def __init__(
        self, query_channels: int | None, topology: HandTopology, add_template: bool = False
    ) -> None:
        super().__init__()
        if query_channels is None:
            raise ConfigError(
                f"{current_key_path()}: TokenLinearHead reads queries; add "
                "query_head=dict(type='MHF') to the model."
            )
        self.points = small_linear(query_channels, 3)
        self.camera = small_linear(query_channels, 3)
        self.output = MeshOutput(topology, add_template)

    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Predict from queries (B, 217, C)."""
        return self.output(self.points(queries[:, 1:]), self.camera(queries[:, 0]))
