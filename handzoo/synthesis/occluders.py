"""Things that a hand holds or that stand before it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from handzoo.synthesis.noise import SolidNoise
from handzoo.synthesis.skin import Material


@dataclass
class Occluder:
    """A super-ellipsoid: a ball, a can, a box or anything between.

    Attributes:
        center: (3,) camera frame, metres.
        rotation: (3, 3), columns are the object's axes.
        size: (3,) half lengths along them, metres.
        squareness: exponents (across, along): 1 is round, 0.15 nearly a box.
        color, band: linear RGB of the body and of a printed band.
        roughness: 0.15 glazed to 0.7 matt.
    """

    center: Tensor
    rotation: Tensor
    size: Tensor
    squareness: tuple[float, float]
    color: tuple[float, float, float]
    band: tuple[float, float, float]
    roughness: float


def _signed_power(value: Tensor, exponent: float) -> Tensor:
    return value.sign() * value.abs().clamp(min=1e-9) ** exponent


def occluder_mesh(occluder: Occluder, rows: int = 32, columns: int = 44) -> tuple[Tensor, Tensor]:
    """Points (V, 3) in the object's frame, m, and faces (F, 3) of the closed surface."""
    latitude = torch.linspace(-torch.pi / 2, torch.pi / 2, rows)[:, None]
    longitude = torch.linspace(0, 2 * torch.pi, columns + 1)[None, :-1]
    across, along = occluder.squareness
    radius = _signed_power(latitude.cos(), along)
    x = radius * _signed_power(longitude.cos(), across)
    y = radius * _signed_power(longitude.sin(), across)
    z = _signed_power(latitude.sin(), along).expand_as(x)
    points = torch.stack([x, y, z], -1).reshape(-1, 3)
    index = torch.arange(rows * columns).view(rows, columns)
    a, b = index[:-1], index[:-1].roll(-1, 1)
    c, d = index[1:], index[1:].roll(-1, 1)
    faces = torch.cat([torch.stack([a, b, d], -1), torch.stack([a, d, c], -1)]).reshape(-1, 3)
    return points * occluder.size.cpu(), faces


def occluder_material(occluder: Occluder, local: Tensor, noise: SolidNoise) -> Material:
    """Paint with a printed band and some wear, at object points (N, 3)."""
    device = local.device
    height = local[:, 2] / occluder.size[2]
    edge = ((0.45 - (height - 0.1).abs()) / 0.02).clamp(0, 1)[:, None]
    body = torch.tensor(occluder.color, device=device)
    albedo = body + edge * (torch.tensor(occluder.band, device=device) - body)
    pattern = noise.fractal(local, 60.0, 2)
    print_mask = ((pattern[:, 3:] - 0.25) / 0.05).clamp(0, 1) * edge
    albedo = albedo * (1 - 0.55 * print_mask) * (1 + 0.06 * pattern[:, :1])
    count = len(local)
    return Material(
        albedo=albedo.clamp(0.01, 0.95),
        roughness=torch.full((count,), occluder.roughness, device=device),
        specular=torch.full((count,), 1.4, device=device),
        bump=0.01 * noise(local, 300.0)[:, :3],
        skin=torch.zeros(count, device=device),
    )


def cloth_material(
    rest: Tensor, color: tuple[float, float, float], stripe: float, noise: SolidNoise
) -> Material:
    """Knitted or woven cloth at cloth points (N, 3); ``stripe`` in [0, 1] darkens bands of it."""
    device = rest.device
    broad = noise.fractal(rest, 40.0, 3)
    weave = noise(rest, 900.0)
    base = torch.tensor(color, device=device)
    bands = 0.5 + 0.5 * torch.sin(rest.norm(dim=1, keepdim=True) * 520.0)
    albedo = base * (1 + 0.10 * broad[:, :1] + 0.12 * weave[:, :1]) * (1 - stripe * bands)
    count = len(rest)
    return Material(
        albedo=albedo.clamp(0.01, 0.95),
        roughness=torch.full((count,), 0.8, device=device),
        specular=torch.full((count,), 0.25, device=device),
        bump=0.10 * weave[:, 1:4] + 0.06 * broad[:, 1:4],
        skin=torch.zeros(count, device=device),
    )
