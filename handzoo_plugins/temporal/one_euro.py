"""The One-Euro filter on joints, mesh and camera.

A first-order low-pass filter whose cut-off frequency grows with speed: a still hand does not
tremble, a fast one does not lag. Source: Casiez, Roussel, Vogel, "1 Euro Filter: A Simple
Speed-based Low-pass Filter for Noisy Input in Interactive Systems", CHI 2012, algorithm 1.
"""

from __future__ import annotations

import numpy as np

from handzoo.apis.filters import HandState, PredictionFilter
from handzoo.errors import ConfigError, suggest
from handzoo.registry import current_key_path

SPEEDS = ("coordinate", "point", "hand")


def smoothing_factor(cutoff: float | np.ndarray, dt: float) -> float | np.ndarray:
    """alpha = 1 / (1 + tau / dt) with tau = 1 / (2 pi cutoff).

    Args:
        cutoff: Hz. dt: seconds since the last frame.
    """
    return 1.0 / (1.0 + 1.0 / (2.0 * np.pi * cutoff * dt))


class Signal:
    """A vector signal under the filter.

    Args:
        min_cutoff: Hz, at rest.
        beta: Hz for one unit of speed.
        d_cutoff: Hz, of the low-pass filter on the derivative.
    """

    def __init__(self, min_cutoff: float, beta: float, d_cutoff: float) -> None:
        self.min_cutoff, self.beta, self.d_cutoff = min_cutoff, beta, d_cutoff
        self.value: np.ndarray | None = None
        self.slope: np.ndarray | None = None

    def reset(self) -> None:
        """Forget the past."""
        self.value = self.slope = None

    def derivative(self, x: np.ndarray, dt: float) -> np.ndarray:
        """The smoothed derivative at a new value: of the step from the last filtered one."""
        if self.value is None:
            self.value, self.slope = x, np.zeros_like(x)
        alpha = smoothing_factor(self.d_cutoff, dt)
        self.slope = self.slope + alpha * ((x - self.value) / dt - self.slope)
        return self.slope

    def follow(self, x: np.ndarray, speed: float | np.ndarray, dt: float) -> np.ndarray:
        """Move towards a new value as fast as ``speed`` (broadcast over ``x``) asks for."""
        alpha = smoothing_factor(self.min_cutoff + self.beta * speed, dt)
        self.value = self.value + alpha * (x - self.value)
        return self.value


class OneEuro(PredictionFilter):
    """One-Euro filter on joints and vertices in metres, and on the camera.

    The camera is filtered as (log s, u, v), each number by its own speed: the logarithm makes a
    hand that comes closer by a tenth as fast near the lens as far from it.

    Args:
        min_cutoff: Hz, of joints and vertices at rest; lower trembles less and lags more.
        beta: Hz for 1 m/s; higher lags less in fast motion.
        d_cutoff: Hz, of the low-pass filter on speeds.
        speed: whose speed sets the cut-off: of each ``coordinate`` (the paper), of each ``point``
            (does not depend on the axes), or of the ``hand`` (mean over the joints; mesh and joints
            then move as one and stay consistent).
        camera_min_cutoff: Hz, of the camera at rest.
        camera_beta: Hz for 1/s of log s, or half a picture's side in a second.

    Raises:
        ConfigError: ``speed`` is none of these, or a frequency is not positive.
    """

    source = "Casiez et al., CHI 2012, algorithm 1"

    def __init__(
        self,
        min_cutoff: float = 1.0,
        beta: float = 10.0,
        d_cutoff: float = 1.0,
        speed: str = "point",
        camera_min_cutoff: float = 1.5,
        camera_beta: float = 40.0,
    ) -> None:
        if speed not in SPEEDS:
            raise ConfigError(
                f"{current_key_path('speed')}: {speed!r} is not one of {', '.join(SPEEDS)}. "
                f"{suggest(speed, SPEEDS)}"
            )
        positive = {
            "min_cutoff": min_cutoff,
            "d_cutoff": d_cutoff,
            "camera_min_cutoff": camera_min_cutoff,
        }
        for name, value in positive.items():
            if not value > 0:
                raise ConfigError(f"{current_key_path(name)}: {value} is no positive frequency.")
        self.speed = speed
        self.joints = Signal(min_cutoff, beta, d_cutoff)
        self.vertices = Signal(min_cutoff, beta, d_cutoff)
        self.camera = Signal(camera_min_cutoff, camera_beta, d_cutoff)
        self.time: float | None = None

    def reset(self) -> None:
        """Forget every frame."""
        self.time = None
        for signal in (self.joints, self.vertices, self.camera):
            signal.reset()

    def __call__(self, hand: HandState, timestamp: float) -> HandState:
        """Filter the hand of one frame; the first frame passes as it is."""
        # Nothing depends on the first frame's step, which has no predecessor.
        dt = 1.0 if self.time is None else max(timestamp - self.time, 1e-6)
        self.time = timestamp
        joints, vertices = hand.joints.astype(np.float64), hand.vertices.astype(np.float64)
        camera = hand.camera.astype(np.float64)
        camera[0] = np.log(camera[0])

        slopes = self.joints.derivative(joints, dt), self.vertices.derivative(vertices, dt)
        speeds = [self._speed(slope) for slope in slopes]
        if self.speed == "hand":
            speeds = [np.linalg.norm(slopes[0], axis=-1).mean()] * 2
        joints = self.joints.follow(joints, speeds[0], dt)
        vertices = self.vertices.follow(vertices, speeds[1], dt)
        camera = self.camera.follow(camera, np.abs(self.camera.derivative(camera, dt)), dt).copy()
        camera[0] = np.exp(camera[0])
        return HandState(
            joints.astype(hand.joints.dtype),
            vertices.astype(hand.vertices.dtype),
            camera.astype(hand.camera.dtype),
        )

    def _speed(self, slope: np.ndarray) -> np.ndarray:
        if self.speed == "coordinate":
            return np.abs(slope)
        return np.linalg.norm(slope, axis=-1, keepdims=True)
