"""HRNet's own branches, without the exchange of which PointHMR reads nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.models.backbones.timm_backbone import TimmBackbone


class LastExchange(nn.Module):
    """HRNet's last module: all branches, then the exchange into the first and the last alone.

    timm's names of the parameters are kept, so that its weights fit.

    Args:
        module: timm's, whose parts are taken over.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.branches = module.branches
        ends = (0, len(module.branches) - 1)
        self.fuse_layers = nn.ModuleDict({str(end): module.fuse_layers[end] for end in ends})

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map the four branches to four maps of the same shapes."""
        before = [branch(feature) for branch, feature in zip(self.branches, maps, strict=True)]
        after = list(before)
        for end, layers in self.fuse_layers.items():
            parts = [layer(feature) for layer, feature in zip(layers, before, strict=True)]
            after[int(end)] = F.relu(sum(parts[1:], parts[0]))
        return after


class PointHRNet(TimmBackbone):
    """HRNet without its classification head: 32, 64, 128, 256 channels for ``hrnet_w32``.

    PointHMR samples from f1 and makes grid tokens of f4. What HRNet's last exchange adds to the
    two branches between them never reaches an output, so f2 and f3 are the branches before it:
    0.197 M parameters fewer, and none that goes without a gradient.

    Args:
        name: timm's name of an HRNet.
        pretrained, weights: see :class:`~handzoo.models.backbones.timm_backbone.TimmBackbone`.
            The authors start from an HRNet that ROMP trained on 2D poses; timm's are ImageNet's.
    """

    source = "PointHMR (Kim et al., CVPR 2023), section 3.1; backbone/hrnet_32.py"

    def __init__(
        self, name: str = "hrnet_w32", pretrained: bool = True, weights: str | None = None
    ) -> None:
        super().__init__(
            name, pretrained=pretrained, weights=weights, options={"feature_location": ""}
        )
        self.net.stage4[-1] = LastExchange(self.net.stage4[-1])
