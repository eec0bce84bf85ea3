"""Finger poses, orientations and arms of synthetic hands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from handzoo.hands.articulation import bundled_articulation, collision_depth, random_pose
from handzoo.hands.gestures import GESTURES, gesture_pose

#: The name that HaGRID gives to hands that mean nothing.
NO_GESTURE = "no_gesture"
NAMED_GESTURES: tuple[str, ...] = tuple(name for name in GESTURES if name != NO_GESTURE)

# Rows of the 15 finger joints: (first, second, third) of thumb, index, middle, ring, little.
_CHAINS = ((12, 13, 14), (0, 1, 2), (3, 4, 5), (9, 10, 11), (6, 7, 8))


def _clip(angles: np.ndarray) -> np.ndarray:
    limits = bundled_articulation().limits
    return np.clip(angles, limits[..., 0], limits[..., 1])


def _compose(angles: np.ndarray) -> np.ndarray:
    return bundled_articulation().compose(*_clip(angles).T)


def _free_of_collision(draw: Callable[[], np.ndarray], allowed: float) -> np.ndarray:
    """The first of a few draws whose digits overlap by at most ``allowed`` m, else the freest."""
    best, least = None, np.inf
    for _ in range(12):
        pose = draw()
        depth = collision_depth(pose)
        if depth < least:
            best, least = pose, depth
        if depth <= allowed:
            break
    return best


def gesture_fingers(name: str, rng: np.random.Generator, jitter: float = 1.0) -> np.ndarray:
    """A person's own way of making a gesture: absolute finger pose (45,), axis-angle.

    Args:
        name: one of the gestures.
        jitter: 1 gives angles a deviation of about four degrees.
    """
    plain = gesture_pose(name).articulation
    angles = bundled_articulation().decompose(plain)

    def draw() -> np.ndarray:
        own = angles + jitter * np.array([0.07, 0.03, 0.01]) * rng.standard_normal((15, 3))
        # A hand as a whole is a little more open or closed than another.
        own[:, 0] += jitter * rng.normal(0, 0.04)
        return _compose(own)

    return _free_of_collision(draw, collision_depth(plain) + 0.002)


def free_fingers(rng: np.random.Generator) -> np.ndarray:
    """A hand between things: absolute finger pose (45,) within the joints' limits.

    A third of them are part of the way from one gesture to another, the others are free.
    """
    if rng.random() > 0.35:
        return random_pose(rng)
    hand = bundled_articulation()

    def draw() -> np.ndarray:
        first, second = rng.choice(len(NAMED_GESTURES), 2, replace=False)
        poses = [gesture_pose(NAMED_GESTURES[index]).articulation for index in (first, second)]
        share = rng.uniform(0.25, 0.75)
        mixed = (1 - share) * hand.decompose(poses[0]) + share * hand.decompose(poses[1])
        return _compose(mixed + np.array([0.10, 0.04, 0.01]) * rng.standard_normal((15, 3)))

    return _free_of_collision(draw, 0.004)


def grip_fingers(radius: float, rng: np.random.Generator) -> np.ndarray:
    """Fingers (45,) round a thing of ``radius`` metres that lies across the palm."""
    angles = np.zeros((15, 3))
    closed = float(np.clip(1.25 - radius / 0.05, 0.35, 1.0))
    for order, chain in enumerate(_CHAINS[1:]):
        own = closed * rng.uniform(0.92, 1.08)
        angles[chain[0]] = [0.95 * own, 0.05 * (1.5 - order), 0]
        angles[chain[1]] = [1.15 * own, 0, 0]
        angles[chain[2]] = [0.62 * own, 0, 0]
    angles[12] = [0.25, -0.25, 0.35]
    angles[13] = [0.35 * closed, 0, 0]
    angles[14] = [0.45 * closed, 0, 0]
    return _compose(angles)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Uniformly distributed rotation (3, 3)."""
    return Rotation.random(random_state=rng).as_matrix()


def tilt(rng: np.random.Generator, in_plane: float, out_of_plane: float) -> np.ndarray:
    """Rotation (3, 3) by normal angles: about the camera's axis, and about axes across it (rad)."""
    screen = Rotation.from_rotvec([0, 0, rng.normal(0, in_plane)])
    across = Rotation.from_rotvec([*rng.normal(0, out_of_plane, 2), 0])
    return (screen * across).as_matrix()


def sample_orientation(gesture: str, rest_axis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Orientation of the hand in the camera frame, (3, 3).

    A gesture is mostly shown upright to the camera; other hands come from everywhere. Orientations
    are drawn again while the arm would come out of the camera and hide the hand.
    """
    shown = gesture != NO_GESTURE and rng.random() < 0.7
    for _ in range(100):
        if shown:
            upright = Rotation.from_rotvec(gesture_pose(gesture).orientation).as_matrix()
            rotation = tilt(rng, 0.45, 0.33) @ upright
        else:
            rotation = random_rotation(rng)
        if (rotation @ rest_axis)[2] > -0.45:
            return rotation
    return rotation


def sample_arm(
    axis: np.ndarray, side: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (3,) of forearm and upper arm for a hand whose axis to the elbow is given.

    Args:
        axis: unit direction from hand to elbow without any bend of the wrist, camera frame.
        side: unit direction across the hand; the wrist flexes about it.
    """
    for _ in range(50):
        flexion = Rotation.from_rotvec(side * rng.normal(0, 0.38))
        deviation = Rotation.from_rotvec(np.cross(axis, side) * rng.normal(0, 0.16))
        forearm = (deviation * flexion).apply(axis)
        if forearm[2] > -0.4:
            break
    outwards = forearm[:2] / (np.linalg.norm(forearm[:2]) + 0.15)
    upper = np.array([*(1.2 * outwards), 0.2]) + np.array([rng.normal(0, 0.3), 0.5, 0.0])
    return forearm, upper / np.linalg.norm(upper)


def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Axis-angle (3,) of a rotation matrix (3, 3)."""
    return Rotation.from_matrix(rotation).as_rotvec()
