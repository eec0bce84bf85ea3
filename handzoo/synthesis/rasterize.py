"""PyTorch3D's rasteriser, in pixels and fast enough on a CPU.

PyTorch3D tests every face at every pixel when it runs on a CPU. A finely subdivided hand has
tens of thousands of faces, so the picture is cut into tiles, each of which is rasterised as a
mesh of its own with the faces that can touch it. On CUDA the library bins faces itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Side of a CPU tile in pixels; 16 to 48 take about the same time.
TILE = 24


@dataclass
class Fragments:
    """The visible surface at the covered pixels of a picture.

    pixel (N,) int64 is the index into the flattened (height, width) picture, face (N,) int64 the
    index of the face seen there and barycentric (N, 3) the perspective-correct weights of its
    corners.
    """

    pixel: Tensor
    face: Tensor
    barycentric: Tensor


def _tile_pairs(corners: Tensor, size: int, tile: int) -> tuple[Tensor, Tensor]:
    """All (tile, face) pairs whose boxes overlap, sorted by tile."""
    tiles = (size + tile - 1) // tile
    low = (corners[..., :2].amin(1) / tile).floor().clamp(0, tiles).long()
    high = (corners[..., :2].amax(1) / tile).floor().clamp(-1, tiles - 1).long()
    high = torch.maximum(high, low - 1)
    spans = (high - low + 1).clamp(min=0)
    counts = spans[:, 0] * spans[:, 1]
    face = torch.repeat_interleave(torch.arange(len(corners), device=corners.device), counts)
    first = torch.cumsum(counts, 0) - counts
    place = torch.arange(len(face), device=corners.device) - first[face]
    column = low[face, 0] + place % spans[face, 0]
    row = low[face, 1] + place // spans[face, 0]
    index = row * tiles + column
    order = torch.argsort(index, stable=True)
    return index[order], face[order]


def rasterize(points: Tensor, faces: Tensor, size: int, perspective: bool = True) -> Fragments:
    """Finds the face that each pixel of a square picture sees.

    Args:
        points: (V, 3) screen x and y in pixels (0 is the outer edge of the first pixel, so its
            centre is 0.5) and depth in metres; faces with a corner behind the camera are dropped.
        faces: (F, 3) int64.
        size: side of the picture in pixels.
        perspective: weight the corners by inverse depth (False for orthographic pictures).
    """
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    corners = points[faces]
    kept = (corners[..., 2] > 0.01).all(1).nonzero()[:, 0]
    corners = corners[kept]
    tile = TILE if points.device.type == "cpu" else size
    tile_of, face_of = _tile_pairs(corners, size, tile)
    if len(face_of) == 0:
        empty = torch.zeros(0, dtype=torch.int64, device=points.device)
        return Fragments(empty, empty, points.new_zeros((0, 3)))
    used, counts = torch.unique_consecutive(tile_of, return_counts=True)
    tiles = (size + tile - 1) // tile
    origin = torch.stack([used % tiles, used // tiles], 1) * tile
    local = corners[face_of].clone()
    shift = torch.repeat_interleave(origin, counts, 0)[:, None]
    # PyTorch3D's screen: x to the left, y up, the tile spans [-1, 1].
    local[..., :2] = 1 - 2 * (local[..., :2] - shift) / tile
    meshes = Meshes(
        verts=[part.reshape(-1, 3) for part in local.split(counts.tolist())],
        faces=[torch.arange(3 * n, device=points.device).view(n, 3) for n in counts.tolist()],
    )
    face, _, weights, _ = rasterize_meshes(
        meshes,
        image_size=tile,
        faces_per_pixel=1,
        perspective_correct=perspective,
        bin_size=None if points.device.type == "cuda" else 0,
        max_faces_per_bin=len(corners) if points.device.type == "cuda" else None,
    )
    slot, row, column = (face[..., 0] >= 0).nonzero(as_tuple=True)
    x, y = origin[slot, 0] + column, origin[slot, 1] + row
    inside = (x < size) & (y < size)
    slot, row, column, x, y = (value[inside] for value in (slot, row, column, x, y))
    packed = face[slot, row, column, 0]
    return Fragments(
        pixel=y * size + x,
        face=kept[face_of[packed]],
        barycentric=weights[slot, row, column, 0],
    )


def interpolate(values: Tensor, faces: Tensor, fragments: Fragments) -> Tensor:
    """Vertex attributes (V, C) at the fragments: (N, C)."""
    corners = values[faces[fragments.face]]
    return (corners * fragments.barycentric[..., None]).sum(1)
