"""Cameras against hand-computed cases and against each other."""

import math

import torch

from handzoo.hands.camera import (
    normalized_to_pixels,
    perspective_project,
    pixels_to_normalized,
    rotation_z,
    weak_perspective_project,
    weak_to_translation,
)


def test_weak_perspective_follows_metro():
    points = torch.tensor([[[0.1, -0.2, 5.0]]])
    camera = torch.tensor([[2.0, 0.3, 0.4]])
    projected = weak_perspective_project(points, camera)
    torch.testing.assert_close(projected, torch.tensor([[[0.8, 0.4]]]))


def test_pixels_and_normalized_are_inverse():
    xy = torch.rand(2, 5, 2) * 2 - 1
    torch.testing.assert_close(pixels_to_normalized(normalized_to_pixels(xy, 160), 160), xy)
    assert normalized_to_pixels(torch.tensor([-1.0, 1.0]), 224).tolist() == [0.0, 224.0]


def test_translation_makes_both_cameras_agree_for_a_flat_hand():
    """Weak perspective is exact for points in the plane of the root."""
    K = torch.tensor([[[480.0, 0, 105.0], [0, 480.0, 118.0], [0, 0, 1]]])
    camera = torch.tensor([[5.5, 0.012, -0.03]])
    flat = torch.randn(1, 9, 3) * 0.05
    flat[..., 2] = 0
    weak = normalized_to_pixels(weak_perspective_project(flat, camera))
    full = perspective_project(flat + weak_to_translation(camera, K)[:, None], K)
    torch.testing.assert_close(full, weak, rtol=1e-5, atol=1e-3)


def test_translation_of_a_camera_without_scale_is_finite():
    translation = weak_to_translation(torch.zeros(1, 3), torch.eye(3)[None])
    assert torch.isfinite(translation).all()


def test_rotation_turns_clockwise_on_the_screen():
    """x points right and y down, so a quarter turn carries right to down."""
    turned = rotation_z(math.pi / 2) @ torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(turned, torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)
    batch = rotation_z(torch.linspace(-3, 3, 7, dtype=torch.float64))
    identity = torch.eye(3, dtype=torch.float64).expand(7, 3, 3)
    torch.testing.assert_close(batch @ batch.transpose(1, 2), identity)
    torch.testing.assert_close(torch.linalg.det(batch), torch.ones(7, dtype=torch.float64))
