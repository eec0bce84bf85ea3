"""PyTorch3D's rasteriser behind HandZoo's camera: pixels in, visible faces out.

The only place where the two conventions meet. HandZoo: x right, y down, z forward, pixels with
centres at integers. PyTorch3D: x left, y up, z forward, the picture's square in [-1, 1].

On a CPU PyTorch3D tests every face at every pixel, which takes seconds for a picture of 512
pixels. So the picture is cut into tiles there, and each tile is rasterised as a mesh of its own
with the few faces that can touch it. On CUDA the library bins faces itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Side of a CPU tile in pixels; 16 to 48 take about the same time.
_TILE = 24
# Faces with a corner nearer than this (metres) are behind the camera, or as good as.
_NEAR = 0.01


@dataclass
class Fragments:
    """The visible surface at the covered pixels of a picture.

    Attributes:
        pixel: (N,) int64, index into the flattened (height, width) picture.
        face: (N,) int64, the face seen there.
        barycentric: (N, 3) weights of its corners.
    """

    pixel: Tensor
    face: Tensor
    barycentric: Tensor


def rasterize(
    points: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool = True
) -> Fragments:
    """Find the face that each pixel of a picture sees.

    Args:
        points: (V, 3) screen x and y in pixels (centres at integers), and depth in metres.
        faces: (F, 3) int64.
        size: (height, width) of the picture.
        perspective: correct the weights of the corners for depth (False for a parallel
            projection).

    Returns:
        The covered pixels; none if the mesh is out of sight.
    """
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    height, width = size
    on_cpu = points.device.type == "cpu"
    corners = points[faces]
    kept = (corners[..., 2] > _NEAR).all(1).nonzero()[:, 0]
    corners = corners[kept]
    # From here on the outer edge of the first pixel is 0, and its centre 0.5.
    corners = torch.cat((corners[..., :2] + 0.5, corners[..., 2:]), dim=-1)
    tile = _TILE if on_cpu else max(height, width)
    columns, rows = -(-width // tile), -(-height // tile)
    tile_of, face_of = _tile_pairs(corners, columns, rows, tile)
    if len(face_of) == 0:
        empty = torch.zeros(0, dtype=torch.int64, device=points.device)
        return Fragments(empty, empty, points.new_zeros((0, 3)))
    used, counts = torch.unique_consecutive(tile_of, return_counts=True)
    origin = torch.stack((used % columns, used // columns), 1) * tile
    local = corners[face_of]
    shift = torch.repeat_interleave(origin, counts, 0)[:, None]
    screen = 1 - 2 * (local[..., :2] - shift) / tile
    local = torch.cat((screen, local[..., 2:]), dim=-1)
    sizes = counts.tolist()
    meshes = Meshes(
        verts=[part.reshape(-1, 3) for part in local.split(sizes)],
        faces=[torch.arange(3 * n, device=points.device).view(n, 3) for n in sizes],
    )
    seen, _, weights, _ = rasterize_meshes(
        meshes,
        image_size=tile,
        faces_per_pixel=1,
        perspective_correct=perspective,
        bin_size=0 if on_cpu else None,
        max_faces_per_bin=None if on_cpu else len(corners),
    )
    slot, row, column = (seen[..., 0] >= 0).nonzero(as_tuple=True)
    x, y = origin[slot, 0] + column, origin[slot, 1] + row
    inside = (x < width) & (y < height)
    slot, row, column, x, y = (value[inside] for value in (slot, row, column, x, y))
    return Fragments(
        pixel=y * width + x,
        face=kept[face_of[seen[slot, row, column, 0]]],
        barycentric=weights[slot, row, column, 0],
    )


def _tile_pairs(corners: Tensor, columns: int, rows: int, tile: int) -> tuple[Tensor, Tensor]:
    """All (tile, face) pairs whose boxes overlap, sorted by tile."""
    last = torch.tensor((columns - 1, rows - 1), device=corners.device)
    low = (corners[..., :2].amin(1) / tile).floor().clamp(min=0)
    high = (corners[..., :2].amax(1) / tile).floor()
    spans = (torch.minimum(high, last) - torch.minimum(low, last + 1) + 1).clamp(min=0).long()
    low = low.long()
    counts = spans[:, 0] * spans[:, 1]
    face = torch.repeat_interleave(torch.arange(len(corners), device=corners.device), counts)
    place = torch.arange(len(face), device=corners.device) - (counts.cumsum(0) - counts)[face]
    column = low[face, 0] + place % spans[face, 0]
    row = low[face, 1] + torch.div(place, spans[face, 0], rounding_mode="floor")
    index = row * columns + column
    order = torch.argsort(index, stable=True)
    return index[order], face[order]


def interpolate(values: Tensor, faces: Tensor, fragments: Fragments) -> Tensor:
    """Values of the vertices (V, C) at the fragments: (N, C)."""
    corners = values[faces[fragments.face]]
    return (corners * fragments.barycentric[..., None]).sum(1)
