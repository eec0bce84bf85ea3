"""PAT, the pooling attention transformer of POTTER: CLIP-Hand's backbone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.models.backbones.weights import read_weights
from handzoo.models.base import Backbone
from handzoo.models.layers.pooling_attention import PATBlock
from handzoo.models.layers.state import FitReport, fit_state_dict
from handzoo.registry import BACKBONES, current_key_path
from handzoo.resources import REAL, resolve

_LOGGER = logging.getLogger(__name__)

ARCHITECTURES: dict[str, tuple[int, int, int, int]] = {"S12": (2, 2, 6, 2), "S24": (4, 4, 12, 4)}
WIDTHS = (64, 128, 320, 512)


class PatchEmbed(nn.Module):
    """A strided convolution that makes or merges patches."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int, padding: int
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        return self.conv(x)


class Stage(nn.Module):
    """Patch merging (except in the first stage) and the blocks of one resolution."""

    def __init__(self, downsample: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.downsample = downsample
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        return self.blocks(self.downsample(x))


@BACKBONES.register_module()
class PAT(Backbone):
    """Pooling attention transformer: S12 (2,2,6,2), 11.51 M, or S24 (4,4,12,4), 21.09 M.

    Parameters have the names of timm's PoolFormer, whose block it shares except for the token
    mixer, so that ImageNet weights of poolformer_s12/s24 fit key by key.

    Args:
        arch: ``S12`` or ``S24``; gives the depths.
        depths: blocks of the four stages, instead of ``arch``.
        widths: D1..D4, multiples of 32.
        mlp_ratio: hidden width of the MLPs.
        drop_path: rate of stochastic depth at the last block, rising linearly from zero.
        layer_scale: initial factor of the residual branches. 1e-5 is POTTER's; a short training
            from random initialisation wants 0.1 or more.
        pretrained: timm model whose weights initialise it in :meth:`init_weights`, by default the
            PoolFormer of the same size; False for random initialisation.

    Example:
        >>> [tuple(f.shape[1:]) for f in PAT('S12')(torch.zeros(1, 3, 224, 224))]
        [(64, 56, 56), (128, 28, 28), (320, 14, 14), (512, 7, 7)]
    """

    source = "CLIP-Hand, sections 3.2 and 4.3; POTTER (Zheng et al., CVPR 2023), section 3"

    def __init__(
        self,
        arch: str = "S12",
        depths: Sequence[int] | None = None,
        widths: Sequence[int] = WIDTHS,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.1,
        layer_scale: float = 1e-5,
        pretrained: str | bool = True,
    ) -> None:
        super().__init__()
        if depths is None and arch not in ARCHITECTURES:
            raise ConfigError(
                f"{current_key_path('arch')}: PAT comes as {', '.join(ARCHITECTURES)}, not "
                f"{arch!r}; other sizes by 'depths' and 'widths'."
            )
        custom = depths is not None
        depths = tuple(depths) if depths is not None else ARCHITECTURES[arch]
        if len(depths) != 4 or len(widths) != 4:
            raise ConfigError(
                f"{current_key_path('depths')}: PAT has four stages; got depths {depths} and "
                f"widths {tuple(widths)}."
            )
        self.channels = tuple(widths)
        self.strides = (4, 8, 16, 32)
        if pretrained is True:
            pretrained = False if custom else f"poolformer_{arch.lower()}"
        self.pretrained = pretrained or None
        last = max(sum(depths) - 1, 1)
        rates = [drop_path * block / last for block in range(sum(depths))]
        self.stem = PatchEmbed(3, widths[0], 7, 4, 2)
        stages = []
        for index, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            first = sum(depths[:index])
            blocks = [
                PATBlock(width, mlp_ratio, rates[first + block], layer_scale)
                for block in range(depth)
            ]
            merge = PatchEmbed(widths[index - 1], width, 3, 2, 1) if index else nn.Identity()
            stages.append(Stage(merge, blocks))
        self.stages = nn.ModuleList(stages)
        self.norms = nn.ModuleList([nn.GroupNorm(1, width) for width in widths])

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return f1..f4, (B, D_i, H / s_i, W / s_i), of ``image`` (B, 3, H, W)."""
        x = self.stem(image)
        maps = []
        for stage, norm in zip(self.stages, self.norms, strict=True):
            x = stage(x)
            maps.append(norm(x))
        return tuple(maps)

    def init_weights(self) -> FitReport | None:
        """Start from PoolFormer's ImageNet weights if the config asks and they can be had."""
        if self.pretrained is None:
            return None
        return self.init_from_poolformer(str(self.pretrained))

    def init_from_poolformer(self, name: str = "poolformer_s12") -> FitReport | None:
        """Load a timm PoolFormer: embeddings, norms, MLPs and layer scales.

        Args:
            name: ``poolformer_s12`` or ``poolformer_s24``; the resource ``backbone/<name>``.

        Returns:
            The account key by key (the token mixers and the maps' norms have no counterpart,
            the classifier is not used), or None when only the stand-in is there.
        """
        use = resolve(f"backbone/{name}")
        if use.status != REAL:
            return None
        report = fit_state_dict(self, read_weights(use.where))
        _LOGGER.info("PAT from %s: %s", use.where, report)
        for key in report.missing:
            _LOGGER.debug("PAT keeps its random initialisation: %s", key)
        return report
