"""A picture whose marks lie on a hand's joints, and its annotation, for the checks of transforms.

Where a transform moves the picture and not the annotation, or the other way round, the marks are
no longer where ``joints2d`` says. A photograph would not tell.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from handzoo.datasets.base import empty_info
from handzoo.hands.camera import perspective_project
from handzoo.hands.conventions import TIP_JOINTS
from handzoo.hands.gestures import GESTURES
from handzoo.hands.topology import HandTopology
from handzoo.testing.fixtures import make_targets

MARKED = (0, *TIP_JOINTS)
_SIDE, _RADIUS = 224, 8
_DARK, _BRIGHT = 40, 225


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    # Lives as long as the process, so that img_path stays true after the picture was made.
    return tempfile.TemporaryDirectory(prefix="handzoo-conformance-")


def make_info(topology: HandTopology, annotated: bool = True, right: bool = True) -> dict[str, Any]:
    """What a data set hands to its pipeline, with the picture already in ``image``.

    Args:
        topology: gives the hand.
        annotated: everything is annotated, or nothing.
        right: the side that the annotation claims.

    Returns:
        See :func:`handzoo.datasets.base.empty_info`; ``img_path`` holds the same picture, for
        transforms that read it.
    """
    targets = make_targets(1, topology, seed=3, size=_SIDE)
    joints, root = targets.joints3d.double(), targets.root.double()
    K = targets.K[0].double()
    # The template is as deep as it is wide: principal point and focal lengths that differ keep a
    # transform from getting away with half of the camera.
    K[0, 2] += 6
    K[1, 1] *= 1.02
    joints2d = perspective_project(joints + root, K[None])[0].numpy()
    image = np.full((_SIDE, _SIDE, 3), _DARK, dtype=np.uint8)
    for joint in MARKED:
        center = tuple(int(value) for value in np.rint(joints2d[joint]))
        cv2.circle(image, center, _RADIUS, (_BRIGHT,) * 3, thickness=-1)
    path = Path(_folder().name) / "marks.png"
    if not path.exists():
        cv2.imwrite(str(path), image)
    info = {
        **empty_info(),
        "img_path": str(path),
        "sample_id": 0,
        "dataset": "conformance",
        "image": image,
        "is_right": right,
    }
    if not annotated:
        return info
    rng = np.random.default_rng(0)
    return info | {
        "joints3d": joints[0].numpy(),
        "joints3d_valid": np.ones(len(joints2d), dtype=bool),
        "joints2d": joints2d,
        "joints2d_valid": np.ones(len(joints2d), dtype=bool),
        "vertices": targets.vertices[0].double().numpy(),
        "vertices_valid": True,
        "root": root[0].numpy(),
        "root_valid": True,
        "K": K.numpy(),
        "K_valid": True,
        "pose": rng.normal(0, 0.3, 48),
        "shape": rng.normal(0, 0.5, 10),
        "mano_valid": True,
        "gesture": 2,
        "gesture_name": GESTURES[2],
        "bbox": np.concatenate([joints2d.min(axis=0), joints2d.max(axis=0)]),
    }


def mark_contrast(image: torch.Tensor, joints2d: torch.Tensor) -> list[float]:
    """How far the picture at the marked joints stands out, 0 (not at all) to about 1.

    Args:
        image: (3, H, W) uint8.
        joints2d: (21, 2) pixels.

    Returns:
        One value for each marked joint that lies inside the picture.
    """
    grey = image.double().mean(dim=0)
    spread = float(grey.max() - grey.min()) or 1.0
    ground = grey.median()
    found = []
    for joint in MARKED:
        x, y = (int(round(value)) for value in joints2d[joint].tolist())
        if 2 <= x < grey.shape[1] - 2 and 2 <= y < grey.shape[0] - 2:
            window = grey[y - 1 : y + 2, x - 1 : x + 2]
            found.append(float((window.mean() - ground).abs() / spread))
    return found
