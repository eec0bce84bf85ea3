"""The contract of a prediction filter, and what it sees of a hand.

A filter runs once a frame, in the order of time, on one hand; a video with two hands has two
filters. It sees the present and the past alone, so that it serves a live camera as well as a film.
``handzoo.testing.conformance_checks('prediction_filter')`` holds a class against this page.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class HandState:
    """One hand in one frame, always as a right hand: of a left one, the mirror image.

    The camera is that of the whole picture and not of the crop: boxes move from frame to frame,
    and a crop's camera jumps with them while the hand does not.

    Attributes:
        joints: (21, 3) metres, relative to the wrist; x right, y down, z forward.
        vertices: (778, 3) likewise.
        camera: (3,) weak perspective (s, u, v) in the picture: a point X lands at
            ``s * X[:2] + (u, v)`` from the picture's middle, in halves of its longer side. s is
            positive, in 1/metres. (u, v) is where the wrist is.
    """

    joints: np.ndarray
    vertices: np.ndarray
    camera: np.ndarray

    def is_finite(self) -> bool:
        """Whether every number is finite and the scale positive."""
        arrays = (self.joints, self.vertices, self.camera)
        return bool(all(np.isfinite(array).all() for array in arrays) and self.camera[0] > 0)


class PredictionFilter(ABC):
    """Refines the predictions of one hand, frame by frame.

    Context: ``topology`` (:class:`~handzoo.hands.topology.HandTopology`) for a constructor that
    names it. A filter must be copyable (``copy.deepcopy``): each hand of a video gets a copy.

    - Causal: what is returned at time t depends on frames up to t alone.
    - A hand that does not change is returned unchanged.
    - After :meth:`reset`, nothing of earlier frames is left.

    Attributes:
        source: where the filter is described.
    """

    source: ClassVar[str] = ""

    @abstractmethod
    def reset(self) -> None:
        """Forget every frame: a new video, or another hand."""

    @abstractmethod
    def __call__(self, hand: HandState, timestamp: float) -> HandState:
        """Return the refined hand, with the shapes and dtypes of ``hand``, which stays as it is.

        Args:
            hand: finite; see :meth:`HandState.is_finite`.
            timestamp: seconds, growing from call to call; steps need not be equal.
        """
