"""One image's annotation and, after prediction, its result."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from handzoo.hands.conventions import NUM_JOINTS, NUM_POSE, NUM_SHAPE, NUM_VERTICES


def empty_annotation() -> dict[str, Tensor]:
    """The tensors of a :class:`HandDataSample` for an image of which nothing is known.

    Every field is always there, so that samples of differently annotated data sets stack; the
    ``*_valid`` flags say what may be used.
    """
    return {
        "joints3d": torch.zeros(NUM_JOINTS, 3),
        "joints3d_valid": torch.zeros(NUM_JOINTS, dtype=torch.bool),
        "joints2d": torch.zeros(NUM_JOINTS, 2),
        "joints2d_valid": torch.zeros(NUM_JOINTS, dtype=torch.bool),
        "vertices": torch.zeros(NUM_VERTICES, 3),
        "vertices_valid": torch.zeros((), dtype=torch.bool),
        "root": torch.zeros(3),
        "root_valid": torch.zeros((), dtype=torch.bool),
        "K": torch.eye(3),
        "K_valid": torch.zeros((), dtype=torch.bool),
        "pose": torch.zeros(NUM_POSE),
        "shape": torch.zeros(NUM_SHAPE),
        "mano_valid": torch.zeros((), dtype=torch.bool),
        "aug_rotation": torch.zeros(()),
        "aug_scale": torch.ones(()),
        "gesture": torch.full((), -1, dtype=torch.int64),
    }


class HandDataSample(BaseDataElement):
    """Annotation of one hand crop, and the prediction for it.

    Lengths are metres, the frame is the camera's (x right, y down, z forward) after the
    augmentation's in-plane rotation; 2D is in the crop's pixels.

    Annotation (all present; zeros with a false flag where the data set has none):

    ====================  ==========  ========================================================
    ``joints3d``          (21, 3)     relative to the wrist
    ``joints3d_valid``    (21,) bool
    ``joints2d``          (21, 2)     pixels in the crop
    ``joints2d_valid``    (21,) bool
    ``vertices``          (778, 3)    relative to the wrist
    ``vertices_valid``    () bool
    ``root``              (3,)        the wrist in the camera frame
    ``root_valid``        () bool
    ``K``                 (3, 3)      projects ``joints3d + root`` to ``joints2d``
    ``K_valid``           () bool
    ``pose``, ``shape``   (48,) (10,) hand-model parameters; ``mano_valid`` () bool
    ``aug_rotation``      ()          radians, positive clockwise on the screen
    ``aug_scale``         ()          augmentation's magnification of the crop
    ``gesture``           () int64    index into ``hands.gestures.GESTURES``, -1 if unknown
    ====================  ==========  ========================================================

    Prediction (after ``predict``): ``pred_camera`` (3,), ``pred_joints`` (21, 3),
    ``pred_vertices`` (778, 3), ``pred_joints_from_vertices`` (21, 3), root-relative.

    Meta information: ``img_path``, ``sample_id``, ``dataset``, ``version``, ``ori_shape``,
    ``affine`` (2, 3) from picture to crop pixels, ``is_right``, ``flipped``, ``prompt``,
    ``color``, ``gesture_name``.

    Example:
        >>> sample = HandDataSample(metainfo=dict(sample_id=3), **empty_annotation())
        >>> tuple(sample.joints3d.shape), bool(sample.vertices_valid)
        ((21, 3), False)
    """

    def __getstate__(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """State with CPU tensors as arrays, which a pickle holds in itself.

        A tensor would go from a DataLoader's worker through a shared-memory file of its own: with
        some twenty small tensors a sample, that costs more than making the sample does.
        """
        state = dict(self.__dict__)
        arrays = {
            name: value.numpy()
            for name, value in state.items()
            if isinstance(value, Tensor)
            and value.device.type == "cpu"
            and not value.requires_grad
            and value.dtype != torch.bfloat16  # numpy has no such type
        }
        return {name: value for name, value in state.items() if name not in arrays}, arrays

    def __setstate__(self, state: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
        rest, arrays = state
        self.__dict__.update(rest)
        self.__dict__.update({name: torch.from_numpy(array) for name, array in arrays.items()})
