"""Changes of colour and random occluders; geometry stays as it is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from handzoo.datasets.randomness import generator
from handzoo.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ColorJitter:
    """Random gain of each channel, brightness, contrast, saturation and hue.

    The default is METRO's: every channel times U(0.6, 1.4), and nothing else.

    Args:
        channel_gain: each channel is multiplied by U(1 - g, 1 + g).
        brightness: a value from U(-b, b) * 255 is added.
        contrast: distance from mid-grey times U(1 - c, 1 + c).
        saturation: saturation times U(1 - s, 1 + s).
        hue: hue turned by U(-h, h) of a full circle.
    """

    def __init__(
        self,
        channel_gain: float = 0.4,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
    ) -> None:
        self.channel_gain = channel_gain
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue

    def __call__(self, info: dict[str, Any]) -> dict[str, Any]:
        """Replace ``image``."""
        rng = generator()
        gain = rng.uniform(1 - self.channel_gain, 1 + self.channel_gain, size=3)
        contrast = rng.uniform(1 - self.contrast, 1 + self.contrast)
        offset = rng.uniform(-self.brightness, self.brightness) * 255
        # Gain, contrast and brightness act on single values: one table does all three.
        values = np.arange(256)[:, None] * gain
        values = (values - 128) * contrast + 128 + offset
        table = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        image = cv2.LUT(info["image"], table[None])
        if self.saturation > 0 or self.hue > 0:
            image = self._turn_hue(image)
        info["image"] = image
        return info

    def _turn_hue(self, image: np.ndarray) -> np.ndarray:
        rng = generator()
        saturation = rng.uniform(1 - self.saturation, 1 + self.saturation)
        turn = rng.uniform(-self.hue, self.hue) * 256
        steps = np.arange(256)
        table = np.stack(
            [(steps + turn) % 256, np.clip(steps * saturation, 0, 255), steps], axis=1
        ).astype(np.uint8)
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
        return cv2.cvtColor(cv2.LUT(hsv, table[None]), cv2.COLOR_HSV2RGB_FULL)


@TRANSFORMS.register_module()
class RandomOcclusion:
    """Cover a part of the crop with a rectangle or ellipse of one colour or noise.

    The annotation stays valid: the hand is still there behind it.

    Args:
        prob: how often.
        area: range of the covered part of the crop.
        aspect: range of width / height of the occluder.
    """

    def __init__(
        self,
        prob: float = 0.3,
        area: tuple[float, float] = (0.02, 0.15),
        aspect: tuple[float, float] = (0.4, 2.5),
    ) -> None:
        self.prob = prob
        self.area = area
        self.aspect = aspect

    def __call__(self, info: dict[str, Any]) -> dict[str, Any]:
        """Replace ``image``, or leave it."""
        rng = generator()
        if rng.random() >= self.prob:
            return info
        image = info["image"].copy()
        height, width = image.shape[:2]
        covered = rng.uniform(*self.area) * height * width
        aspect = np.exp(rng.uniform(*np.log(self.aspect)))
        half_width, half_height = np.sqrt(covered * aspect) / 2, np.sqrt(covered / aspect) / 2
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        rows, columns = np.ogrid[:height, :width]
        u, v = (columns - x) / half_width, (rows - y) / half_height
        if rng.random() < 0.5:
            mask = u * u + v * v < 1
        else:
            mask = (abs(u) < 1) & (abs(v) < 1)
        if rng.random() < 0.5:
            image[mask] = rng.integers(0, 256, size=3, dtype=np.uint8)
        else:
            noise = rng.integers(0, 256, size=(int(mask.sum()), 3), dtype=np.uint8)
            image[mask] = noise
        info["image"] = image
        return info
