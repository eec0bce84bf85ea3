"""Bones, joints and soft tissue of the bundled right hand: every number that is anatomy.

Lengths are those of an average adult hand (metacarpals and phalanges as hand surgery and
ergonomics textbooks list them). The model frame is MANO's: fingers along -x, back of the hand
+y, thumb side +z, so that a right hand lies palm down. Everything here is in millimetres; the
assembled asset is in metres.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

FINGER_ORDER = ("index", "middle", "ring", "little")
# Row of each finger's first joint in MANO's order (wrist, index, middle, little, ring, thumb).
FIRST_JOINT = {"index": 1, "middle": 4, "little": 7, "ring": 10, "thumb": 13}

WRIST = np.array([95.0, 0.0, 0.0])
WRIST_CUT = 14.0  # the mesh ends this far behind the wrist joint
DORSAL = np.array([0.0, 1.0, 0.0])

# Knuckle (MCP), base of the metacarpal, direction in the plan (degrees of spread towards the
# thumb) and pitch towards the palm, phalanges to PIP, DIP and tip, overall girth of the finger.
_KNUCKLE = {
    "index": (6.0, -0.5, 24.6), "middle": (3.5, 2.2, 4.2),
    "ring": (9.5, 0.8, -15.4), "little": (18.5, -3.0, -32.6),
}  # fmt: skip
_CARPUS = {
    "index": (82.0, 0.5, 13.0), "middle": (82.0, 2.0, 4.0),
    "ring": (82.0, 1.5, -6.0), "little": (81.0, -1.0, -15.0),
}  # fmt: skip
_SPREAD = {"index": 5.0, "middle": 0.5, "ring": -4.2, "little": -10.5}
_PITCH = {"index": 3.0, "middle": 3.0, "ring": 4.0, "little": 5.0}
_PHALANGES = {
    "index": (42.0, 24.5, 23.0), "middle": (46.0, 28.5, 24.0),
    "ring": (42.5, 26.5, 24.0), "little": (33.5, 19.5, 21.5),
}  # fmt: skip
_GIRTH = {"index": 0.99, "middle": 1.0, "ring": 0.95, "little": 0.84}
# Distance from the knuckle to the web, where the free part of the finger begins.
_WEB = {"index": 20.0, "middle": 21.5, "ring": 20.0, "little": 15.5}

_THUMB_CMC = np.array([73.0, -8.0, 23.0])
_THUMB_LENGTHS = (43.0, 31.5, 28.0)
_THUMB_DIRECTIONS = ((-0.66, -0.25, 0.71), (-0.73, -0.17, 0.66), (-0.80, -0.11, 0.59))
THUMB_ROLL = 62.0  # degrees by which the thumb's nail faces away from the back of the hand


@dataclass(frozen=True)
class ShapeParameters:
    """Ten anatomical variations in standard deviations; all zero is the template.

    They become the ten columns of ``shapedirs`` in this order.
    """

    size: float = 0.0
    finger_length: float = 0.0
    palm_width: float = 0.0
    girth: float = 0.0
    thumb_length: float = 0.0
    palm_length: float = 0.0
    taper: float = 0.0
    ring_over_index: float = 0.0
    palm_fullness: float = 0.0
    knuckles: float = 0.0

    @classmethod
    def unit(cls, index: int, value: float = 1.0) -> ShapeParameters:
        """The parameters with only the ``index``-th one set to ``value``."""
        return cls(**{SHAPE_NAMES[index]: value})


SHAPE_NAMES: tuple[str, ...] = tuple(field.name for field in fields(ShapeParameters))


@dataclass(frozen=True)
class Finger:
    """One digit at rest: joints (3,3), tip (3,) and per-bone frames, in millimetres.

    ``forward``, ``dorsal`` and ``radial`` (3,3) hold a row for each bone; they are orthonormal and
    ``radial = dorsal x forward``, so a rotation about ``radial`` by a positive angle flexes.
    """

    name: str
    joints: np.ndarray
    tip: np.ndarray
    forward: np.ndarray
    dorsal: np.ndarray
    radial: np.ndarray
    lengths: np.ndarray
    girth: float
    web: float

    @property
    def is_thumb(self) -> bool:
        """Whether this digit is the thumb."""
        return self.name == "thumb"

    def point(self, t: float, bone: int = 0) -> np.ndarray:
        """Point (3,) on the axis, ``t`` mm from the base of ``bone``."""
        return self.joints[bone] + t * self.forward[bone]


@dataclass(frozen=True)
class Anatomy:
    """All digits, the carpal ends of the metacarpals, and the tissue's parameters."""

    fingers: dict[str, Finger]
    carpus: dict[str, np.ndarray]
    wrist: np.ndarray
    cut: float
    width: float
    fullness: float
    taper: float
    knuckles: float
    girth: float

    def joints(self) -> np.ndarray:
        """The sixteen joints (16,3) in MANO's order, millimetres."""
        result = np.zeros((16, 3))
        result[0] = self.wrist
        for name, first in FIRST_JOINT.items():
            result[first : first + 3] = self.fingers[name].joints
        return result


