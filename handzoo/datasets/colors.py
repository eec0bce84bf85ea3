"""The background's colour of a picture, as one of the words of Table 1."""

from __future__ import annotations

import cv2
import numpy as np

from handzoo.datasets.prompts import COLORS


def srgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of sRGB values in 0..255, shape (N, 3)."""
    pixels = np.ascontiguousarray(np.asarray(rgb, dtype=np.float32)[None] / 255)
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0]


_NAMES = tuple(COLORS)
_LAB = srgb_to_lab(np.array(list(COLORS.values())))


def nearest_color(rgb: np.ndarray) -> str:
    """Name of Table 1's colour nearest in L*a*b* to an sRGB value (3,) in 0..255."""
    distance = np.linalg.norm(_LAB - srgb_to_lab(np.asarray(rgb)[None]), axis=1)
    return _NAMES[int(distance.argmin())]


def background_color(image: np.ndarray, border: float = 0.06) -> str:
    """Table 1's name for the colour of a picture's background.

    The hand is in the middle of a crop and the arm leaves it at one side, so the background is
    taken as the median, in L*a*b*, over the border pixels. A scene without one colour gets the
    name nearest to its median too: Table 1 has no word for it.

    Args:
        image: (H, W, 3) uint8 RGB.
        border: width of the border as a part of the shorter side.
    """
    width = max(1, round(min(image.shape[:2]) * border))
    # Every third pixel is plenty for a median, and this runs for every sample.
    frame = (
        image[:width:3, ::3],
        image[-width::3, ::3],
        image[width:-width:3, :width:3],
        image[width:-width:3, -width::3],
    )
    lab = srgb_to_lab(np.concatenate([part.reshape(-1, 3) for part in frame]))
    distance = np.linalg.norm(_LAB - np.median(lab, axis=0), axis=1)
    return _NAMES[int(distance.argmin())]
