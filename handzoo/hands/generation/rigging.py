"""Skinning weights and joint regressor of the bundled hand."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from handzoo.hands.generation.anatomy import FINGER_ORDER, FIRST_JOINT, Anatomy
from handzoo.hands.generation.layout import Layout, edges_of
from handzoo.hands.generation.skin import loop_positions

_KNUCKLE_REACH = 15.0  # half widths (mm) of the blends across the joints
_MIDDLE_REACH = 8.2
_END_REACH = 7.4
_WEB_HOLD = 0.38
_THUMB_REACH = (20.0, 10.5, 9.0)


def _step(value: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at -1 to 1 at +1."""
    x = np.clip(0.5 * (value + 1.0), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def vertex_digits(layout: Layout) -> np.ndarray:
    """Digit of each vertex (778,): 0 palm, 1 thumb, 2 index, 3 middle, 4 ring, 5 little."""
    digits = np.zeros(layout.count, int)
    for number, name in enumerate(("thumb", *FINGER_ORDER), start=1):
        digits[layout.loops[name].ravel()] = number
        digits[layout.caps[name]] = number
    return digits


def digit_coordinates(
    layout: Layout, anatomy: Anatomy, vertices: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Arc length along a digit's axis and distance from it, each (778,) in mm.

    Vertices of the digit's own loops use their loop's position, so that weights are constant
    around a loop where the bones are straight.
    """
    finger = anatomy.fingers[name]
    offset = vertices - finger.joints[0]
    along = offset @ finger.forward[0]
    across = np.linalg.norm(offset - along[:, None] * finger.forward[0], axis=1)
    starts = np.concatenate([[0.0], np.cumsum(finger.lengths)])
    for loop, (bone, t) in zip(layout.loops[name], loop_positions(finger), strict=True):
        along[loop] = starts[bone] + t
    along[layout.caps[name]] = starts[3] - 1.0
    return along, across


def skinning_weights(layout: Layout, anatomy: Anatomy, vertices: np.ndarray) -> np.ndarray:
    """Weights (778,16): rows sum to 1, non-negative, two main influences on the digits."""
    digits = vertex_digits(layout)
    count = layout.count
    weights = np.zeros((count, 16))
    coordinates = {
        name: digit_coordinates(layout, anatomy, vertices, name) for name in FIRST_JOINT
    }
    # Which ray a palm vertex follows: by its distance to the rays, in the plan.
    share = np.stack([np.exp(-((coordinates[name][1] / 12.0) ** 2)) for name in FINGER_ORDER], 1)
    share /= share.sum(1, keepdims=True)
    for number in range(len(FINGER_ORDER)):
        own = digits == number + 2
        share[own] = 0.0
        share[own, number] = 1.0
    share[digits == 1] = 0.0
    for number, name in enumerate(FINGER_ORDER):
        along, _ = coordinates[name]
        finger, first = anatomy.fingers[name], FIRST_JOINT[name]
        depth = (vertices - finger.joints[0]) @ finger.dorsal[0]
        start = _step((along + 0.22 * np.clip(depth, -12, 9) - 1.0) / _KNUCKLE_REACH)
        middle = _step((along - finger.lengths[0]) / (_MIDDLE_REACH * finger.girth))
        end = _step((along - finger.lengths[:2].sum()) / (_END_REACH * finger.girth))
        weights[:, first] = share[:, number] * start * (1 - middle)
        weights[:, first + 1] = share[:, number] * middle * (1 - end)
        weights[:, first + 2] = share[:, number] * end
    thumb, first = anatomy.fingers["thumb"], FIRST_JOINT["thumb"]
    along, across = coordinates["thumb"]
    near = np.where(digits == 1, 1.0, np.exp(-((np.maximum(across - 11.0, 0.0) / 13.0) ** 2)))
    start = _step((along - 7.0) / _THUMB_REACH[0]) * near
    middle = _step((along - thumb.lengths[0]) / _THUMB_REACH[1]) * (digits == 1)
    end = _step((along - thumb.lengths[:2].sum()) / _THUMB_REACH[2]) * (digits == 1)
    weights *= (1 - start)[:, None]
    weights[:, first] = start * (1 - middle)
    weights[:, first + 1] = start * middle * (1 - end)
    weights[:, first + 2] = start * middle * end
    weights[:, 0] = np.maximum(1.0 - weights[:, 1:].sum(1), 0.0)
    return _firm_webs(_diffuse(layout, weights, digits), digits)


def _diffuse(layout: Layout, weights: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Spread the weights of the palm, the webs and the thenar over their neighbours."""
    edges = edges_of(
        np.concatenate([layout.quads[:, :3], layout.quads[:, [0, 2, 3]], layout.triangles])
    )
    degree = np.bincount(edges.ravel(), minlength=layout.count)[:, None]
    soft = digits == 0
    soft[layout.loops["thumb"][:2].ravel()] = True
    for _ in range(5):
        mean = np.zeros_like(weights)
        np.add.at(mean, edges[:, 0], weights[edges[:, 1]])
        np.add.at(mean, edges[:, 1], weights[edges[:, 0]])
        weights = np.where(soft[:, None], 0.5 * weights + 0.5 * mean / degree, weights)
    weights[weights < 2e-3] = 0.0
    return weights / weights.sum(1, keepdims=True)


def _firm_webs(weights: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Where two fingers pull alike, in a web, half of the pull goes to the palm."""
    pull = np.stack([weights[:, FIRST_JOINT[name]] for name in FINGER_ORDER], axis=1)
    pull = np.sort(pull, axis=1)
    tie = np.where(digits == 0, pull[:, -2] / np.maximum(pull[:, -1], 1e-9), 0.0)
    weights = weights.copy()
    weights[:, 1:] *= (1.0 - _WEB_HOLD * tie)[:, None]
    weights[:, 0] += 1.0 - weights.sum(1)
    return weights


def joint_regressor(layout: Layout, anatomy: Anatomy, vertices: np.ndarray) -> np.ndarray:
    """Regressor (16,778): sparse, non-negative, rows sum to 1, exact joints on the template."""
    targets = anatomy.joints()
    regressor = np.zeros((16, layout.count))
    digits = vertex_digits(layout)
    for name, first in FIRST_JOINT.items():
        loops = layout.loops[name]
        # The loops at the two outer joints; the thumb's knuckle sits askew in its relaxed loops.
        middle, end = (loops[2:5].ravel(), loops[7]) if name == "thumb" else (loops[2], loops[6])
        _solve_row(regressor, first + 1, middle, vertices, targets)
        _solve_row(regressor, first + 2, end, vertices, targets)
        candidates = np.flatnonzero(
            (np.linalg.norm(vertices - targets[first], axis=1) < (30 if name == "thumb" else 21))
            & ((digits == 0) | (digits == (1 if name == "thumb" else -1)))
        )
        _solve_row(regressor, first, candidates, vertices, targets)
    ring = np.concatenate([layout.closing, layout.boundary])
    _solve_row(regressor, 0, ring, vertices, targets)
    return regressor


def _solve_row(regressor: np.ndarray, joint: int, candidates: np.ndarray, vertices: np.ndarray,
               targets: np.ndarray) -> None:  # fmt: skip
    """Non-negative weights near a Gaussian prior whose mean is the joint."""
    offset = vertices[candidates] - targets[joint]
    prior = np.exp(-(((np.linalg.norm(offset, axis=1)) / 20.0) ** 2))
    prior /= prior.sum()
    system = np.concatenate([30.0 * offset.T, 3000.0 * np.ones((1, len(candidates))),
                             np.eye(len(candidates))])  # fmt: skip
    goal = np.concatenate([np.zeros(3), [3000.0], prior])
    row, _ = nnls(system, goal)
    regressor[joint, candidates] = row / row.sum()
