"""3x3 convolutions by Winograd's minimal filtering F(4x4, 3x3), for CPUs.

A 4x4 tile of the result takes 36 products for a pair of channels instead of 144 (Lavin and Gray,
"Fast Algorithms for Convolutional Neural Networks", CVPR 2016). torch's CPU convolutions do not use
it. Here its three linear maps are matrix products over channels-last maps, the middle one a batch
of 36 of (tiles, C) by (C, C'); what is left of the bias and the layout is a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.models.deploy.observe import observe, replace_module

TILE, WINDOW = 4, 6  # 4x4 results from 6x6 inputs
# Transforms of input, filter and result for the points 0, 1, -1, 2, -2 and infinity.
_B_T = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_A_T = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

# Products saved grow with C C', transforms with C + C'; below these ratios they cost as much as is
# saved, or the products' matrices have too few rows (measured with two AVX-512 cores).
MIN_CHANNELS = 56  # C C' / (C + C')
MIN_TILES = 32
# Smaller convolutions pay for the nine operations that one becomes, and for filters that are four
# times as large: HRNet's hundreds of them lose what each gains alone.
MIN_MACS = 2e8


class WinogradConv2d(nn.Module):
    """A 3x3 convolution with stride 1 and padding 1, in float32.

    Rounding grows by a factor of about four over the direct sum, to 1e-5 of the largest value.

    Args:
        conv: what it replaces.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        if not is_plain_3x3(conv):
            raise ValueError(f"not a plain 3x3 convolution: {conv}")
        g = torch.tensor(_G, dtype=torch.float64, device=conv.weight.device)
        filters = torch.einsum("ai,ocij,bj->baco", g, conv.weight.detach().double(), g)
        self.in_channels, self.out_channels = conv.in_channels, conv.out_channels
        self.register_buffer("filters", filters.flatten(0, 1).to(conv.weight.dtype).contiguous())
        bias = conv.bias.detach().clone() if conv.bias is not None else None
        self.register_buffer("bias", bias)
        b = torch.tensor(_B_T, dtype=torch.float64)
        a = torch.tensor(_A_T, dtype=torch.float64)
        self.register_buffer("into", b.to(conv.weight))
        self.register_buffer("back", torch.kron(a, a).to(conv.weight))

    def extra_repr(self) -> str:
        """Channels in and out."""
        return f"{self.in_channels}, {self.out_channels}, F(4x4, 3x3)"

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W), channels-last."""
        batch, channels, height, width = x.shape
        rows, columns = -(-height // TILE), -(-width // TILE)
        bottom, right = rows * TILE - height, columns * TILE - width
        x = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1 + right, 1, 1 + bottom))
        # First the windows' rows, then their columns: two passes of 6 products for each number
        # instead of one of 36.
        x = x.unfold(1, WINDOW, TILE).permute(4, 0, 1, 2, 3).reshape(WINDOW, -1)
        x = (self.into @ x).view(WINDOW, batch, rows, columns * TILE + 2, channels)
        x = x.unfold(3, WINDOW, TILE).permute(5, 0, 1, 2, 3, 4).reshape(WINDOW, -1)
        x = (self.into @ x).view(WINDOW**2, batch * rows * columns, channels)
        # The first axis is now (column of the window, row), and so are the filters.
        x = torch.bmm(x, self.filters)
        x = (self.back @ x.view(WINDOW**2, -1)).view(
            TILE, TILE, batch, rows, columns, self.out_channels
        )
        x = x.permute(2, 3, 1, 4, 0, 5).reshape(
            batch, rows * TILE, columns * TILE, self.out_channels
        )
        if self.bias is not None:
            x = x.add_(self.bias)
        return x[:, :height, :width].permute(0, 3, 1, 2)


def is_plain_3x3(conv: nn.Conv2d) -> bool:
    """Whether a convolution is 3x3 with stride 1, zero padding 1, one group and no dilation."""
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == (1, 1)
        and conv.padding in ((1, 1), "same")
        and conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
    )


def worth_winograd(conv: nn.Conv2d, height: int, width: int) -> bool:
    """Whether the algorithm is faster for a plain 3x3 convolution of a map of that size."""
    channels, out_channels = conv.in_channels, conv.out_channels
    tiles = -(-height // TILE) * -(-width // TILE)
    ratio = channels * out_channels / (channels + out_channels)
    macs = 9 * channels * out_channels * height * width
    return ratio >= MIN_CHANNELS and tiles >= MIN_TILES and macs >= MIN_MACS


def use_winograd(model: nn.Module, run: Callable[[], Any]) -> int:
    """Replace the 3x3 convolutions that are large enough to profit, in place.

    Args:
        model: in eval mode, float32.
        run: calls it once on an example, to see how large the maps are.

    Returns:
        How many were replaced.
    """
    seen = observe(model, run)
    replaced = 0
    for conv, calls in list(seen.calls.items()):
        if type(conv) is not nn.Conv2d or not is_plain_3x3(conv):
            continue
        if not worth_winograd(conv, *calls[0].inputs.shape[2:]):
            continue
        replace_module(model, conv, WinogradConv2d(conv))
        replaced += 1
    return replaced
