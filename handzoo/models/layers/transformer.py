"""Pre-norm transformer encoder and decoder layers in the style of DETR.

Positions are added to the attention's queries and keys only, never to its values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sine_position(channels: int, height: int, width: int, temperature: float = 10000.0) -> Tensor:
    """2D sine code of a grid, as in DETR with ``normalize=True``.

    The first half of the channels encodes the row, the second the column; each counts from 1,
    and is scaled so that the last one is 2 pi.

    Args:
        channels: C, a multiple of 4.
        height, width: of the grid.
        temperature: ratio of the longest to the shortest wavelength.

    Returns:
        (height * width, C), rows of the grid one after the other.
    """
    half = channels // 2
    frequency = temperature ** (2 * torch.div(torch.arange(half), 2, rounding_mode="floor") / half)

    def code(size: int) -> Tensor:
        place = torch.arange(1, size + 1, dtype=torch.float32)
        phase = (place / (size + 1e-6) * (2 * torch.pi))[:, None] / frequency
        return torch.stack([phase[:, 0::2].sin(), phase[:, 1::2].cos()], dim=2).flatten(1)

    rows = code(height)[:, None].expand(height, width, half)
    columns = code(width)[None].expand(height, width, half)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)


class FeedForward(nn.Module):
    """Two linear layers with ReLU and dropout between them.

    Args:
        channels: width in and out.
        hidden_channels: width between.
        dropout: probability after the ReLU.
    """

    def __init__(self, channels: int, hidden_channels: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, hidden_channels)
        self.linear2 = nn.Linear(hidden_channels, channels)
        self.dropout = dropout

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, C) to (B, N, C)."""
        hidden = F.relu(self.linear1(tokens))
        return self.linear2(F.dropout(hidden, self.dropout, self.training))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward with the norms before them.

    Args:
        channels: width C of the tokens.
        num_heads: attention heads; divides C.
        feedforward_channels: hidden width of the feed-forward part.
        dropout: on attention weights, inside the feed-forward part and on residual branches.
    """

    def __init__(
        self, channels: int, num_heads: int, feedforward_channels: int, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.self_attention = nn.MultiheadAttention(
            channels, num_heads, dropout=dropout, batch_first=True
        )
        self.norm2 = nn.LayerNorm(channels)
        self.feedforward = FeedForward(channels, feedforward_channels, dropout)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, tokens: Tensor, position: Tensor | None = None, blocked: Tensor | None = None
    ) -> Tensor:
        """Map tokens (B, N, C) to (B, N, C).

        Args:
            tokens: (B, N, C).
            position: (N, C) or (B, N, C), or None.
            blocked: (N, N) bool, True where a token (row) may not look at another, or None.
        """
        value = self.norm1(tokens)
        place = value if position is None else value + position
        mixed, _ = self.self_attention(
            place, place, value, attn_mask=blocked, need_weights=False
        )
        tokens = tokens + self.drop(mixed)
        return tokens + self.drop(self.feedforward(self.norm2(tokens)))


class DecoderLayer(nn.Module):
    """Masked self-attention, cross-attention to a memory and feed-forward, norms before them.

    Args:
        channels, num_heads, feedforward_channels, dropout: see :class:`EncoderLayer`.
    """

    def __init__(
        self, channels: int, num_heads: int, feedforward_channels: int, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.self_attention = nn.MultiheadAttention(
            channels, num_heads, dropout=dropout, batch_first=True
        )
        self.norm2 = nn.LayerNorm(channels)
        self.cross_attention = nn.MultiheadAttention(
            channels, num_heads, dropout=dropout, batch_first=True
        )
        self.norm3 = nn.LayerNorm(channels)
        self.feedforward = FeedForward(channels, feedforward_channels, dropout)
        self.drop = nn.Dropout(dropout)

    def forward(
        self,
        queries: Tensor,
        memory: Tensor,
        position: Tensor | None = None,
        blocked: Tensor | None = None,
        query_position: Tensor | None = None,
    ) -> Tensor:
        """Map queries (B, Q, C) to (B, Q, C).

        Args:
            queries: (B, Q, C).
            memory: (B, N, C).
            position: of the memory, (N, C) or (B, N, C); on its keys only. Or None.
            blocked: (Q, Q) bool, True where a query (row) may not look at another, or None.
            query_position: of the queries, (Q, C); on queries, and on keys among them. Or None.
        """
        value = self.norm1(queries)
        place = value if query_position is None else value + query_position
        mixed, _ = self.self_attention(
            place, place, value, attn_mask=blocked, need_weights=False
        )
        queries = queries + self.drop(mixed)
        key = memory if position is None else memory + position
        place = self.norm2(queries)
        if query_position is not None:
            place = place + query_position
        mixed, _ = self.cross_attention(place, key, memory, need_weights=False)
        queries = queries + self.drop(mixed)
        return queries + self.drop(self.feedforward(self.norm3(queries)))
