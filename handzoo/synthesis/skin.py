"""What skin looks like: colour from melanin and blood, nails, creases, mottling.

Everything is a function of the *unposed* surface point, evaluated at every pixel, so the texture
is as fine as the picture, sticks to the skin and needs no texture map. Vertices carry only slow
quantities (position along the finger, palm or back), which interpolate well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from handzoo.hands.models import HandModel
from handzoo.synthesis.noise import SolidNoise
from handzoo.visualization.renderer import vertex_normals

#: Linear-light reflectance of skin without pigment and the absorption of its two pigments.
BLOODLESS = (0.77, 0.58, 0.475)
MELANIN = (1.0, 1.34, 1.68)
BLOOD = (0.12, 0.80, 0.62)

# Palm lines as (across, along): across runs from index (0) to little knuckle (1), along from
# the wrist (0) to the knuckles (1).
PALM_LINES = (
    ((1.22, 0.66), (0.95, 0.68), (0.62, 0.74), (0.34, 0.86), (0.20, 1.00)),
    ((-0.22, 0.78), (0.10, 0.76), (0.45, 0.66), (0.78, 0.54), (1.00, 0.42)),
    ((-0.22, 0.80), (0.08, 0.70), (0.30, 0.52), (0.40, 0.30), (0.38, 0.08)),
)


@dataclass
class SkinTone:
    """One person's skin: pigment (0 pale to 2 deep), blood (redness), and its unevenness."""

    melanin: float
    blood: float
    mottling: float = 1.0
    creases: float = 1.0
    shine: float = 1.0
    nail_length: float = 1.0
    polish: tuple[float, float, float] | None = None


@dataclass
class SkinSurface:
    """Slow fields on the vertices, and the frames of nails and palm in the rest pose.

    attributes (V, 6): rest position 3, position along the finger (0 knuckle, 1, 2 joints,
    3 tip; -1 off the fingers), how much of a finger it is, palm (1) or back (0).
    """

    attributes: Tensor
    nail_centers: Tensor
    nail_frames: Tensor
    nail_sizes: Tensor
    palm_lines: Tensor
    palm_origin: Tensor
    palm_axes: Tensor
    rest_axis: Tensor
    rest_wide: Tensor


