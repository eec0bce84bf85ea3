"""tools/roofline.py: operations and bytes that are easy to work out, and their bound."""

import torch
from torch import nn

from handzoo.evaluation.roofline import Cost, group_of, layer_costs, machine_peaks, roofline_table


class _Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.stem = nn.Conv2d(3, 8, 4, stride=4, bias=False)
        self.mesh_head = nn.Linear(64, 10, bias=False)

    def forward(self, image, mode="tensor"):
        x = self.backbone.stem(image)
        return self.mesh_head(x.flatten(2).mul(2))


def test_costs_of_groups():
    costs = layer_costs(_Model().eval(), torch.randn(1, 3, 32, 32), rounds=2)
    stem, head = costs["backbone.stem"], costs["mesh_head"]
    assert stem.macs == 8 * 48 * 64 and head.macs == 8 * 64 * 10
    assert stem.bytes == 4 * (3 * 32 * 32 + 8 * 48 + 8 * 64)
    # The product's operands and result, and nothing for the views that a linear layer makes.
    assert head.bytes == 4 * (8 * 64 + 64 * 10 + 8 * 10)
    assert costs["other"].macs == 0 and costs["other"].bytes >= 4 * 2 * 8 * 64
    assert all(cost.seconds > 0 for cost in costs.values())


def test_the_slower_of_two_bounds_holds():
    assert Cost(macs=100, bytes=10).bound(10.0, 10.0) == (10.0, "arithmetic")
    assert Cost(macs=100, bytes=400).bound(10.0, 10.0) == (40.0, "memory")


def test_groups_are_named_as_the_parts():
    assert group_of("backbone.stages.2") == "backbone.stages.2"
    assert group_of("backbone.stages.2.blocks.0") is None
    assert group_of("backbone.net.layer3") == "backbone.layer3"
    assert group_of("query_head.vertex_branch") == "query_head.vertex_branch"
    assert group_of("guidance") is None


def test_peaks_and_table():
    peaks = machine_peaks(size=128, megabytes=1, rounds=2)
    assert min(peaks) > 1e6
    table = roofline_table("m", {"a": Cost(10, 10, 0.5)}, peaks)
    assert table.row_count == 2  # the group and the total
