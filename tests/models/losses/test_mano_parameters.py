"""Pose and shape: values by scipy, the mean pose, samples without annotation, a real step."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from handzoo.errors import ConfigError
from handzoo.hands.rotations import axis_angle_to_matrix
from handzoo.models.base import Features
from handzoo.models.losses import ManoParameterLoss
from handzoo.models.mesh_heads import ManoRegressionHead
from handzoo.testing.fixtures import make_prediction, make_targets, noise


@pytest.fixture
def batch(topology):
    targets = make_targets(4, topology)
    targets.pose, targets.shape = 0.4 * noise(4, 48, seed=11), noise(4, 10, seed=12)
    return make_prediction(4, topology), targets


def test_values_by_scipy(hand_model, batch):
    prediction, targets = batch
    losses = ManoParameterLoss(hand_model, pose=2.0, shape=3.0, shape_prior=0.5)(*batch)
    pose = targets.pose.double().numpy().copy()
    pose[:, 3:] += hand_model.hands_mean.numpy()
    wanted = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(4, 16, 3, 3)
    rotations, shape = (prediction.aux[name].numpy() for name in ("mano_rotations", "mano_shape"))
    expected = {
        "loss_mano_pose": 2 * np.mean((rotations - wanted) ** 2),
        "loss_mano_shape": 3 * np.mean((shape - targets.shape.numpy()) ** 2),
        "loss_mano_shape_prior": 0.5 * np.mean(shape**2),
    }
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-5)


def test_the_annotated_pose_costs_nothing(hand_model, batch):
    """What the hand model makes of the annotation is what the loss asks for."""
    prediction, targets = batch
    absolute = targets.pose.clone()
    absolute[:, 3:] += hand_model.hands_mean
    rotations = axis_angle_to_matrix(absolute.view(4, 16, 3))
    posed = hand_model.pose_by_rotations(rotations, targets.shape)
    torch.testing.assert_close(
        posed.vertices, hand_model(targets.pose, targets.shape).vertices, atol=1e-6, rtol=0
    )
    aux = {"mano_rotations": rotations, "mano_shape": targets.shape}
    losses = ManoParameterLoss(hand_model)(prediction.replace(aux=aux), targets)
    assert losses["loss_mano_pose"] < 1e-12 and losses["loss_mano_shape"] == 0


def test_what_is_not_annotated_is_not_read(hand_model, batch):
    prediction, targets = batch
    loss = ManoParameterLoss(hand_model)
    aux = {name: value.clone().requires_grad_() for name, value in prediction.aux.items()}
    prediction = prediction.replace(aux=aux)
    targets.mano_valid[1:3] = False
    targets.pose[1:3], targets.shape[1:3] = float("nan"), float("nan")
    losses = loss(prediction, targets)
    sum(losses.values()).backward()
    for value in aux.values():
        assert value.grad.isfinite().all()
        assert (value.grad[1:3] == 0).all() and value.grad[[0, 3]].abs().max() > 0
    # The mean is over the two annotated samples.
    targets.mano_valid[:] = True
    targets.pose[1:3], targets.shape[1:3] = targets.pose[[0, 3]], targets.shape[[0, 3]]
    twice = {name: value.detach()[[0, 0, 3, 3]] for name, value in aux.items()}
    targets.pose, targets.shape = targets.pose[[0, 0, 3, 3]], targets.shape[[0, 0, 3, 3]]
    again = loss(prediction.replace(aux=twice), targets)
    for name, value in losses.items():
        torch.testing.assert_close(again[name], value.detach())
    targets.mano_valid[:] = False
    assert all(value == 0 for value in loss(prediction, targets).values())


def test_another_head_is_told_so(hand_model, batch):
    prediction, targets = batch
    with pytest.raises(ConfigError, match="ManoRegressionHead"):
        ManoParameterLoss(hand_model)(prediction.replace(aux={}), targets)


@pytest.mark.parametrize("rotation", ["6d", "axis_angle"])
def test_parameters_can_be_learned(topology, hand_model, rotation, batch):
    """From fixed features the head learns poses and shapes until the loss has almost gone."""
    _, targets = batch
    torch.manual_seed(0)
    head = ManoRegressionHead((8, 8, 8, 16), topology, hand_model, rotation, (64,), dropout=0.0)
    loss = ManoParameterLoss(hand_model, shape=0.1)
    features = Features((noise(4, 16, 2, 2, seed=3),))
    optimizer = torch.optim.Adam(head.parameters(), 5e-3)
    history = []
    for _ in range(80):
        total = sum(loss(head(None, features), targets).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(total.item())
    assert history[-1] < 0.05 * history[0]
