"""Light on skin: one key light with soft shadows, a fill, and a sky-to-ground environment.

All in linear light. The hand is shaded deferred, that is at the fragments the rasteriser found,
so one rasterisation serves all background versions of a hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from handzoo.synthesis.skin import Material
from handzoo.visualization.rasterize import rasterize

#: How far light creeps round the terminator by scattering under skin, per colour (red most).
WRAP = (0.34, 0.15, 0.09)
#: Reflectance of skin and nails at normal incidence.
FRESNEL = 0.028


@dataclass
class Lighting:
    """Lights of one picture, in the camera frame (x right, y down, z forward), linear RGB.

    key_direction, fill_direction and up are unit vectors that point *to* the light and the sky;
    key_size is the tangent of the key light's half angle (0.02 sharp, 0.5 a window near by).
    """

    key_direction: tuple[float, float, float]
    key: tuple[float, float, float]
    key_size: float
    fill_direction: tuple[float, float, float]
    fill: tuple[float, float, float]
    up: tuple[float, float, float]
    sky: tuple[float, float, float]
    ground: tuple[float, float, float]


@dataclass
class ShadowMap:
    """Depth of the scene seen along a direction, for soft shadows and for light through skin."""

    origin: Tensor
    axes: Tensor
    depth: Tensor
    texel: float
    taps: Tensor = field(repr=False)

    @classmethod
    def of(
        cls,
        points: Tensor,
        faces: Tensor,
        direction: Tensor,
        center: Tensor,
        extent: float,
        size: int = 224,
    ) -> ShadowMap:
        """Rasterises (V, 3) points from a light at infinity in ``direction`` (3,).

        Args:
            center: (3,) middle of the map.
            extent: half its side in metres; what lies outside is lit.
        """
        helper = torch.tensor([1.0, 0.0, 0.0], device=points.device)
        if abs(float(direction[0])) > 0.9:
            helper = torch.tensor([0.0, 1.0, 0.0], device=points.device)
        right = F.normalize(torch.linalg.cross(direction, helper), dim=0)
        axes = torch.stack([right, torch.linalg.cross(right, direction), -direction])
        texel = 2 * extent / size
        local = (points - center) @ axes.T
        screen = torch.cat([local[:, :2] / texel + (size - 1) / 2, local[:, 2:] + 2.0], 1)
        fragments = rasterize(screen, faces, (size, size), perspective=False)
        depth = torch.full((size * size,), torch.inf, device=points.device)
        seen = screen[faces[fragments.face], 2] * fragments.barycentric
        depth[fragments.pixel] = seen.sum(1)
        angle = torch.arange(10, device=points.device) * 2.399963
        radius = ((torch.arange(10, device=points.device) + 0.5) / 10).sqrt()
        taps = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
        return cls(center, axes, depth.view(size, size), texel, taps)

    def _look_up(self, local: Tensor, offset: Tensor) -> Tensor:
        size = self.depth.shape[0]
        place = ((local[:, :2] + offset) / self.texel + size / 2).floor().long()
        outside = ((place < 0) | (place >= size)).any(1)
        place = place.clamp(0, size - 1)
        return torch.where(outside, torch.inf, self.depth[place[:, 1], place[:, 0]])

    def lit(self, points: Tensor, normals: Tensor, light_size: float, spin: Tensor) -> Tensor:
        """Share of the light (N,) that arrives at points (N, 3).

        The penumbra grows with the distance to what casts the shadow (Fernando, 2005).

        Args:
            spin: (N,) angles that turn the pattern of taps, so that banding becomes noise.
        """
        local = (points + 0.0018 * normals - self.origin) @ self.axes.T
        depth = local[:, 2] + 2.0 - 0.0022
        cosine, sine = spin.cos(), spin.sin()

        def offset(tap: Tensor, radius: Tensor | float) -> Tensor:
            turned = [tap[0] * cosine - tap[1] * sine, tap[0] * sine + tap[1] * cosine]
            return torch.stack(turned, 1) * radius

        blockers, total = torch.zeros_like(depth), torch.zeros_like(depth)
        for tap in self.taps[::2]:
            seen = self._look_up(local, offset(tap, 0.06 * light_size + 0.001))
            hit = seen < depth
            total = total + torch.where(hit, depth - seen.clamp(max=1e3), 0.0)
            blockers = blockers + hit
        gap = total / blockers.clamp(min=1)
        radius = (gap * light_size).clamp(0.0012, 0.03)[:, None]
        light = torch.zeros_like(depth)
        for tap in self.taps:
            light = light + (self._look_up(local, offset(tap, radius)) >= depth)
        return torch.where(blockers > 0, light / len(self.taps), 1.0)

    def thickness(self, points: Tensor) -> Tensor:
        """Length of the light's way through the body to points (N, 3), metres, (N,)."""
        local = (points - self.origin) @ self.axes.T
        seen = self._look_up(local, torch.zeros_like(local[:, :2]))
        return (local[:, 2] + 2.0 - seen).clamp(min=0)


