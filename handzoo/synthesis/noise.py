"""Value noise in two and three dimensions, the raw material of skin, cloth and scenery.

The 2D functions paint backgrounds (numpy); :class:`SolidNoise` is evaluated at surface points
(torch), so that a pattern sticks to the skin instead of swimming over the screen.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor


def fractal_noise(
    size: tuple[int, int],
    rng: np.random.Generator,
    cells: float = 4.0,
    octaves: int = 4,
    gain: float = 0.5,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Sum of ever finer smooth random grids, normalised to zero mean and unit deviation.

    Args:
        size: (height, width) in pixels.
        rng: source of randomness.
        cells: number of grid cells across the image in the coarsest octave.
        octaves: number of grids, each twice as fine and ``gain`` times as strong as the last.
        stretch: (vertical, horizontal) factors on ``cells``: unequal ones give grain and streaks.

    Returns:
        float32 array of shape ``size``.
    """
    height, width = size
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        rows = max(int(round(cells * stretch[0] * 2**octave)), 1) + 3
        columns = max(int(round(cells * stretch[1] * 2**octave)), 1) + 3
        grid = rng.standard_normal((min(rows, height), min(columns, width))).astype(np.float32)
        layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        total += gain**octave * layer
    return (total - total.mean()) / (total.std() + 1e-6)


class SolidNoise:
    """Periodic 3D value noise with several independent channels.

    Args:
        generator: torch generator that fills the lattice (one per hand gives each its own skin).
        channels: number of values a lattice point carries.
        period: lattice points along an axis before the pattern repeats.
        device: where the points to be evaluated live.
    """

    def __init__(
        self,
        generator: torch.Generator,
        channels: int = 4,
        period: int = 32,
        device: torch.device | str = "cpu",
    ) -> None:
        lattice = torch.rand((period**3, channels), generator=generator) * 2 - 1
        self.lattice = lattice.to(device)
        self.period = period

    def __call__(self, points: Tensor, frequency: float) -> Tensor:
        """Noise in [-1, 1] at ``points`` (N, 3) m; ``frequency`` in lattice cells per metre.

        Returns:
            (N, channels).
        """
        scaled = points * frequency
        cell = scaled.floor()
        fraction = scaled - cell
        fraction = fraction * fraction * (3 - 2 * fraction)
        cell = cell.long()
        value = torch.zeros((len(points), self.lattice.shape[1]), device=points.device)
        for corner in range(8):
            offset = torch.tensor([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
            offset = offset.to(points.device)
            index = (cell + offset) % self.period
            flat = (index[:, 0] * self.period + index[:, 1]) * self.period + index[:, 2]
            weight = torch.where(offset.bool(), fraction, 1 - fraction).prod(dim=1, keepdim=True)
            value = value + weight * self.lattice[flat]
        return value

    def fractal(self, points: Tensor, frequency: float, octaves: int = 3) -> Tensor:
        """Sum of octaves of the noise, each twice as fine and half as strong: (N, channels)."""
        total = self(points, frequency)
        for octave in range(1, octaves):
            # The shift keeps the lattices of the octaves from lining up at the origin.
            total = total + self(points + 0.137 * octave, frequency * 2**octave) / 2**octave
        return total
