"""Lays the mesh onto the implicit skin: first guess, casting, relaxation along the surface."""

from __future__ import annotations

import numpy as np

from handzoo.hands.generation.anatomy import FINGER_ORDER, WRIST, Anatomy, Finger
from handzoo.hands.generation.layout import AROUND, Layout, edges_of
from handzoo.hands.generation.surface import HandSurface

# Axial position of the palm rows relative to the knuckles, mm (negative: towards the wrist).
_ROWS = (None, 11.5, 2.5, -8.0, -23.0, -41.0, -60.0)
_CLOSING_X = 86.0
_CAP_ANGLE = np.radians(18.0)
_ANGLES = np.arange(AROUND) * 2 * np.pi / AROUND


def loop_positions(finger: Finger) -> list[tuple[int, float]]:
    """(bone, distance from that bone's base in mm) of every loop along a digit.

    Three loops surround each joint; the last two round off towards the tip.
    """
    first, second, third = finger.lengths
    near = 6.2 * finger.girth
    if finger.is_thumb:
        return [(0, 0.30 * first), (0, 0.56 * first), (0, first - 8.5), (0, first), (1, 7.5),
                (1, 0.53 * second), (1, second - 6.5), (1, second), (2, 6.5),
                (2, third - 12.5), (2, third - 4.6)]  # fmt: skip
    free = first - near - finger.web
    return [(0, finger.web + 0.46 * free), (0, first - near), (0, first), (1, near),
            (1, 0.5 * second), (1, second - near + 0.6), (1, second), (2, near - 0.8),
            (2, third - 10.5), (2, third - 3.8)]  # fmt: skip


