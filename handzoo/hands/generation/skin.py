"""Lays the mesh onto the implicit skin: first guess, casting, relaxation along the surface."""

from __future__ import annotations

import numpy as np

from handzoo.hands.generation.anatomy import FINGER_ORDER, WRIST, Anatomy, Finger
from handzoo.hands.generation.layout import AROUND, Layout
from handzoo.hands.generation.surface import HandSurface

# Axial position of the palm rows relative to the knuckles, mm (negative: towards the wrist).
_ROWS = (None, 11.5, 2.5, -8.0, -23.0, -41.0, -60.0)
_CLOSING_X = 86.0
_THUMB_FREE = 3  # loops of the thumb that lie in the palm; two more relax with them
_CAP_TILT = 0.48  # tangent of the angle between the tip and the five vertices around it
_ANGLES = np.arange(AROUND) * 2 * np.pi / AROUND
_FOLD = np.clip(0.6 - 1.6 * np.cos(_ANGLES), 0.0, 1.0)  # 1 on the side of the index finger


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
    for row, inward in ((3, 6.0), (4, 14.0), (5, 16.0), (6, 12.0)):
        for c in range(6):
            vertices[layout.bottom[row, c], 2] -= inward * (1 - c / 6.0)
            vertices[layout.bottom[row, c], 1] -= 4.0


def fit_mesh(layout: Layout, anatomy: Anatomy, rounds: int = 60) -> np.ndarray:
    """Vertices (778,3) in millimetres on the skin of ``anatomy``.

    Loops of the fingers are cast in their planes and stay there; the palm, the webs and the first
    loops relax along the surface, so that triangles stay even where structures meet.
    """
    surface = HandSurface(anatomy)
    vertices = np.zeros((layout.count, 3))
    _guess_palm(layout, anatomy, vertices)
    fixed = np.zeros(layout.count, bool)
    targets, origins, rays = [], [], []

    def aim(ring: np.ndarray, origin: np.ndarray, directions: np.ndarray) -> None:
        targets.append(ring)
        origins.append(np.broadcast_to(origin, directions.shape))
        rays.append(directions)

    for name, finger in anatomy.fingers.items():
        for number, (bone, t) in enumerate(loop_positions(finger)):
            center, radial, upward = _loop_frame(finger, bone, t)
            loop = layout.loops[name][number]
            aim(loop, center, np.cos(_ANGLES)[:, None] * radial + np.sin(_ANGLES)[:, None] * upward)
            fixed[loop] = number >= (_THUMB_FREE + 2 if finger.is_thumb else 1)
        aim(layout.caps[name], *_cap_rays(finger))
        fixed[layout.caps[name]] = True
    closing, boundary = layout.closing, layout.boundary
    aim(closing, *_wrist_rays(len(closing), anatomy.wrist + [_CLOSING_X - WRIST[0], 0, 0]))
    aim(boundary, *_wrist_rays(len(boundary), anatomy.wrist + [anatomy.cut, 0, 0]))
    fixed[boundary] = True
    vertices[np.concatenate(targets)] = surface.cast(np.concatenate(origins), np.concatenate(rays))

    # The thumb's first loops fan out across the fold between thumb and index finger, where a ray
    # would run on through the palm: there they start between the palm and the free thumb.
    thumb = layout.loops["thumb"]
    root, firm = vertices[layout.base_loops["thumb"]], vertices[thumb[_THUMB_FREE]]
    for number in range(_THUMB_FREE):
        part = (number + 1) / (_THUMB_FREE + 1)
        between = (1 - part) * root + part * firm
        vertices[thumb[number]] += _FOLD[:, None] * (between - vertices[thumb[number]])

    free = ~fixed
    vertices[free] = surface.project(vertices[free], 8)
    edges = _relaxation_edges(layout)
    degree = np.bincount(edges.ravel(), minlength=layout.count)[:, None]
    for _ in range(rounds):
        mean = np.zeros_like(vertices)
        np.add.at(mean, edges[:, 0], vertices[edges[:, 1]])
        np.add.at(mean, edges[:, 1], vertices[edges[:, 0]])
        vertices[free] += 0.35 * (mean / degree - vertices)[free]
        vertices[free] = surface.project(vertices[free], 1)
    vertices[free] = surface.project(vertices[free], 3)
    return vertices


def _relaxation_edges(layout: Layout) -> np.ndarray:
    """Edges (E,2) of quads and triangles, without the quads' diagonals: they would pull askew."""
    sides = [layout.quads[:, [i, (i + 1) % 4]] for i in range(4)]
    sides += [layout.triangles[:, [i, (i + 1) % 3]] for i in range(3)]
    return np.unique(np.sort(np.concatenate(sides), axis=1), axis=0)


def _wrist_rays(count: int, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origin (3,) and directions (count,3) of a ring around the wrist."""
    angles = np.arange(count) * 2 * np.pi / count + 0.2 / count
    direction = np.stack([np.zeros(count), 0.62 * np.sin(angles), np.cos(angles)], 1)
    return center, direction / np.linalg.norm(direction, axis=1, keepdims=True)


def _cap_rays(finger: Finger) -> tuple[np.ndarray, np.ndarray]:
    """Origin (3,) and directions (6,3) of a finger tip's cap: five around the tip."""
    center, radial, upward = _loop_frame(finger, 2, finger.lengths[2] - 9.0)
    angles = np.arange(5) * 2 * np.pi / 5
    around = np.cos(angles)[:, None] * radial + np.sin(angles)[:, None] * upward
    rays = np.concatenate([_CAP_TILT * around + finger.forward[2], finger.forward[2][None]])
    return center, rays / np.linalg.norm(rays, axis=1, keepdims=True)
