"""The head against the hand model that it drives, and iterative error feedback by hand."""

import copy

import pytest
import torch

from handzoo.errors import ConfigError
from handzoo.hands.rotations import matrix_to_axis_angle
from handzoo.models.base import Features
from handzoo.models.mesh_heads import ManoRegressionHead

CHANNELS = (8, 16, 24, 32)


def build(topology, hand_model, spread=0.0, **arguments):
    """A head in float64 whose last layer is ``spread`` wide, so that poses differ visibly."""
    torch.manual_seed(0)
    head = ManoRegressionHead(
        CHANNELS, topology, copy.deepcopy(hand_model), channels=(16,), **arguments
    )
    if spread:
        torch.nn.init.normal_(head.layers[-1].weight, std=spread)
    return head.double().eval()


def features(batch=3):
    generator = torch.Generator().manual_seed(1)
    return Features((torch.randn(batch, 32, 7, 7, generator=generator, dtype=torch.float64),))


@pytest.mark.parametrize("rotation", ["6d", "axis_angle"])
@pytest.mark.parametrize("iterations", [1, 3])
def test_output_is_the_hand_model_of_its_parameters(topology, hand_model, rotation, iterations):
    head = build(topology, hand_model, 0.5, rotation=rotation, iterations=iterations)
    prediction = head(None, features())
    rotations = prediction.aux["mano_rotations"].detach()
    identity = torch.eye(3, dtype=torch.float64).expand(3, 16, 3, 3)
    torch.testing.assert_close(rotations @ rotations.mT, identity)
    assert (rotations[0] - rotations[1]).abs().max() > 0.1
    # The same by the public way: axis-angle pose, relative to the mean pose.
    pose = matrix_to_axis_angle(rotations).flatten(1)
    pose[:, 3:] -= head.hand_model.hands_mean
    posed = head.hand_model(pose, prediction.aux["mano_shape"])
    wrist = posed.joints[:, :1]
    tight = {"atol": 1e-9, "rtol": 0}
    torch.testing.assert_close(prediction.vertices, posed.vertices - wrist, **tight)
    torch.testing.assert_close(prediction.joints, posed.joints - wrist, **tight)
    regressed = topology.joint_regressor.double() @ prediction.vertices
    torch.testing.assert_close(prediction.joints_from_vertices, regressed, atol=1e-7, rtol=0)
    coarse = topology.down.double() @ prediction.vertices
    torch.testing.assert_close(prediction.coarse_vertices, coarse)
    assert (prediction.joints[:, 0].abs() < 1e-12).all()


@pytest.mark.parametrize("rotation", ["6d", "axis_angle"])
def test_it_starts_at_the_mean_hand(topology, hand_model, rotation):
    head = build(topology, hand_model, rotation=rotation, initial_orientation=(0.3, -0.2, 1.0))
    torch.nn.init.zeros_(head.layers[-1].weight)
    prediction = head(None, features(1))
    pose = torch.zeros(1, 48, dtype=torch.float64)
    pose[0, :3] = torch.tensor([0.3, -0.2, 1.0])
    posed = head.hand_model(pose)
    expected = posed.vertices - posed.joints[:, :1]
    torch.testing.assert_close(prediction.vertices, expected, atol=1e-6, rtol=0)
    assert prediction.camera[0].tolist() == [8.0, 0.0, 0.0]


def test_feedback_sees_features_and_parameters_and_adds_corrections(topology, hand_model):
    head = build(topology, hand_model, 0.1, iterations=3)
    seen = features(2)
    pooled = seen.maps[-1].flatten(2).mean(2)
    first, last = head.layers[0], head.layers[-1]
    state = head.mean.repeat(2, 1)
    for _ in range(3):
        hidden = torch.relu(torch.cat((pooled, state), 1) @ first.weight.T + first.bias)
        state = state + hidden @ last.weight.T + last.bias
    prediction = head(None, seen)
    torch.testing.assert_close(prediction.camera, state[:, -3:])
    torch.testing.assert_close(prediction.aux["mano_shape"], state[:, -13:-3])


def test_the_hand_model_stays_out_of_checkpoints(topology, hand_model):
    head = build(topology, hand_model)
    assert set(head.state_dict()) == {name for name, _ in head.named_parameters()}


def test_float32_under_autocast(topology, hand_model):
    head = build(topology, hand_model, 0.1).float()
    seen = Features((features().maps[0].float(),))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prediction = head(None, seen)
    exact = head(None, seen)
    assert prediction.vertices.dtype == torch.float32
    regressed = topology.joint_regressor @ prediction.vertices
    torch.testing.assert_close(prediction.joints, regressed, atol=1e-6, rtol=0)
    torch.testing.assert_close(prediction.vertices, exact.vertices, atol=5e-3, rtol=0)


def test_wrong_arguments_are_named(topology, hand_model):
    with pytest.raises(ConfigError, match="rotation.*axis_angle"):
        ManoRegressionHead(CHANNELS, topology, hand_model, rotation="axis-angle")
    with pytest.raises(ConfigError, match="iterations"):
        ManoRegressionHead(CHANNELS, topology, hand_model, iterations=0)
