"""FastMETRO: encoder-decoder transformers that take the image and the mesh apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, MeshHead
from handzoo.models.layers.transformer import DecoderLayer, EncoderLayer, sine_position
from handzoo.registry import MESH_HEADS
from handzoo.structures import HandPrediction

GRID = (7, 7)  # of the last map for a crop of 224 pixels


@dataclass
class Tokens:
    """What a stage takes and gives: camera (B, 1, C), image (B, N, C), points (B, 216, C)."""

    camera: Tensor
    image: Tensor
    points: Tensor


class FastMetroStage(nn.Module):
    """Encoder over camera and image tokens, decoder over joint and vertex tokens.

    Args:
        channels: width C of all tokens.
        feedforward_channels: hidden width of the feed-forward parts.
        num_layers: layers of the encoder, and of the decoder.
        num_heads: attention heads.
        dropout: of every layer.
    """

    def __init__(
        self,
        channels: int,
        feedforward_channels: int,
        num_layers: int,
        num_heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        sizes = (channels, num_heads, feedforward_channels, dropout)
        self.channels = channels
        self.encoder = nn.ModuleList(EncoderLayer(*sizes) for _ in range(num_layers))
        self.encoder_norm = nn.LayerNorm(channels)
        self.decoder = nn.ModuleList(DecoderLayer(*sizes) for _ in range(num_layers))
        self.decoder_norm = nn.LayerNorm(channels)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, tokens: Tokens, position: Tensor, blocked: Tensor) -> Tokens:
        """Run the stage.

        Args:
            tokens: see :class:`Tokens`.
            position: (N, C) of the image tokens; the camera token has none.
            blocked: (216, 216) bool, True where a point (row) may not look at another.
        """
        seen = torch.cat([tokens.camera, tokens.image], dim=1)
        seen_position = torch.cat([torch.zeros_like(position[:1]), position])
        for layer in self.encoder:
            seen = layer(seen, seen_position)
        camera, image = self.encoder_norm(seen).split([1, tokens.image.shape[1]], dim=1)
        points = tokens.points
        for layer in self.decoder:
            points = layer(points, image, position, blocked)
        return Tokens(camera, image, self.decoder_norm(points))


@MESH_HEADS.register_module()
class FastMetroHead(MeshHead):
    """FastMETRO's transformer: wide stages, then narrow ones, linear outputs, fixed upsampling.

    The first query is the camera's, which travels with the image tokens through the encoders.
    Vertices look at their mesh neighbours only, joints at everything.

    Args:
        feature_channels: channels of the backbone's maps; the last is the memory.
        query_channels: width of the queries, that of the first stage.
        topology: neighbours, upsampling, joint regressor.
        stage_channels: width of each stage (the paper's 512 and 128).
        feedforward_channels: hidden width of the feed-forward parts in each stage.
        num_layers: encoder and decoder layers in each stage: 1, 2, 3 for FastMETRO-S, -M, -L.
        num_heads: attention heads.
        dropout: of every layer.
        max_hops: how far over the coarse mesh a vertex looks.

    Raises:
        ConfigError: the lists of the stages disagree, or the queries are absent or have another
            width than the first stage.
    """

    source = "FastMETRO (Cho et al., ECCV 2022), section 3; FastMETRO modeling_fastmetro.py"
    # Its losses compare everything relative to the predicted wrist, so where the hand sits is
    # left to chance, and the estimator moves what it reports to the wrist, as the authors do.
    free_origin = True

    def __init__(
        self,
        feature_channels: Sequence[int],
        query_channels: int | None,
        topology: HandTopology,
        stage_channels: Sequence[int] = (512, 128),
        feedforward_channels: Sequence[int] = (2048, 512),
        num_layers: int = 3,
        num_heads: int = 8,
        dropout: float = 0.1,
        max_hops: int = 1,
    ) -> None:
        super().__init__()
        if len(stage_channels) != len(feedforward_channels) or not stage_channels:
            raise ConfigError(
                f"model.mesh_head.feedforward_channels: one number for each of the "
                f"{len(stage_channels)} stages is needed, got {list(feedforward_channels)}."
            )
        if query_channels != stage_channels[0]:
            raise ConfigError(
                f"model.query_head: FastMetroHead needs queries of {stage_channels[0]} channels "
                f"(model.mesh_head.stage_channels), and gets {query_channels}; FastMETRO's are "
                f"dict(type='LearnedQueries', channels={stage_channels[0]})."
            )
        for channels in stage_channels:
            if channels % num_heads or channels % 4:
                raise ConfigError(
                    f"model.mesh_head.stage_channels: {channels} must be a multiple of 4 and of "
                    f"num_heads={num_heads}."
                )
        self.memory_proj = nn.Conv2d(feature_channels[-1], stage_channels[0], kernel_size=1)
        self.stages = nn.ModuleList(
            FastMetroStage(channels, hidden, num_layers, num_heads, dropout)
            for channels, hidden in zip(stage_channels, feedforward_channels, strict=True)
        )
        steps = list(zip(stage_channels[:-1], stage_channels[1:], strict=True))
        self.reduce_camera = nn.ModuleList(nn.Linear(*step) for step in steps)
        self.reduce_image = nn.ModuleList(nn.Linear(*step) for step in steps)
        self.reduce_points = nn.ModuleList(nn.Linear(*step) for step in steps)
        self.camera_out = nn.Linear(stage_channels[-1], 3)
        self.points_out = nn.Linear(stage_channels[-1], 3)
        blocked = topology.attention_mask(max_hops, num_prefix=NUM_JOINTS)
        self.register_buffer("blocked", blocked, persistent=False)
        for index, channels in enumerate(stage_channels):
            position = sine_position(channels, *GRID)
            self.register_buffer(f"position{index}", position, persistent=False)
        self.register_buffer("up", topology.up, persistent=False)
        self.register_buffer("joint_regressor", topology.joint_regressor, persistent=False)

    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Predict from queries (B, 217, C), the camera's first, and the last feature map."""
        image = self.memory_proj(features.maps[-1])
        tokens = Tokens(queries[:, :1], image.flatten(2).transpose(1, 2), queries[:, 1:])
        for index, stage in enumerate(self.stages):
            if index:
                tokens = Tokens(
                    self.reduce_camera[index - 1](tokens.camera),
                    self.reduce_image[index - 1](tokens.image),
                    self.reduce_points[index - 1](tokens.points),
                )
            grid = (int(image.shape[2]), int(image.shape[3]))
            position = self._position(index, grid).to(image)
            tokens = stage(tokens, position, self.blocked)
        # Not in the lower precision of autocast, whose steps are half a millimetre at 10 cm.
        with torch.autocast(image.device.type, enabled=False):
            return self._compose(tokens)

    def _compose(self, tokens: Tokens) -> HandPrediction:
        """Coordinates, camera, fine mesh and regressed joints from the last stage's tokens."""
        dtype = self.points_out.weight.dtype
        points = self.points_out(tokens.points.to(dtype))
        joints, coarse = points[:, :NUM_JOINTS], points[:, NUM_JOINTS:]
        vertices = self.up @ coarse
        return HandPrediction(
            camera=self.camera_out(tokens.camera.to(dtype)).squeeze(1),
            joints=joints,
            vertices=vertices,
            joints_from_vertices=self.joint_regressor @ vertices,
            coarse_vertices=coarse,
        )

    def _position(self, index: int, grid: tuple[int, int]) -> Tensor:
        """Sine code (height * width, C) of the image tokens in stage ``index``."""
        if grid == GRID:
            return self.get_buffer(f"position{index}")
        return sine_position(self.stages[index].channels, *grid)