def _loop_frame(finger: Finger, bone: int, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre and the two in-plane axes of a loop; planes at a joint bisect its bones."""
    center = finger.point(t, bone)
    forward = finger.forward[bone].copy()
    if abs(t - finger.lengths[bone]) < 1e-6 and bone < 2:
        forward = forward + finger.forward[bone + 1]
        forward /= np.linalg.norm(forward)
    upward = np.array([0.0, 1.0, 0.0])
    upward = upward - forward * (upward @ forward)
    upward /= np.linalg.norm(upward)
    return center, np.cross(upward, forward), upward


def _guess_palm(layout: Layout, anatomy: Anatomy, vertices: np.ndarray) -> None:
    """Columns follow the rays of the fingers, rows their knuckles."""
    rays = [anatomy.fingers[name] for name in FINGER_ORDER]
    for row, distance in enumerate(_ROWS):
        axis, half = [], []
        for finger in rays:
            if row == 0:
                axis.append(finger.point(finger.web))
            elif distance > 0:
                axis.append(finger.point(distance * finger.web / 20.0))
            else:
                back = anatomy.carpus[finger.name] - finger.joints[0]
                axis.append(finger.joints[0] - distance * back / np.linalg.norm(back))
            half.append((9.3 if row == 0 else 10.5) * finger.girth)
        middles = [0.5 * (axis[i] + axis[i + 1]) for i in range(3)]
        side = np.array([0.0, 0.0, 1.0])
        borders = [axis[0] + 0.85 * half[0] * side, *middles, axis[3] - 0.85 * half[3] * side]
        for c in range(13):
            f = min(c // 3, 3)
            part = (c - 3 * f) / 3.0
            if c % 3 == 0:
                center, height = borders[c // 3], (5.0 if row == 0 else 9.0)
            else:
                left, right = borders[f], borders[f + 1]
                center = left + part * (right - left)
                center = center + np.array([1.0, 0, 0]) * (axis[f][0] - center[0]) * 0.8
                center[1] = axis[f][1]
                height = 8.5 if row == 0 else 10.0
            vertices[layout.top[row, c]] = center + np.array([0, height, 0])
            vertices[layout.bottom[row, c]] = center - np.array([0, height + 1.5, 0])
        vertices[layout.ulnar[row]] = axis[3] - 1.15 * half[3] * side
        if layout.radial[row] >= 0:
            vertices[layout.radial[row]] = axis[0] + 1.15 * half[0] * side
        if row == 0:
            for i in range(3):
                vertices[layout.webs[i]] = middles[i] + np.array([-1.5, -0.5, 0.0])
                vertices[layout.top[0, 3 * i + 3], 0] += 1.5
                vertices[layout.bottom[0, 3 * i + 3], 0] += 0.5
    # The life line: the palm side of the thumb's hole runs along the foot of the thenar.
    for row, inward in ((3, 6.0), (4, 15.0), (5, 20.0), (6, 20.0)):
        for c in range(6):
            vertices[layout.bottom[row, c], 2] -= inward * (1 - c / 6.0)
            vertices[layout.bottom[row, c], 1] -= 4.0


def _wrist_ring(count: int, center: np.ndarray, x: float) -> tuple[np.ndarray, np.ndarray]:
    angles = np.arange(count) * 2 * np.pi / count + 0.2 / count
    direction = np.stack([np.zeros(count), 0.62 * np.sin(angles), np.cos(angles)], 1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.tile([x, center[1], center[2]], (count, 1)), direction


def fit_mesh(layout: Layout, anatomy: Anatomy, rounds: int = 60) -> np.ndarray:
    """Vertices (778,3) in millimetres on the skin of ``anatomy``.

    Loops of the fingers are cast in their planes and stay there; the palm, the webs and the first
    loops relax along the surface, so that triangles stay even where structures meet.
    """
    surface = HandSurface(anatomy)
    vertices = np.zeros((layout.count, 3))
    _guess_palm(layout, anatomy, vertices)
    fixed = np.zeros(layout.count, bool)
    for name, finger in anatomy.fingers.items():
        positions = loop_positions(finger)
        for number, (bone, t) in enumerate(positions):
            center, radial, upward = _loop_frame(finger, bone, t)
            rays = np.cos(_ANGLES)[:, None] * radial + np.sin(_ANGLES)[:, None] * upward
            loop = layout.loops[name][number]
            vertices[loop] = surface.cast(np.tile(center, (AROUND, 1)), rays, 20.0)
            fixed[loop] = number >= (3 if finger.is_thumb else 1)
        _cap(layout, surface, finger, vertices)
        fixed[layout.caps[name]] = True
    center = anatomy.wrist
    for ring, x in ((layout.closing, center[0] - (WRIST[0] - _CLOSING_X)),
                    (layout.boundary, center[0] + anatomy.cut)):  # fmt: skip
        origin, rays = _wrist_ring(len(ring), center, x)
        vertices[ring] = surface.cast(origin, rays, 45.0)
    fixed[layout.boundary] = True

    edges = edges_of(np.concatenate([layout.quads[:, [0, 1, 2]], layout.quads[:, [0, 2, 3]],
                                     layout.triangles]))  # fmt: skip
    ring_edges = np.concatenate([layout.quads[:, [i, (i + 1) % 4]] for i in range(4)])
    ring_edges = np.unique(np.sort(np.concatenate([
        ring_edges, layout.triangles[:, [0, 1]], layout.triangles[:, [1, 2]],
        layout.triangles[:, [2, 0]]]), axis=1), axis=0)  # fmt: skip
    del edges
    free = ~fixed
    vertices[free] = surface.project(vertices[free], 8)
    degree = np.bincount(ring_edges.ravel(), minlength=layout.count)[:, None]
    for _ in range(rounds):
        mean = np.zeros_like(vertices)
        np.add.at(mean, ring_edges[:, 0], vertices[ring_edges[:, 1]])
        np.add.at(mean, ring_edges[:, 1], vertices[ring_edges[:, 0]])
        vertices[free] += 0.35 * (mean / degree - vertices)[free]
        vertices[free] = surface.project(vertices[free], 1)
    vertices[free] = surface.project(vertices[free], 3)
    return vertices


def _cap(layout: Layout, surface: HandSurface, finger: Finger, vertices: np.ndarray) -> None:
    center, radial, upward = _loop_frame(finger, 2, finger.lengths[2] - 9.0)
    forward = finger.forward[2]
    angles = _CAP_ANGLE + np.arange(5) * 2 * np.pi / 5 - np.radians(36.0) + np.radians(18.0)
    rays = np.cos(angles)[:, None] * radial + np.sin(angles)[:, None] * upward
    rays = np.concatenate([0.42 * rays + forward, forward[None]])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    vertices[layout.caps[finger.name]] = surface.cast(np.tile(center, (6, 1)), rays, 20.0)
