"""From a scene to pixels: geometry, one rasterisation, deferred shading for each version."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from handzoo.hands.models import HandModel
from handzoo.hands.rotations import axis_angle_to_matrix
from handzoo.synthesis.arm import ArmPose, build_arm, wrist_loop
from handzoo.synthesis.noise import SolidNoise
from handzoo.synthesis.occluders import (
    Occluder,
    cloth_material,
    occluder_material,
    occluder_mesh,
)
from handzoo.synthesis.shading import Lighting, ShadowMap, shade
from handzoo.synthesis.skin import (
    Material,
    SkinTone,
    arm_attributes,
    build_skin_surface,
    skin_material,
)
from handzoo.synthesis.surface import Subdivision, ambient_occlusion, vertex_areas
from handzoo.visualization.rasterize import interpolate, rasterize
from handzoo.visualization.renderer import vertex_normals

HAND, ARM, SLEEVE, OBJECT = range(4)


@dataclass
class Body:
    """All that is drawn of one scene: a posed hand and what goes with it.

    pose (48,), shape (10,) and translation (3,) are the hand model's; K (3, 3) projects to pixels
    of a picture of ``size`` (integer coordinates are pixel centres, as in FreiHAND).
    """

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    K: np.ndarray
    size: int
    arm: ArmPose
    tone: SkinTone
    sleeve_color: tuple[float, float, float]
    sleeve_stripe: float
    occluder: Occluder | None
    seed: int


@dataclass
class Layer:
    """A picture without background: premultiplied linear RGB (H, W, 3) and coverage (H, W)."""

    color: np.ndarray
    alpha: np.ndarray


@dataclass
class GBuffer:
    """The shaded surface of one scene before it is lit; N fragments on a finer pixel grid."""

    size: int
    supersample: int
    output: Tensor
    kind: Tensor
    position: Tensor
    normal: Tensor
    occlusion: Tensor
    material: Material
    shadow_points: Tensor
    shadow_faces: Tensor
    center: Tensor
    vertices: np.ndarray
    joints: np.ndarray
    visible: float
    spin: Tensor

    def coverage(self, *kinds: int) -> np.ndarray:
        """Share of each pixel (H, W) that the given kinds cover (all of them if none given)."""
        chosen = self.output
        if kinds:
            chosen = chosen[torch.isin(self.kind, torch.tensor(kinds, device=chosen.device))]
        counts = torch.bincount(chosen, minlength=self.size**2).float()
        return (counts / self.supersample**2).view(self.size, self.size).cpu().numpy()


def _pad(values: Tensor, width: int) -> Tensor:
    return F.pad(values, (0, width - values.shape[1]))


class HandRenderer:
    """Draws scenes of one hand model.

    Args:
        model: the hand model; its ``extras`` may hold ``nails`` and ``palm_side``.
        device: 'cpu' or 'cuda'.
        supersample: fragments along a pixel's side.
        subdivisions: midpoint steps from the 778 vertices to the drawn surface.
    """

    def __init__(
        self,
        model: HandModel,
        device: str = "cpu",
        supersample: int = 3,
        subdivisions: int = 1,
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.supersample = supersample
        self.surface = build_skin_surface(self.model)
        self.loop = wrist_loop(self.model.faces.cpu()).to(self.device)
        self.num_subdivisions = subdivisions
        self._steps: list[Subdivision] | None = None

    @torch.no_grad()
    def pose(self, body: Body) -> tuple[Tensor, Tensor]:
        """Annotated vertices (778, 3) and joints (21, 3) in the camera frame, metres."""
        pose = torch.as_tensor(body.pose, dtype=torch.float32, device=self.device)
        shape = torch.as_tensor(body.shape, dtype=torch.float32, device=self.device)
        translation = torch.as_tensor(body.translation, dtype=torch.float32, device=self.device)
        out = self.model(pose[None], shape[None], translation[None])
        return out.vertices[0], out.joints[0]

    def _subdivide(
        self, points: Tensor, faces: Tensor, attributes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        if self._steps is None:
            self._steps, count, current = [], len(points), faces
            for _ in range(self.num_subdivisions):
                step = Subdivision.of(current, count)
                self._steps.append(step)
                count, current = count + len(step.edges), step.faces
        for step in self._steps:
            normals = vertex_normals(points, faces)
            points = step.positions(points, normals)
            attributes = step.attributes(attributes)
            faces = step.faces
        return points, faces, attributes

    def _screen(self, points: Tensor, body: Body, scale: float) -> Tensor:
        K = torch.as_tensor(body.K, dtype=torch.float32, device=self.device)
        projected = points @ K.T
        pixels = projected[:, :2] / projected[:, 2:].clamp(min=1e-3)
        # Pixel x covers [x - 1/2, x + 1/2] and is cut into finer pixels there.
        return torch.cat([(pixels + 0.5) * scale - 0.5, points[:, 2:]], 1)

    def _visible_share(self, body: Body, vertices: Tensor, points: Tensor, faces: Tensor) -> float:
        """Share of the hand's outline that nothing hides, from a coarse picture."""
        small, scale = 64, 64 / body.size
        alone = rasterize(self._screen(vertices, body, scale), self.model.faces, (small, small))
        every = rasterize(self._screen(points, body, scale), faces, (small, small))
        seen = (every.face < len(self.model.faces)).sum()
        return float(seen) / max(len(alone.face), 1)

    @torch.no_grad()
    def rasterize(self, body: Body, min_visible: float = 0.0) -> GBuffer | None:
        """Builds the scene and finds what each pixel sees.

        Returns:
            None if less than ``min_visible`` of the hand can be seen.
        """
        generator = torch.Generator().manual_seed(body.seed)
        noise = SolidNoise(generator, device=self.device)
        model, surface = self.model, self.surface
        vertices, joints = self.pose(body)
        rotation = axis_angle_to_matrix(
            torch.as_tensor(body.pose[:3], dtype=torch.float32, device=self.device)
        )
        arm = build_arm(
            vertices,
            model.v_template,
            self.loop,
            rotation,
            surface.rest_axis,
            surface.rest_wide,
            body.arm,
            generator,
        )
        points = torch.cat([vertices, arm.skin_points])
        faces = torch.cat([model.faces, arm.skin_faces])
        extra_points, extra_faces, extra_rest, extra_kinds = [], [], [], []
        if len(arm.sleeve_points):
            extra_points.append(arm.sleeve_points)
            extra_faces.append(arm.sleeve_faces)
            extra_rest.append(arm.sleeve_rest)
            extra_kinds.append(SLEEVE)
        if body.occluder is not None:
            local, object_faces = occluder_mesh(body.occluder)
            local, object_faces = local.to(self.device), object_faces.to(self.device)
            turn, middle = body.occluder.rotation.to(local), body.occluder.center.to(local)
            extra_points.append(local @ turn.T + middle)
            extra_faces.append(object_faces)
            extra_rest.append(local)
            extra_kinds.append(OBJECT)

        offsets = np.cumsum([len(points)] + [len(p) for p in extra_points])
        coarse_points = torch.cat([points, *extra_points])
        coarse_faces = [f + int(o) for f, o in zip(extra_faces, offsets, strict=False)]
        coarse_faces = torch.cat([faces, *coarse_faces])
        if min_visible > 0:
            share = self._visible_share(body, vertices, coarse_points, coarse_faces)
            if share < min_visible:
                return None
        else:
            share = 1.0
        normals = vertex_normals(coarse_points, coarse_faces)
        areas = vertex_areas(coarse_points, coarse_faces)
        occlusion = ambient_occlusion(coarse_points, normals, areas)[:, None]

        own = torch.cat([surface.attributes, arm_attributes(surface, self.loop, arm.skin_rest)])
        own = torch.cat([own, occlusion[: len(own)]], 1)
        fine_points, fine_faces, attributes = self._subdivide(points, faces, own)
        kinds = torch.full((len(fine_faces),), ARM, device=self.device)
        quarters = 4**self.num_subdivisions
        order = torch.arange(len(fine_faces), device=self.device) % len(faces)
        kinds[order < len(model.faces)] = HAND
        assert len(fine_faces) == quarters * len(faces)
        width = attributes.shape[1]
        fine_normals = vertex_normals(fine_points, fine_faces)
        all_points, all_faces, all_normals = [fine_points], [fine_faces], [fine_normals]
        all_attributes, all_kinds = [attributes], [kinds]
        start = len(fine_points)
        for i, kind in enumerate(extra_kinds):
            span = slice(int(offsets[i]), int(offsets[i + 1]))
            rest = torch.cat([extra_rest[i], torch.zeros_like(extra_rest[i])], 1)
            all_attributes.append(_pad(torch.cat([rest, occlusion[span]], 1), width))
            all_points.append(extra_points[i])
            all_normals.append(normals[span])
            all_faces.append(extra_faces[i] + start)
            all_kinds.append(torch.full((len(extra_faces[i]),), kind, device=self.device))
            start += len(extra_points[i])
        all_points, all_faces = torch.cat(all_points), torch.cat(all_faces)

        fine = body.size * self.supersample
        fragments = rasterize(
            self._screen(all_points, body, self.supersample), all_faces, (fine, fine)
        )
        values = torch.cat([all_points, torch.cat(all_normals), torch.cat(all_attributes)], 1)
        values = interpolate(values, all_faces, fragments)
        kind = torch.cat(all_kinds)[fragments.face]
        row, column = fragments.pixel // fine, fragments.pixel % fine
        output = (row // self.supersample) * body.size + column // self.supersample
        return GBuffer(
            size=body.size,
            supersample=self.supersample,
            output=output,
            kind=kind,
            position=values[:, :3],
            normal=F.normalize(values[:, 3:6], dim=1),
            occlusion=values[:, 12],
            material=self._materials(body, kind, values[:, 6:12], noise),
            shadow_points=all_points,
            shadow_faces=all_faces,
            center=vertices.mean(0),
            vertices=vertices.cpu().numpy(),
            joints=joints.cpu().numpy(),
            visible=share,
            spin=6.2831853 * torch.rand(len(kind), generator=generator).to(self.device),
        )

    def _materials(
        self, body: Body, kind: Tensor, attributes: Tensor, noise: SolidNoise
    ) -> Material:
        count = len(kind)
        whole = Material(
            *(torch.zeros(count, *tail, device=self.device) for tail in ((3,), (), (), (3,), ()))
        )
        for name, chosen in (
            ("skin", kind <= ARM),
            ("sleeve", kind == SLEEVE),
            ("object", kind == OBJECT),
        ):
            if not bool(chosen.any()):
                continue
            inputs = attributes[chosen]
            if name == "skin":
                part = skin_material(self.surface, inputs, body.tone, noise)
            elif name == "sleeve":
                part = cloth_material(inputs[:, :3], body.sleeve_color, body.sleeve_stripe, noise)
            else:
                part = occluder_material(body.occluder, inputs[:, :3], noise)
            for field, value in vars(part).items():
                getattr(whole, field)[chosen] = value
        return whole

    @torch.no_grad()
    def shadow(self, buffer: GBuffer, lighting: Lighting) -> tuple[Tensor, Tensor]:
        """Share of the key light (N,) and its way through the body (N,) m, for ``shade``."""
        direction = torch.tensor(lighting.key_direction, device=self.device)
        shadow = ShadowMap.of(
            buffer.shadow_points, buffer.shadow_faces, direction, buffer.center, extent=0.17
        )
        lit = shadow.lit(buffer.position, buffer.normal, lighting.key_size, buffer.spin)
        return lit, shadow.thickness(buffer.position)

    @torch.no_grad()
    def shade(
        self, buffer: GBuffer, lighting: Lighting, shadow: tuple[Tensor, Tensor] | None = None
    ) -> Layer:
        """Lights the fragments and gathers them into pixels."""
        lit, thickness = self.shadow(buffer, lighting) if shadow is None else shadow
        radiance = shade(
            buffer.material,
            buffer.normal,
            F.normalize(-buffer.position, dim=1),
            buffer.occlusion,
            lit,
            thickness,
            lighting,
        )
        total = torch.zeros((buffer.size**2, 3), device=self.device)
        total.index_add_(0, buffer.output, radiance)
        color = (total / self.supersample**2).view(buffer.size, buffer.size, 3)
        return Layer(color.cpu().numpy(), buffer.coverage())
