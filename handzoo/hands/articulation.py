"""Anatomical angles to axis-angle poses of the bundled hand, and poses drawn within its limits.

A joint turns by ``R = R_abduction @ R_flexion @ R_twist`` about axes that are fixed at rest in the
model frame, as MANO's poses are. Positive flexion bends towards the palm, positive abduction turns
towards the thumb side, positive twist turns about the axis that points to the finger tip.
Joints are in MANO's order without the wrist: index, middle, little, ring, thumb, three each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from scipy.spatial.transform import Rotation

from handzoo.hands.conventions import MANO_PARENTS

ASSET = "bundled_hand.npz"


@dataclass(frozen=True)
class Articulation:
    """Axes (15,3) at rest and limits (15,3,2) rad for (flexion, abduction, twist)."""

    flex_axes: np.ndarray
    abd_axes: np.ndarray
    twist_axes: np.ndarray
    limits: np.ndarray

    def compose(self, flexion: np.ndarray, abduction: np.ndarray, twist: np.ndarray) -> np.ndarray:
        """Axis-angle pose (45,) of angles (15,) each in radians."""
        turn = (
            Rotation.from_rotvec(np.asarray(abduction)[:, None] * self.abd_axes)
            * Rotation.from_rotvec(np.asarray(flexion)[:, None] * self.flex_axes)
            * Rotation.from_rotvec(np.asarray(twist)[:, None] * self.twist_axes)
        )
        return turn.as_rotvec().reshape(45)

    def decompose(self, pose: np.ndarray) -> np.ndarray:
        """Angles (15,3) = (flexion, abduction, twist) in radians of an axis-angle pose (45,)."""
        turns = Rotation.from_rotvec(np.asarray(pose, dtype=float).reshape(15, 3)).as_matrix()
        # (abduction, flexion, -twist) is a right-handed frame.
        frames = np.stack([self.abd_axes, self.flex_axes, -self.twist_axes], axis=1)
        angles = np.zeros((15, 3))
        for joint in range(15):
            # The stored axes are float32; the formula below wants an exact rotation.
            left, _, right = np.linalg.svd(frames[joint])
            frame = left @ right
            local = frame @ turns[joint] @ frame.T
            # Beyond 90 degrees of flexion the arc sine is on its other branch.
            sign = -1.0 if local[2, 2] < 0 else 1.0
            flexion = np.arcsin(np.clip(local[0, 2], -1.0, 1.0))
            angles[joint, 0] = flexion if sign > 0 else np.pi - flexion
            angles[joint, 1] = np.arctan2(-sign * local[1, 2], sign * local[2, 2])
            angles[joint, 2] = -np.arctan2(-sign * local[0, 1], sign * local[0, 0])
        return angles


def load_asset() -> dict[str, np.ndarray]:
    """Arrays of the bundled hand model, as shipped."""
    return dict(_asset())


@lru_cache(maxsize=1)
def _asset() -> dict[str, np.ndarray]:
    source = files("handzoo").joinpath("assets", "hand", ASSET)
    with source.open("rb") as stream, np.load(stream) as archive:
        return {name: archive[name] for name in archive.files}


@lru_cache(maxsize=1)
def bundled_articulation() -> Articulation:
    """Axes and limits of the bundled hand."""
    asset = _asset()
    return Articulation(*(asset[name].astype(float) for name in
                          ("flex_axes", "abd_axes", "twist_axes", "joint_limits")))  # fmt: skip


def compose_pose(
    flexion: np.ndarray, abduction: np.ndarray | None = None, twist: np.ndarray | None = None
) -> np.ndarray:
    """Pose (45,) axis-angle of the bundled hand from angles (15,) in radians.

    The result is absolute: subtract ``hands_mean`` for a hand model that adds it.
    """
    zero = np.zeros(15)
    return bundled_articulation().compose(
        flexion, zero if abduction is None else abduction, zero if twist is None else twist
    )


def pose_bundled_hand(
    pose: np.ndarray, orientation: np.ndarray | None = None, shape: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Skin the bundled hand in numpy: vertices (778,3) and joints (21,3), model frame, metres.

    Args:
        pose: absolute axis-angle (45,). orientation: axis-angle (3,) of the wrist.
        shape: coefficients (10,).

    Joints are in HandZoo's order, tips taken from the mesh. This is the plain reference; models
    and training use :mod:`handzoo.hands.models`.
    """
    from handzoo.hands.conventions import MANO_TO_JOINTS

    asset = _asset()
    vertices = asset["v_template"].astype(float)
    if shape is not None:
        vertices = vertices + asset["shapedirs"] @ np.asarray(shape, dtype=float)
    joints = asset["J_regressor"].astype(float) @ vertices
    local = np.concatenate([np.zeros((1, 3)), np.asarray(pose, dtype=float).reshape(15, 3)])
    if orientation is not None:
        local[0] = orientation
    turns = Rotation.from_rotvec(local).as_matrix()
    vertices = vertices + asset["posedirs"] @ (turns[1:] - np.eye(3)).reshape(135)
    spin, position = np.zeros((16, 3, 3)), np.zeros((16, 3))
    for joint, parent in enumerate(MANO_PARENTS):
        if parent < 0:
            spin[joint], position[joint] = turns[joint], joints[joint]
        else:
            spin[joint] = spin[parent] @ turns[joint]
            position[joint] = position[parent] + spin[parent] @ (joints[joint] - joints[parent])
    moved = np.einsum("jab,vjb->vja", spin, vertices[:, None] - joints[None]) + position
    skinned = (asset["weights"][..., None] * moved).sum(1)
    points = np.concatenate([position, skinned[asset["tip_vertices"]]])
    return skinned, points[list(MANO_TO_JOINTS)]


