"""An arm behind the hand, bare or in a sleeve, so that the wrist is never an open hole.

It is drawn and never annotated. The arm leaves the wrist along the hand's axis, bends at the
wrist and at the elbow, and is long enough to leave the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

#: Distances from the wrist loop at which the arm has a ring of vertices, metres.
RING_POSITIONS = (
    0.008, 0.018, 0.030, 0.044, 0.062, 0.085, 0.115, 0.15, 0.19, 0.225,
    0.245, 0.26, 0.275, 0.29, 0.31, 0.35, 0.43, 0.54,
)  # fmt: skip
LENGTH = 0.56
WRIST_BEND = (0.0, 0.035)
ELBOW_BEND = (0.235, 0.30)
SLEEVE_SIDES = 36


@dataclass
class ArmPose:
    """How the arm leaves the hand.

    forearm and upper_arm (3,) are unit directions in the camera frame; sleeve_start is the
    distance from the wrist at which cloth begins (m, None = bare arm); sleeve_length is None for
    a sleeve up to the shoulder, or the width of a band such as a bracelet (m); sleeve_gap is the
    distance of the cloth from the skin (m); folds is the depth of its wrinkles (m).
    """

    forearm: Tensor
    upper_arm: Tensor
    sleeve_start: float | None = None
    sleeve_length: float | None = None
    sleeve_gap: float = 0.005
    folds: float = 0.003


def wrist_loop(faces: Tensor) -> Tensor:
    """Vertices of the open boundary of a mesh in order, along the direction of its faces."""
    sides = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    present = {(a, b) for a, b in sides}
    following = {a: b for a, b in present if (b, a) not in present}
    start = min(following)
    loop = [start]
    while following[loop[-1]] != start:
        loop.append(following[loop[-1]])
    return torch.tensor(loop)


def _ramp(value: Tensor, span: tuple[float, float]) -> Tensor:
    x = ((value - span[0]) / (span[1] - span[0])).clamp(0, 1)
    return x * x * (3 - 2 * x)


def _rotation_between(a: Tensor, b: Tensor) -> Tensor:
    """Smallest rotations (N, 3, 3) that turn the unit vector ``a`` (3,) into ``b`` (N, 3)."""
    v = torch.linalg.cross(a.expand_as(b), b)
    c = (a * b).sum(-1).clamp(min=-0.999)
    k = torch.zeros((len(b), 3, 3), device=b.device)
    k[:, 0, 1], k[:, 0, 2], k[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    k = k - k.transpose(1, 2)
    return torch.eye(3, device=b.device) + k + k @ k / (1 + c)[:, None, None]


def _sweep(center: Tensor, axis: Tensor, pose: ArmPose, s: Tensor) -> tuple[Tensor, Tensor]:
    """Centre line (N, 3) and rotations (N, 3, 3) of the arm's rings at distances ``s`` (N,)."""
    steps = torch.linspace(0, LENGTH + 1e-3, 200, device=s.device)

    def tangent(distance: Tensor) -> Tensor:
        wrist = _ramp(distance, WRIST_BEND)[:, None]
        elbow = _ramp(distance, ELBOW_BEND)[:, None]
        first = F.normalize(axis * (1 - wrist) + pose.forearm * wrist, dim=-1)
        return F.normalize(first * (1 - elbow) + pose.upper_arm * elbow, dim=-1)

    path = torch.cumsum(tangent(steps) * (steps[1] - steps[0]), 0)
    place = s / (steps[1] - steps[0])
    low = place.long().clamp(max=len(steps) - 2)
    share = (place - low)[:, None]
    line = center + path[low] * (1 - share) + path[low + 1] * share - path[0]
    return line, _rotation_between(axis, tangent(s))


