"""Ranges of motion and the relaxed pose of the bundled hand, in degrees as clinics list them."""

from __future__ import annotations

import numpy as np

from handzoo.hands.generation.anatomy import FIRST_JOINT

_FINGER_LIMITS = (
    ((-25, 92), (-16, 16), (-5, 5)),
    ((-6, 108), (-2, 2), (-2, 2)),
    ((-8, 80), (-1, 1), (-1, 1)),
)
_THUMB_LIMITS = (
    ((-25, 45), (-30, 40), (-25, 35)),
    ((-15, 62), (-10, 10), (-8, 8)),
    ((-20, 82), (-1, 1), (-1, 1)),
)
# Flexion of MCP, PIP, DIP (thumb: CMC, MCP, IP) in a hand at rest, and abduction of the first.
_RELAXED = {
    "index": ((14, 22, 10), -1), "middle": (((18, 28, 13)), 0), "ring": ((21, 30, 14), 1),
    "little": ((22, 28, 13), 3), "thumb": ((8, 12, 14), -6),
}  # fmt: skip


def joint_limits() -> np.ndarray:
    """(15,3,2) radians: for each joint but the wrist the range of (flexion, abduction, twist)."""
    limits = np.zeros((15, 3, 2))
    for name, first in FIRST_JOINT.items():
        source = _THUMB_LIMITS if name == "thumb" else _FINGER_LIMITS
        limits[first - 1 : first + 2] = np.radians(source)
    return limits


def relaxed_angles() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flexion, abduction and twist, each (15,) radians, of the natural relaxed hand."""
    flexion, abduction = np.zeros(15), np.zeros(15)
    for name, first in FIRST_JOINT.items():
        flexion[first - 1 : first + 2] = np.radians(_RELAXED[name][0])
        abduction[first - 1] = np.radians(_RELAXED[name][1])
    return flexion, abduction, np.zeros(15)
