"""Lights of a picture, drawn so that they suit its background."""

from __future__ import annotations

import numpy as np

from handzoo.synthesis.colors import to_linear
from handzoo.synthesis.shading import Lighting


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    return tuple(float(value) for value in values)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def warmth(rng: np.random.Generator, spread: float) -> np.ndarray:
    """A light's tint (3,), linear: from lamp (warm) to shade (cool), mean one."""
    shift = rng.normal(0.1, spread)
    tint = np.exp(shift * np.array([0.5, 0.02, -0.6]))
    return tint / tint.mean()


def sample_key_direction(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Direction (3,) to the key light, mostly above and before the hand, and its size."""
    azimuth = rng.uniform(-np.pi, np.pi)
    if rng.random() < 0.8:
        # From the camera's side: cos of the angle to the camera's axis in [0.1, 0.95].
        depth = -rng.uniform(0.15, 0.95)
    else:
        depth = rng.uniform(-0.15, 0.45)
    radius = np.sqrt(1 - depth**2)
    direction = np.array([radius * np.cos(azimuth), -radius * abs(np.sin(azimuth)), depth])
    if rng.random() < 0.12:
        direction[1] *= -0.5
    size = float(np.exp(rng.uniform(np.log(0.04), np.log(0.5))))
    return _unit(direction), size


def light_for(
    background: np.ndarray, direction: np.ndarray, size: float, rng: np.random.Generator
) -> Lighting:
    """Lights a hand as its background suggests.

    Args:
        background: (H, W, 3) sRGB in [0, 1]; its upper and lower halves tint sky and ground.
        direction, size: the key light, which all versions of a hand share (as in FreiHAND, where
            they are one photograph).
    """
    linear = to_linear(background)
    half = len(linear) // 2
    upper, lower = linear[:half].mean((0, 1)), linear[half:].mean((0, 1))
    neutral = 0.38
    strength = rng.uniform(0.35, 0.6)
    sky = strength * (0.72 * neutral + 0.28 * upper)
    ground = strength * 0.75 * (0.45 * neutral + 0.55 * lower)
    key = rng.uniform(0.65, 1.25) * warmth(rng, 0.16)
    fill = rng.uniform(0.04, 0.28) * warmth(rng, 0.22)
    side = np.array([-direction[0], rng.normal(0, 0.4), -abs(direction[2]) - 0.2])
    up = _unit(np.array([rng.normal(0, 0.15), -1.0, rng.normal(-0.1, 0.3)]))
    ambient = warmth(rng, 0.10)
    return Lighting(
        key_direction=_triple(direction),
        key=_triple(key),
        key_size=size,
        fill_direction=_triple(_unit(side + rng.normal(0, 0.15, 3))),
        fill=_triple(fill),
        up=_triple(up),
        sky=_triple(sky * 1.5 * ambient),
        ground=_triple(ground * 1.5 * ambient),
    )
