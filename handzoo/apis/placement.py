"""From the network's right hand in its crop to a hand in the picture."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from handzoo.apis.results import HandResult
from handzoo.datasets.transforms.geometry import homogeneous, transform_points
from handzoo.hands.camera import normalized_to_pixels, weak_perspective_project, weak_to_translation


def place_hand(
    joints: np.ndarray,
    vertices: np.ndarray,
    camera: np.ndarray,
    *,
    K: np.ndarray,
    affine: np.ndarray,
    crop_size: int,
    faces: np.ndarray,
    is_right: bool,
    box: np.ndarray,
    score: float,
) -> HandResult:
    """Project the joints, place the wrist in the camera frame, and mirror a left hand back.

    Args:
        joints, vertices: (21, 3) and (778, 3) metres relative to the wrist, of a right hand.
        camera: (3,) weak perspective (s, tx, ty) in the crop.
        K: (3, 3) camera of the picture.
        affine: (2, 3) from pixels of the picture to pixels of the crop, which shows a right hand.
        crop_size: side of the crop in pixels.
        faces: (1538, 3) of the hand's own mesh.
        is_right, box, score: as in :class:`~handzoo.apis.results.HandResult`.
    """
    weak = torch.from_numpy(np.asarray(camera))[None]
    projected = weak_perspective_project(torch.from_numpy(np.asarray(joints))[None], weak)[0]
    in_crop = normalized_to_pixels(projected, crop_size).double().numpy()
    mirror = np.array([1.0 if is_right else -1.0, 1.0, 1.0])
    # The crop's camera sees the mirror image of a left hand.
    crop_camera = torch.from_numpy(homogeneous(affine) @ K @ np.diag(mirror)).float()
    translation = weak_to_translation(weak, crop_camera[None], crop_size)[0]
    return HandResult(
        joints3d=joints * mirror.astype(np.float32),
        vertices=vertices * mirror.astype(np.float32),
        joints2d=transform_points(cv2.invertAffineTransform(affine), in_crop),
        camera=np.asarray(camera),
        translation=translation.numpy() * mirror,
        K=K,
        affine=affine,
        crop_size=crop_size,
        faces=faces,
        is_right=is_right,
        box=box,
        score=score,
    )
