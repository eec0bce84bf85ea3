"""Any convolutional network of timm as the backbone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError, ResourceError, suggest
from handzoo.models.backbones.weights import read_weights
from handzoo.models.base import Backbone
from handzoo.models.layers.state import FitReport, fit_state_dict
from handzoo.registry import BACKBONES, current_key_path
from handzoo.resources import REAL, resolve

_LOGGER = logging.getLogger(__name__)


@BACKBONES.register_module()
class TimmBackbone(Backbone):
    """Feature maps of a timm model, under timm's own parameter names.

    Args:
        name: timm's name, such as ``resnet50`` or ``hrnet_w64``.
        out_indices: which of timm's feature levels are f1..f4; by default the four of strides
            4, 8, 16, 32.
        pretrained: load the resource ``backbone/<name>`` in :meth:`init_weights`, that is when a
            training starts and not when a checkpoint is going to be loaded anyway.
        weights: a weights file, instead of the resource's usual places.
        final_features: for HRNet, f4 is the 2048-channel map that timm's classifier pools
            (``final_layer``), as METRO and FastMETRO use it, instead of the fourth branch.
        options: further arguments of timm's model, such as ``dict(feature_location='')`` for
            HRNet's branches as they are. Not with ``final_features``.

    Raises:
        ConfigError: timm has no such model, or it does not give four such levels.

    Example:
        >>> TimmBackbone('resnet18', pretrained=False).channels
        (64, 128, 256, 512)
    """

    source = "timm (pytorch-image-models)"

    def __init__(
        self,
        name: str = "resnet50",
        out_indices: tuple[int, ...] | None = None,
        pretrained: bool = True,
        weights: str | None = None,
        final_features: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        import timm

        if not timm.is_model(name):
            raise ConfigError(
                f"{current_key_path('name')}: timm has no model {name!r}. "
                f"{suggest(name, timm.list_models())}"
            )
        self.name, self.pretrained, self.weights = name, pretrained, weights
        self.final_features = final_features
        if final_features:
            if not name.startswith("hrnet"):
                raise ConfigError(
                    f"{current_key_path('final_features')}: only hrnet_* has a final layer, not "
                    f"{name!r}; leave final_features out."
                )
            self.net = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
            widths = self.net.stage4[-1].num_in_chs
            self.channels = (*widths[:3], self.net.num_features)
            self.strides = (4, 8, 16, 32)
            return
        options = {"pretrained": False, "features_only": True, **(options or {})}
        info = timm.create_model(name, **options).feature_info
        if out_indices is None:
            out_indices = tuple(
                index for index, stride in enumerate(info.reduction()) if stride in (4, 8, 16, 32)
            )
        if len(out_indices) != 4 or max(out_indices) >= len(info.reduction()):
            raise ConfigError(
                f"{current_key_path('out_indices')}: four feature levels are needed, and {name} "
                f"has strides {info.reduction()}; got out_indices={tuple(out_indices)}."
            )
        self.net = timm.create_model(name, out_indices=tuple(out_indices), **options)
        self.channels = tuple(self.net.feature_info.channels())
        self.strides = tuple(self.net.feature_info.reduction())

    def init_weights(self) -> FitReport | None:
        """Load the pretrained weights; without them the initialisation stays random.

        Raises:
            ResourceError: the weights do not fit the network.
        """
        if not self.pretrained:
            return None
        use = resolve(f"backbone/{self.name}", self.weights)
        if use.status != REAL:
            return None
        report = fit_state_dict(self.net, read_weights(use.where))
        if report.missing or report.mismatched:
            first = (report.missing + list(report.mismatched))[0]
            raise ResourceError(
                f"backbone/{self.name}: {use.where} does not fit timm's {self.name}: {report}; "
                f"the first key is {first!r}."
            )
        _LOGGER.info("backbone/%s from %s: %s", self.name, use.where, report)
        return report

    def deploy(self) -> nn.Module:
        """Merge the branches that timm's re-parameterised networks (RepVGG, FastViT) train."""
        from timm.utils import reparameterize_model

        self.net = reparameterize_model(self.net, inplace=True)
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return f1..f4 of ``image`` (B, 3, H, W)."""
        if not self.final_features:
            return tuple(self.net(image))
        branches, fused = self.hrnet_maps(image)
        return (*branches[:3], self.net.final_layer(fused))

    def hrnet_maps(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """HRNet's four branches, and the map (B, 1024, H / 32, W / 32) that its head fuses of them.

        Only with ``final_features``.
        """
        net = self.net
        stem = net.act1(net.bn1(net.conv1(image)))
        branches = net.stages(net.act2(net.bn2(net.conv2(stem))))
        fused = net.incre_modules[0](branches[0])
        for index, module in enumerate(net.incre_modules[1:], start=1):
            fused = module(branches[index]) + net.downsamp_modules[index - 1](fused)
        return branches, fused

    def pooled(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The global feature (B, D4) that timm's classifier would see."""
        return torch.mean(maps[-1], dim=(2, 3))
