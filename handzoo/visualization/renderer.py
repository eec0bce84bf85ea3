"""Pictures of a hand mesh: shaded over a photograph, from the side, alone.

Shading is deferred: PyTorch3D says which face each pixel sees (:mod:`.rasterize`), and the
visible points are lit here, so that one picture costs one pass over a few thousand fragments.
Supersampling smooths the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from handzoo.hands.camera import weak_to_translation
from handzoo.visualization.rasterize import interpolate, rasterize

SKIN = (0.91, 0.74, 0.64)
CLAY = (0.72, 0.76, 0.82)
# Focal length in widths of the crop at which perspective is no longer visible: the overlay of a
# weak-perspective prediction then agrees with its 2D joints.
_WEAK_FOCAL = 50.0


@dataclass(frozen=True)
class Style:
    """How a mesh looks.

    Attributes:
        color: sRGB in 0..1.
        specular: strength of the highlight.
        supersample: samples per pixel along each side.
    """

    color: tuple[float, float, float] = SKIN
    specular: float = 0.10
    supersample: int = 2


# Directions towards the lights in the camera frame (x right, y down, z forward), and strengths:
# a key light from the upper left, a weak fill from the right, both from the camera's side.
_LIGHTS = (((-0.45, -0.65, -0.75), 0.62), ((0.85, 0.05, -0.45), 0.20))
_SKY, _GROUND = 0.34, 0.16  # ambient from above and from below


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals (V, 3) of the vertices, each the area-weighted mean of its faces' normals."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = torch.cross(b - a, c - a, dim=1)
    summed = torch.zeros_like(vertices)
    for corner in range(3):
        summed.index_add_(0, faces[:, corner], normal)
    return F.normalize(summed, dim=1)


def _shade(normals: Tensor, to_eye: Tensor, inside: Tensor, style: Style) -> Tensor:
    """Soft Phong shading of (N, 3) surface points; (N, 3) sRGB in 0..1.

    ``inside`` (N, 1) tells where the back of a face is seen: the hand is open at the wrist.
    """
    normals = torch.where(inside, -normals, normals)
    facing = (normals * to_eye).sum(1, keepdim=True)
    light = _GROUND + (_SKY - _GROUND) * (0.5 - 0.5 * normals[:, 1:2])
    gloss = torch.zeros_like(light)
    for direction, strength in _LIGHTS:
        towards = F.normalize(normals.new_tensor(direction), dim=0)
        cosine = normals @ towards[:, None]
        light = light + strength * ((cosine + 0.25) / 1.25).clamp(min=0)  # wraps round the edge
        half = F.normalize(towards + to_eye, dim=1)
        gloss = gloss + strength * (normals * half).sum(1, keepdim=True).clamp(min=0) ** 30
    # Edges fall off a little, as a round surface does.
    light = light * (0.80 + 0.20 * facing.clamp(0, 1))
    light = torch.where(inside, 0.35 * light, light)
    linear = normals.new_tensor(style.color) ** 2.2 * light * 1.25 + style.specular * gloss
    return linear.clamp(0, 1) ** (1 / 2.2)


def _seen_from_behind(points: Tensor, faces: Tensor) -> Tensor:
    """(F,) bool from screen points (V, 3): winding is clockwise in a frame with y down."""
    a, b, c = (points[faces[:, k], :2] for k in range(3))
    (ux, uy), (vx, vy) = (b - a).unbind(1), (c - a).unbind(1)
    return ux * vy - uy * vx > 0


@torch.no_grad()
def render_mesh(
    vertices: Tensor | np.ndarray,
    faces: Tensor | np.ndarray,
    K: Tensor | np.ndarray | None,
    size: tuple[int, int],
    style: Style | None = None,
) -> np.ndarray:
    """Render a mesh that is in the camera frame.

    Args:
        vertices: (V, 3) metres, x right, y down, z forward; on the device to render on.
        faces: (F, 3), counter-clockwise seen from outside. Mirror the winding of a mirrored
            (left) hand, see :func:`mirrored_faces`.
        K: (3, 3) intrinsics, pixel centres at integers. None: ``vertices`` are already screen x
            and y in pixels and depth in the same unit, projected in parallel.
        size: (height, width) of the picture, of any shape.
        style: colours and smoothing.

    Returns:
        (height, width, 4) uint8, RGB and coverage, not premultiplied.
    """
    style = style or Style()
    vertices = torch.as_tensor(vertices).float()
    faces = torch.as_tensor(faces).to(vertices.device)
    if K is None:
        points = vertices
        to_eye = vertices.new_tensor((0.0, 0.0, -1.0)).expand_as(vertices)
        # Depth only sorts the faces in a parallel projection; it must lie before the camera.
        points = torch.cat((points[:, :2], points[:, 2:] - points[:, 2].min() + 1), dim=1)
    else:
        K = torch.as_tensor(K).to(vertices)
        projected = vertices @ K.T
        depth = projected[:, 2:].clamp(min=1e-6)
        points = torch.cat((projected[:, :2] / depth, vertices[:, 2:]), dim=1)
        to_eye = F.normalize(-vertices, dim=1)
    factor = style.supersample
    height, width = size
    # Pixel x covers [x - 1/2, x + 1/2], which the finer grid cuts into `factor` pixels.
    fine = torch.cat(((points[:, :2] + 0.5) * factor - 0.5, points[:, 2:]), dim=1)
    fragments = rasterize(fine, faces, (factor * height, factor * width), K is not None)
    attributes = torch.cat((vertex_normals(vertices, faces), to_eye), dim=1)
    at_pixel = interpolate(attributes, faces, fragments)
    # By the face, not by the smooth normal, which turns away a little before the outline.
    inside = _seen_from_behind(points, faces)[fragments.face, None]
    color = _shade(
        F.normalize(at_pixel[:, :3], dim=1), F.normalize(at_pixel[:, 3:], dim=1), inside, style
    )
    picture = color.new_zeros(factor * height * factor * width, 4)
    picture[fragments.pixel] = torch.cat((color, torch.ones_like(color[:, :1])), dim=1)
    picture = picture.view(factor * height, factor * width, 4).permute(2, 0, 1)
    picture = F.avg_pool2d(picture[None], factor)[0].permute(1, 2, 0)
    alpha = picture[..., 3:]
    rgb = picture[..., :3] / alpha.clamp(min=1e-6)
    return (torch.cat((rgb, alpha), dim=-1) * 255).round().byte().cpu().numpy()


def composite(layer: np.ndarray, background: np.ndarray, opacity: float = 1.0) -> np.ndarray:
    """Lay an RGBA picture (H, W, 4) uint8 over an RGB one (H, W, 3) uint8."""
    alpha = layer[..., 3:].astype(np.float32) * (opacity / 255)
    mixed = layer[..., :3] * alpha + background * (1 - alpha)
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def mirrored_faces(faces: Tensor | np.ndarray) -> Tensor | np.ndarray:
    """Faces (F, 3) with the winding turned, for a mesh that was mirrored."""
    return faces[:, [0, 2, 1]]


def weak_perspective_intrinsics(size: float) -> Tensor:
    """(3, 3) camera of a square crop that is so far away that its perspective is parallel."""
    K = torch.diag(torch.tensor((_WEAK_FOCAL * size, _WEAK_FOCAL * size, 1.0)))
    K[:2, 2] = size / 2
    return K


def overlay_mesh(
    image: np.ndarray,
    vertices: Tensor | np.ndarray,
    faces: Tensor | np.ndarray,
    K: Tensor | np.ndarray,
    style: Style | None = None,
    opacity: float = 0.92,
) -> np.ndarray:
    """Render a mesh in the camera frame over its image.

    Args:
        image: (H, W, 3) uint8 RGB.
        vertices: (V, 3) metres in the camera frame.
        faces: (F, 3).
        K: (3, 3) intrinsics of the image.
        style: colours and smoothing.
        opacity: of the mesh.

    Returns:
        (H, W, 3) uint8.
    """
    layer = render_mesh(vertices, faces, K, image.shape[:2], style)
    return composite(layer, image, opacity)


def overlay_weak_perspective(
    image: np.ndarray,
    vertices: Tensor | np.ndarray,
    faces: Tensor | np.ndarray,
    camera: Tensor | np.ndarray,
    style: Style | None = None,
    opacity: float = 0.92,
) -> np.ndarray:
    """Render a root-relative mesh over its square crop with a weak-perspective camera.

    Args:
        image: (S, S, 3) uint8 RGB crop.
        vertices: (V, 3) metres, relative to the wrist.
        faces: (F, 3).
        camera: (3,) as (s, tx, ty).
        style: colours and smoothing.
        opacity: of the mesh.

    Returns:
        (S, S, 3) uint8.
    """
    size = image.shape[0]
    vertices = torch.as_tensor(vertices).detach().float()
    camera = torch.as_tensor(camera).detach().to(vertices)
    K = weak_perspective_intrinsics(size).to(vertices)
    placed = vertices + weak_to_translation(camera[None], K[None], size)
    return overlay_mesh(image, placed, faces, K, style, opacity)


def render_view(
    vertices: Tensor | np.ndarray,
    faces: Tensor | np.ndarray,
    size: int = 224,
    azimuth: float = 0.0,
    elevation: float = 0.0,
    background: Sequence[int] = (255, 255, 255),
    style: Style | None = None,
    extent: float | None = None,
) -> np.ndarray:
    """Render a mesh alone in a square picture, turned about its own centre.

    Args:
        vertices: (V, 3) metres, x right, y down, z forward.
        faces: (F, 3).
        size: side of the picture in pixels.
        azimuth: degrees that the viewer walks round the hand to the right; 90 is the side view.
        elevation: degrees that the viewer rises.
        background: RGB.
        style: colours and smoothing.
        extent: metres that the picture spans; fits the mesh if None.

    Returns:
        (size, size, 3) uint8.
    """
    vertices = torch.as_tensor(vertices).detach().float()
    low, high = vertices.amin(0), vertices.amax(0)
    centred = vertices - (low + high) / 2
    turned = centred @ _view_rotation(azimuth, elevation).to(centred).T
    # Any turn of the hand fits the sphere round it, so views of one hand have one scale.
    extent = extent or 2.1 * float(centred.norm(dim=1).max())
    screen = turned * (size / extent)
    screen[:, :2] += size / 2 - 0.5
    layer = render_mesh(screen, faces, None, (size, size), style)
    return composite(layer, np.full((size, size, 3), background, dtype=np.uint8))


def _view_rotation(azimuth: float, elevation: float) -> Tensor:
    """(3, 3) that turns the scene as seen by a viewer who walked round it."""
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    # Seen from the right, what was far (z) lies to the right (x).
    about_y = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    about_x = [[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]]
    return torch.tensor(np.array(about_x) @ np.array(about_y), dtype=torch.float32)


def side_view(
    vertices: Tensor | np.ndarray,
    faces: Tensor | np.ndarray,
    size: int = 224,
    background: Sequence[int] = (255, 255, 255),
    style: Style | None = None,
) -> np.ndarray:
    """The mesh seen from the side (90 degrees round): shows the depth that an overlay hides."""
    return render_view(vertices, faces, size, azimuth=90.0, background=background, style=style)