def _polyline_position(points: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (N,) to a polyline (K, 3) and position along it in segments (N,)."""
    start, step = line[:-1], line[1:] - line[:-1]
    share = ((points[:, None] - start) * step).sum(-1) / (step**2).sum(-1)
    # Let the last segment run on, so that the tip of the finger has positions above its last.
    upper = torch.ones(len(step), device=points.device)
    upper[-1] = 1.3
    share = torch.minimum(share.clamp(min=0), upper)
    distance = (points[:, None] - start - share[..., None] * step).norm(dim=-1)
    best, segment = distance.min(1)
    return best, segment + share.gather(1, segment[:, None])[:, 0]


def _estimate_nails(
    rest: Tensor, joints: Tensor, digits: Tensor, dorsal: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Nail centres (5, 3), frames (5, 3, 3) and half sizes (5, 3) of a model that lists none.

    Args:
        rest: (V, 3) vertices.
        joints: (21, 3).
        digits: (V,) the digit whose last phalanx a vertex belongs to, or -1.
        dorsal: (3,) outward direction of the back of the hand.
    """
    centers, frames, sizes = [], [], []
    for digit in range(5):
        tip, last = joints[4 + 4 * digit], joints[3 + 4 * digit]
        length = (tip - last).norm()
        forward = (tip - last) / length
        up = dorsal
        if digit == 0:
            # The thumb's nail faces away from the other fingers as much as it faces back.
            up = dorsal + 1.2 * F.normalize(joints[5] - joints[17], dim=0)
        up = F.normalize(up - (up @ forward) * forward, dim=0)
        side = torch.linalg.cross(forward, up)
        local = rest[digits == digit] - last
        width, top = (local @ side).abs().max(), (local @ up).max()
        centers.append(last + forward * length * 0.70 + up * top * 0.8)
        frames.append(torch.stack([forward, side, up]))
        sizes.append(torch.stack([0.27 * length, 0.66 * width, 0.4 * width]))
    return torch.stack(centers), torch.stack(frames), torch.stack(sizes)


def build_skin_surface(model: HandModel) -> SkinSurface:
    """Computes the fields once for a hand model; uses its ``extras`` where it has them."""
    rest = model.v_template.detach().float()
    faces = model.faces
    normals = vertex_normals(rest, faces)
    joints = (model.joint_regressor.float() @ rest)[:21]
    weights = model.weights.float()
    fingers = [(13, 14, 15), (1, 2, 3), (4, 5, 6), (10, 11, 12), (7, 8, 9)]
    belongs = torch.stack([weights[:, list(chain)].sum(1) for chain in fingers], 1)

    wrist, knuckles = joints[0], joints[[5, 9, 13, 17]]
    rest_axis = F.normalize(wrist - knuckles[1:3].mean(0), dim=0)
    across = F.normalize(knuckles[3] - knuckles[0], dim=0)
    palm_normal = torch.linalg.cross(across, rest_axis)
    palm_normal = F.normalize(palm_normal, dim=0)
    # Finger tips curl towards the palm, which settles the sign.
    curl = (joints[[8, 12, 16, 20]] - knuckles).mean(0) @ palm_normal
    thumb = (joints[4] - knuckles.mean(0)) @ palm_normal
    if float(curl + thumb) < 0:
        palm_normal = -palm_normal
    extras = model.extras
    if "palm_side" in extras:
        palm = torch.as_tensor(np.asarray(extras["palm_side"], np.float32)).to(rest.device)
        palm = palm.reshape(-1)
        palm = (palm - palm.min()) / (palm.max() - palm.min()).clamp(min=1e-6)
    else:
        palm = torch.sigmoid(4 * (normals @ palm_normal))

    along = torch.full((len(rest),), -1.0, device=rest.device)
    nearest = torch.full((len(rest),), torch.inf, device=rest.device)
    for finger in range(5):
        line = joints[1 + 4 * finger : 5 + 4 * finger]
        distance, place = _polyline_position(rest, line)
        better = distance < nearest
        along = torch.where(better, place, along)
        nearest = torch.where(better, distance, nearest)
    attributes = torch.cat(
        [rest, along[:, None], belongs.amax(1, keepdim=True), palm[:, None]], dim=1
    )

    if "nail_centers" in extras:
        placed = [extras[name] for name in ("nail_centers", "nail_frames", "nail_half_sizes")]
        centers, frames, sizes = (
            torch.as_tensor(np.asarray(value, np.float32)).to(rest.device) for value in placed
        )
    else:
        on_digit = (along > 2.25) & (belongs.amax(1) > 0.5)
        digits = torch.where(on_digit, belongs.argmax(1), -1)
        centers, frames, sizes = _estimate_nails(rest, joints, digits, -palm_normal)
    return SkinSurface(
        attributes=attributes,
        nail_centers=centers,
        nail_frames=frames,
        nail_sizes=sizes,
        palm_lines=torch.tensor(PALM_LINES, device=rest.device),
        palm_origin=torch.stack([wrist, knuckles[0]]),
        palm_axes=torch.stack([knuckles[3] - knuckles[0], knuckles[1] - wrist]),
        rest_axis=rest_axis,
        rest_wide=F.normalize(across - (across @ rest_axis) * rest_axis, dim=0),
    )


def arm_attributes(surface: SkinSurface, loop: Tensor, rest: Tensor) -> Tensor:
    """Attributes (R*L, 6) of the arm's skin: no finger; palm or back as at the wrist.

    Towards the elbow the palm's side turns into the paler, but not palm-like, inner forearm.
    """
    rings = len(rest) // len(loop)
    away = torch.linspace(0, 1, rings, device=rest.device) * rings / 6
    palm = surface.attributes[loop, 5] * (1 - 0.75 * away.clamp(max=1))[:, None]
    attributes = torch.zeros((len(rest), 6), device=rest.device)
    attributes[:, :3] = rest
    attributes[:, 3] = -1
    attributes[:, 5] = palm.reshape(-1)
    return attributes


@dataclass
class Material:
    """Per pixel: albedo (N, 3) linear, roughness, specular strength, bump of the normal (N, 3)."""

    albedo: Tensor
    roughness: Tensor
    specular: Tensor
    bump: Tensor
    skin: Tensor


def _bell(value: Tensor, center: float, width: float) -> Tensor:
    return torch.exp(-(((value - center) / width) ** 2))


def _smooth(value: Tensor, low: float, high: float) -> Tensor:
    x = ((value - low) / (high - low)).clamp(0, 1)
    return x * x * (3 - 2 * x)


def _palm_creases(surface: SkinSurface, rest: Tensor) -> Tensor:
    """Closeness (N,) to the palm's main lines."""
    origin, knuckle = surface.palm_origin
    along_axis, across_axis = surface.palm_axes[1], surface.palm_axes[0]
    along = ((rest - origin) @ along_axis) / (along_axis @ along_axis)
    across = ((rest - knuckle) @ across_axis) / (across_axis @ across_axis)
    # Back to metres, so that a line is as wide along as across.
    scale = torch.stack([across_axis.norm(), along_axis.norm()])
    place = torch.stack([across, along], 1) * scale
    crease = torch.zeros(len(rest), device=rest.device)
    for line in surface.palm_lines:
        points = line * scale
        start, step = points[:-1], points[1:] - points[:-1]
        share = (((place[:, None] - start) * step).sum(-1) / (step**2).sum(-1)).clamp(0, 1)
        distance = (place[:, None] - start - share[..., None] * step).norm(dim=-1).amin(1)
        crease = torch.maximum(crease, torch.exp(-((distance / 0.0011) ** 2)))
    return crease


def skin_material(
    surface: SkinSurface, attributes: Tensor, tone: SkinTone, noise: SolidNoise
) -> Material:
    """Evaluates the skin at surface points.

    Args:
        surface: the hand model's fields.
        attributes: (N, 6) interpolated :attr:`SkinSurface.attributes`.
        tone: the person.
        noise: the person's pattern (at least 4 channels).
    """
    rest, along, finger, palm = attributes.split([3, 1, 1, 1], dim=1)
    along, finger, palm = along[:, 0], finger[:, 0], palm[:, 0]
    device = rest.device
    broad = noise.fractal(rest, 55.0, 3)
    fine = noise.fractal(rest + 0.31, 420.0, 2)
    wobble = 0.05 * broad[:, 3] + 0.03 * fine[:, 3]
    on_finger = _smooth(finger, 0.45, 0.85)
    palmar = _smooth(palm, 0.35, 0.75)
    back = 1 - palmar
    place = along + wobble

    # Flexion creases of the fingers, wrinkles of the knuckles, lines of the palm.
    flexion = 0.7 * _bell(place, 0.42, 0.035) + _bell(place, 1.0, 0.035) + _bell(place, 2.0, 0.03)
    flexion = flexion + 0.5 * _bell(place, 1.09, 0.025)
    folds = sum(
        _bell(place, 1.0 + shift, 0.022) for shift in (-0.17, -0.09, -0.01, 0.08, 0.16)
    ) + 0.7 * sum(_bell(place, 2.0 + shift, 0.02) for shift in (-0.09, 0.0, 0.09))
    palm_line = _palm_creases(surface, rest + 0.004 * broad[:, :3]) * (1 - on_finger) * palmar
    palm_line = palm_line * (along > -1)
    crease = tone.creases * (
        on_finger * (palmar * flexion * 0.8 + back * folds * 0.45) + 0.65 * palm_line
    )
    crease = crease.clamp(0, 1)

    knuckle = on_finger * back * (_bell(along, 1.0, 0.3) + 0.8 * _bell(along, 2.0, 0.22))
    knuckle = knuckle + back * _bell(along, 0.05, 0.3) * _smooth(finger, 0.1, 0.5) * 0.7
    tip = on_finger * _smooth(along, 2.3, 2.9)

    melanin = tone.melanin * (1 - 0.62 * _smooth(palm, 0.1, 1.0))
    melanin = melanin * (1 + 0.14 * tone.mottling * broad[:, 0])
    melanin = melanin * (1 + 0.16 * knuckle) * (1 + 0.05 * fine[:, 0])
    blood = tone.blood + tone.mottling * (0.16 * broad[:, 1] + 0.05 * fine[:, 1])
    blood = blood + 0.12 * palmar + 0.20 * tip + 0.18 * knuckle + 0.25 * crease
    absorbed = melanin[:, None] * torch.tensor(MELANIN, device=device)
    absorbed = absorbed + blood.clamp(min=0)[:, None] * torch.tensor(BLOOD, device=device)
    albedo = torch.tensor(BLOODLESS, device=device) * torch.exp(-absorbed)
    albedo = albedo * (1 - 0.34 * crease)[:, None]

    # Nails: a rounded rectangle on the back of each last phalanx, with its free edge and fold.
    nail = torch.zeros(len(rest), device=device)
    rim = torch.zeros_like(nail)
    edge = torch.zeros_like(nail)
    moon = torch.zeros_like(nail)
    for center, frame, size in zip(
        surface.nail_centers, surface.nail_frames, surface.nail_sizes, strict=True
    ):
        local = (rest - center) @ frame.T
        u, v, w = (local[:, 0] / size[0]), local[:, 1] / size[1], local[:, 2]
        near = (w > -0.6 * size[1]) & (u.abs() < 2) & (v.abs() < 2)
        shape = (u.abs() ** 3.2 + v.abs() ** 2.8).clamp(min=1e-6) ** (1 / 3)
        inside = _smooth(-shape, -1.05, -0.93) * near
        nail = torch.maximum(nail, inside)
        rim = torch.maximum(rim, torch.exp(-(((shape - 1.06) / 0.10) ** 2)) * near)
        edge = torch.maximum(edge, inside * _smooth(u + 0.12 * v**2, 0.74, 0.88))
        base = torch.exp(-(((u + 1.0) / 0.42) ** 2 + (v / 0.6) ** 2))
        moon = torch.maximum(moon, inside * base)
    plate = torch.tensor(BLOODLESS, device=device) * torch.exp(
        -(0.08 + 0.5 * tone.melanin) * torch.tensor(MELANIN, device=device)
        - (tone.blood * 0.7 + 0.28) * torch.tensor(BLOOD, device=device)
    )
    pale = plate * 0.55 + 0.42 * torch.tensor([0.88, 0.82, 0.74], device=device)
    plate = plate * (1 - 0.12 * rim)[:, None]
    plate = plate + (0.25 * moon + 0.8 * tone.nail_length * edge)[:, None] * (pale - plate)
    if tone.polish is not None:
        plate = torch.tensor(tone.polish, device=device).expand_as(plate)
    albedo = albedo * (1 - 0.28 * rim * (1 - nail))[:, None]
    albedo = albedo + nail[:, None] * (plate - albedo)

    roughness = 0.52 + 0.08 * fine[:, 2] - 0.22 * nail + 0.05 * palmar
    specular = tone.shine * (0.75 + 0.25 * fine[:, 2]) * (1 - 0.5 * crease) + 0.7 * nail
    bump = 0.055 * fine[:, :3] * (1 - nail)[:, None] + 0.03 * broad[:, :3]
    skin = 1 - 0.5 * nail
    return Material(albedo.clamp(0.005, 0.95), roughness, specular, bump, skin)