# Bones (20) as pairs of the 21 joints, half thickness of the flesh around each, metres.
_BONE_RADII = np.array([
    (0.0110, 0.0095, 0.0085), (0.0085, 0.0075, 0.0066), (0.0085, 0.0076, 0.0067),
    (0.0081, 0.0072, 0.0064), (0.0072, 0.0064, 0.0057),
])  # fmt: skip
_PALM_RADIUS = 0.0105


def skeleton(pose: np.ndarray) -> np.ndarray:
    """Joints (21,3) of the bundled hand for an absolute pose (45,), wrist upright, metres.

    Bones only, no skin: the tip follows the last bone.
    """
    asset = _asset()
    rest = asset["J"].astype(float)
    tips = asset["v_template"][asset["tip_vertices"]].astype(float)
    turns = Rotation.from_rotvec(np.asarray(pose, dtype=float).reshape(15, 3)).as_matrix()
    joints = np.zeros((21, 3))
    joints[0] = rest[0]
    for digit, first in enumerate((13, 1, 4, 10, 7)):
        spin, position = np.eye(3), rest[first]
        for bone in range(3):
            joints[1 + 4 * digit + bone] = position
            spin = spin @ turns[first - 1 + bone]
            end = tips[digit] if bone == 2 else rest[first + bone + 1]
            position = position + spin @ (end - rest[first + bone])
        joints[4 + 4 * digit] = position
    return joints


