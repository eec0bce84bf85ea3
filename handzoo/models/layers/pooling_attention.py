"""Pooling attention, the token mixer of POTTER, and the transformer block around it.

The definition is a pair of rank-4 outer products of average pools. Written with the operators
that it suggests (adaptive pools, a transpose to tokens, thousands of products of 32 x 4 by 4 x 2
matrices) it costs more time than all convolutions of the backbone together. Here the map stays in
its own layout and every step runs over the contiguous H * W axis.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError

BINS = 4  # both branches pool to four
GROUPS = 32  # rows of the embedding branch's (32, C / 32) view of a token


def bin_edges(size: int, bins: int = BINS) -> list[tuple[int, int]]:
    """Half-open ranges that adaptive average pooling of ``size`` entries to ``bins`` covers."""
    return [(i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins)]


def bin_means(x: Tensor, dim: int, bins: int = BINS) -> Tensor:
    """Adaptive average pooling of one axis but the batch: (B, .., n, ..) -> (B, .., bins, ..)."""
    size = int(x.shape[dim])
    if size == bins:
        return x
    if size % bins == 0:
        return split_axis(x, dim, bins, size // bins).mean(dim + 1)
    means = [x.narrow(dim, a, b - a).mean(dim) for a, b in bin_edges(size, bins)]
    return torch.stack(means, dim)


def split_axis(x: Tensor, dim: int, outer: int, inner: int) -> Tensor:
    """``x.unflatten(dim, (outer, inner))`` for ``dim`` > 0, with plain numbers but for the batch.

    An exporter then sees one reshape to constants instead of arithmetic on shapes.
    """
    sizes = [int(n) for n in x.shape[1:]]
    sizes[dim - 1 : dim] = [outer, inner]
    return x.reshape(-1, *sizes)


def bin_matrix(size: int, like: Tensor, bins: int = BINS) -> Tensor:
    """Adaptive average pooling as a matrix (bins, size) with the dtype and device of ``like``."""
    matrix = torch.zeros(bins, size, dtype=torch.float64)
    for row, (a, b) in enumerate(bin_edges(size, bins)):
        matrix[row, a:b] = 1.0 / (b - a)
    return matrix.to(like)


class PoolingAttention(nn.Module):
    """POTTER's pooling attention (Zheng et al., CVPR 2023, section 3.2).

    Patch branch: the outer product (matrix product) of the map pooled to (H, 4) and to (4, W).
    Embedding branch: the same of each token seen as a (32, C / 32) matrix. Each goes through a
    depth-wise 3x3 convolution; their sum is normalised and convolved depth-wise once more.

    Args:
        channels: C, a multiple of 32.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % GROUPS:
            raise ConfigError(
                f"pooling attention sees a token as a ({GROUPS}, C / {GROUPS}) matrix, so widths "
                f"must be multiples of {GROUPS}; got {channels}."
            )
        self.norm = nn.GroupNorm(1, channels)
        self.proj_patch = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.proj_embedding = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.proj_out = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self._matrices: dict[tuple[object, ...], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x.contiguous()
        mixed = self.proj_patch(self.patch_product(x))
        mixed = mixed + self.proj_embedding(self.embedding_product(x))
        return self.proj_out(self.norm(mixed))

    def patch_product(self, x: Tensor) -> Tensor:
        """Rank-4 product over the positions of every channel, (B, C, H, W)."""
        over_width = x @ self._matrix(int(x.shape[-1]), x).T
        over_height = self._matrix(int(x.shape[-2]), x) @ x
        return over_width @ over_height

    def _matrix(self, size: int, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():  # a traced constant must not outlive its graph
            return bin_matrix(size, x)
        key = (size, x.dtype, x.device)
        if key not in self._matrices:
            with torch.inference_mode(False):  # a later training must be able to use it
                self._matrices[key] = bin_matrix(size, x)
        return self._matrices[key]

    @staticmethod
    def embedding_product(x: Tensor) -> Tensor:
        """Rank-4 product inside the (32, C / 32) view of every token, (B, C, H, W).

        out[a, b] = sum_k left[a, k] right[k, b], where left pools the row to four entries and
        right pools the column. It is summed over k with whole maps as operands. A row of fewer
        than four entries is pooled by repeating them, so that those terms are gathered first.
        """
        channels, height, width = (int(n) for n in x.shape[1:])
        row = channels // GROUPS
        tokens = x.view(-1, GROUPS, row, height * width)
        right = bin_means(tokens, 1)
        if row < BINS:
            if BINS % row:
                left = bin_means(tokens, 2)
            else:
                left = tokens
                right = split_axis(right, 1, row, BINS // row).sum(2)
        else:
            left = bin_means(tokens, 2)
        product = left[:, :, 0, None] * right[:, None, 0]
        for k in range(1, left.shape[2]):
            product = torch.addcmul(product, left[:, :, k, None], right[:, None, k])
        return product.view(-1, channels, height, width)


class DropPath(nn.Module):
    """Stochastic depth: in training, a sample's residual branch is left out at random.

    Args:
        rate: probability of leaving it out.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        if self.rate == 0.0 or not self.training:
            return x
        kept = 1.0 - self.rate
        mask = x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(kept)
        return x * (mask / kept)


class LayerScale(nn.Module):
    """A learned factor for every channel of (B, C, H, W)."""

    def __init__(self, channels: int, init: float = 1e-5) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), init))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x * self.scale.view(-1, 1, 1)


class ConvMlp(nn.Module):
    """Two 1x1 convolutions with a GELU between them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.act = nn.GELU()
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        for layer in (self.fc1, self.fc2):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.fc2(self.act(self.fc1(x)))


class PATBlock(nn.Module):
    """Pooling attention and an MLP, each pre-normalised, scaled and added (POTTER, figure 3).

    Args:
        channels: C.
        mlp_ratio: hidden width of the MLP in units of C.
        drop_path: rate of stochastic depth.
        layer_scale: initial value of the branches' factors.
    """

    def __init__(
        self,
        channels: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        layer_scale: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(1, channels)
        self.token_mixer = PoolingAttention(channels)
        self.layer_scale1 = LayerScale(channels, layer_scale)
        self.norm2 = nn.GroupNorm(1, channels)
        self.mlp = ConvMlp(channels, int(channels * mlp_ratio))
        self.layer_scale2 = LayerScale(channels, layer_scale)
        self.drop_path = DropPath(drop_path)

    @torch.no_grad()
    def deploy(self) -> nn.Module:
        """Fold the layer scales into the convolutions before them."""
        for conv, scale in (
            (self.token_mixer.proj_out, self.layer_scale1),
            (self.mlp.fc2, self.layer_scale2),
        ):
            conv.weight.mul_(scale.scale.view(-1, 1, 1, 1))
            conv.bias.mul_(scale.scale)
        self.layer_scale1, self.layer_scale2 = nn.Identity(), nn.Identity()
        self.drop_path = nn.Identity()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.drop_path(self.layer_scale1(self.token_mixer(self.norm1(x))))
        return x + self.drop_path(self.layer_scale2(self.mlp(self.norm2(x))))