def _ellipse(s: Tensor, width: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
    """Half axes of the arm's section: it swells towards the elbow and becomes rounder."""
    growth = _ramp(s, (0.02, 0.20))
    return width * (1 + 0.42 * growth), height * (1 + 0.75 * growth)


def _section(
    offsets: Tensor, axis: Tensor, wide: Tensor, s: Tensor, extra: float | Tensor = 0.0
) -> Tensor:
    """Section (N, K, 3) of the arm at ``s`` from the wrist loop's shape ``offsets`` (K, 3)."""
    along = (offsets * axis).sum(-1)
    flat = offsets - along[:, None] * axis
    high = torch.linalg.cross(axis, wide)
    x, y = (flat * wide).sum(-1), (flat * high).sum(-1)
    width, height = x.abs().max(), y.abs().max()
    a, b = _ellipse(s, width, height)
    angle = torch.atan2(y / height, x / width)
    round_x, round_y = a[:, None] * angle.cos(), b[:, None] * angle.sin()
    own = _ramp(s, (0.0, 0.05))[:, None]
    grow_x, grow_y = a[:, None] / width, b[:, None] / height
    px = x * grow_x * (1 - own) + round_x * own
    py = y * grow_y * (1 - own) + round_y * own
    length = (px**2 + py**2).sqrt().clamp(min=1e-6)
    px, py = px * (1 + extra / length), py * (1 + extra / length)
    slant = (1 - _ramp(s, (0.0, 0.04)))[:, None] * along
    return px[..., None] * wide + py[..., None] * high + slant[..., None] * axis


@dataclass
class Arm:
    """Geometry of an arm. Skin vertices follow the hand's own 778 in ``skin_faces``.

    skin_points and skin_rest (R*L, 3) are the posed and the unposed positions; skin_faces
    index the hand's vertices followed by these. The sleeve, if any, is a mesh of its own;
    sleeve_rest are cloth coordinates.
    """

    skin_points: Tensor
    skin_rest: Tensor
    skin_faces: Tensor
    sleeve_points: Tensor
    sleeve_rest: Tensor
    sleeve_faces: Tensor


def _tube_faces(first: Tensor, rings: int, sides: int, start: int) -> Tensor:
    """Faces between consecutive rings of ``sides`` vertices; ``first`` indexes ring zero."""
    ring = torch.arange(rings * sides, device=first.device).view(rings, sides) + start
    ring = torch.cat([first[None], ring]) if len(first) else ring
    following = ring.roll(-1, dims=1)
    a, b = ring[:-1].reshape(-1), following[:-1].reshape(-1)
    c, d = ring[1:].reshape(-1), following[1:].reshape(-1)
    return torch.cat([torch.stack([b, a, c], 1), torch.stack([b, c, d], 1)])


def build_arm(
    points: Tensor,
    rest: Tensor,
    loop: Tensor,
    rotation: Tensor,
    rest_axis: Tensor,
    rest_wide: Tensor,
    pose: ArmPose,
    generator: torch.Generator,
) -> Arm:
    """Sweeps the wrist loop along the arm.

    Args:
        points: (778, 3) posed hand, camera frame.
        rest: (778, 3) the same hand unposed.
        loop: (L,) vertices of the wrist loop in order.
        rotation: (3, 3) the hand's global rotation.
        rest_axis: (3,) unit direction from the hand towards the elbow in the rest pose.
        rest_wide: (3,) unit direction across the wrist in the rest pose.
        pose: where the arm goes.
        generator: randomness of the sleeve's folds.
    """
    device = points.device
    pose = replace(pose, forearm=pose.forearm.to(device), upper_arm=pose.upper_arm.to(device))
    s = torch.tensor(RING_POSITIONS, device=device)
    rest_center = rest[loop].mean(0)
    offsets = rest[loop] - rest_center
    section = _section(offsets, rest_axis, rest_wide, s)
    axis = rotation @ rest_axis
    line, turns = _sweep(points[loop].mean(0), axis, pose, s)
    posed = torch.einsum("nij,jk,nlk->nli", turns, rotation, section) + line[:, None]
    unposed = section + rest_center + s[:, None, None] * rest_axis
    faces = _tube_faces(loop, len(s), len(loop), len(points))

    sleeve_points = torch.zeros((0, 3), device=device)
    sleeve_rest, sleeve_faces = sleeve_points, faces[:0]
    if pose.sleeve_start is not None:
        end = LENGTH if pose.sleeve_length is None else pose.sleeve_start + pose.sleeve_length
        rings = 48 if pose.sleeve_length is None else 8
        t = torch.linspace(0, 1, rings, device=device) ** (1.5 if rings > 8 else 1.0)
        t = pose.sleeve_start + (end - pose.sleeve_start) * t
        # Two more rings fold the cloth inwards, so that the cuff has an edge and an inside.
        t = torch.cat([t[:1] + 0.012, t[:1], t, t[-1:]])
        angle = torch.linspace(0, 2 * torch.pi, SLEEVE_SIDES + 1, device=device)[:-1]
        wide = (offsets @ rest_wide).abs().max()
        high_axis = torch.linalg.cross(rest_axis, rest_wide)
        high = (offsets @ high_axis).abs().max()
        shape = wide * angle.cos()[:, None] * rest_wide + high * angle.sin()[:, None] * high_axis
        folds = torch.zeros((len(t), SLEEVE_SIDES), device=device)
        for _ in range(6):
            turns_around = int(torch.randint(0, 4, (1,), generator=generator))
            pace = float(torch.rand(1, generator=generator)) * 160 + 40
            phase = float(torch.rand(1, generator=generator)) * 6.28
            folds += torch.sin(turns_around * angle[None] + pace * t[:, None] + phase) / 6
        extra = pose.sleeve_gap + pose.folds * (1 + folds * 2)
        extra = extra + 0.02 * _ramp(t, (pose.sleeve_start, pose.sleeve_start + 0.2))[:, None]
        extra[:2] = torch.tensor([[-0.002], [pose.sleeve_gap * 0.6]], device=device)
        extra[-1] = -0.002
        cloth = _section(shape, rest_axis, rest_wide, t, extra)
        line, turns = _sweep(points[loop].mean(0), axis, pose, t)
        sleeve_points = torch.einsum("nij,jk,nlk->nli", turns, rotation, cloth) + line[:, None]
        sleeve_points = sleeve_points.reshape(-1, 3)
        sleeve_rest = (cloth + t[:, None, None] * rest_axis).reshape(-1, 3)
        sleeve_faces = _tube_faces(loop[:0], len(t), SLEEVE_SIDES, 0)
        # Rings run around the arm's axis the way the cross product has it: outside is outside.
        sleeve_faces = sleeve_faces.flip(1)
    return Arm(
        posed.reshape(-1, 3),
        unposed.reshape(-1, 3),
        faces,
        sleeve_points,
        sleeve_rest,
        sleeve_faces,
    )