def _segment_distance(p: np.ndarray, q: np.ndarray, r: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Distance (N,M) between segments p-q (N,3) and r-s (M,3), by alternating projection."""
    first, second = (q - p)[:, None], (s - r)[None]
    start = p[:, None] - r[None]
    a = np.maximum((first**2).sum(-1), 1e-12)
    e = np.maximum((second**2).sum(-1), 1e-12)
    b, c, d = (first * second).sum(-1), (first * start).sum(-1), (second * start).sum(-1)
    denominator = np.maximum(a * e - b * b, 1e-12)
    u = np.clip((b * d - c * e) / denominator, 0.0, 1.0)
    v = np.clip((b * u + d) / e, 0.0, 1.0)
    u = np.clip((b * v - c) / a, 0.0, 1.0)
    return np.linalg.norm(start + u[..., None] * first - v[..., None] * second, axis=-1)


def collision_depth(pose: np.ndarray) -> float:
    """How deep, in metres, digits press into each other or the palm; 0 for a free pose.

    Bones are capsules, the palm a sheet of capsules from the wrist to the knuckles. A few
    millimetres are flesh that gives way.
    """
    joints = skeleton(pose)
    chains = np.array([[1 + 4 * d + k for k in range(4)] for d in range(5)])
    starts, ends = joints[chains[:, :-1]], joints[chains[:, 1:]]
    deepest = 0.0
    for one in range(5):
        for two in range(one + 1, 5):
            first, second = starts[one].copy(), starts[two].copy()
            if one > 0 and two == one + 1:
                # Neighbouring fingers share flesh up to the web, half way along the first bone.
                first[0] = 0.5 * (starts[one][0] + ends[one][0])
                second[0] = 0.5 * (starts[two][0] + ends[two][0])
            gap = _segment_distance(first, ends[one], second, ends[two])
            limit = _BONE_RADII[one][:, None] + _BONE_RADII[two][None]
            deepest = max(deepest, float((limit - gap).max()))
    knuckles = joints[[5, 9, 13, 17]]
    rays = np.concatenate([knuckles, 0.5 * (knuckles[1:] + knuckles[:-1])])
    roots = joints[0] + np.array([-0.012, 0.0, 0.25]) * (rays - joints[0]) * [0, 0, 1.0]
    for digit in range(5):
        outer = slice(1, 3) if digit else slice(2, 3)
        gap = _segment_distance(starts[digit][outer], ends[digit][outer], roots, rays)
        limit = _BONE_RADII[digit][outer][:, None] + _PALM_RADIUS
        deepest = max(deepest, float((limit - gap).max()))
    return max(deepest, 0.0)


def random_pose(
    rng: np.random.Generator, spread: float = 1.0, max_depth: float = 0.004, tries: int = 60
) -> np.ndarray:
    """A natural pose (45,), absolute axis-angle, within the joint limits and free of collisions.

    Fingers bend together as tendons make them: one curl for the hand plus one for each finger, the
    end joint following the middle joint. Poses in which digits run into each other by more than
    ``max_depth`` metres are drawn again; after ``tries`` draws the freest one is returned.

    Args:
        rng: the only source of randomness. spread: 0 (hand nearly at rest) to 1 (full range).
    """
    hand = bundled_articulation()
    best, best_depth = np.zeros(45), np.inf
    for _ in range(tries):
        flexion, abduction, twist = _random_angles(rng, spread)
        angles = np.stack([flexion, abduction, twist], axis=1)
        angles = np.clip(angles, hand.limits[..., 0], hand.limits[..., 1])
        pose = hand.compose(*angles.T)
        depth = collision_depth(pose)
        if depth < best_depth:
            best, best_depth = pose, depth
        if depth <= max_depth:
            break
    return best


def _random_angles(
    rng: np.random.Generator, spread: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    flexion, abduction, twist = np.zeros(15), np.zeros(15), np.zeros(15)
    common = rng.beta(0.8, 1.0) * spread
    fan = rng.normal(0.0, 1.0)
    for finger, outward in ((0, 1.0), (1, 0.15), (3, -0.8), (2, -1.3)):
        base = 3 * finger
        curl = common if rng.random() < 0.55 else rng.beta(0.6, 0.6) * spread
        curl = float(np.clip(curl + rng.normal(0, 0.06), 0, 1))
        flexion[base] = np.radians(rng.normal(-4, 5) + curl * rng.uniform(35, 88))
        flexion[base + 1] = np.radians(rng.normal(4, 4) + curl * rng.uniform(60, 100))
        flexion[base + 2] = flexion[base + 1] * rng.uniform(0.45, 0.7)
        # Spread fingers close by themselves as the knuckles bend.
        side = 4.0 * fan * outward + rng.normal(0, 2.5)
        abduction[base] = np.radians(side) * (1 - 0.8 * curl)
    flexion[12:] = np.radians(rng.uniform([-12, -5, -8], [32, 45, 60])) * (0.3 + 0.7 * spread)
    abduction[12] = np.radians(rng.uniform(-22, 28)) * (0.3 + 0.7 * spread)
    twist[12] = 0.55 * flexion[12] + np.radians(rng.normal(0, 5))
    return flexion, abduction, twist
