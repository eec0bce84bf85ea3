"""Geometry of a crop: the affine map of the picture, and what it does to the annotation.

Conventions: pixel (0, 0) is the centre of the first pixel, as OpenCV has it; a positive rotation
turns clockwise on the screen, as :func:`handzoo.hands.camera.rotation_z` does.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np


def rotation_z(angle: float) -> np.ndarray:
    """(3, 3) rotation about the viewing axis by ``angle`` radians, clockwise on the screen."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def homogeneous(affine: np.ndarray) -> np.ndarray:
    """(3, 3) matrix of a (2, 3) affine map."""
    return np.vstack([affine, [0.0, 0.0, 1.0]])


def crop_affine(
    center: np.ndarray,
    size: float,
    out_size: int,
    rotation: float = 0.0,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Affine map from picture pixels to crop pixels.

    Args:
        center: (2,) pixels of the picture that go to the middle of the crop.
        size: side of the square in the picture, pixels.
        out_size: side of the crop, pixels.
        rotation: radians, clockwise.
        scale: magnification on top of ``out_size / size``.
        shift: crop pixels by which the content moves.

    Returns:
        (2, 3).
    """
    linear = rotation_z(rotation)[:2, :2] * (scale * out_size / size)
    offset = np.array([out_size / 2, out_size / 2]) + shift - linear @ np.asarray(center)
    return np.hstack([linear, offset[:, None]])


def mirror_affine(width: int) -> np.ndarray:
    """(2, 3) map of a left-right flip of a picture ``width`` pixels wide."""
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]])


def transform_points(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a (2, 3) affine map to points (..., 2)."""
    return points @ affine[:, :2].T + affine[:, 2]


def rotate_axis_angle(matrix: np.ndarray, axis_angle: np.ndarray) -> np.ndarray:
    """Axis-angle (3,) of the rotation ``axis_angle`` followed by the rotation ``matrix``."""
    turned, _ = cv2.Rodrigues(np.ascontiguousarray(axis_angle, dtype=np.float64))
    result, _ = cv2.Rodrigues(matrix @ turned)
    return result[:, 0]


def mirror_annotation(info: dict[str, Any], width: int) -> None:
    """Turn the annotation of a hand into that of its left-right mirror image, in place.

    2D goes to ``width - 1 - u``, 3D to ``-x``; the camera follows, so that projection still
    holds. An axis-angle (x, y, z) mirrors to (x, -y, -z).
    """
    flip = np.diag([-1.0, 1.0, 1.0])
    affine = mirror_affine(width)
    info["joints2d"] = transform_points(affine, info["joints2d"])
    for name in ("joints3d", "vertices", "root"):
        info[name] = info[name] @ flip
    info["K"] = homogeneous(affine) @ info["K"] @ flip
    info["pose"] = info["pose"] * np.tile([1.0, -1.0, -1.0], 16)
    if info["bbox"] is not None:
        x0, y0, x1, y1 = info["bbox"]
        info["bbox"] = np.array([width - 1 - x1, y0, width - 1 - x0, y1])


def transform_annotation(info: dict[str, Any], affine: np.ndarray, rotation: float) -> None:
    """Carry an annotation into a crop, in place.

    2D goes through ``affine``. 3D turns about the viewing axis, and with it the global
    orientation of the pose. The crop's camera is ``K' = A K R^T``: then
    ``project(R X, K') = A project(X, K)`` exactly, for any focal lengths and principal point.

    Args:
        info: annotation as :func:`handzoo.datasets.base.empty_info` describes it.
        affine: (2, 3) picture to crop.
        rotation: its rotation, radians.
    """
    turn = rotation_z(rotation)
    info["joints2d"] = transform_points(affine, info["joints2d"])
    for name in ("joints3d", "vertices", "root"):
        info[name] = info[name] @ turn.T
    info["K"] = homogeneous(affine) @ info["K"] @ turn.T
    if info["mano_valid"]:
        pose = info["pose"].copy()
        pose[:3] = rotate_axis_angle(turn, pose[:3])
        info["pose"] = pose


def warp(
    image: np.ndarray, affine: np.ndarray, out_size: int, border: int, fill: int
) -> np.ndarray:
    """Resample a picture once through ``affine``.

    A crop that is shrunk more than twice is first averaged over whole blocks of pixels, or the
    bilinear samples would skip most of the picture; the map is corrected exactly for that.

    Args:
        image: (H, W, 3) uint8.
        affine: (2, 3) picture to crop.
        out_size: side of the crop.
        border: OpenCV's border mode.
        fill: value outside the picture where the border is constant.

    Returns:
        (out_size, out_size, 3) uint8.
    """
    block = int(1 / np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    if block >= 2 and min(image.shape[:2]) >= 2 * block:
        rows, columns = (side // block for side in image.shape[:2])
        image = cv2.resize(
            image[: rows * block, : columns * block], (columns, rows), interpolation=cv2.INTER_AREA
        )
        # Centre of block j of the picture is block * j + (block - 1) / 2.
        to_picture = np.array([[block, 0, (block - 1) / 2], [0, block, (block - 1) / 2], [0, 0, 1]])
        affine = affine @ to_picture
    return cv2.warpAffine(
        image,
        affine,
        (out_size, out_size),
        flags=cv2.INTER_LINEAR,
        borderMode=border,
        borderValue=(fill, fill, fill),
    )
