"""From a dictionary of arrays to what the estimator takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from handzoo.registry import TRANSFORMS
from handzoo.structures import HandDataSample

_FLOATS = ("joints3d", "joints2d", "vertices", "root", "K", "pose", "shape")
_POINT_FLAGS = ("joints3d_valid", "joints2d_valid")
_FLAGS = ("vertices_valid", "root_valid", "K_valid", "mano_valid")
_BLANKED = {
    "vertices": "vertices_valid",
    "root": "root_valid",
    "pose": "mano_valid",
    "shape": "mano_valid",
}
_META = (
    "img_path",
    "sample_id",
    "dataset",
    "version",
    "ori_shape",
    "affine",
    "is_right",
    "flipped",
    "prompt",
    "color",
    "gesture_name",
)


def image_to_tensor(image: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 picture -> (3, H, W) uint8 tensor of its own memory."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


@TRANSFORMS.register_module()
class PackHandInputs:
    """Make ``dict(inputs=uint8 (3, H, W) RGB, data_samples=HandDataSample)``.

    Values that are not annotated are zero (the camera: identity) with a false flag.

    Args:
        meta_keys: further keys to keep as meta information where a sample has them.
    """

    def __init__(self, meta_keys: tuple[str, ...] = ()) -> None:
        self.meta_keys = (*_META, *meta_keys)

    def __call__(self, info: dict[str, Any]) -> dict[str, Any]:
        """Pack one sample."""
        # Copies: what is blanked below may be a data set's own memory.
        fields = {
            name: torch.from_numpy(np.array(info[name], dtype=np.float32)) for name in _FLOATS
        }
        fields |= {name: torch.from_numpy(np.array(info[name])) for name in _POINT_FLAGS}
        fields |= {name: torch.tensor(bool(info[name])) for name in _FLAGS}
        for points in ("joints3d", "joints2d"):
            fields[points][~fields[f"{points}_valid"]] = 0
        for name, flag in _BLANKED.items():
            if not info[flag]:
                fields[name].zero_()
        if not info["K_valid"]:
            fields["K"] = torch.eye(3)
        fields["aug_rotation"] = torch.tensor(float(info.get("aug_rotation", 0.0)))
        fields["aug_scale"] = torch.tensor(float(info.get("aug_scale", 1.0)))
        fields["gesture"] = torch.tensor(int(info["gesture"]), dtype=torch.int64)
        if "view2_image" in info:
            fields["view2_image"] = image_to_tensor(info["view2_image"])
            fields["view2_rotation"] = torch.tensor(float(info["view2_rotation"]))
            fields["view2_scale"] = torch.tensor(float(info["view2_scale"]))
        meta = {name: info[name] for name in self.meta_keys if name in info}
        meta.setdefault("prompt", "")
        sample = HandDataSample(metainfo=meta, **fields)
        return {"inputs": image_to_tensor(info["image"]), "data_samples": sample}
