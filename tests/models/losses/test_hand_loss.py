"""The losses of equation 1: values by hand, weights, and what is not annotated."""

import pytest
import torch

from handzoo.hands.camera import pixels_to_normalized
from handzoo.models.losses import HandLoss
from handzoo.testing.fixtures import make_prediction, make_targets

FIELDS = ("camera", "joints", "vertices", "joints_from_vertices", "coarse_vertices")


def leaves(prediction):
    """The prediction with every tensor a leaf that collects gradients."""
    changed = {name: getattr(prediction, name).clone().requires_grad_() for name in FIELDS}
    heatmaps = {name: h.clone().requires_grad_() for name, h in prediction.heatmaps.items()}
    return prediction.replace(heatmaps=heatmaps, **changed)


def total(losses):
    return sum(losses.values())


def test_values_by_hand(topology):
    targets = make_targets(3, topology)
    prediction = make_prediction(3, topology)
    losses = HandLoss(topology)(prediction, targets)
    mean_vertices = (prediction.vertices - targets.vertices).abs().mean()
    torch.testing.assert_close(losses["loss_vertices"], 1000 * mean_vertices)
    coarse = (prediction.coarse_vertices - topology.downsample(targets.vertices)).abs().mean()
    torch.testing.assert_close(losses["loss_vertices_coarse"], 1000 * coarse)
    for name, joints in (
        ("", prediction.joints),
        ("_mesh", prediction.joints_from_vertices),
    ):
        squared = ((joints - targets.joints3d) ** 2).mean()
        torch.testing.assert_close(losses[f"loss_joints3d{name}"], 1000 * squared)
        s, t = prediction.camera[:, None, :1], prediction.camera[:, None, 1:]
        projected = s * (joints[..., :2] + t)
        wanted = pixels_to_normalized(targets.joints2d, 224)
        torch.testing.assert_close(
            losses[f"loss_joints2d{name}"], 100 * (projected - wanted).abs().mean()
        )


def test_mean_is_over_what_is_valid(topology):
    """Half the samples without a mesh: the loss is that of the other half."""
    targets, prediction = make_targets(4, topology), make_prediction(4, topology)
    loss = HandLoss(topology, heatmap=0)
    targets.vertices_valid[::2] = False
    found = loss(prediction, targets)["loss_vertices"]
    difference = (prediction.vertices - targets.vertices)[1::2].abs().mean()
    torch.testing.assert_close(found, 1000 * difference)


@pytest.mark.parametrize(
    ("flag", "field"),
    [
        ("vertices_valid", "vertices"),
        ("vertices_valid", "coarse_vertices"),
        ("joints3d_valid", "joints"),
        ("joints3d_valid", "joints_from_vertices"),
    ],
)
def test_masked_samples_have_exactly_zero_gradient(topology, flag, field):
    targets, prediction = make_targets(2, topology), leaves(make_prediction(2, topology))
    getattr(targets, flag)[0] = False
    for name in ("vertices", "joints3d", "joints2d"):
        getattr(targets, name)[0] = float("nan")  # what is not annotated may be anything
    total(HandLoss(topology, joints2d=0, heatmap=0)(prediction, targets)).backward()
    gradient = getattr(prediction, field).grad
    assert gradient[0].abs().max() == 0 and gradient[1].abs().max() > 0
    assert torch.isfinite(gradient).all()


def test_single_joints_are_masked(topology):
    targets, prediction = make_targets(2, topology), leaves(make_prediction(2, topology))
    targets.joints3d_valid[1, 5] = False
    targets.joints2d_valid[1, 5] = False
    total(HandLoss(topology)(prediction, targets)).backward()
    for field in ("joints", "joints_from_vertices"):
        gradient = getattr(prediction, field).grad
        assert gradient[1, 5].abs().max() == 0 and gradient[1, 4].abs().max() > 0
    assert prediction.heatmaps["joints"].grad[1, 5].abs().max() == 0


def test_only_2d_as_in_the_real_excerpts(topology):
    """2D joints alone train camera, joints and joint heatmaps; nothing else moves."""
    targets, prediction = make_targets(2, topology), leaves(make_prediction(2, topology))
    for flag in ("vertices_valid", "joints3d_valid", "root_valid", "K_valid", "mano_valid"):
        getattr(targets, flag).fill_(False)
    losses = HandLoss(topology)(prediction, targets)
    total(losses).backward()
    assert all(
        losses[name].item() == 0
        for name in ("loss_vertices", "loss_joints3d", "loss_heatmap_vertices")
    )
    assert prediction.vertices.grad.abs().max() == 0
    assert prediction.heatmaps["vertices"].grad.abs().max() == 0
    assert prediction.camera.grad.abs().min() > 0
    assert prediction.heatmaps["joints"].grad.abs().max() > 0


def test_nothing_annotated_is_zero_and_still_differentiable(topology):
    targets, prediction = make_targets(2, topology), leaves(make_prediction(2, topology))
    for name in ("vertices", "joints3d", "joints2d", "root", "K"):
        getattr(targets, f"{name}_valid").fill_(False)
    value = total(HandLoss(topology)(prediction, targets))
    value.backward()
    assert value.item() == 0
    assert prediction.joints.grad.abs().max() == 0


def test_weights_are_arguments(topology):
    targets, prediction = make_targets(2, topology), make_prediction(2, topology)
    one = HandLoss(topology, vertices=1, joints3d=1, joints2d=1)(prediction, targets)
    two = HandLoss(topology, vertices=2, joints3d=3, joints2d=5, coarse=0)(prediction, targets)
    for name, factor in (("vertices", 2), ("joints3d_mesh", 3), ("joints2d", 5)):
        torch.testing.assert_close(two[f"loss_{name}"], factor * one[f"loss_{name}"])
    assert "loss_vertices_coarse" not in two
    assert set(HandLoss(topology, joints2d=0, heatmap=0)(prediction, targets)) == {
        "loss_vertices", "loss_vertices_coarse", "loss_joints3d", "loss_joints3d_mesh",
    }  # fmt: skip
