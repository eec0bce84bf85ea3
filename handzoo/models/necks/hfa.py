"""HFA: CLIP-Hand's high-resolution feature aggregation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.models.base import Neck
from handzoo.models.layers.pooling_attention import PATBlock
from handzoo.registry import NECKS


class PatchSplit(nn.Module):
    """Double the resolution: nearest neighbours, then a 3x3 convolution, as in POTTER."""

    def __init__(self, in_channels: int, channels: int, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(1, channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W)."""
        return self.norm(self.conv(F.interpolate(x, scale_factor=2, mode="nearest")))


class Reduce(nn.Module):
    """Fuse two concatenated maps into one."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(1, channels)
        self.act = nn.GELU()

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """(B, D, H, W) twice -> (B, D', H, W)."""
        return self.act(self.norm(self.conv(torch.cat([fine, coarse], 1))))


@NECKS.register_module()
class HFA(Neck):
    """High-resolution feature aggregation (section 3.2, figure 3).

    f2 is brought to f1's resolution and width and fused with f1 (f12), f3 likewise with f12
    (f123), f4 with f123, and a PAT block closes (f1234). A map climbs one resolution at a time
    through the widths of its neighbours, as in POTTER's high-resolution stream.

    Args:
        in_channels: D1..D4.
        out_channels: D of f1234.
        mlp_ratio: of the PAT block.
        layer_scale: initial factor of the PAT block's branches.

    Example:
        >>> maps = [torch.zeros(1, c, s, s) for c, s in zip((64, 128, 320, 512), (56, 28, 14, 7))]
        >>> tuple(HFA((64, 128, 320, 512))(maps).shape)
        (1, 64, 56, 56)
    """

    source = "CLIP-Hand, section 3.2; POTTER (Zheng et al., CVPR 2023), section 3.3"

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 64,
        mlp_ratio: float = 4.0,
        layer_scale: float = 1e-5,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        climbs, reductions = [], []
        for level in range(1, len(in_channels)):
            steps = [
                PatchSplit(in_channels[i], in_channels[i - 1], norm=i > 1)
                for i in range(level, 0, -1)
            ]
            climbs.append(nn.Sequential(*steps))
            last = level == len(in_channels) - 1
            reductions.append(Reduce(2 * in_channels[0], out_channels if last else in_channels[0]))
        self.climbs = nn.ModuleList(climbs)
        self.reductions = nn.ModuleList(reductions)
        self.block = PATBlock(out_channels, mlp_ratio, layer_scale=layer_scale)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return f1234 (B, D, H / 4, W / 4) of f1..f4."""
        fused = maps[0]
        for climb, reduce, coarse in zip(self.climbs, self.reductions, maps[1:], strict=True):
            fused = reduce(fused, climb(coarse))
        return self.block(fused)
