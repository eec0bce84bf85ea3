"""Hand-sized point sets with known predictions, for the tests of this folder."""

from __future__ import annotations

import numpy as np


def rotations(count: int, rng: np.random.Generator) -> np.ndarray:
    """Random rotations (N, 3, 3)."""
    q, _ = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    return q * np.sign(np.linalg.det(q))[:, None, None]


def hand_sets(count: int, rng: np.random.Generator, points: int = 778) -> tuple:
    """Joints (N, 21, 3) and vertices (N, P, 3) of hand size, in the camera frame, metres."""
    shape = rng.normal(size=(count, points, 3)) * [0.03, 0.05, 0.012]
    vertices = shape @ rotations(count, rng) + rng.uniform(
        [-0.2, -0.2, 0.5], [0.2, 0.2, 0.9], (count, 1, 3)
    )
    joints = vertices[:, :: points // 21][:, :21] + rng.normal(size=(count, 21, 3)) * 0.002
    return joints, vertices


def predictions(points: np.ndarray, rng: np.random.Generator, noise: float = 0.006) -> np.ndarray:
    """The points with noise, a small turn, a scale and a shift of each sample."""
    count = len(points)
    mean = points.mean(1, keepdims=True)
    angle = rng.normal(size=count) * 0.1
    turn = np.zeros((count, 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angle)
    turn[:, 0, 1], turn[:, 1, 0], turn[:, 2, 2] = np.sin(angle), -np.sin(angle), 1
    scale = rng.uniform(0.9, 1.1, (count, 1, 1))
    shift = rng.normal(size=(count, 1, 3)) * 0.01
    return (points - mean) @ turn * scale + mean + shift + rng.normal(size=points.shape) * noise
