"""MTED: CLIP-Hand's multi-layer transformer encoder-decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, MeshHead
from handzoo.models.layers.mesh_output import MeshOutput, small_linear
from handzoo.models.layers.transformer import DecoderLayer, EncoderLayer, sine_position
from handzoo.registry import MESH_HEADS, current_key_path
from handzoo.structures import HandPrediction


def template_code(topology: HandTopology, queries: int, channels: int) -> Tensor:
    """Where a learned position starts: a random smooth function of the place on the mean hand.

    Neighbours on the hand start alike, so what one vertex learns its neighbours have learnt too;
    with independent codes every query has to learn for itself.

    Args:
        topology: gives the mean hand.
        queries: number of queries; those before the joints (the camera) get codes of their own.
        channels: C.

    Returns:
        (queries, C), joints and coarse vertices last; sines of random linear functions (Rahimi and
        Recht 2007), whose wavelengths are about the size of the hand.
    """
    points = torch.cat([topology.template_joints, topology.template_coarse])
    points = (points - points.mean(0)) / points.std()
    here = {"device": points.device}  # also where parameters are made elsewhere, as on 'meta'
    directions, shifts = torch.randn(3, channels, **here), torch.rand(channels, **here)
    code = torch.sin(points @ directions + 2 * torch.pi * shifts)
    return torch.cat([torch.randn(queries - len(points), channels, **here) * code.std(), code])


class MTEDStage(nn.Module):
    """Encoder over the memory, masked decoder layers over the queries, at one width.

    Args:
        channels: width of queries and memory.
        hidden: width of the feed-forward parts.
        encoder_layers: number of encoder layers.
        masks: for each decoder layer (Q, Q) bool, True where attention is blocked.
        num_heads, dropout: of every layer.
        query_positions: (Q, C) where learned positions start, or None to learn none.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        encoder_layers: int,
        masks: Sequence[Tensor],
        num_heads: int,
        dropout: float,
        query_positions: Tensor | None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.encoder = nn.ModuleList(
            EncoderLayer(channels, num_heads, hidden, dropout) for _ in range(encoder_layers)
        )
        self.encoder_norm = nn.LayerNorm(channels)
        self.decoder = nn.ModuleList(
            DecoderLayer(channels, num_heads, hidden, dropout) for _ in masks
        )
        self.decoder_norm = nn.LayerNorm(channels)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        self.query_position = None
        if query_positions is not None:
            self.query_position = nn.Parameter(query_positions)
        for index, mask in enumerate(masks):
            self.register_buffer(f"blocked{index}", mask, persistent=False)

    def forward(self, queries: Tensor, memory: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Update queries (B, Q, C) and memory (B, N, C); ``position`` (N, C) is the memory's."""
        for layer in self.encoder:
            memory = layer(memory, position)
        memory = self.encoder_norm(memory)
        for index, layer in enumerate(self.decoder):
            blocked = getattr(self, f"blocked{index}")
            queries = layer(queries, memory, position, blocked, self.query_position)
        return self.decoder_norm(queries), memory


@MESH_HEADS.register_module()
class MTED(MeshHead):
    """Multi-layer transformer encoder-decoder fusing attention (section 3.4, figure 5).

    The tokens of f4 with 2D sine positions are the memory. Each stage is an encoder over the
    memory and decoder layers over the queries; the second is narrower. The decoder layers' masks
    let a coarse vertex attend to vertices within 7, 5, 3, 1 mesh hops in turn; camera and joints
    attend to all and are attended by all. Linear heads give coordinates and camera.

    Args:
        feature_channels: D1..D4; f4 is the memory.
        query_channels: C of the queries.
        topology: hop distances, upsampling, joint regressor.
        channels: width of each stage; 512 and 2D = 128.
        feedforward: hidden width of the feed-forward parts of each stage.
        encoder_layers: in each stage.
        mask_hops: reach of each decoder layer, shared out evenly over the stages.
        num_heads, dropout: of every layer.
        query_positions: learn a position for every query, added where attention compares; the
            queries alone carry no sign of which vertex they stand for. They start at
            :func:`template_code`.
        add_template: predict offsets from the mean hand.

    Raises:
        ConfigError: no query head, queries without a camera, or stages that do not agree.
    """

    source = "CLIP-Hand, section 3.4; FastMETRO (Cho et al., ECCV 2022); PointHMR (CVPR 2023)"

    def __init__(
        self,
        feature_channels: Sequence[int],
        query_channels: int | None,
        topology: HandTopology,
        channels: Sequence[int] = (512, 128),
        feedforward: Sequence[int] = (512, 128),
        encoder_layers: int = 1,
        mask_hops: Sequence[int] = (7, 5, 3, 1),
        num_heads: int = 8,
        dropout: float = 0.1,
        query_positions: bool = True,
        add_template: bool = False,
    ) -> None:
        super().__init__()
        self._check(query_channels, channels, feedforward, mask_hops, num_heads)
        per_stage = len(mask_hops) // len(channels)
        masks = [topology.attention_mask(hops) for hops in mask_hops]
        self.memory_in = nn.Linear(feature_channels[-1], channels[0])
        self.query_in: nn.Module = nn.Identity()
        if query_channels != channels[0]:
            self.query_in = nn.Linear(query_channels, channels[0])
        self.stages = nn.ModuleList(
            MTEDStage(
                width,
                hidden,
                encoder_layers,
                masks[index * per_stage : (index + 1) * per_stage],
                num_heads,
                dropout,
                template_code(topology, len(masks[0]), width) if query_positions else None,
            )
            for index, (width, hidden) in enumerate(zip(channels, feedforward, strict=True))
        )
        steps = list(zip(channels[:-1], channels[1:], strict=True))
        self.reduce_queries = nn.ModuleList(nn.Linear(*step) for step in steps)
        self.reduce_memory = nn.ModuleList(nn.Linear(*step) for step in steps)
        self.points = small_linear(channels[-1], 3)
        self.camera = small_linear(channels[-1], 3)
        self.output = MeshOutput(topology, add_template)
        self._positions: dict[tuple[object, ...], Tensor] = {}

    @staticmethod
    def _check(
        query_channels: int | None,
        channels: Sequence[int],
        feedforward: Sequence[int],
        mask_hops: Sequence[int],
        num_heads: int,
    ) -> None:
        if query_channels is None:
            raise ConfigError(
                f"{current_key_path()}: MTED decodes queries; add "
                "query_head=dict(type='MHF') or dict(type='LearnedQueries') to the model."
            )
        if len(channels) != len(feedforward):
            raise ConfigError(
                f"{current_key_path('feedforward')}: one width for each of the {len(channels)} "
                f"stages is needed; got {list(feedforward)}."
            )
        if not mask_hops or len(mask_hops) % len(channels):
            raise ConfigError(
                f"{current_key_path('mask_hops')}: {len(mask_hops)} decoder layers cannot be "
                f"shared out evenly over {len(channels)} stages."
            )
        for width in channels:
            if width % num_heads or width % 4:
                raise ConfigError(
                    f"{current_key_path('channels')}: {width} must be a multiple of 4 and of "
                    f"num_heads={num_heads}."
                )

    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Predict from queries (B, 217, C), the camera's first, and f4 (B, D4, H / 32, W / 32)."""
        height, width = (int(size) for size in features.maps[-1].shape[2:])
        memory = self.memory_in(features.maps[-1].flatten(2).transpose(1, 2))
        queries = self.query_in(queries)
        for index, stage in enumerate(self.stages):
            if index:
                queries = self.reduce_queries[index - 1](queries)
                memory = self.reduce_memory[index - 1](memory)
            position = self._position(stage.channels, height, width, memory)
            queries, memory = stage(queries, memory, position)
        return self.output(self.points(queries[:, 1:]), self.camera(queries[:, 0]))

    def _position(self, channels: int, height: int, width: int, like: Tensor) -> Tensor:
        """Sine code (height * width, channels), made once for a size."""
        if torch.compiler.is_compiling():  # a traced constant must not outlive its graph
            return sine_position(channels, height, width).to(like)
        key = (channels, height, width, like.dtype, like.device)
        if key not in self._positions:
            with torch.inference_mode(False):  # a later training must be able to use it
                self._positions[key] = sine_position(channels, height, width).to(like)
        return self._positions[key]
