"""Skinning against a plain loop in float64, gradients, and what a hand model promises."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from toy_hand import toy_hand_data

from handzoo.errors import ConfigError, ResourceError
from handzoo.hands.conventions import MANO_TO_JOINTS, TIP_JOINTS, TIP_VERTICES
from handzoo.hands.models import HandModel, HandModelData, resolve_tips


def skin_by_loop(data: HandModelData, pose, shape, flat_hand_mean=False):
    """One hand, one vertex at a time, from the definition; returns vertices and skeleton."""
    full = np.array(pose, dtype=np.float64)
    if not flat_hand_mean:
        full[3:] += data.hands_mean
    rotations = [Rotation.from_rotvec(full[3 * j : 3 * j + 3]).as_matrix() for j in range(16)]
    shaped = np.array(data.v_template)
    for v in range(778):
        for axis in range(3):
            shaped[v, axis] += sum(data.shapedirs[v, axis, k] * shape[k] for k in range(10))
    rest = data.J_regressor @ shaped
    correction = np.concatenate([(r - np.eye(3)).ravel() for r in rotations[1:]])
    world = []
    for j in range(16):
        local = np.eye(4)
        local[:3, :3] = rotations[j]
        parent = data.parents[j]
        local[:3, 3] = rest[j] - (rest[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    vertices = np.zeros((778, 3))
    for v in range(778):
        at_rest = shaped[v] + data.posedirs[v] @ correction
        for j in range(16):
            turned = world[j][:3, :3] @ (at_rest - rest[j]) + world[j][:3, 3]
            vertices[v] += data.weights[v, j] * turned
    return vertices, np.stack([matrix[:3, 3] for matrix in world])


@pytest.fixture(scope="module")
def data():
    return toy_hand_data()


@pytest.fixture(scope="module")
def model(data):
    return exact(HandModel(data, "toy"), data)


def exact(model, data):
    """The model in float64 with its arrays unrounded."""
    model = model.double()
    for key in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "hands_mean"):
        getattr(model, key).copy_(torch.from_numpy(np.asarray(getattr(data, key))))
    return model


def random_hand(seed=0, batch=2):
    rng = np.random.default_rng(seed)
    return 0.6 * rng.standard_normal((batch, 48)), rng.standard_normal((batch, 10))


@pytest.mark.parametrize("flat_hand_mean", [False, True])
def test_skinning_equals_a_plain_loop(data, flat_hand_mean):
    model = exact(HandModel(data, "toy", flat_hand_mean=flat_hand_mean), data)
    pose, shape = random_hand()
    found = model(torch.from_numpy(pose), torch.from_numpy(shape))
    for b in range(2):
        vertices, skeleton = skin_by_loop(data, pose[b], shape[b], flat_hand_mean)
        np.testing.assert_allclose(found.vertices[b].numpy(), vertices, atol=1e-12)
        np.testing.assert_allclose(found.skeleton[b].numpy(), skeleton, atol=1e-12)


def test_float32_is_within_a_micrometre(data, model):
    pose, shape = (torch.from_numpy(array) for array in random_hand(batch=4))
    single = HandModel(data, "toy")(pose.float(), shape.float())
    torch.testing.assert_close(
        single.vertices.double(), model(pose, shape).vertices, atol=1e-6, rtol=0
    )


def test_gradients_by_finite_differences(model):
    pose, shape = (torch.from_numpy(array[:1]).requires_grad_() for array in random_hand())
    translation = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)

    def some_vertices(pose, shape, translation):
        return model(pose, shape, translation).vertices[:, ::97]

    assert torch.autograd.gradcheck(some_vertices, (pose, shape, translation), atol=1e-7)


def test_gradient_is_finite_and_right_at_the_rest_pose(data):
    model = exact(HandModel(data, "toy", flat_hand_mean=True), data)
    pose = torch.zeros(1, 48, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: model(p).vertices[:, ::97], (pose,), atol=1e-7)


def test_global_rotation_turns_the_hand_about_its_wrist(model):
    pose, shape = (torch.from_numpy(array) for array in random_hand())
    before = model(pose, shape)
    turn = Rotation.from_rotvec([0.3, -0.8, 0.5])
    turned = pose.clone()
    first = Rotation.from_rotvec(pose[:, :3].numpy())
    turned[:, :3] = torch.from_numpy((turn * first).as_rotvec())
    after = model(turned, shape)
    matrix = torch.from_numpy(turn.as_matrix())
    wrist = before.skeleton[:, :1]
    for name in ("vertices", "joints", "skeleton"):
        expected = (getattr(before, name) - wrist) @ matrix.T + wrist
        # The joint regressor is kept in float32: its rows sum to 1 within 1e-8.
        torch.testing.assert_close(getattr(after, name), expected, atol=1e-8, rtol=0)


def test_translation_moves_everything(model):
    pose, shape = (torch.from_numpy(array) for array in random_hand())
    shift = torch.tensor([[0.1, -0.2, 0.7], [0.0, 0.3, 0.5]], dtype=torch.float64)
    before, after = model(pose, shape), model(pose, shape, shift)
    for name in ("vertices", "joints", "skeleton"):
        expected = getattr(before, name) + shift[:, None]
        # The joint regressor is kept in float32: its rows sum to 1 within 1e-8.
        torch.testing.assert_close(getattr(after, name), expected, atol=1e-8, rtol=0)


def test_the_unposed_hand_is_linear_in_shape(data):
    model = exact(HandModel(data, "toy", flat_hand_mean=True), data)
    rest = torch.zeros(3, 48, dtype=torch.float64)
    a, b = torch.from_numpy(random_hand(seed=1)[1])
    vertices = model(rest, torch.stack((a, b, 2 * a - 3 * b))).vertices
    template = model.v_template
    expected = template + 2 * (vertices[0] - template) - 3 * (vertices[1] - template)
    torch.testing.assert_close(vertices[2], expected, atol=1e-12, rtol=0)


def test_joint_order_and_tips(data, model):
    """The regressor's rows are MANO's in our order, and each finger ends in its own tip vertex."""
    regressor = model.joint_regressor
    for joint in range(21):
        source = MANO_TO_JOINTS[joint]
        if source < 16:
            expected = torch.from_numpy(data.J_regressor[source])
            torch.testing.assert_close(regressor[joint], expected, atol=1e-7, rtol=0)
    for finger, joint in enumerate(TIP_JOINTS):
        assert regressor[joint].nonzero().item() == TIP_VERTICES["freihand"][finger]
    # index, middle, ring and little bases are MANO's joints 1, 4, 10, 7; the thumb's is 13.
    assert [MANO_TO_JOINTS[1 + 4 * finger] for finger in range(5)] == [13, 1, 4, 10, 7]


def test_tip_sets():
    assert resolve_tips("metro") == (745, 317, 445, 556, 673)
    assert resolve_tips("metro", own=(1, 2, 3, 4, 5)) == (1, 2, 3, 4, 5)
    assert resolve_tips((9, 8, 7, 6, 5), own=(1, 2, 3, 4, 5)) == (9, 8, 7, 6, 5)
    with pytest.raises(ConfigError, match="Did you mean 'freihand'"):
        resolve_tips("freihnd")
    with pytest.raises(ConfigError, match="five indices below 778"):
        resolve_tips((1, 2, 3, 4, 778))


def test_arrays_stay_out_of_checkpoints(model):
    assert model.state_dict() == {}


def test_wrong_shapes_are_named(data):
    from dataclasses import replace

    with pytest.raises(ResourceError, match=r"'weights' has shape \(778, 15\)"):
        HandModel(replace(data, weights=data.weights[:, :15]), "toy")
    with pytest.raises(ResourceError, match="no tree"):
        HandModel(replace(data, parents=(-1, 2, 1, *data.parents[3:])), "toy")
