"""Crop, mirror, rotation, scale and shift of a hand in one affine warp."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from handzoo.datasets.base import check_choice
from handzoo.datasets.randomness import generator
from handzoo.datasets.transforms.geometry import (
    crop_affine,
    mirror_affine,
    mirror_annotation,
    transform_annotation,
    warp,
)
from handzoo.errors import DataError
from handzoo.registry import TRANSFORMS

_BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "replicate": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
}


@TRANSFORMS.register_module()
class HandCrop:
    """Choose the square of the picture that becomes the crop.

    Args:
        policy: ``fixed``: a square of ``size`` pixels in the middle of the picture (METRO's crop
            of FreiHAND: centre (112, 112), 0.9 * 200 = 180 pixels); ``full``: the whole picture;
            ``joints``: the tight box of the annotated 2D joints; ``box``: the data set's own box.
        size: side of the ``fixed`` square, pixels.
        factor: enlargement of the ``joints`` and ``box`` square. 1.25 is what simpleHand and
            I2L-MeshNet use.

    A crop from annotated joints uses what a user's picture does not have: results with it are
    comparable only with others that do the same.
    """

    POLICIES = ("fixed", "full", "joints", "box")

    def __init__(self, policy: str = "fixed", size: float = 180.0, factor: float = 1.25) -> None:
        self.policy = check_choice("HandCrop.policy", policy, self.POLICIES)
        self.size = size
        self.factor = factor

    def __call__(self, info: dict[str, Any]) -> dict[str, Any]:
        """Add ``crop_center`` (2,) and ``crop_size``, both in pixels of the picture.

        Raises:
            DataError: the policy needs joints or a box and the sample has none.
        """
        height, width = info["image"].shape[:2]
        if self.policy in ("fixed", "full"):
            info["crop_center"] = np.array([width / 2, height / 2])
            info["crop_size"] = self.size if self.policy == "fixed" else float(max(width, height))
            return info
        low, high = self._box(info)
        info["crop_center"] = (low + high) / 2
        info["crop_size"] = max(float((high - low).max()) * self.factor, 1.0)
        return info

    def _box(self, info: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        if self.policy == "joints" and info["joints2d_valid"].any():
            joints = info["joints2d"][info["joints2d_valid"]]
            return joints.min(axis=0), joints.max(axis=0)
        if self.policy == "box" and info["bbox"] is not None:
            box = np.asarray(info["bbox"], dtype=np.float64)
            return box[:2], box[2:]
        lacking = "2D joints" if self.policy == "joints" else "box"
        raise DataError(
            f"{info['img_path']} has no {lacking}, which HandCrop(policy={self.policy!r}) needs. "
            "Use policy='fixed' or 'full' for this data set."
        )


@TRANSFORMS.register_module()
class HandAffine:
    """Cut the crop and mirror a left hand, in one warp, with all annotation carried along.

    Adds ``affine`` (2, 3) (picture to crop pixels), ``ori_shape``, ``flipped``, ``aug_rotation``
    (radians, clockwise on the screen) and ``aug_scale`` (magnification), which PJ applies to its
    templates too (section 3.5). 2D joints that fall outside the crop stay valid: their position
    is known and a projection can be right or wrong there. Losses on heatmaps see no peak there.

    Args:
        size: side of the crop, pixels.
        border: what lies outside the picture: ``constant``, ``replicate`` or ``reflect``.
        fill: its value if constant.
        mirror_left: turn left hands into right ones.
    """

    def __init__(
        self, size: int = 224, border: str = "constant", fill: int = 0, mirror_left: bool = True
    ) -> None:
        self.size = size
        self.border = _BORDERS[check_choice("HandAffine.border", border, tuple(_BORDERS))]
        self.fill = fill
        self.mirror_left = mirror_left

    def draw(self) -> tuple[float, float, tuple[float, float]]:
        """Rotation in radians, magnification, shift in crop pixels."""
        return 0.0, 1.0, (0.0, 0.0)

    def __call__(self, info: dict[str, Any]) -> dict[str, Any]:
        """Replace ``image`` by the crop and the annotation by the crop's."""
        image = info["image"]
        height, width = image.shape[:2]
        center = np.asarray(info.get("crop_center", (width / 2, height / 2)), dtype=np.float64)
        size = float(info.get("crop_size", max(width, height)))
        rotation, scale, shift = self.draw()
        mirrored = self.mirror_left and not info["is_right"]
        if mirrored:
            mirror_annotation(info, width)
            center = np.array([width - 1 - center[0], center[1]])
        affine = crop_affine(center, size, self.size, rotation, scale, shift)
        transform_annotation(info, affine, rotation)
        if mirrored:
            affine = affine @ np.vstack([mirror_affine(width), [0.0, 0.0, 1.0]])
        info["image"] = warp(image, affine, self.size, self.border, self.fill)
        info.update(
            affine=affine,
            ori_shape=(height, width),
            flipped=mirrored,
            aug_rotation=rotation,
            aug_scale=scale,
        )
        return info


@TRANSFORMS.register_module()
class RandomHandAffine(HandAffine):
    """:class:`HandAffine` with random rotation, scale and shift.

    The defaults are METRO's (``hand_mesh_tsv.py``): rotation N(0, 1) * 90 degrees, clipped at 180
    and left out with probability 0.6; the side of the crop times 1 + 0.25 N(0, 1), clipped to
    0.75..1.25, so that the hand is magnified by the inverse; no shift.

    Args:
        rotation_std: standard deviation of the rotation, degrees.
        rotation_max: its limit, degrees.
        rotation_prob: how often there is one.
        scale_std: standard deviation of the crop's relative size.
        scale_max: limit of its deviation from 1.
        shift: greatest shift as a part of the crop's side, uniform.
        **affine: arguments of :class:`HandAffine`.
    """

    def __init__(
        self,
        rotation_std: float = 90.0,
        rotation_max: float = 180.0,
        rotation_prob: float = 0.4,
        scale_std: float = 0.25,
        scale_max: float = 0.25,
        shift: float = 0.0,
        **affine: Any,
    ) -> None:
        super().__init__(**affine)
        self.rotation_std = rotation_std
        self.rotation_max = rotation_max
        self.rotation_prob = rotation_prob
        self.scale_std = scale_std
        self.scale_max = scale_max
        self.shift = shift

    def draw(self) -> tuple[float, float, tuple[float, float]]:
        """Rotation in radians, magnification, shift in crop pixels."""
        rng = generator()
        rotation = 0.0
        if rng.random() < self.rotation_prob:
            degrees = rng.standard_normal() * self.rotation_std
            rotation = np.deg2rad(np.clip(degrees, -self.rotation_max, self.rotation_max))
        deviation = np.clip(rng.standard_normal() * self.scale_std, -self.scale_max, self.scale_max)
        shift = rng.uniform(-self.shift, self.shift, size=2) * self.size
        return float(rotation), float(1 / (1 + deviation)), (float(shift[0]), float(shift[1]))
