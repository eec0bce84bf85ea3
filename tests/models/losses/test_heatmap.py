"""Gaussians of the heatmaps and the divergence from them, against target maps written out."""

import math

import pytest
import torch

from handzoo.hands.camera import perspective_project
from handzoo.models.losses import HeatmapLoss
from handzoo.models.losses.heatmap import gaussian_heatmaps, heatmap_divergence
from handzoo.testing.fixtures import make_prediction, make_targets


def test_gaussians_written_out():
    points = torch.tensor([[[3.2, 1.5], [0.5, 4.5]]], dtype=torch.float64)
    found = gaussian_heatmaps(points, (5, 6), sigma=1.3)
    for index, (x, y) in enumerate(points[0].tolist()):
        wanted = torch.tensor(
            [
                [
                    math.exp(-((c + 0.5 - x) ** 2 + (r + 0.5 - y) ** 2) / (2 * 1.3**2))
                    for c in range(6)
                ]
                for r in range(5)
            ],
            dtype=torch.float64,
        )
        torch.testing.assert_close(found[0, index], wanted / wanted.sum())


def test_divergence_equals_torchs_on_full_maps():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 8, 10)
    points = torch.rand(2, 3, 2) * 8
    targets = gaussian_heatmaps(points, (8, 10), 1.5).flatten(2)
    log_softmax = logits.flatten(2).log_softmax(-1)
    wanted = torch.nn.functional.kl_div(log_softmax, targets, reduction="none").sum(-1)
    torch.testing.assert_close(heatmap_divergence(logits, points, 1.5), wanted)


def test_zero_where_the_softmax_is_the_gaussian():
    points = torch.tensor([[[3.7, 4.1]]])
    logits = gaussian_heatmaps(points, (9, 9), 1.5).log()
    assert heatmap_divergence(logits, points, 1.5).abs().max() < 1e-5


@pytest.mark.parametrize("suffix", ["", "_x2"])
@pytest.mark.parametrize("kind", ["joints", "vertices"])
def test_best_at_the_projected_points_of_both_scales(topology, kind, suffix):
    targets = make_targets(2, topology)
    side = 112 if suffix else 56
    if kind == "joints":
        pixels = targets.joints2d
    else:
        coarse = topology.downsample(targets.vertices) + targets.root[:, None]
        pixels = perspective_project(coarse, targets.K)
    best = gaussian_heatmaps(pixels * side / 224, (side, side), 1.5).clamp(min=1e-30).log()
    loss = HeatmapLoss(topology)
    prediction = make_prediction(2, topology)
    for shift in (0, 1):
        moved = best.roll(shift, 3)
        value = loss(prediction.replace(heatmaps={kind + suffix: moved}), targets)
        value = float(value[f"loss_heatmap_{kind}"])
        assert value < 1e-4 if shift == 0 else value > 0.1


def test_points_outside_the_crop_are_left_out(topology):
    targets = make_targets(2, topology)
    targets.joints2d[0, 4] = torch.tensor([-3.0, 100.0])
    heatmap = torch.randn(2, 21, 56, 56, requires_grad=True)
    prediction = make_prediction(2, topology).replace(heatmaps={"joints": heatmap})
    HeatmapLoss(topology)(prediction, targets)["loss_heatmap_joints"].backward()
    assert heatmap.grad[0, 4].abs().max() == 0
    assert heatmap.grad[0, 3].abs().max() > 0


def test_vertices_need_mesh_root_and_camera(topology):
    for flag in ("vertices_valid", "root_valid", "K_valid"):
        targets = make_targets(2, topology)
        getattr(targets, flag)[0] = False
        heatmap = torch.randn(2, 195, 56, 56, requires_grad=True)
        prediction = make_prediction(2, topology).replace(heatmaps={"vertices": heatmap})
        HeatmapLoss(topology)(prediction, targets)["loss_heatmap_vertices"].backward()
        assert heatmap.grad[0].abs().max() == 0 and heatmap.grad[1].abs().max() > 0


def test_no_heatmaps_no_loss(topology):
    prediction = make_prediction(1, topology).replace(heatmaps=None)
    assert HeatmapLoss(topology)(prediction, make_targets(1, topology)) == {}
