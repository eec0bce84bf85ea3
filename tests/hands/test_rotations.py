"""Rodrigues against scipy, at zero, near zero, and at half turns."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from handzoo.hands.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_rotation_6d,
    rotation_6d_to_matrix,
    skew,
)


def vectors(angles, seed=0):
    rng = np.random.default_rng(seed)
    axes = rng.standard_normal((len(angles), 3))
    return axes / np.linalg.norm(axes, axis=1, keepdims=True) * np.asarray(angles)[:, None]


ANGLES = [0.0, 1e-12, 1e-7, 1e-4, 0.00999, 0.01001, 0.1, 1.0, 3.0, np.pi, 4.0, 7.0]


def test_matrix_equals_scipy_in_float64():
    v = vectors(ANGLES)
    expected = Rotation.from_rotvec(v).as_matrix()
    found = axis_angle_to_matrix(torch.from_numpy(v)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_float32_keeps_its_precision_near_zero():
    v = vectors([1e-5, 1e-3, 9e-3, 2e-2])
    expected = Rotation.from_rotvec(v.astype(np.float32).astype(np.float64)).as_matrix()
    found = axis_angle_to_matrix(torch.from_numpy(v).float()).double().numpy()
    np.testing.assert_allclose(found, expected, atol=1.2e-7)
    # The off-diagonal part is as small as the angle: compare it relatively as well.
    np.testing.assert_allclose(found[:, 0, 1], expected[:, 0, 1], rtol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.01, 0.5, np.pi, 6.0])
def test_gradient_by_finite_differences(angle):
    v = torch.from_numpy(vectors([angle])).requires_grad_()
    assert torch.autograd.gradcheck(axis_angle_to_matrix, (v,), eps=1e-6, atol=1e-7)


def test_gradient_at_zero_is_the_cross_product():
    v = torch.zeros(3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(axis_angle_to_matrix, v)
    expected = skew(torch.eye(3, dtype=torch.float64)).permute(1, 2, 0)
    torch.testing.assert_close(jacobian, expected)


def test_axis_angle_round_trip():
    v = vectors([0.0, 1e-9, 1e-4, 0.3, 2.0, 3.1, np.pi - 1e-7])
    back = matrix_to_axis_angle(axis_angle_to_matrix(torch.from_numpy(v))).numpy()
    np.testing.assert_allclose(back, v, atol=1e-9)


def test_every_half_turn_and_pivot():
    rotations = Rotation.random(500, random_state=0)
    half_turns = Rotation.from_rotvec(np.pi * np.concatenate((np.eye(3), vectors([1.0] * 20))))
    for rotation in (rotations, half_turns):
        matrix = rotation.as_matrix()
        again = axis_angle_to_matrix(matrix_to_axis_angle(torch.from_numpy(matrix))).numpy()
        np.testing.assert_allclose(again, matrix, atol=1e-9)


def test_six_numbers_round_trip():
    matrix = torch.from_numpy(Rotation.random(200, random_state=1).as_matrix())
    again = rotation_6d_to_matrix(matrix_to_rotation_6d(matrix))
    torch.testing.assert_close(again, matrix, atol=1e-12, rtol=0)


def test_any_six_numbers_give_the_rotation_of_gram_schmidt():
    """Against QR with positive diagonal, whose Q is Gram-Schmidt's by another way."""
    six = torch.from_numpy(np.random.default_rng(0).standard_normal((50, 6)) * 3)
    found = rotation_6d_to_matrix(six).numpy()
    for numbers, matrix in zip(six.numpy(), found, strict=True):
        q, r = np.linalg.qr(numbers.reshape(2, 3).T)
        np.testing.assert_allclose(matrix[:, :2], q * np.sign(np.diag(r)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(found), 1, atol=1e-12)
    gram = found @ found.swapaxes(1, 2)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), gram.shape), atol=1e-12)


def test_gradient_of_six_numbers():
    six = torch.from_numpy(np.random.default_rng(2).standard_normal((4, 6))).requires_grad_()
    assert torch.autograd.gradcheck(rotation_6d_to_matrix, (six,))
    # At the start of training, too: the identity, where the layers' output is zero.
    start = matrix_to_rotation_6d(torch.eye(3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(rotation_6d_to_matrix, (start,))


def test_six_numbers_are_continuous_where_axis_angle_jumps():
    near = Rotation.from_rotvec([[0, 0, np.pi - 1e-4], [0, 0, np.pi + 1e-4]]).as_matrix()
    six = matrix_to_rotation_6d(torch.from_numpy(near))
    vectors = matrix_to_axis_angle(torch.from_numpy(near))
    assert (six[0] - six[1]).norm() < 1e-3 < 6 < (vectors[0] - vectors[1]).norm()
