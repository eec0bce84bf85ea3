"""Pose correctives: what linear blend skinning loses at a bent joint, fitted as MANO's posedirs.

For each joint alone, over its range of motion, the wanted skin keeps its distance to the joint
(rotations are interpolated, not matrices) and flesh on the inside of a bend stops at the plane
that halves the angle instead of passing through it. The difference to skinning, pulled back into
the rest pose, is fitted linearly in ``R - I`` by least squares.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from handzoo.hands.conventions import MANO_PARENTS

_STRENGTH = 0.92
_KNUCKLE = 0.10
_RIDGE = 2e-2


def subtree_weights(weights: np.ndarray, joint: int) -> np.ndarray:
    """Weight (778,) of ``joint`` and all joints behind it."""
    members = [joint]
    for other in range(joint + 1, 16):
        if MANO_PARENTS[other] in members:
            members.append(other)
    return weights[:, members].sum(1)


def _samples(limits: np.ndarray) -> np.ndarray:
    """(flexion, abduction, twist) triples (S,3) in radians that cover a joint's range."""
    flexion = np.linspace(limits[0, 0], limits[0, 1], 9)
    triples = [(angle, side, 0.0) for angle in flexion for side in (0.0, *limits[1])]
    triples += [(angle, 0.0, turn) for angle in flexion[::4] for turn in limits[2]]
    return np.array(triples)


def wanted_skin(vertices: np.ndarray, weight: np.ndarray, center: np.ndarray, forward: np.ndarray,
                radius: float, turn: Rotation) -> np.ndarray:  # fmt: skip
    """Skin (778,3) that one joint's rotation should give: round bends, no flesh in flesh."""
    offset = vertices - center
    vector = turn.as_rotvec()
    skin = Rotation.from_rotvec(weight[:, None] * vector).apply(offset)
    angle = float(np.linalg.norm(vector))
    # Bone shows on the outside of a bend: what lies away from its centre stands out a little.
    if angle > 1e-6:
        outward = np.cross(forward, vector / angle)
        share = np.clip(offset @ outward / radius, 0.0, 1.0)
        bone = _KNUCKLE * min(angle, 1.6) / 1.6 * 4 * weight * (1 - weight) * share
        skin = skin * (1.0 + bone)[:, None]
        along = offset @ forward
        plane = Rotation.from_rotvec(0.5 * vector).apply(forward)
        height = skin @ plane
        # A small gap that grows with the distance from the crease.
        gap = 0.25 * np.clip(np.abs(along) / radius, 0.0, 1.5)
        close = np.linalg.norm(offset, axis=1) < 3.2 * radius
        over = np.where(along < 0, np.maximum(height + gap, 0.0), np.minimum(height - gap, 0.0))
        behind, before = (along < -0.5) & (weight < 0.5), (along > 0.5) & (weight > 0.5)
        active = close & (weight > 0) & (behind | before)
        skin = skin - np.where(active, over, 0.0)[:, None] * plane
    return skin + center


def pose_correctives(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray,
                     axes: dict[str, np.ndarray], limits: np.ndarray,
                     radii: np.ndarray) -> np.ndarray:  # fmt: skip
    """``posedirs`` (778,3,135).

    Args:
        vertices, joints: template (778,3) and joints (16,3), one unit throughout.
        weights: skinning weights (778,16).
        axes: 'flexion', 'abduction' and 'twist', each (15,3), at rest.
        limits: (15,3,2) radians. radii: (15,) half thickness of the flesh at each joint.
    """
    result = np.zeros((len(vertices), 3, 135))
    for joint in range(1, 16):
        index = joint - 1
        weight = subtree_weights(weights, joint)
        touched = np.flatnonzero((weight > 1e-3) & (weight < 1 - 1e-3) | (
            (np.linalg.norm(vertices - joints[joint], axis=1) < 3.2 * radii[index]) & (weight > 0)
        ))  # fmt: skip
        flex, side, twist = (axes[name][index] for name in ("flexion", "abduction", "twist"))
        features, offsets = [], []
        for flexion, abduction, torsion in _samples(limits[index]):
            turn = (Rotation.from_rotvec(abduction * side) * Rotation.from_rotvec(flexion * flex)
                    * Rotation.from_rotvec(torsion * twist))  # fmt: skip
            matrix = turn.as_matrix()
            skin = wanted_skin(vertices[touched], weight[touched], joints[joint], twist,
                               radii[index], turn)  # fmt: skip
            blend = (1 - weight[touched])[:, None, None] * np.eye(3) + (
                weight[touched][:, None, None] * matrix
            )
            local = vertices[touched] - joints[joint]
            linear = np.einsum("vij,vj->vi", blend, local) + joints[joint]
            offsets.append(_STRENGTH * np.linalg.solve(blend, (skin - linear)[..., None])[..., 0])
            features.append((matrix - np.eye(3)).ravel())
        design = np.array(features)
        target = np.stack(offsets).reshape(len(design), -1)
        normal = design.T @ design + _RIDGE * np.eye(9)
        solution = np.linalg.solve(normal, design.T @ target).reshape(9, len(touched), 3)
        result[touched, :, 9 * index : 9 * index + 9] = solution.transpose(1, 2, 0)
    return result
