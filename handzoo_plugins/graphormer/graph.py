"""Convolution over the coarse mesh, and the transformer layer that has one inside."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.models.mesh_heads.metro import BERT_EPS, BertLayer


def normalized_adjacency(topology: HandTopology) -> Tensor:
    """Mean over a coarse vertex and its neighbours: (195, 195) float32, rows sum to one.

    With METRO's published sampling in the topology this is the matrix that the authors ship as
    ``mano_195_adjmat_*.pt``.
    """
    near = (topology.hops <= 1).float()
    return near / near.sum(dim=1, keepdim=True)


class GraphConvolution(nn.Module):
    """``A x W + b`` after Kipf and Welling (ICLR 2017).

    Args:
        in_channels, out_channels: C, C'.
        adjacency: A, (V, V); part of the hand model and not of checkpoints.
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: Tensor) -> None:
        super().__init__()
        bound = 6.0 / math.sqrt(in_channels + out_channels)
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound))
        self.register_buffer("adjacency", adjacency, persistent=False)

    def forward(self, vertices: Tensor) -> Tensor:
        """Map (B, V, C) to (B, V, C')."""
        return self.adjacency @ (vertices @ self.weight) + self.bias


class GraphResidual(nn.Module):
    """Bottleneck with a graph convolution in it: ``x + W2 r(n2(G r(n1(W1 r(n0(x))))))``.

    n are layer norms, r is ReLU. The authors' block also has a linear short cut (``skip_conv``)
    that its forward pass never uses; there is none here.

    Args:
        channels: C; inside it is half of that.
        adjacency: see :class:`GraphConvolution`.
    """

    def __init__(self, channels: int, adjacency: Tensor) -> None:
        super().__init__()
        inner = channels // 2
        self.norm0 = nn.LayerNorm(channels, eps=BERT_EPS)
        self.linear1 = _small_linear(channels, inner)
        self.norm1 = nn.LayerNorm(inner, eps=BERT_EPS)
        self.conv = GraphConvolution(inner, inner, adjacency)
        self.norm2 = nn.LayerNorm(inner, eps=BERT_EPS)
        self.linear2 = _small_linear(inner, channels)

    def forward(self, vertices: Tensor) -> Tensor:
        """Map (B, V, C) to (B, V, C)."""
        hidden = self.linear1(F.relu(self.norm0(vertices)))
        hidden = self.conv(F.relu(self.norm1(hidden)))
        return vertices + self.linear2(F.relu(self.norm2(hidden)))


class GraphormerLayer(nn.Module):
    """METRO's layer with a graph convolution over the vertices between its two halves.

    Args:
        bert: the layer.
        graph: what the vertex tokens go through after the attention.
        num_vertices: V of the tokens' 21 + V + grid.
    """

    def __init__(self, bert: BertLayer, graph: GraphResidual, num_vertices: int) -> None:
        super().__init__()
        self.bert = bert
        self.graph = graph
        self.last_vertex = NUM_JOINTS + num_vertices

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, 21 + V + grid, C) to the same shape."""
        tokens = self.bert.attend(tokens)
        joints = tokens[:, :NUM_JOINTS]
        vertices = self.graph(tokens[:, NUM_JOINTS : self.last_vertex])
        grid = tokens[:, self.last_vertex :]
        return self.bert.feed(torch.cat([joints, vertices, grid], dim=1))


def _small_linear(in_channels: int, out_channels: int) -> nn.Linear:
    """The authors' ``GraphLinear`` starts this close to zero, and the block at the identity."""
    layer = nn.Linear(in_channels, out_channels)
    bound = 1.0 / (in_channels * out_channels)
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.uniform_(layer.bias, -bound, bound)
    return layer
