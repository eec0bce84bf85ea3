"""Queries that do not depend on the image."""

from __future__ import annotations

import torch
from torch import nn

from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, QueryHead, QueryOutput
from handzoo.registry import QUERY_HEADS


@QUERY_HEADS.register_module()
class LearnedQueries(QueryHead):
    """One learned token for the camera, each joint and each coarse vertex; Table 5, row b.

    Args:
        topology: gives the number of coarse vertices.
        channels: C.
    """

    source = "CLIP-Hand, table 5; FastMETRO (Cho et al., ECCV 2022), section 3.2"

    def __init__(self, topology: HandTopology, channels: int = 512) -> None:
        super().__init__()
        self.out_channels = channels
        self.tokens = nn.Parameter(torch.empty(1 + NUM_JOINTS + topology.num_coarse, channels))
        nn.init.normal_(self.tokens)

    def forward(self, features: Features) -> QueryOutput:
        """Return the tokens (B, 217, C) for every image of the batch."""
        # Copied and not expanded: torch's operation counter stumbles over views of parameters.
        return QueryOutput(self.tokens.repeat(features.maps[-1].shape[0], 1, 1))
