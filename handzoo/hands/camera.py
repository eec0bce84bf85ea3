"""Cameras: weak perspective in the crop, pinhole in the picture, and the way between them.

Frames: x right, y down, z forward. Pixels follow OpenCV, whose pixel centres lie at integers; the
warp of the image, its annotation and what is drawn share that origin. Weak perspective follows
METRO: ``x2d = s * (X + t)``, where [-1, 1] spans the ``size`` pixels of the crop.
"""

from __future__ import annotations

import torch
from torch import Tensor

# A scale at or below this is no camera; it keeps the depth that follows from it finite.
MIN_SCALE = 1e-3


def weak_perspective_project(points: Tensor, camera: Tensor) -> Tensor:
    """Project root-relative points with a weak-perspective camera.

    Args:
        points: (B, N, 3) metres.
        camera: (B, 3) as (s, tx, ty); s in 1/metres, t in metres.

    Returns:
        (B, N, 2) in [-1, 1] over the crop. Source: METRO, ``orthographic_projection``.
    """
    return camera[:, None, :1] * (points[..., :2] + camera[:, None, 1:])


def normalized_to_pixels(xy: Tensor, size: float = 224) -> Tensor:
    """Carry coordinates in [-1, 1] to pixels of a square crop of ``size``."""
    return (xy + 1) * (size / 2)


def pixels_to_normalized(xy: Tensor, size: float = 224) -> Tensor:
    """Carry pixels of a square crop of ``size`` to [-1, 1]."""
    return xy * (2 / size) - 1


def perspective_project(points: Tensor, K: Tensor) -> Tensor:
    """Project camera-frame points with a pinhole camera.

    Args:
        points: (..., N, 3) metres, z > 0.
        K: (..., 3, 3) intrinsics in pixels.

    Returns:
        (..., N, 2) pixels.
    """
    projected = points @ K.transpose(-1, -2)
    return projected[..., :2] / projected[..., 2:]


def weak_to_translation(camera: Tensor, K: Tensor, size: float = 224) -> Tensor:
    """Place root-relative points in the camera frame so that both cameras agree at the root.

    The weak-perspective scale fixes the depth (``z = 2 f / (s * size)``, f the mean focal length
    of the crop's camera), its translation fixes x and y.

    Args:
        camera: (B, 3) as (s, tx, ty).
        K: (B, 3, 3) intrinsics of the crop, in the crop's pixels.
        size: width of the crop in pixels.

    Returns:
        (B, 3) translation in metres.
    """
    scale = camera[:, 0].clamp(min=MIN_SCALE)
    focal = (K[:, 0, 0] + K[:, 1, 1]) / 2
    depth = 2 * focal / (scale * size)
    root = normalized_to_pixels(scale[:, None] * camera[:, 1:], size)
    x = (root[:, 0] - K[:, 0, 2]) * depth / K[:, 0, 0]
    y = (root[:, 1] - K[:, 1, 2]) * depth / K[:, 1, 1]
    return torch.stack((x, y, depth), dim=-1)


def rotation_z(angle: Tensor | float) -> Tensor:
    """Rotation about the viewing axis; positive turns clockwise on the screen.

    Args:
        angle: (...) radians.

    Returns:
        (..., 3, 3).
    """
    angle = torch.as_tensor(angle)
    if not angle.is_floating_point():
        angle = angle.float()
    cos, sin = torch.cos(angle), torch.sin(angle)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = (cos, -sin, zero, sin, cos, zero, zero, zero, one)
    return torch.stack(rows, dim=-1).reshape(*angle.shape, 3, 3)
