"""Making a coarse mesh look smooth: curved subdivision and ambient occlusion.

Annotations stay on the 778 vertices; pictures are drawn from a subdivided surface that passes
through them, so that outlines are round and a mask still fits the annotated mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def vertex_areas(points: Tensor, faces: Tensor) -> Tensor:
    """A third of the area of the faces at each vertex, (V,) m^2."""
    a, b, c = points[faces].unbind(1)
    area = torch.linalg.cross(b - a, c - a).norm(dim=1) / 6
    total = points.new_zeros(len(points))
    for corner in range(3):
        total.index_add_(0, faces[:, corner], area)
    return total


@dataclass
class Subdivision:
    """One midpoint step: ``edges`` (E, 2) get a vertex each; ``faces`` (4F, 3) is the new mesh."""

    edges: Tensor
    faces: Tensor

    @classmethod
    def of(cls, faces: Tensor, num_vertices: int) -> Subdivision:
        """Splits every face of (F, 3) into four."""
        sides = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        edges, index = torch.unique(sides.sort(1).values, dim=0, return_inverse=True)
        ab, bc, ca = (index + num_vertices).view(3, -1)
        a, b, c = faces.unbind(1)
        quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        return cls(edges, torch.cat([torch.stack(corners, 1) for corners in quarters]))

    def attributes(self, values: Tensor) -> Tensor:
        """Linear interpolation of (V, C) to (V + E, C)."""
        return torch.cat([values, values[self.edges].mean(1)])

    def positions(self, points: Tensor, normals: Tensor) -> Tensor:
        """Points (V + E, 3) on the cubic that meets both ends' tangent planes.

        The edge rule of curved PN triangles (Vlachos et al., 2001): it interpolates the given
        points, unlike Loop's scheme, which would thin the fingers.
        """
        a, b = points[self.edges].unbind(1)
        na, nb = normals[self.edges].unbind(1)
        along = b - a
        # The cubic at its middle minus the middle of the chord.
        out_of_a, out_of_b = ((along * n).sum(1, keepdim=True) * n for n in (na, nb))
        bulge = (out_of_b - out_of_a) / 8
        # A crease seen by two far-apart normals must not throw the midpoint out of the surface.
        limit = 0.2 * along.norm(dim=1, keepdim=True)
        size = bulge.norm(dim=1, keepdim=True)
        bulge = bulge * (limit / size.clamp(min=1e-9)).clamp(max=1)
        return torch.cat([points, (a + b) / 2 + bulge])


def ambient_occlusion(points: Tensor, normals: Tensor, areas: Tensor) -> Tensor:
    """Share of the sky that each vertex sees, (V,) in [0, 1].

    Every vertex stands for a disc of its area (Bunnell, GPU Gems 2, chapter 14). Only discs whose
    front or back hides part of the receiver's upper half space count.
    """
    # Matrix products instead of (V, V, 3) differences; centred, so that little is cancelled.
    points = points - points.mean(0)
    squares = (points**2).sum(1)
    distance2 = (squares[:, None] + squares[None] - 2 * points @ points.T).clamp(min=1e-8)
    own = (points * normals).sum(1)
    receiver = normals @ points.T - own[:, None]
    emitter = own[None] - points @ normals.T
    # A neighbour on the same smooth sheet faces the same way and hides nothing, so that light
    # leaving a disc's back counts less.
    emitter = torch.where(emitter < 0, -emitter, 0.35 * emitter)
    shadow = areas[None] * receiver.clamp(min=0) * emitter
    shadow = shadow / (distance2 * (torch.pi * distance2 + areas[None]))
    return (1 - 1.6 * shadow.sum(1)).clamp(0, 1)
