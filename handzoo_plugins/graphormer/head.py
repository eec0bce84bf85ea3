"""MeshGraphormer's head: METRO's with the cells of the image as tokens, and a graph at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features
from handzoo.models.mesh_heads.metro import MetroHead
from handzoo.registry import current_key_path
from handzoo.structures import HandPrediction
from handzoo_plugins.graphormer.graph import GraphormerLayer, GraphResidual, normalized_adjacency
from handzoo_plugins.graphormer.queries import check_split


class GraphormerHead(MetroHead):
    """Progressive encoders over joints, vertices and grid cells; graph convolution in the last.

    Args:
        query_channels: width of the tokens that come in (2051).
        feature_channels: channels of the backbone's maps; f4 is [image feature, grid feature].
        topology: mesh neighbours, joint regressor, numbers of vertices.
        image_channels: channels of f4 that are the image feature; the rest is the grid's.
        graph_blocks: indices of the blocks whose layers have a graph convolution.
        feedforward_ratio: 2, where METRO has 4.
        **options: the other arguments of :class:`~handzoo.models.mesh_heads.MetroHead`.

    Raises:
        ConfigError: there is no block of such an index, f4 has no channels for the grid, or what
            ``MetroHead`` refuses.
    """

    source = "MeshGraphormer (Lin et al., ICCV 2021), section 3; modeling_graphormer.py, _gcnn.py"

    def __init__(
        self,
        query_channels: int | None,
        feature_channels: Sequence[int],
        topology: HandTopology,
        image_channels: int = 2048,
        graph_blocks: Sequence[int] = (2,),
        feedforward_ratio: float = 2.0,
        **options: Any,
    ) -> None:
        check_split(feature_channels, image_channels)
        super().__init__(query_channels, topology, feedforward_ratio=feedforward_ratio, **options)
        self.image_channels = image_channels
        self.num_points = NUM_JOINTS + topology.num_coarse
        self.grid_proj = nn.Linear(feature_channels[-1] - image_channels, query_channels)
        adjacency = normalized_adjacency(topology)
        for index in graph_blocks:
            if not 0 <= index < len(self.blocks):
                raise ConfigError(
                    f"{current_key_path('graph_blocks')}: there is no block {index}; the "
                    f"{len(self.blocks)} blocks are counted from 0."
                )
            block = self.blocks[index]
            channels = block.embed.out_features
            block.layers = nn.ModuleList(
                GraphormerLayer(layer, GraphResidual(channels, adjacency), topology.num_coarse)
                for layer in block.layers
            )

    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Predict from tokens (B, 216, query_channels) and the grid part of the last map."""
        grid = features.maps[-1][:, self.image_channels :].flatten(2).transpose(1, 2)
        tokens = torch.cat([queries, self.grid_proj(grid)], dim=1)
        positions = min(block.position.num_embeddings for block in self.blocks)
        if tokens.shape[1] > positions:
            raise ConfigError(
                f"model.mesh_head.num_positions: {positions} are too few for {self.num_points} "
                f"points and {grid.shape[1]} cells of the grid."
            )
        return super().forward(tokens, features)

    def _compose(self, points: Tensor) -> HandPrediction:
        """As METRO, without what the last block makes of the grid's tokens."""
        return super()._compose(points[:, : self.num_points])
