"""Geometry of the drawn surface: subdivision, occlusion, the arm, things."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("pytorch3d")

from handzoo.hands.models import build_hand_model  # noqa: E402
from handzoo.synthesis.arm import ArmPose, build_arm, wrist_loop  # noqa: E402
from handzoo.synthesis.occluders import Occluder, occluder_mesh  # noqa: E402
from handzoo.synthesis.skin import build_skin_surface  # noqa: E402
from handzoo.synthesis.surface import (  # noqa: E402
    Subdivision,
    ambient_occlusion,
    vertex_areas,
)
from handzoo.visualization.renderer import vertex_normals  # noqa: E402


def octahedron() -> tuple[torch.Tensor, torch.Tensor]:
    points = torch.tensor([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    return points.float(), torch.tensor(faces)


def sphere(steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    points, faces = octahedron()
    for _ in range(steps):
        step = Subdivision.of(faces, len(points))
        points = torch.nn.functional.normalize(step.attributes(points), dim=1)
        faces = step.faces
    return points, faces


def test_curved_subdivision_keeps_vertices_and_rounds_a_sphere() -> None:
    points, faces = sphere(2)
    step = Subdivision.of(faces, len(points))
    finer = step.positions(points, points)
    assert torch.equal(finer[: len(points)], points)
    assert len(finer) - len(step.edges) == len(points)
    assert len(finer) - len(step.faces) * 3 // 2 + len(step.faces) == 2  # Euler
    flat = (step.attributes(points).norm(dim=1) - 1).abs().max()
    curved = (finer.norm(dim=1) - 1).abs().max()
    assert curved < 0.1 * flat


def test_normals_and_areas_of_a_sphere() -> None:
    points, faces = sphere(4)
    assert ((vertex_normals(points, faces) * points).sum(1) > 0.999).all()
    assert vertex_areas(points, faces).sum().item() == pytest.approx(4 * torch.pi, rel=0.01)


def test_ambient_occlusion_is_open_outside_and_dark_between() -> None:
    points, faces = sphere(3)
    ball = ambient_occlusion(points, points, vertex_areas(points, faces))
    assert ball.min() > 0.97
    pair = torch.cat([points, points + torch.tensor([2.2, 0, 0])])
    areas = vertex_areas(points, faces).repeat(2)
    seen = ambient_occlusion(pair, points.repeat(2, 1), areas)[: len(points)]
    assert seen[points[:, 0].argmax()] < 0.5 < 0.9 < seen[points[:, 0].argmin()]


def test_arm_closes_the_wrist_and_faces_outwards() -> None:
    model = build_hand_model("bundled")
    surface, loop = build_skin_surface(model), wrist_loop(model.faces)
    assert len(loop) == 16
    pose = ArmPose(surface.rest_axis, surface.rest_axis, sleeve_start=0.05)
    arm = build_arm(
        model.v_template,
        model.v_template,
        loop,
        torch.eye(3),
        surface.rest_axis,
        surface.rest_wide,
        pose,
        torch.Generator().manual_seed(0),
    )
    points = torch.cat([model.v_template, arm.skin_points])
    whole = torch.cat([model.faces, arm.skin_faces])
    # One boundary is left, the arm's far end, and the seam is wound consistently.
    assert set(wrist_loop(whole).tolist()) == set(range(len(points) - 16, len(points)))
    for vertices, faces in ((points, arm.skin_faces), (arm.sleeve_points, arm.sleeve_faces[72:])):
        a, b, c = vertices[faces].unbind(1)
        out = (a + b + c) / 3 - model.v_template[loop].mean(0)
        out = out - (out @ surface.rest_axis)[:, None] * surface.rest_axis
        facing = (torch.linalg.cross(b - a, c - a) * out).sum(1)
        assert (facing > 0).float().mean() > 0.95


@pytest.mark.parametrize("squareness", [(1.0, 1.0), (1.0, 0.18), (0.22, 0.18)])
def test_things_are_closed_and_as_large_as_said(squareness: tuple[float, float]) -> None:
    size = torch.tensor([0.02, 0.03, 0.05])
    zero = torch.zeros(3)
    thing = Occluder(zero, torch.eye(3), size, squareness, (0, 0, 0), (1, 1, 1), 0.5)
    points, faces = occluder_mesh(thing)
    torch.testing.assert_close(points.abs().amax(0), size, atol=1e-3, rtol=0)
    a, b, c = points[faces].unbind(1)
    volume = (torch.linalg.cross(a, b) * c).sum() / 6
    assert 4 / 3 * torch.pi * size.prod() * 0.95 < volume < 8 * size.prod()
