"""Reading the picture, and describing it in words."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from handzoo.datasets.base import ImageReadError
from handzoo.datasets.colors import background_color
from handzoo.datasets.prompts import PromptBuilder
from handzoo.registry import TRANSFORMS

# The published loaders of all data sets read pixels as stored, so annotation refers to those.
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


@TRANSFORMS.register_module()
class LoadHandImage:
    """Read ``img_path`` as (H, W, 3) uint8 RGB into ``image``.

    A box and joints that the data set gives in parts of the picture's size (``bbox_relative``,
    ``joints2d_relative``) become pixels, since the size is known only now.
    """

    def __call__(self, info: dict[str, Any]) -> dict[str, Any]:
        """Add ``image``.

        Raises:
            ImageReadError: the file is missing or damaged.
        """
        image = cv2.imread(str(info["img_path"]), _FLAGS)
        if image is None:
            raise ImageReadError(f"{info['img_path']} is missing or is not a readable picture.")
        info["image"] = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        size = np.array(image.shape[1::-1], dtype=np.float64)
        if "bbox_relative" in info:
            info["bbox"] = info.pop("bbox_relative") * np.tile(size, 2)
        if "joints2d_relative" in info:
            info["joints2d"] = info.pop("joints2d_relative") * size
        return info


@TRANSFORMS.register_module()
class BuildPrompt:
    """Write the sample's text prompt (section 4.1).

    The background's colour is the annotated one, or else the colour of Table 1 nearest to the
    picture's border. An unknown gesture leaves the prompt's last clause out. Put it before
    the crop: a warped picture's border may be fill.

    Args:
        mode: ``final`` or ``table1``, see :class:`~handzoo.datasets.prompts.PromptBuilder`.
    """

    def __init__(self, mode: str = "final") -> None:
        self.builder = PromptBuilder(mode)

    def __call__(self, info: dict[str, Any]) -> dict[str, Any]:
        """Add ``prompt``, and ``color`` if it is not annotated."""
        if info["color"] is None:
            info["color"] = background_color(info["image"])
        info["prompt"] = self.builder(info["color"], info["gesture_name"])
        return info
