"""The nineteen hand gestures of HaGRID v1 as poses and 21x3 templates of the bundled hand.

Class names and their order are HaGRID's (Kapitanov et al., 2022). Poses are written in clinical
angles. Orientations are those of a person who shows the right hand to a camera (x right, y down,
z forward): fingers up and palm to the camera unless the class says otherwise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from handzoo.errors import ConfigError, suggest
from handzoo.hands.articulation import compose_pose, pose_bundled_hand

GESTURES: tuple[str, ...] = (
    "call", "dislike", "fist", "four", "like", "mute", "ok", "one", "palm", "peace", "rock",
    "stop", "stop_inverted", "three", "two_up", "two_up_inverted", "three2", "peace_inverted",
    "no_gesture",
)  # fmt: skip

_DIGITS = {"index": 0, "middle": 3, "little": 6, "ring": 9, "thumb": 12}

# (flexion of the three joints, abduction[, twist]) of a digit, degrees.
_Angles = tuple[tuple[float, float, float], float] | tuple[tuple[float, float, float], float, float]
_STRAIGHT: _Angles = ((0, 2, 1), 0)
_THUMB_OVER: _Angles = ((26, 30, 60), 26, -4)
_THUMB_ACROSS: _Angles = ((33, 29, 62), 35, -12)
_THUMB_FAR: _Angles = ((43, 27, 60), 38, -2)
_THUMB_OUT: _Angles = ((-8, -4, -6), 16)
_FIST: dict[str, _Angles] = {
    "index": ((85, 103, 58), -1.5), "middle": ((87, 104, 62), 0), "ring": ((86, 103, 58), 2.0),
    "little": ((82, 95, 48), 6), "thumb": _THUMB_OVER,
}  # fmt: skip
_OPEN: dict[str, _Angles] = {
    "index": ((-4, 3, 2), 3), "middle": ((-2, 3, 2), 0), "ring": ((-2, 4, 2), -2),
    "little": ((-3, 6, 3), -4), "thumb": ((-8, 0, -2), 6),
}  # fmt: skip
_TOGETHER: dict[str, _Angles] = {
    "index": ((0, 2, 1), -4.0), "middle": ((0, 2, 1), -0.4), "ring": ((0, 2, 1), 4.0),
    "little": ((2, 3, 2), 9.5), "thumb": ((2, 6, 4), -22),
}  # fmt: skip
_TWO: dict[str, _Angles] = {**_FIST, "index": ((0, 2, 1), -4.2), "middle": ((0, 2, 1), 0.2),
                            "thumb": _THUMB_FAR}  # fmt: skip
_PEACE: dict[str, _Angles] = {**_FIST, "index": ((-2, 3, 1), 9), "middle": ((-2, 3, 1), -7),
                              "thumb": _THUMB_FAR}  # fmt: skip

_POSES: dict[str, dict[str, _Angles]] = {
    "call": {**_FIST, "little": ((-4, 6, 4), -8), "thumb": _THUMB_OUT},
    "dislike": {**_FIST, "thumb": ((-14, -6, -10), 2)},
    "fist": _FIST,
    "four": {**_OPEN, "thumb": ((40, 38, 44), 10, 14)},
    "like": {**_FIST, "thumb": ((-14, -6, -10), 2)},
    "mute": {**_FIST, "index": ((2, 4, 2), 0), "thumb": _THUMB_ACROSS},
    "ok": {"index": ((44, 58, 34), -3), "middle": ((20, 18, 8), 0), "ring": ((10, 12, 6), 0),
           "little": ((2, 8, 4), -2), "thumb": ((24, 16, 36), 4, 24)},
    "one": {**_FIST, "index": _STRAIGHT, "thumb": _THUMB_ACROSS},
    "palm": _OPEN,
    "peace": _PEACE,
    "rock": {**_FIST, "index": ((0, 3, 2), 2), "little": ((0, 5, 3), -5),
             "thumb": _THUMB_ACROSS},
    "stop": _TOGETHER,
    "stop_inverted": _TOGETHER,
    "three": {**_OPEN, "index": ((0, 3, 2), 4), "ring": ((4, 6, 3), -4),
              "little": ((76, 92, 48), 8), "thumb": ((44, 36, 46), 26, 4)},
    "two_up": _TWO,
    "two_up_inverted": _TWO,
    "three2": {**_FIST, "index": ((-2, 3, 1), 5), "middle": ((-2, 3, 1), -6),
               "thumb": _THUMB_OUT},
    "peace_inverted": _PEACE,
    "no_gesture": {"index": ((14, 22, 10), -1), "middle": ((18, 28, 13), 0),
                   "ring": ((21, 30, 14), 1), "little": ((22, 28, 13), 3),
                   "thumb": ((8, 12, 14), -6)},
}  # fmt: skip

# Model frame (fingers -x, palm -y, thumb +z) to an upright hand whose palm faces the camera.
_UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
# (yaw, pitch, roll) in degrees about the camera's y, x and z axes, applied to the upright hand.
_VIEWS: dict[str, tuple[float, float, float]] = {
    "call": (-15, 5, -35), "dislike": (15, 8, 105), "fist": (-8, 6, 4), "like": (205, -5, 80),
    "mute": (-38, 0, 4), "ok": (-22, 4, 2), "one": (-8, 4, 2), "palm": (-4, 4, 0),
    "peace": (-6, 4, 2), "stop_inverted": (176, 0, 2), "two_up_inverted": (174, 0, 2),
    "peace_inverted": (174, 0, 2), "three2": (-8, 4, -6), "no_gesture": (-40, 10, 20),
}  # fmt: skip


class GesturePose(NamedTuple):
    """Axis-angle of one gesture: ``articulation`` (45,), absolute; ``orientation`` (3,) of the
    wrist in the camera frame."""

    articulation: np.ndarray
    orientation: np.ndarray


def gesture_angles(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flexion, abduction and twist, each (15,) radians, of a gesture.

    Raises:
        ConfigError: the name is none of :data:`GESTURES`.
    """
    if name not in _POSES:
        hint = suggest(name, GESTURES)
        raise ConfigError(f"Unknown gesture {name!r}. {hint} Known: {', '.join(GESTURES)}.")
    angles = np.zeros((3, 15))
    for digit, first in _DIGITS.items():
        flexion, abduction, *twist = _POSES[name][digit]
        angles[0, first : first + 3] = np.radians(flexion)
        angles[1, first] = np.radians(abduction)
        angles[2, first] = np.radians(twist[0]) if twist else 0.0
    return angles[0], angles[1], angles[2]


def gesture_pose(name: str) -> GesturePose:
    """Pose of a gesture on the bundled hand and how a person holds it up to a camera."""
    yaw, pitch, roll = np.radians(_VIEWS.get(name, (0.0, 0.0, 0.0)))
    articulation = compose_pose(*gesture_angles(name))
    turn = (Rotation.from_rotvec([0, 0, roll]) * Rotation.from_rotvec([pitch, 0, 0])
            * Rotation.from_rotvec([0, yaw, 0]) * Rotation.from_matrix(_UPRIGHT))  # fmt: skip
    return GesturePose(articulation, turn.as_rotvec())


@lru_cache(maxsize=1)
def _templates() -> np.ndarray:
    joints = np.stack([pose_bundled_hand(*gesture_pose(name))[1] for name in GESTURES])
    joints = (joints - joints[:, :1]).astype(np.float32)
    joints.setflags(write=False)
    return joints


def gesture_templates() -> np.ndarray:
    """Joints (19,21,3) of all gestures, float32 metres, relative to the wrist, camera frame."""
    return _templates().copy()
