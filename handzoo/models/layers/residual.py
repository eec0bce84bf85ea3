"""The residual block of ResNet-18 and -34, and branches of such blocks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm around a short cut (He et al., CVPR 2016).

    Args:
        in_channels: C.
        channels: C' of the result; where it differs, the short cut is a 1x1 convolution.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
            )
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


def residual_branch(in_channels: int, channels: int, num_blocks: int) -> nn.Sequential:
    """Residual blocks and a 1x1 convolution without bias: (B, C, H, W) -> (B, C', H, W).

    The branches of CLIP-Hand's MHF and of PointHMR. A softmax over positions, which follows where
    they make heatmaps, would not see a bias.

    Args:
        in_channels: C.
        channels: C' of all blocks and of the result.
        num_blocks: residual blocks.
    """
    blocks = [
        BasicBlock(in_channels if index == 0 else channels, channels) for index in range(num_blocks)
    ]
    return nn.Sequential(*blocks, nn.Conv2d(channels, channels, 1, bias=False))
