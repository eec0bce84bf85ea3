"""The background words of the paper and the colours that they are painted with.

CLIP-Hand's Table 1 describes FreiHAND's backgrounds by twenty words and Table 2 adds scenes
("bright room", "mountain"). A generated picture is labelled with the word it was painted from,
so a prompt made of that label is true of the picture.
"""

from __future__ import annotations

import numpy as np

from handzoo.datasets.prompts import COLORS

#: Table 1's words -> sRGB in [0, 1]. "bright" and "dark" name a lightness and no hue.
BACKDROPS: dict[str, tuple[float, float, float]] = {
    **{name: tuple(value / 255 for value in rgb) for name, rgb in COLORS.items()},
    "bright": (0.90, 0.89, 0.86),
    "dark": (0.13, 0.14, 0.17),
}


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    srgb = np.asarray(srgb, dtype=np.float32)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] to sRGB, clipped (IEC 61966-2-1)."""
    linear = np.clip(np.asarray(linear, dtype=np.float32), 0.0, 1.0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