def _frame(forward: np.ndarray, roll_degrees: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    forward = forward / np.linalg.norm(forward)
    upward = DORSAL - forward * (DORSAL @ forward)
    upward /= np.linalg.norm(upward)
    outward = np.cross(upward, forward)
    roll = np.radians(roll_degrees)
    dorsal = np.cos(roll) * upward + np.sin(roll) * outward
    return forward, dorsal, np.cross(dorsal, forward)


def _finger(name: str, base: np.ndarray, directions: np.ndarray, lengths: np.ndarray,
            roll: float, girth: float, web: float) -> Finger:  # fmt: skip
    frames = [_frame(direction, roll) for direction in directions]
    forward, dorsal, radial = (np.stack([frame[axis] for frame in frames]) for axis in range(3))
    points = [base]
    for direction, length in zip(forward, lengths, strict=True):
        points.append(points[-1] + direction * length)
    return Finger(name, np.stack(points[:3]), points[3], forward, dorsal, radial,
                  np.asarray(lengths, dtype=float), girth, web)  # fmt: skip


def build_anatomy(shape: ShapeParameters | None = None) -> Anatomy:
    """Place bones and joints for the given variation. Millimetres, MANO's frame.

    ``size`` is not applied here: it scales the finished surface about the wrist.
    """
    shape = shape or ShapeParameters()
    length = 1.0 + 0.05 * shape.finger_length
    width = 1.0 + 0.045 * shape.palm_width
    palm = 1.0 + 0.04 * shape.palm_length
    girth = 1.0 + 0.065 * shape.girth
    ratio = {"index": 1 - 0.03 * shape.ring_over_index, "ring": 1 + 0.03 * shape.ring_over_index,
             "middle": 1.0, "little": 1 + 0.02 * shape.ring_over_index}  # fmt: skip

    def in_palm(point: tuple[float, float, float] | np.ndarray) -> np.ndarray:
        offset = np.asarray(point, dtype=float) - WRIST
        return WRIST + offset * np.array([palm, 1.0, width])

    fingers = {}
    for name in FINGER_ORDER:
        spread, pitch = np.radians(_SPREAD[name]), np.radians(_PITCH[name])
        direction = np.array(
            [-np.cos(pitch) * np.cos(spread), -np.sin(pitch), np.cos(pitch) * np.sin(spread)]
        )
        scale = length * ratio[name]
        fingers[name] = _finger(
            name, in_palm(_KNUCKLE[name]), np.stack([direction] * 3),
            scale * np.array(_PHALANGES[name]), 0.0, _GIRTH[name] * girth, _WEB[name] * scale,
        )  # fmt: skip
    thumb_scale = 1.0 + 0.05 * shape.thumb_length + 0.3 * (length - 1.0)
    fingers["thumb"] = _finger(
        "thumb", in_palm(_THUMB_CMC), np.array(_THUMB_DIRECTIONS),
        thumb_scale * np.array(_THUMB_LENGTHS), THUMB_ROLL, girth, 0.0,
    )  # fmt: skip
    carpus = {name: in_palm(point) for name, point in _CARPUS.items()}
    return Anatomy(
        fingers, carpus, wrist=WRIST.copy(), cut=WRIST_CUT, width=width,
        fullness=1.0 + 0.14 * shape.palm_fullness, taper=shape.taper,
        knuckles=1.0 + 0.6 * shape.knuckles, girth=girth,
    )  # fmt: skip
