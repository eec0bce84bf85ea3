"""Integral regression: the conformance kit, and the head against a plain formulation."""

from __future__ import annotations

import pytest
import torch

from handzoo.engine.config import load_config
from handzoo.errors import ConfigError
from handzoo.hands.camera import weak_perspective_project
from handzoo.models.base import Features
from handzoo.registry import ESTIMATORS, MESH_HEADS
from handzoo.testing import Context, conformance_checks, make_targets
from handzoo.zoo.index import get_entry, list_models
from handzoo_plugins.integral.head import DEPTH_UNIT, IntegralHead
from tests.handzoo_plugins.short_training import losses_on, train_a_few_steps

CHANNELS = (6, 7, 8, 10)


@pytest.mark.parametrize("check", conformance_checks("mesh_head"), ids=str)
@pytest.mark.parametrize("stride", [4, 8])
def test_conformance(check, stride):
    check(dict(type="integral/IntegralHead", channels=16, stride=stride), Context())


@pytest.fixture
def head(topology):
    torch.manual_seed(0)
    head = IntegralHead(CHANNELS, topology, channels=12).double().eval()
    head.heatmaps.weight.data.mul_(8)  # heatmaps with peaks
    return head


def make_maps(batch=2, size=96):
    torch.manual_seed(1)
    maps = [
        torch.randn(batch, width, size // stride, size // stride, dtype=torch.float64)
        for width, stride in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]
    return Features(tuple(maps))


def test_equals_the_definition_point_by_point(head):
    """With heatmap, depth map and expectation of each point written out, cell by cell."""
    features = make_maps()
    prediction = head(None, features)
    fused = head.fuse(features.maps[1:])
    height, width = fused.shape[2:]
    assert (height, width) == (12, 12)
    for sample in range(2):
        pooled = features.maps[-1][sample].mean((1, 2))
        scale = 8.0 * torch.exp(head.scale.weight[0] @ pooled + head.scale.bias[0])
        points = []
        for point in range(216):
            logits = (head.heatmaps.weight[point][:, None, None] * fused[sample]).sum(0)
            chances = logits.exp() / logits.exp().sum()
            depths = (head.depths.weight[point][:, None, None] * fused[sample]).sum(0)
            depths = depths + head.depths.bias[point]
            x = y = z = 0.0
            for row in range(height):
                for column in range(width):
                    chance = chances[row, column]
                    x = x + chance * ((column + 0.5) / width * 2 - 1)
                    y = y + chance * ((row + 0.5) / height * 2 - 1)
                    z = z + chance * depths[row, column] * DEPTH_UNIT
            points.append(torch.stack([x / scale, y / scale, z]))
        points = torch.stack(points)
        wanted = points - points[0]
        found = torch.cat([prediction.joints, prediction.coarse_vertices], 1)[sample]
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
        camera = torch.stack([scale, points[0, 0], points[0, 1]])
        torch.testing.assert_close(prediction.camera[sample], camera, rtol=1e-9, atol=1e-12)


def test_top_down_path_is_the_pyramids(head):
    """f2 plus f3 repeated twice plus f4 repeated four times, each brought to one width."""
    maps = make_maps().maps[1:]
    wanted = 0
    for lateral, feature in zip(head.fuse.laterals, maps, strict=True):
        repeats = 12 // feature.shape[-1]
        part = torch.einsum("oc,bchw->bohw", lateral.weight[..., 0, 0], feature)
        part = part + lateral.bias[:, None, None]
        wanted = wanted + part.repeat_interleave(repeats, 2).repeat_interleave(repeats, 3)
    torch.testing.assert_close(head.fuse(maps), head.fuse.smooth(wanted))


def test_a_delta_gives_the_middle_of_its_cell(head):
    """The wrist in the upper left cell, the rest at row 4, column 9 of 12 by 12."""
    fused = torch.zeros(1, 12, 12, 12, dtype=torch.float64)
    fused[0, 0, 0, 0] = fused[0, 1, 4, 9] = 1.0
    head.heatmaps.weight.data.zero_()
    head.heatmaps.weight.data[0, 0] = head.heatmaps.weight.data[1:, 1] = 1e3
    scale = torch.zeros(1, 1, dtype=torch.float64)
    prediction = head._compose(fused, scale)
    corner, other = torch.tensor([0.5, 0.5]) / 6 - 1, torch.tensor([9.5, 4.5]) / 6 - 1
    projected = weak_perspective_project(prediction.joints, prediction.camera)[0].float()
    torch.testing.assert_close(projected[0], corner)
    torch.testing.assert_close(projected[1:], other.expand(20, 2))
    weight, bias = head.depths.weight, head.depths.bias
    depth = DEPTH_UNIT * (weight[1:21, 1] + bias[1:21] - weight[0, 0] - bias[0])
    torch.testing.assert_close(prediction.joints[0, 1:, 2], depth)


def test_projection_is_the_heatmaps_expectation(head):
    prediction = head(None, make_maps())
    middles = (torch.arange(12, dtype=torch.float64) + 0.5) / 6 - 1
    for name, points in (
        ("joints", prediction.joints),
        ("vertices", prediction.coarse_vertices),
    ):
        chances = prediction.heatmaps[name].flatten(2).softmax(-1).unflatten(2, (12, 12))
        wanted = torch.stack([chances.sum(2) @ middles, chances.sum(3) @ middles], -1)
        torch.testing.assert_close(weak_perspective_project(points, prediction.camera), wanted)


def test_what_moves_in_the_map_moves_the_camera_alone(head):
    torch.manual_seed(2)
    fused = torch.full((1, 12, 16, 16), -4.0, dtype=torch.float64)
    fused[:, :, 4:9, 3:8] = 4 * torch.rand(1, 12, 5, 5, dtype=torch.float64)
    head.heatmaps.weight.data.abs_()  # all heatmaps are inside the patch
    scale = torch.zeros(1, 1, dtype=torch.float64)
    here, there = (head._compose(f, scale) for f in (fused, fused.roll((2, 5), (2, 3))))
    torch.testing.assert_close(there.vertices, here.vertices, rtol=0, atol=1e-9)
    moved = there.camera - here.camera
    wanted = torch.tensor([[0.0, 5 / 8 / 8, 2 / 8 / 8]], dtype=torch.float64)
    torch.testing.assert_close(moved, wanted, rtol=0, atol=1e-9)


def test_wrist_is_the_origin_and_the_mesh_is_the_topologys(head, topology):
    prediction = head(None, make_maps())
    assert torch.equal(prediction.joints[:, 0], torch.zeros(2, 3, dtype=torch.float64))
    up, regressor = topology.up.double(), topology.joint_regressor.double()
    torch.testing.assert_close(prediction.vertices, up @ prediction.coarse_vertices)
    torch.testing.assert_close(prediction.joints_from_vertices, regressor @ prediction.vertices)


def test_gradients(head):
    torch.manual_seed(3)
    fused = torch.randn(1, 12, 3, 4, dtype=torch.float64, requires_grad=True)
    scale = 0.1 * torch.randn(1, 1, dtype=torch.float64)
    scale.requires_grad_()

    def outputs(fused, scale):
        prediction = head._compose(fused, scale)
        return prediction.camera, prediction.joints, prediction.coarse_vertices[:, ::40]

    assert torch.autograd.gradcheck(outputs, (fused, scale))


def test_certain_heatmaps_keep_values_and_gradients_finite(head):
    features = make_maps()
    head.heatmaps.weight.data.mul_(1e4)
    prediction = head(None, features)
    (prediction.vertices.square().sum() + prediction.camera.sum()).backward()
    assert torch.isfinite(prediction.vertices).all()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


@pytest.mark.parametrize("stride", [5, "8"])
def test_a_stride_without_a_map_is_named(stride):
    with pytest.raises(ConfigError, match="stride.*4, 8, 16, 32"):
        MESH_HEADS.build(dict(type="integral/IntegralHead", stride=stride), **Context().keywords())


def test_index_and_configs(hand, topology):
    names = list_models(plugin="integral")
    assert names == ["integral/integral_r50_freihand", "integral/integral_tiny_sample"]
    for name in names:
        config = {**load_config(name).model, "hand_model": hand, "topology": topology}
        with torch.device("meta"):
            model = ESTIMATORS.build(config)
        count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        assert get_entry(name).metadata["Parameters (M)"] == pytest.approx(count, abs=0.005)


def test_a_few_steps_lower_the_loss(hand, topology):
    cfg = load_config("integral/integral_tiny_sample")
    torch.manual_seed(0)
    model = ESTIMATORS.build({**cfg.model, "hand_model": hand, "topology": topology}).train()
    targets = make_targets(2, topology, size=96)
    images = torch.randn(2, 3, 96, 96)
    totals, losses = train_a_few_steps(model, lambda: losses_on(model, images, targets), steps=8)
    assert totals[-1] < 0.8 * totals[0]
    assert {"loss_heatmap_joints", "loss_heatmap_vertices"} <= set(losses)
    assert all(parameter.grad is not None for parameter in model.parameters())