def _environment(direction: Tensor, lighting: Lighting) -> Tensor:
    device = direction.device
    height = direction @ torch.tensor(lighting.up, device=device)
    share = (0.5 + 0.5 * height)[:, None]
    sky = torch.tensor(lighting.sky, device=device)
    return share * sky + (1 - share) * torch.tensor(lighting.ground, device=device)


def _highlight(normal: Tensor, view: Tensor, light: Tensor, roughness: Tensor) -> Tensor:
    """Normalised Blinn-Phong lobe times Schlick's Fresnel term times the cosine, (N,)."""
    half = F.normalize(view + light, dim=1)
    power = (2 / roughness.clamp(min=0.1) ** 4 - 2).clamp(min=1)
    cosine = (normal * half).sum(1).clamp(min=1e-4)
    fresnel = FRESNEL + (1 - FRESNEL) * (1 - (view * half).sum(1).clamp(0, 1)) ** 5
    facing = (normal @ light).clamp(min=0)
    return (power + 8) / (8 * torch.pi) * cosine**power * fresnel * facing * torch.pi


def shade(
    material: Material,
    normal: Tensor,
    view: Tensor,
    occlusion: Tensor,
    lit: Tensor,
    thickness: Tensor,
    lighting: Lighting,
) -> Tensor:
    """Radiance towards the camera (N, 3), linear.

    Args:
        material: (N, ...) what the fragments are made of.
        normal: (N, 3) unit, camera frame.
        view: (N, 3) unit, from the surface to the camera.
        occlusion: (N,) share of the sky that is visible.
        lit: (N,) share of the key light that arrives.
        thickness: (N,) way of the key light through the body, m.
    """
    device = normal.device
    normal = F.normalize(normal + material.bump, dim=1)
    # Interpolated normals at the outline may look away from the camera: bend them back.
    facing = (normal * view).sum(1, keepdim=True)
    normal = F.normalize(normal + view * (0.02 - facing).clamp(min=0), dim=1)
    facing = (normal * view).sum(1).clamp(0, 1)
    albedo, skin = material.albedo, material.skin[:, None]

    key_direction = torch.tensor(lighting.key_direction, device=device)
    key = torch.tensor(lighting.key, device=device)
    wrap = skin * torch.tensor(WRAP, device=device)
    cosine = (normal @ key_direction)[:, None]
    diffuse = ((cosine + wrap) / (1 + wrap)).clamp(min=0)
    # Scattering softens a shadow's edge most in red.
    softness = 1 / (1 + skin * torch.tensor([0.9, 0.2, 0.1], device=device))
    arriving = lit[:, None].clamp(min=1e-3) ** softness * (lit[:, None] > 0)
    through = torch.exp(-thickness[:, None] / torch.tensor([0.0075, 0.0022, 0.0015], device=device))
    through = 0.22 * skin * through * (0.25 - cosine).clamp(0, 1) * (thickness > 5e-4)[:, None]
    radiance = albedo * key * (diffuse * arriving + through)

    fill_direction = torch.tensor(lighting.fill_direction, device=device)
    fill = torch.tensor(lighting.fill, device=device)
    cosine = (normal @ fill_direction)[:, None]
    open_sky = occlusion[:, None]
    radiance = radiance + albedo * fill * ((cosine + wrap) / (1 + wrap)).clamp(min=0) * open_sky
    # Light that is reflected between bright surfaces reaches creases and takes their colour.
    bounced = open_sky ** (1 - 0.55 * albedo)
    radiance = radiance + albedo * _environment(normal, lighting) * bounced

    shine = _highlight(normal, view, key_direction, material.roughness) * lit
    shine = shine[:, None] * key
    glint = _highlight(normal, view, fill_direction, material.roughness)
    shine = shine + (glint * occlusion)[:, None] * fill
    mirror = 2 * facing[:, None] * normal - view
    rim = FRESNEL + (1 - material.roughness).clamp(min=FRESNEL) * 0.5 * (1 - facing) ** 5
    shine = shine + (rim * occlusion)[:, None] * _environment(mirror, lighting)
    return radiance + material.specular[:, None] * shine
