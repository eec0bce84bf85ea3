"""METRO: transformer encoders that narrow the tokens step by step to coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, MeshHead
from handzoo.registry import MESH_HEADS
from handzoo.structures import HandPrediction

BERT_EPS = 1e-12
BERT_INIT_STD = 0.02


class BertLayer(nn.Module):
    """Self-attention and feed-forward, each with its norm after the residual sum, as in BERT.

    Args:
        channels: width C of the tokens.
        num_heads: attention heads; divides C.
        feedforward_channels: width between the two linear layers of the feed-forward part.
        dropout: probability for attention weights and for both residual branches.
    """

    def __init__(
        self, channels: int, num_heads: int, feedforward_channels: int, dropout: float
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.attention_out = nn.Linear(channels, channels)
        self.attention_norm = nn.LayerNorm(channels, eps=BERT_EPS)
        self.feedforward_in = nn.Linear(channels, feedforward_channels)
        self.feedforward_out = nn.Linear(feedforward_channels, channels)
        self.feedforward_norm = nn.LayerNorm(channels, eps=BERT_EPS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, C) to (B, N, C)."""
        return self.feed(self.attend(tokens))

    def attend(self, tokens: Tensor) -> Tensor:
        """The first half: self-attention, residual sum and norm; (B, N, C) to (B, N, C)."""
        drop = self.dropout if self.training else 0.0
        # Whole numbers, so that exported graphs do no arithmetic with shapes.
        split = (int(tokens.shape[1]), self.num_heads, self.query.out_features // self.num_heads)
        query, key, value = (
            layer(tokens).view(-1, *split).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=drop)
        mixed = self.attention_out(mixed.transpose(1, 2).flatten(2))
        return self.attention_norm(tokens + F.dropout(mixed, drop, self.training))

    def feed(self, tokens: Tensor) -> Tensor:
        """The second half: feed-forward, residual sum and norm; (B, N, C) to (B, N, C)."""
        drop = self.dropout if self.training else 0.0
        mixed = self.feedforward_out(F.gelu(self.feedforward_in(tokens)))
        return self.feedforward_norm(tokens + F.dropout(mixed, drop, self.training))


class MetroBlock(nn.Module):
    """One encoder: project to its width, attend, project out; plus a linear short cut.

    ``out = head(layers(embed(x) + position)) + residual(x)``.

    Args:
        in_channels: width of the tokens that come in.
        channels: width of the encoder.
        out_channels: width of the tokens that go out.
        num_positions: rows of the table of learned positions, at least N.
        num_layers, num_heads: of the encoder.
        feedforward_ratio: width of the feed-forward part in units of ``channels``.
        dropout: see :class:`BertLayer`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        num_positions: int,
        num_layers: int,
        num_heads: int,
        feedforward_ratio: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(in_channels, channels)
        self.position = nn.Embedding(num_positions, channels)
        self.drop = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            BertLayer(channels, num_heads, int(channels * feedforward_ratio), dropout)
            for _ in range(num_layers)
        )
        self.head = nn.Linear(channels, out_channels)
        self.residual = nn.Linear(in_channels, out_channels)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=BERT_INIT_STD)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, in_channels) to (B, N, out_channels)."""
        hidden = self.drop(self.embed(tokens) + self.position.weight[: tokens.shape[1]])
        for layer in self.layers:
            hidden = layer(hidden)
        # Not in the lower precision of autocast, whose steps are half a millimetre at 10 cm.
        with torch.autocast(tokens.device.type, enabled=False):
            dtype = self.head.weight.dtype
            return self.head(hidden.to(dtype)) + self.residual(tokens.to(dtype))


@MESH_HEADS.register_module()
class MetroHead(MeshHead):
    """Progressive encoders over joint and vertex tokens, linear camera, learned upsampling.

    The last block puts out coordinates. The camera is three linear layers over all of them, and
    the fine mesh a learned 195 -> 778 linear layer over the coarse one.

    Args:
        query_channels: width of the tokens that come in (2051 with METRO's backbones).
        topology: regresses joints from the mesh, and gives the numbers of vertices.
        block_channels: width of the encoder in each block.
        out_channels: width that each block but the last puts out; the last puts out 3.
        num_layers: layers in each block.
        num_heads: attention heads in each layer.
        feedforward_ratio: width of the feed-forward part in units of the block's width.
        dropout: on embeddings, attention weights and residual branches.
        camera_channels: width of the camera's hidden layer.
        num_positions: rows of each block's table of positions. METRO keeps BERT's 512, of which
            the 216 tokens read the first 216; so do we, for equal counts and checkpoints.

    Raises:
        ConfigError: the numbers of blocks disagree, a width is no multiple of the heads, or the
            estimator has no query head.
    """

    source = "METRO (Lin et al., CVPR 2021), section 3.2; MeshTransformer modeling_metro.py"

    def __init__(
        self,
        query_channels: int | None,
        topology: HandTopology,
        block_channels: Sequence[int] = (1024, 256, 64),
        out_channels: Sequence[int] = (512, 128),
        num_layers: int = 4,
        num_heads: int = 4,
        feedforward_ratio: float = 4.0,
        dropout: float = 0.1,
        camera_channels: int = 150,
        num_positions: int = 512,
    ) -> None:
        super().__init__()
        if query_channels is None:
            raise ConfigError(
                "model.query_head: MetroHead needs tokens, and there is no query head; "
                "METRO's is dict(type='TemplateQueries')."
            )
        if len(out_channels) != len(block_channels) - 1:
            raise ConfigError(
                f"model.mesh_head.out_channels: {len(block_channels)} blocks need "
                f"{len(block_channels) - 1} widths between them, got {list(out_channels)}."
            )
        for channels in block_channels:
            if channels % num_heads:
                raise ConfigError(
                    f"model.mesh_head.block_channels: {channels} cannot be split over "
                    f"{num_heads} heads."
                )
        self.register_buffer("joint_regressor", topology.joint_regressor, persistent=False)
        num_coarse, num_vertices = topology.up.shape[1], topology.up.shape[0]
        num_tokens = NUM_JOINTS + num_coarse
        if num_positions < num_tokens:
            raise ConfigError(
                f"model.mesh_head.num_positions: {num_positions} are too few for {num_tokens} "
                "tokens."
            )
        widths_in = (query_channels, *out_channels)
        widths_out = (*out_channels, 3)
        self.blocks = nn.ModuleList(
            MetroBlock(
                width_in,
                channels,
                width_out,
                num_positions,
                num_layers,
                num_heads,
                feedforward_ratio,
                dropout,
            )
            for width_in, channels, width_out in zip(
                widths_in, block_channels, widths_out, strict=True
            )
        )
        # No nonlinearity between these three, in METRO as here.
        self.camera_point = nn.Linear(3, 1)
        self.camera_hidden = nn.Linear(num_tokens, camera_channels)
        self.camera_out = nn.Linear(camera_channels, 3)
        self.upsample = nn.Linear(num_coarse, num_vertices)

    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Predict from tokens (B, 216, query_channels); ``features`` are not used."""
        tokens = queries
        for block in self.blocks:
            tokens = block(tokens)
        with torch.autocast(tokens.device.type, enabled=False):
            return self._compose(tokens)

    def _compose(self, points: Tensor) -> HandPrediction:
        """Camera, fine mesh and regressed joints from coordinates (B, 216, 3)."""
        joints, coarse = points[:, :NUM_JOINTS], points[:, NUM_JOINTS:]
        camera = self.camera_out(self.camera_hidden(self.camera_point(points).squeeze(2)))
        vertices = self.upsample(coarse.transpose(1, 2)).transpose(1, 2)
        return HandPrediction(
            camera=camera,
            joints=joints,
            vertices=vertices,
            joints_from_vertices=self.joint_regressor @ vertices,
            coarse_vertices=coarse,
        )
