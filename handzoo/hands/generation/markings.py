"""Where nails, creases and the palm side lie, for whoever paints the hand."""

from __future__ import annotations

import numpy as np

from handzoo.hands.generation.anatomy import FINGER_ORDER, Anatomy
from handzoo.hands.generation.layout import Layout
from handzoo.hands.generation.rigging import vertex_digits

DIGIT_ORDER = ("thumb", *FINGER_ORDER)


def nail_boxes(anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nails as patches of rest space: centres (5,3), frames (5,3,3), half sizes (5,3); mm.

    The rows of a frame are forward, across (towards the thumb side of the digit) and outward; a
    rest-pose point is on the nail of a digit if its coordinates in that frame, divided by the half
    sizes, lie in the unit ball. Order thumb, index, middle, ring, little.
    """
    centers, frames, sizes = [], [], []
    for name in DIGIT_ORDER:
        finger = anatomy.fingers[name]
        girth = finger.girth * (1.18 if finger.is_thumb else 1.0)
        frame = np.stack([finger.forward[2], finger.radial[2], finger.dorsal[2]])
        height = (5.2 if finger.is_thumb else 4.8) * finger.girth
        centers.append(finger.point(finger.lengths[2] - 8.0 * girth, 2) + height * frame[2])
        frames.append(frame)
        sizes.append(np.array([6.6, 5.4, 3.2]) * girth)
    return np.stack(centers), np.stack(frames), np.stack(sizes)


def nail_mask(vertices: np.ndarray, layout: Layout, anatomy: Anatomy) -> np.ndarray:
    """Per-vertex nail coverage (778,) in [0,1]."""
    centers, frames, sizes = nail_boxes(anatomy)
    digits = vertex_digits(layout)
    mask = np.zeros(len(vertices))
    for number in range(5):
        local = (vertices - centers[number]) @ frames[number].T / sizes[number]
        inside = np.clip((1.35 - np.linalg.norm(local, axis=1)) / 0.5, 0.0, 1.0)
        mask = np.maximum(mask, np.where(digits == number + 1, inside, 0.0))
    return mask


def palm_mask(normals: np.ndarray, layout: Layout, anatomy: Anatomy) -> np.ndarray:
    """Palm side (778,): 1 where skin faces the palm, 0 on the back, smooth between.

    Args:
        normals: unit vertex normals (778,3).
    """
    digits = vertex_digits(layout)
    facing = -normals[:, 1].copy()
    for number, name in enumerate(DIGIT_ORDER, start=1):
        finger, own = anatomy.fingers[name], digits == number
        facing[own] = -normals[own] @ finger.dorsal[1 if finger.is_thumb else 0]
    return np.clip(0.5 + 0.9 * (facing - 0.05), 0.0, 1.0)


def crease_mask(vertices: np.ndarray, layout: Layout, anatomy: Anatomy,
                palm: np.ndarray) -> np.ndarray:  # fmt: skip
    """Flexion creases (778,) in [0,1]: at the joints of the digits, full on the palm side."""
    mask = np.zeros(len(vertices))
    for number, name in enumerate(DIGIT_ORDER, start=1):
        own = vertex_digits(layout) == number
        finger = anatomy.fingers[name]
        for bone in (1, 2):
            along = (vertices - finger.joints[bone]) @ finger.forward[bone]
            line = np.exp(-((along / 2.6) ** 2)) * (0.35 + 0.65 * palm)
            mask = np.maximum(mask, np.where(own, line, 0.0))
    for name in FINGER_ORDER:
        base = layout.base_loops[name]
        mask[base] = np.maximum(mask[base], 0.8 * palm[base])
    return mask
