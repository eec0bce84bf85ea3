"""Rotations as axis-angle vectors, matrices and six numbers; differentiable also at zero."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Below this squared angle (0.01 rad) the Taylor series of sinc are exact to float64 precision
# with the terms kept, while sin(x)/x loses digits and has an undefined gradient at zero.
_SMALL_SQUARED_ANGLE = 1e-4


def _sinc_and_cosc(squared: Tensor) -> tuple[Tensor, Tensor]:
    """Return sin(x)/x and (1 - cos(x))/x^2 for ``squared`` = x^2, with finite gradients at 0."""
    small = squared < _SMALL_SQUARED_ANGLE
    # The branch that torch.where does not take still gets a gradient: keep it away from 0.
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    half = 0.5 * angle
    sinc = torch.where(
        small, 1 - squared / 6 * (1 - squared / 20 * (1 - squared / 42)), angle.sin() / angle
    )
    # 2 sin^2(x/2) / x^2 instead of (1 - cos x) / x^2: no cancellation in float32.
    cosc = torch.where(
        small,
        0.5 - squared / 24 * (1 - squared / 30 * (1 - squared / 56)),
        0.5 * (half.sin() / half) ** 2,
    )
    return sinc, cosc


def skew(vector: Tensor) -> Tensor:
    """Cross-product matrices.

    Args:
        vector: (..., 3).

    Returns:
        (..., 3, 3) with ``skew(a) @ b == cross(a, b)``.
    """
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula, with correct values and gradients at and near zero rotation.

    Args:
        axis_angle: (..., 3), direction times angle in radians.

    Returns:
        (..., 3, 3) rotation matrices.
    """
    squared = (axis_angle * axis_angle).sum(-1)[..., None, None]
    sinc, cosc = _sinc_and_cosc(squared)
    outer = axis_angle[..., :, None] * axis_angle[..., None, :]
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    # K^2 = r r^T - |r|^2 I for the unnormalised cross-product matrix K of r.
    return identity + sinc * skew(axis_angle) + cosc * (outer - squared * identity)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Axis-angle vectors of rotation matrices; angles in [0, pi].

    Goes through the quaternion with the largest component as pivot, so it is accurate at every
    angle, half turns included. Not meant for gradients.

    Args:
        matrix: (..., 3, 3) rotation matrices.

    Returns:
        (..., 3) radians.
    """
    m = matrix
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    # Rows of 4 q q^T, for q = (w, x, y, z) (Shepperd's method: take the row of largest pivot).
    rows = torch.stack(
        (
            torch.stack(
                (
                    1 + trace,
                    m[..., 2, 1] - m[..., 1, 2],
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 1, 0] - m[..., 0, 1],
                ),
                -1,
            ),
            torch.stack(
                (
                    m[..., 2, 1] - m[..., 1, 2],
                    1 + 2 * m[..., 0, 0] - trace,
                    m[..., 0, 1] + m[..., 1, 0],
                    m[..., 0, 2] + m[..., 2, 0],
                ),
                -1,
            ),
            torch.stack(
                (
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 0, 1] + m[..., 1, 0],
                    1 + 2 * m[..., 1, 1] - trace,
                    m[..., 1, 2] + m[..., 2, 1],
                ),
                -1,
            ),
            torch.stack(
                (
                    m[..., 1, 0] - m[..., 0, 1],
                    m[..., 0, 2] + m[..., 2, 0],
                    m[..., 1, 2] + m[..., 2, 1],
                    1 + 2 * m[..., 2, 2] - trace,
                ),
                -1,
            ),
        ),
        -2,
    )
    pivot = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)
    index = pivot[..., None, None].expand(*pivot.shape, 1, 4)
    quaternion = torch.gather(rows, -2, index).squeeze(-2)
    quaternion = quaternion / quaternion.norm(dim=-1, keepdim=True)
    # q and -q are the same rotation; w >= 0 gives the angle in [0, pi].
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, xyz = quaternion[..., :1], quaternion[..., 1:]
    sin_half = xyz.norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sin_half, w)
    tiny = sin_half < 1e-7
    scale = torch.where(tiny, 2 / w.clamp(min=0.5), angle / sin_half.clamp(min=1e-12))
    return xyz * scale


def rotation_6d_to_matrix(six: Tensor) -> Tensor:
    """Gram-Schmidt: two vectors, orthonormalised, are the first two columns of a rotation.

    Unlike axis-angle vectors and quaternions this is continuous over all rotations, which a
    network needs to regress them.

    Args:
        six: (..., 6), the first column's three numbers, then the second's; any length, but not
            parallel.

    Returns:
        (..., 3, 3) rotation matrices.

    Source: Zhou et al., "On the Continuity of Rotation Representations in Neural Networks",
    CVPR 2019, equation 15.
    """
    first = F.normalize(six[..., :3], dim=-1)
    second = six[..., 3:]
    second = F.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    third = torch.linalg.cross(first, second, dim=-1)
    return torch.stack((first, second, third), dim=-1)


def matrix_to_rotation_6d(matrix: Tensor) -> Tensor:
    """The first two columns of rotation matrices (..., 3, 3), as (..., 6)."""
    return matrix[..., :2].transpose(-1, -2).flatten(-2)
