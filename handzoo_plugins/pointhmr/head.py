"""PointHMR's transformer: vertices look at ever closer neighbours on the mesh."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, MeshHead
from handzoo.models.layers.residual import residual_branch
from handzoo.models.layers.transformer import EncoderLayer, sine_position
from handzoo.registry import current_key_path
from handzoo.structures import HandPrediction


class MaskedEncoder(nn.Module):
    """Encoder layers of one width, in groups with a mask each, and a norm at the end.

    Args:
        channels: width C of the tokens.
        feedforward_channels: hidden width of the feed-forward parts.
        masks: for each group of layers, (N, N) bool, True where a token (row) may not look.
        num_layers: layers in a group.
        num_heads: attention heads.
        dropout: of every layer.
    """

    def __init__(
        self,
        channels: int,
        feedforward_channels: int,
        masks: Sequence[Tensor],
        num_layers: int,
        num_heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.groups = nn.ModuleList(
            nn.ModuleList(
                EncoderLayer(channels, num_heads, feedforward_channels, dropout)
                for _ in range(num_layers)
            )
            for _ in masks
        )
        self.norm = nn.LayerNorm(channels)
        for index, mask in enumerate(masks):
            self.register_buffer(f"blocked{index}", mask, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, C) to (B, N, C)."""
        for index, group in enumerate(self.groups):
            blocked = self.get_buffer(f"blocked{index}")
            for layer in group:
                tokens = layer(tokens, blocked=blocked)
        return self.norm(tokens)


class ProgressiveMaskHead(MeshHead):
    """Camera, grid, joint and vertex tokens through a wide and a narrow encoder, linear outputs.

    Every token carries a learned code of its place in the sequence beside its feature. Vertices
    look at the vertices within so many edges of the mesh, fewer from group to group, and at all
    other tokens; those look at everything.

    Args:
        feature_channels: channels of the backbone's maps; the last gives the grid's tokens.
        query_channels: C of the queries.
        topology: mesh hops, upsampling, joint regressor.
        position_channels: width of the learned code, which is appended to the C channels.
        narrow_channels: width of the second encoder.
        feedforward_channels: hidden widths of the feed-forward parts in the two encoders.
        hops: reach of the vertices in each group of layers; the first half of the groups is wide.
        num_layers: layers in a group.
        num_heads: attention heads.
        dropout: of every layer.
        grid_tokens: cells of f4, (size of the image / 32) squared.

    Raises:
        ConfigError: there are no queries, the groups cannot be halved, a width is no multiple of
            the heads, or in the forward pass f4 has another number of cells.
    """

    source = "PointHMR (Kim et al., CVPR 2023), section 3.3; model/regressor.py"

    def __init__(
        self,
        feature_channels: Sequence[int],
        query_channels: int | None,
        topology: HandTopology,
        position_channels: int = 128,
        narrow_channels: int = 128,
        feedforward_channels: Sequence[int] = (1024, 512),
        hops: Sequence[int] = (7, 5, 3, 1),
        num_layers: int = 2,
        num_heads: int = 4,
        dropout: float = 0.1,
        grid_tokens: int = 49,
    ) -> None:
        super().__init__()
        if query_channels is None:
            raise ConfigError(
                "model.query_head: ProgressiveMaskHead needs queries; PointHMR's are "
                "dict(type='pointhmr/PointSampling')."
            )
        if len(hops) % 2 or not hops:
            raise ConfigError(
                f"{current_key_path('hops')}: the groups are halved between the two encoders, so "
                f"their number must be even, not {len(hops)}."
            )
        widths = (query_channels + position_channels, narrow_channels)
        for width in widths:
            if width % num_heads:
                raise ConfigError(
                    f"{current_key_path('num_heads')}: the width {width} cannot be split over "
                    f"{num_heads} heads."
                )
        self.grid_tokens = grid_tokens
        prefix = 1 + grid_tokens + NUM_JOINTS
        self.grid_branch = residual_branch(feature_channels[-1], query_channels, num_blocks=1)
        self.positions = nn.Parameter(torch.randn(prefix + topology.num_coarse, position_channels))
        masks = [topology.attention_mask(reach, num_prefix=prefix) for reach in hops]
        half = len(masks) // 2
        sizes = (num_layers, num_heads, dropout)
        self.wide = MaskedEncoder(widths[0], feedforward_channels[0], masks[:half], *sizes)
        self.reduce = nn.Linear(*widths)
        self.narrow = MaskedEncoder(widths[1], feedforward_channels[1], masks[half:], *sizes)
        self.camera_out = nn.Linear(narrow_channels, 3)
        self.points_out = nn.Linear(narrow_channels, 3)
        self.register_buffer("up", topology.up, persistent=False)
        self.register_buffer("joint_regressor", topology.joint_regressor, persistent=False)

    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Predict from queries (B, 217, C), the camera's first, and the last feature map."""
        tokens = torch.cat([queries[:, :1], self.grid(features.maps[-1]), queries[:, 1:]], dim=1)
        positions = self.positions.to(tokens).expand(len(tokens), -1, -1)
        tokens = self.wide(torch.cat([tokens, positions], dim=2))
        tokens = self.narrow(self.reduce(tokens))
        # Not in the lower precision of autocast, whose steps are half a millimetre at 10 cm.
        with torch.autocast(tokens.device.type, enabled=False):
            return self._compose(tokens.to(self.points_out.weight.dtype))

    def grid(self, last: Tensor) -> Tensor:
        """Tokens (B, grid_tokens, C) of the last map (B, D4, H / 32, W / 32)."""
        height, width = last.shape[2:]
        if height * width != self.grid_tokens:
            raise ConfigError(
                f"model.mesh_head.grid_tokens: f4 has {height * width} cells for this image size, "
                f"and the head was built for {self.grid_tokens}."
            )
        grid = self.grid_branch(last).flatten(2).transpose(1, 2)
        return grid + sine_position(grid.shape[2], height, width).to(grid)

    def _compose(self, tokens: Tensor) -> HandPrediction:
        """Camera, coordinates, fine mesh and regressed joints from the narrow tokens."""
        points = self.points_out(tokens[:, 1 + self.grid_tokens :])
        joints, coarse = points[:, :NUM_JOINTS], points[:, NUM_JOINTS:]
        vertices = self.up @ coarse
        return HandPrediction(
            camera=self.camera_out(tokens[:, 0]),
            joints=joints,
            vertices=vertices,
            joints_from_vertices=self.joint_regressor @ vertices,
            coarse_vertices=coarse,
        )
