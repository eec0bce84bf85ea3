"""RHD, the Rendered Handpose Dataset v2 (Zimmermann and Brox, ICCV 2017).

::

    {training,evaluation}/{color,mask}/%05d.png         320 x 320
    {training,evaluation}/anno_{training,evaluation}.pickle
        {number: {"K": (3, 3), "xyz": (42, 3) metres, "uv_vis": (42, 3) pixels and visibility}}

Joints 0-20 are the left hand, 21-41 the right, each finger from tip to palm. Mask values 2-17
belong to the left hand, 18-33 to the right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from handzoo.datasets.base import HandDataset, check_choice, require_images
from handzoo.datasets.cache import conversion_progress, save_arrays
from handzoo.errors import DataError, ResourceError
from handzoo.hands.conventions import NUM_JOINTS, RHD_TO_JOINTS
from handzoo.hands.restricted_pickle import restricted_load
from handzoo.registry import DATASETS

_SHAPES = {"K": (3, 3), "xyz": (2 * NUM_JOINTS, 3), "uv_vis": (2 * NUM_JOINTS, 3)}
_LEFT, _RIGHT = (2, 17), (18, 33)


@DATASETS.register_module()
class RHD(HandDataset):
    """RHD with one hand a picture, or both; left hands are mirrored by the pipeline.

    Args:
        split: ``training`` (41,258) or ``evaluation`` (2,728).
        hand: ``mask``: the hand with more pixels in the mask, right if equal (Zimmermann's
            protocol); ``visible``: the hand with more visible joints; ``left``, ``right``;
            ``both``: each hand with a visible joint is a sample, whose ``sample_id`` is
            ``<number>/left`` or ``<number>/right``. Where the chosen hand is not annotated, the
            other one is taken.
        visible_only: flag joints as valid only where they are visible.
        **base: arguments of :class:`~handzoo.datasets.base.HandDataset`.

    Samples carry ``joints_visible`` (21,) for protocols that skip hidden joints, and ``bbox``, the
    tight box of the 2D joints.
    """

    resource = "data/rhd"
    METAINFO = {"dataset": "rhd"}
    HANDS = ("mask", "visible", "left", "right", "both")

    def __init__(
        self,
        data_root: str | Path | None = None,
        split: str = "training",
        hand: str = "mask",
        visible_only: bool = False,
        **base: Any,
    ) -> None:
        self.split = check_choice("RHD.split", split, ("training", "evaluation"))
        self.hand = check_choice("RHD.hand", hand, self.HANDS)
        self.visible_only = visible_only
        super().__init__(data_root, **base)

    def _load(self) -> None:
        self.folder = self.data_root / self.split
        require_images(self.folder / "color", "*.png")
        source = self.folder / f"anno_{self.split}.pickle"
        masks = f"masks: {(self.folder / 'mask').is_dir()}"
        self._arrays = self.cache.get(f"rhd_{self.split}", [source], self._convert, masks)
        samples, sides = self._choose_hands()
        self._samples, self._sides = samples, sides

    def _convert(self, folder: Path) -> None:
        source = self.folder / f"anno_{self.split}.pickle"
        content = read_rhd_pickle(source)
        numbers = sorted(content)
        arrays = {
            name: np.stack([np.asarray(content[n][name], np.float32) for n in numbers])
            for name in _SHAPES
        }
        arrays["number"] = np.array(numbers, dtype=np.int32)
        arrays["mask_pixels"] = self._count_mask_pixels(numbers)
        save_arrays(folder, arrays)

    def _count_mask_pixels(self, numbers: list[int]) -> np.ndarray:
        """(N, 2) pixels of the left and the right hand; -1 where there is no mask."""
        counts = np.full((len(numbers), 2), -1, dtype=np.int32)
        if not (self.folder / "mask").is_dir():
            return counts
        masks = self.folder / "mask"
        with conversion_progress(masks, len(numbers), shown=len(numbers) > 1000) as advance:
            for i, number in enumerate(numbers):
                mask = cv2.imread(str(masks / f"{number:05d}.png"), cv2.IMREAD_GRAYSCALE)
                advance(1)
                if mask is not None:
                    for side, (low, high) in enumerate((_LEFT, _RIGHT)):
                        counts[i, side] = np.count_nonzero((mask >= low) & (mask <= high))
        return counts

    def _choose_hands(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the annotation and the side (0 left, 1 right) of each sample."""
        xyz, visible = self._arrays["xyz"], self._arrays["uv_vis"][:, :, 2]
        count = len(xyz)
        annotated = (np.abs(xyz).reshape(count, 2, -1) > 0).any(axis=2)
        seen = (visible.reshape(count, 2, -1) > 0).sum(axis=2)
        if self.hand == "both":
            rows, sides = np.nonzero(annotated & (seen > 0))
            return rows.astype(np.int32), sides.astype(np.int8)
        if self.hand in ("left", "right"):
            side = np.full(count, self.hand == "right", dtype=np.int8)
        else:
            pixels = self._arrays["mask_pixels"]
            known = (pixels >= 0).all(axis=1, keepdims=True)
            score = seen if self.hand == "visible" else np.where(known, pixels, seen)
            side = (score[:, 0] <= score[:, 1]).astype(np.int8)
        missing = ~annotated[np.arange(count), side]
        side = np.where(missing, 1 - side, side)
        rows = np.nonzero(annotated.any(axis=1))[0]
        return rows.astype(np.int32), side[rows].astype(np.int8)

    def _length(self) -> int:
        return len(self._samples)

    def _info(self, index: int) -> dict[str, Any]:
        row, side = int(self._samples[index]), int(self._sides[index])
        pick = np.array(RHD_TO_JOINTS) + NUM_JOINTS * side
        joints = self._arrays["xyz"][row][pick].astype(np.float64)
        uv_vis = self._arrays["uv_vis"][row][pick].astype(np.float64)
        number = int(self._arrays["number"][row])
        visible = uv_vis[:, 2] > 0
        annotated = (joints != 0).any(axis=1)
        valid = annotated & visible if self.visible_only else annotated
        joints2d = uv_vis[:, :2]
        return {
            "img_path": str(self.folder / "color" / f"{number:05d}.png"),
            # The number of a picture that gives two samples does not tell them apart.
            "sample_id": f"{number}/{('left', 'right')[side]}" if self.hand == "both" else number,
            "is_right": side == 1,
            "K": self._arrays["K"][row].astype(np.float64),
            "K_valid": True,
            "joints3d": np.where(annotated[:, None], joints - joints[0], 0),
            # Without its wrist a hand has no root, and root-relative joints mean nothing.
            "joints3d_valid": valid & annotated[0],
            "root": joints[0],
            "root_valid": bool(annotated[0]),
            "joints2d": joints2d,
            "joints2d_valid": valid,
            "joints_visible": visible,
            "bbox": np.concatenate([joints2d[annotated].min(0), joints2d[annotated].max(0)]),
        }


def read_rhd_pickle(source: Path) -> dict[int, dict[str, np.ndarray]]:
    """Read RHD's annotation; nothing but arrays and containers can be unpickled.

    Raises:
        DataError: the file is missing, damaged, holds anything else, or lacks a field.
    """
    try:
        with open(source, "rb") as file:
            content = restricted_load(file, source)
    except OSError as error:
        raise DataError(
            f"{source} cannot be read: {error.strerror}. Unpack RHD v2 again."
        ) from error
    except ResourceError as error:
        raise DataError(str(error)) from error
    if not isinstance(content, dict) or not content:
        raise DataError(f"{source} holds no samples. Download RHD_published_v2 again.")
    for number, item in content.items():
        for name, shape in _SHAPES.items():
            if np.shape(item.get(name) if isinstance(item, dict) else None) != shape:
                raise DataError(
                    f"{source}: sample {number} has no {name!r} of shape {shape}. "
                    "Download RHD_published_v2 again."
                )
    return content
