"""2D skeletons: one colour a finger, smooth lines, thickness after the picture's size."""

from __future__ import annotations

import cv2
import numpy as np

from handzoo.hands.conventions import BONES, FINGER_OF_JOINT, NUM_JOINTS, TIP_JOINTS

# Thumb, index, middle, ring, little: told apart on skin, on white, and by the colour-blind.
FINGER_COLORS: tuple[tuple[int, int, int], ...] = (
    (230, 76, 60),
    (243, 168, 28),
    (60, 179, 113),
    (46, 134, 222),
    (155, 89, 182),
)
_WRIST_COLOR = (245, 245, 245)
_SHIFT = 4  # cv2 takes sub-pixel coordinates as integers with this many fractional bits


def draw_skeleton(
    image: np.ndarray,
    joints2d: np.ndarray,
    valid: np.ndarray | None = None,
    thickness: float | None = None,
    outline: bool = True,
) -> np.ndarray:
    """Draw the 21 joints and 20 bones of a hand.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        joints2d: (21, 2) pixels, centres at integers. Joints outside the picture, or not finite,
            are no obstacle.
        valid: (21,) bool; joints that are not valid and their bones are left out.
        thickness: of the bones in pixels; about 1.2 % of the picture's size if None.
        outline: dark edge round bones and joints.

    Returns:
        (H, W, 3) uint8.
    """
    canvas = np.ascontiguousarray(image).copy()
    joints = np.asarray(joints2d, dtype=np.float64)
    shown = np.ones(NUM_JOINTS, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    # Far outside the picture cv2's integers overflow.
    shown = shown & np.isfinite(joints).all(1) & (np.abs(joints) < 2**20).all(1)
    if thickness is None:
        thickness = max(1.0, 0.012 * float(np.sqrt(canvas.shape[0] * canvas.shape[1])))
    points = np.round(np.where(shown[:, None], joints, 0) * 2**_SHIFT).astype(int)
    bones = [(parent, joint) for parent, joint in BONES if shown[parent] and shown[joint]]
    width = max(1, round(thickness))
    edge = max(1, round(0.35 * thickness))
    dark = (25, 25, 30)

    def dot(joint: int, grow: float, color: tuple[int, int, int]) -> None:
        radius = (0.95 if joint in (0, *TIP_JOINTS) else 0.8) * thickness + grow
        center = tuple(points[joint].tolist())
        cv2.circle(canvas, center, round(radius * 2**_SHIFT), color, -1, cv2.LINE_AA, _SHIFT)

    def bone(parent: int, joint: int, extra: int, color: tuple[int, int, int]) -> None:
        ends = points[parent].tolist(), points[joint].tolist()
        cv2.line(canvas, *ends, color, width + extra, cv2.LINE_AA, _SHIFT)

    if outline:
        for parent, joint in bones:
            bone(parent, joint, 2 * edge, dark)
        for joint in np.flatnonzero(shown):
            dot(int(joint), edge, dark)
    for parent, joint in bones:
        bone(parent, joint, 0, FINGER_COLORS[FINGER_OF_JOINT[joint]])
    for joint in np.flatnonzero(shown):
        finger = FINGER_OF_JOINT[joint]
        dot(int(joint), 0, _WRIST_COLOR if finger < 0 else FINGER_COLORS[finger])
    return canvas
