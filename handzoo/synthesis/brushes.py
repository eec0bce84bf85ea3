"""What pictures of backgrounds are painted with; sizes are fractions of the picture's side."""

from __future__ import annotations

import cv2
import numpy as np


def gradient(size: int, top: np.ndarray, bottom: np.ndarray, power: float = 1.0) -> np.ndarray:
    ramp = np.linspace(0, 1, size, dtype=np.float32)[:, None, None] ** power
    picture = np.asarray(top, np.float32) * (1 - ramp) + np.asarray(bottom, np.float32) * ramp
    return np.repeat(picture, size, axis=1)


def polygon(picture: np.ndarray, points: np.ndarray, color: np.ndarray) -> None:
    """Fills a polygon given in fractions of the picture's side."""
    pixels = np.round(np.asarray(points, np.float64) * picture.shape[0] * 16).astype(np.int32)
    cv2.fillPoly(picture, [pixels], [float(c) for c in color], lineType=cv2.LINE_AA, shift=4)


def box(picture: np.ndarray, x0: float, y0: float, x1: float, y1: float, color) -> None:
    polygon(picture, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), color)


def blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur with sigma in pixels of a 224-pixel picture."""
    sigma = sigma * picture.shape[0] / 224
    if sigma < 0.2:
        return picture
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def light_pool(size: int, rng: np.random.Generator, strength: float) -> np.ndarray:
    """A broad patch of light or shade, (size, size, 1), with mean one."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    cx, cy = rng.uniform(-0.2, 1.2, 2)
    pool = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / rng.uniform(0.3, 1.2))
    pool = 1 + strength * (pool - pool.mean()) / (pool.std() + 1e-3)
    return pool[..., None].astype(np.float32)
