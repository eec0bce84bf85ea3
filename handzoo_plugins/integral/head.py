"""The head of integral regression: a point is the mean place under its own 2.5D heatmap."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.hands.camera import pixels_to_normalized
from handzoo.hands.conventions import NUM_JOINTS, WRIST
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, MeshHead
from handzoo.models.layers.mesh_output import INITIAL_SCALE, small_linear
from handzoo.models.query_heads.mhf import sample_by_heatmap
from handzoo.registry import current_key_path
from handzoo.structures import HandPrediction

# Depths come out of the network in units of this many metres: about half a palm, so that the
# last layer's weights are of the size that weights usually are.
DEPTH_UNIT = 0.05
STRIDES = (4, 8, 16, 32)


class TopDown(nn.Module):
    """A feature pyramid's way down: f4 is added to f3, their sum to f2, and so on.

    Source: Lin et al., Feature pyramid networks, CVPR 2017, section 3.

    Args:
        in_channels: of the maps that are read, from fine to coarse.
        channels: D of the result.
    """

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        self.smooth = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (B, D, h, w) of the size of the first map."""
        fused = self.laterals[-1](maps[-1])
        for lateral, finer in zip(self.laterals[-2::-1], maps[-2::-1], strict=True):
            fused = lateral(finer) + F.interpolate(fused, size=finer.shape[2:], mode="nearest")
        return self.smooth(fused)


def cell_middles(height: int, width: int, like: Tensor) -> Tensor:
    """Middles of a map's cells: (2, height, width), x and y in half crops as points project to."""
    x, y = (
        pixels_to_normalized(torch.arange(size, device=like.device, dtype=like.dtype) + 0.5, size)
        for size in (width, height)
    )
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])


class IntegralHead(MeshHead):
    """Heatmap and depth map of every joint and coarse vertex; a point is their expectation.

    A top-down path over the backbone's maps, down to ``stride``, and two 1x1 convolutions. The
    softmax of a point's heatmap says where in the crop it is; the mean of its depth map under that
    softmax says how far behind the wrist. Image positions become metres by the weak-perspective
    scale, one number from the pooled f4. So the projection of the predicted points is the
    heatmaps' expectation by construction, and the wrist is the origin.

    The prediction carries the heatmaps' logits, ``joints`` and ``vertices``, for
    :class:`~handzoo.models.losses.HandLoss`.

    Args:
        feature_channels: D1..D4.
        topology: number of coarse vertices, upsampling, joint regressor.
        channels: D of the map from which heatmaps and depths are made.
        stride: of the heatmaps, 4, 8, 16 or 32. The expectation is finer than a cell, so that 8
            loses little and costs a quarter of 4.

    Raises:
        ConfigError: there is no map of such a stride.
    """

    source = (
        "Integral human pose regression (Sun et al., ECCV 2018), section 2; 2.5D heatmaps: Iqbal "
        "et al., ECCV 2018; vertices as points, like joints: I2L-MeshNet (Moon and Lee, ECCV 2020)"
    )

    def __init__(
        self,
        feature_channels: Sequence[int],
        topology: HandTopology,
        channels: int = 96,
        stride: int = 8,
    ) -> None:
        super().__init__()
        if stride not in STRIDES:
            raise ConfigError(
                f"{current_key_path('stride')}: the backbone gives maps of the strides "
                f"{', '.join(map(str, STRIDES))}, not of {stride!r}."
            )
        points = NUM_JOINTS + topology.num_coarse
        self.finest = STRIDES.index(stride)
        self.fuse = TopDown(feature_channels[self.finest :], channels)
        # The softmax over positions would not see a bias.
        self.heatmaps = nn.Linear(channels, points, bias=False)
        self.depths = nn.Linear(channels, points)
        self.scale = small_linear(feature_channels[-1], 1)
        self.register_buffer("up", topology.up, persistent=False)
        self.register_buffer("joint_regressor", topology.joint_regressor, persistent=False)

    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Predict from the backbone's maps; ``queries`` are not used."""
        fused = self.fuse(features.maps[self.finest :])
        scale = self.scale(features.maps[-1].mean((2, 3)))
        # Not in the lower precision of autocast, whose steps are half a millimetre at 10 cm.
        with torch.autocast(fused.device.type, enabled=False):
            kind = self.depths.weight.dtype
            return self._compose(fused.to(kind), scale.to(kind))

    def _compose(self, fused: Tensor, scale: Tensor) -> HandPrediction:
        batch, _, height, width = fused.shape
        logits = (self.heatmaps.weight @ fused.flatten(2)).unflatten(2, (height, width))
        middles = cell_middles(height, width, like=fused).expand(batch, -1, -1, -1)
        # A depth map is linear in the D channels, and so is its mean under a heatmap: the
        # channels' means are taken, and no depth map is ever made.
        seen = sample_by_heatmap(logits, torch.cat([fused, middles], 1))
        places = seen[..., -2:]
        depth = DEPTH_UNIT * ((seen[..., :-2] * self.depths.weight).sum(-1) + self.depths.bias)
        scale = INITIAL_SCALE * scale.exp()
        wrist = slice(WRIST, WRIST + 1)
        flat = (places - places[:, wrist]) / scale[:, None]
        points = torch.cat([flat, (depth - depth[:, wrist])[..., None]], -1)
        joints, coarse = points.tensor_split([NUM_JOINTS], 1)
        vertices = self.up @ coarse
        maps = logits.tensor_split([NUM_JOINTS], 1)
        return HandPrediction(
            camera=torch.cat([scale, places[:, WRIST] / scale], 1),
            joints=joints,
            vertices=vertices,
            joints_from_vertices=self.joint_regressor @ vertices,
            coarse_vertices=coarse,
            heatmaps=dict(zip(("joints", "vertices"), maps, strict=True)),
        )
