"""HRNet that gives the map before its final layer beside the map after it."""

from __future__ import annotations

import torch
from torch import Tensor

from handzoo.models.backbones.timm_backbone import TimmBackbone


class GridHRNet(TimmBackbone):
    """HRNet whose last map holds MeshGraphormer's image feature and its grid feature.

    HRNet's classification head fuses the four branches into a map of 1024 channels, which its
    final layer widens to 2048 before they are pooled. MeshGraphormer pools the wide map to the
    image feature, and makes tokens of the cells of the narrow one. A backbone has four maps, so
    f4 is both, one after the other: 2048 + 1024 channels at stride 32.

    Args:
        name: timm's name of an HRNet.
        pretrained, weights: see :class:`~handzoo.models.backbones.timm_backbone.TimmBackbone`.

    Raises:
        ConfigError: ``name`` is no HRNet.
    """

    source = "MeshGraphormer (Lin et al., ICCV 2021), section 3.3; hrnet_cls_net_gridfeat.py"

    def __init__(
        self, name: str = "hrnet_w64", pretrained: bool = True, weights: str | None = None
    ) -> None:
        super().__init__(name, pretrained=pretrained, weights=weights, final_features=True)
        grid_channels = self.net.final_layer[0].in_channels
        self.channels = (*self.channels[:3], self.channels[3] + grid_channels)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return f1..f4 of ``image`` (B, 3, H, W); f4 is [after, before] the final layer."""
        branches, grid = self.hrnet_maps(image)
        return (*branches[:3], torch.cat([self.net.final_layer(grid), grid], dim=1))
