"""MHF: CLIP-Hand's multi-scale heatmap fusion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, QueryHead, QueryOutput
from handzoo.models.layers.residual import residual_branch
from handzoo.registry import QUERY_HEADS, current_key_path


def sample_by_heatmap(logits: Tensor, values: Tensor) -> Tensor:
    """Expectation of a map under the softmax of each heatmap (section 3.3).

    Args:
        logits: (B, N, H, W) heatmaps.
        values: (B, C, H, W) attention map.

    Returns:
        (B, N, C); a heatmap that is a delta returns the values of that pixel.
    """
    precise = torch.promote_types(logits.dtype, torch.float32)
    weights = logits.flatten(2).to(precise).softmax(-1).to(values.dtype)
    return weights @ values.flatten(2).transpose(1, 2)


@QUERY_HEADS.register_module()
class MHF(QueryHead):
    """Multi-scale heatmap fusion (section 3.3, figure 4).

    Three branches of residual blocks and a 1x1 convolution read f1234: heatmaps of the coarse
    vertices, heatmaps of the joints, and an attention map. The heatmaps' softmax, multiplied with
    the attention map, gives one token for each vertex and joint. The camera token is a fully
    connected layer over the tokens of f4.

    Args:
        feature_channels: D1..D4.
        high_channels: D of f1234.
        topology: gives the number of coarse vertices.
        channels: C of the attention map, the joints' and the vertices' tokens.
        num_blocks: residual blocks in a branch.
        memory_tokens: cells of f4, (size of the image / 32) squared.
        two_scales: in training, also give the heatmaps at twice the resolution (interpolated, as
            PointHMR does; no parameters) for supervision.

    Raises:
        ConfigError: there is no neck.
    """

    source = "CLIP-Hand, section 3.3; PointHMR (Kim et al., CVPR 2023)"

    def __init__(
        self,
        feature_channels: Sequence[int],
        high_channels: int | None,
        topology: HandTopology,
        channels: int = 512,
        num_blocks: int = 2,
        memory_tokens: int = 49,
        two_scales: bool = True,
    ) -> None:
        super().__init__()
        if high_channels is None:
            raise ConfigError(
                f"{current_key_path()}: MHF reads the neck's map; add neck=dict(type='HFA') to "
                "the model."
            )
        self.out_channels = channels
        self.two_scales = two_scales
        self.memory_tokens = memory_tokens
        self.vertex_branch = residual_branch(high_channels, topology.num_coarse, num_blocks)
        self.joint_branch = residual_branch(high_channels, NUM_JOINTS, num_blocks)
        self.attention_branch = residual_branch(high_channels, channels, num_blocks)
        self.camera_token = nn.Linear(memory_tokens, 1)
        global_channels = feature_channels[-1]
        self.camera_channels: nn.Module = nn.Identity()
        if global_channels != channels:
            self.camera_channels = nn.Linear(global_channels, channels)
        self.after_sampling: nn.Module = nn.Identity()

    def deploy(self) -> nn.Module:
        """Apply the attention branch's last, linear step to 216 tokens, not to 3136 positions.

        ``softmax(H) (A W^T) = (softmax(H) A) W^T``: sampling and the 1x1 convolution are linear
        in different axes and commute.
        """
        last = self.attention_branch[-1]
        self.after_sampling = nn.Linear(last.in_channels, last.out_channels, bias=False)
        self.after_sampling.weight = nn.Parameter(last.weight.detach().flatten(1))
        self.attention_branch = self.attention_branch[:-1]
        self.two_scales = False
        return self

    def forward(self, features: Features) -> QueryOutput:
        """Return 217 queries (B, 217, C) and the heatmaps' logits (B, 21 | 195, H / 4, W / 4)."""
        high, memory = features.high, features.maps[-1].flatten(2)
        if memory.shape[2] != self.memory_tokens:
            raise ConfigError(
                f"model.query_head.memory_tokens: f4 has {memory.shape[2]} cells for this image "
                f"size, and the head was built for {self.memory_tokens}."
            )
        heatmaps = {"joints": self.joint_branch(high), "vertices": self.vertex_branch(high)}
        attention = self.attention_branch(high)
        camera = self.camera_channels(self.camera_token(memory).transpose(1, 2))
        tokens = sample_by_heatmap(torch.cat(list(heatmaps.values()), 1), attention)
        tokens = self.after_sampling(tokens)
        if self.training and self.two_scales:
            heatmaps |= {
                f"{name}_x2": F.interpolate(
                    logits, scale_factor=2, mode="bilinear", align_corners=False
                )
                for name, logits in heatmaps.items()
            }
        return QueryOutput(torch.cat([camera, tokens], 1), heatmaps)
