"""Backgrounds by name: plain backdrops in the paper's colours, and scenes."""

from __future__ import annotations

import cv2
import numpy as np

from handzoo.errors import ConfigError, suggest
from handzoo.synthesis.brushes import blur, light_pool
from handzoo.synthesis.colors import BACKDROPS
from handzoo.synthesis.noise import fractal_noise
from handzoo.synthesis.painters import SCENES


def paint_backdrop(color: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """A plain wall, screen or cloth in a colour of Table 1, unevenly lit as in a photograph."""
    base = np.asarray(BACKDROPS[color], np.float32)
    base = base + rng.normal(0, 0.012, 3).astype(np.float32)
    picture = np.broadcast_to(base, (size, size, 3)).astype(np.float32).copy()
    kind = rng.choice(["sheet", "corner", "cloth", "plaster"], p=[0.4, 0.25, 0.15, 0.2])
    if kind == "corner":
        # Two or three planes of one room or screen, lit differently, as in a capture studio.
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3)
        y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
        side = np.cos(angle) * x + np.sin(angle) * y - offset
        edge = np.clip(side * size / 2, -1, 1)[..., None]
        picture *= 1 + rng.uniform(0.04, 0.09) * edge
    elif kind == "cloth":
        folds = fractal_noise((size, size), rng, 3, 3, stretch=(0.5, 1.5))
        picture *= 1 + 0.035 * folds[..., None]
    elif kind == "plaster":
        picture *= 1 + 0.015 * fractal_noise((size, size), rng, 24, 3)[..., None]
    picture *= light_pool(size, rng, rng.uniform(0.02, 0.07))
    picture += rng.uniform(0.001, 0.005) * fractal_noise((size, size), rng, 60, 2)[..., None]
    return np.clip(blur(picture, rng.uniform(0, 1.0)), 0, 1)


def _frame(picture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A part of a larger picture, seen with a camera held a little askew, mirrored or not."""
    side = picture.shape[0]
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
    angle = rng.normal(0, 7)
    zoom = rng.uniform(1.0, 1.25) * size / side * 1.25
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, zoom)
    turn[:, 2] += (size - side) / 2 + rng.uniform(-0.06, 0.06, 2) * size
    flags = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(
        picture, turn, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )


def paint(name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Paints the background of that name.

    Args:
        name: a key of ``colors.BACKDROPS`` or of ``painters.SCENES``.
        size: side in pixels.
        rng: source of randomness.

    Returns:
        (size, size, 3) float32 sRGB in [0, 1].

    Raises:
        ConfigError: if there is no background of that name.
    """
    if name in BACKDROPS:
        return paint_backdrop(name, size, rng)
    if name in SCENES:
        return _frame(SCENES[name](size, rng), size, rng)
    names = [*BACKDROPS, *SCENES]
    raise ConfigError(
        f"no background is called {name!r}; there are {', '.join(names)}. {suggest(name, names)}"
    )
