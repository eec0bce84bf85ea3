"""A banner of hands: each as a picture and, below it, as the mesh and skeleton that annotate it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from handzoo.hands.gestures import gesture_pose
from handzoo.hands.models import build_hand_model
from handzoo.hands.rotations import axis_angle_to_matrix
from handzoo.synthesis.arm import ArmPose
from handzoo.synthesis.colors import to_linear, to_srgb
from handzoo.synthesis.compose import soften_highlights
from handzoo.synthesis.noise import fractal_noise
from handzoo.synthesis.poses import rotation_vector, tilt
from handzoo.synthesis.render import Body, HandRenderer
from handzoo.synthesis.shading import Lighting
from handzoo.synthesis.skin import SkinTone
from handzoo.visualization.rasterize import rasterize
from handzoo.visualization.renderer import Style, composite, render_mesh
from handzoo.visualization.skeleton import draw_skeleton

#: Gesture, melanin, blood, sleeve's start (m, None = bare) and colour.
HANDS = (
    ("peace", 0.25, 0.20, 0.05, (0.05, 0.12, 0.30)),
    ("ok", 1.75, 0.16, 0.07, (0.75, 0.72, 0.66)),
    ("palm", 0.10, 0.26, 0.04, (0.30, 0.05, 0.08)),
    ("rock", 0.75, 0.20, None, (0.1, 0.1, 0.1)),
    ("call", 0.18, 0.22, 0.06, (0.02, 0.02, 0.025)),
    ("stop_inverted", 1.0, 0.18, 0.05, (0.55, 0.30, 0.06)),
)
WIDTH, HEIGHT = 232, 300
_LIGHT = Lighting(
    key_direction=(-0.58, -0.62, -0.53),
    key=(1.02, 0.95, 0.86),
    key_size=0.22,
    fill_direction=(0.72, 0.05, -0.69),
    fill=(0.14, 0.16, 0.20),
    up=(0.0, -1.0, 0.0),
    sky=(0.36, 0.39, 0.44),
    ground=(0.20, 0.17, 0.15),
)


def _body(renderer: HandRenderer, number: int, rng: np.random.Generator) -> Body:
    gesture, melanin, blood, sleeve, color = HANDS[number]
    model, surface = renderer.model, renderer.surface
    fingers, orientation = gesture_pose(gesture)
    upright = axis_angle_to_matrix(torch.as_tensor(orientation)).numpy()
    rotation = tilt(rng, 0.06, 0.10) @ upright
    pose = np.concatenate([rotation_vector(rotation), fingers - model.hands_mean.cpu().numpy()])
    focal, size = 900.0, HEIGHT
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    out = model(torch.as_tensor(pose, dtype=torch.float32, device=renderer.device)[None])
    vertices = out.vertices[0].cpu().numpy()
    low, high = vertices.min(0), vertices.max(0)
    translation = -(low + high) / 2
    translation[1] -= 0.012
    translation[2] += 0.87
    axis = rotation @ surface.rest_axis.cpu().numpy()
    forearm = axis * 0.45 + np.array([0.0, 1.0, 0.10])
    upper = np.array([0.0, 1.0, 0.2])
    directions = [
        torch.as_tensor(d / np.linalg.norm(d), dtype=torch.float32) for d in (forearm, upper)
    ]
    return Body(
        pose=pose,
        shape=np.zeros(10),
        translation=translation,
        K=K,
        size=size,
        arm=ArmPose(*directions, sleeve_start=sleeve),
        tone=SkinTone(melanin=melanin, blood=blood, nail_length=0.6),
        sleeve_color=color,
        sleeve_stripe=0.0,
        occluder=None,
        seed=number + 1,
    )


def _backdrop(height: int, width: int, top: tuple, bottom: tuple) -> np.ndarray:
    """Two colours blended downwards, with a pool of light in the middle; sRGB in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    share = (y / height)[..., None]
    picture = np.array(top) * (1 - share) + np.array(bottom) * share
    pool = np.exp(-(((x / width - 0.5) / 0.45) ** 2) - ((y / height - 0.45) / 0.8) ** 2)
    # A trace of noise hides the steps of eight-bit gradients.
    grain = 0.002 * fractal_noise((height, width), np.random.default_rng(0), 200, 1)
    return (picture * (0.88 + 0.16 * pool[..., None]) + grain[..., None]).astype(np.float32)


def _wireframe(
    canvas: np.ndarray, vertices: np.ndarray, faces: np.ndarray, K: np.ndarray
) -> np.ndarray:
    """Draws the edges of the visible faces of a mesh on (H, W, 3) uint8."""
    projected = vertices @ K.T
    pixels = projected[:, :2] / projected[:, 2:]
    scale = 3
    points = np.concatenate([(pixels + 0.5) * scale - 0.5, projected[:, 2:]], 1)
    size = (canvas.shape[0] * scale, canvas.shape[1] * scale)
    seen = rasterize(torch.as_tensor(points).float(), torch.as_tensor(faces), size)
    visible = np.unique(seen.face.numpy())
    lines = np.zeros(canvas.shape[:2], np.uint8)
    corners = np.round(pixels[faces[visible]] * 16).astype(np.int32)
    cv2.polylines(lines, list(corners), True, 255, 1, cv2.LINE_AA, 4)
    share = (lines.astype(np.float32) / 255 * 0.30)[..., None]
    return (canvas * (1 - share) + np.array([12, 28, 52]) * share).astype(np.uint8)


@torch.no_grad()
def render_hero(path: str | Path, device: str = "cpu", palette: int | None = None) -> Path:
    """Draws the banner and writes it as PNG.

    Args:
        path: file to write.
        device: 'cpu' or 'cuda'.
        palette: number of colours of an indexed PNG (much smaller); None keeps true colour.
    """
    renderer = HandRenderer(build_hand_model("bundled"), device, supersample=4, subdivisions=2)
    rng = np.random.default_rng(7)
    count = len(HANDS)
    upper = to_linear(_backdrop(HEIGHT, WIDTH * count, (0.86, 0.88, 0.90), (0.70, 0.73, 0.77)))
    lower = _backdrop(HEIGHT, WIDTH * count, (0.10, 0.13, 0.19), (0.05, 0.07, 0.11))
    lower = (np.clip(lower, 0, 1) * 255).astype(np.uint8)
    margin = (HEIGHT - WIDTH) // 2
    for number in range(count):
        body = _body(renderer, number, rng)
        buffer = renderer.rasterize(body)
        layer = renderer.shade(buffer, _LIGHT)
        light = soften_highlights(layer.color, layer.alpha)
        columns = slice(number * WIDTH, (number + 1) * WIDTH)
        inner = slice(margin, margin + WIDTH)
        uncovered = 1 - layer.alpha[:, inner, None]
        upper[:, columns] = light[:, inner] + upper[:, columns] * uncovered

        faces = renderer.model.faces.cpu()
        style = Style(color=(0.55, 0.74, 0.92), supersample=3)
        mesh = render_mesh(buffer.vertices, faces, body.K, (HEIGHT, HEIGHT), style)
        cell = np.zeros((HEIGHT, HEIGHT, 3), np.uint8)
        cell[:, inner] = lower[:, columns]
        cell = _wireframe(composite(mesh, cell), buffer.vertices, faces.numpy(), body.K)
        projected = buffer.joints @ body.K.T
        cell = draw_skeleton(cell, projected[:, :2] / projected[:, 2:], thickness=2.4)
        lower[:, columns] = cell[:, inner]
    top = (to_srgb(upper) * 255 + 0.5).astype(np.uint8)
    banner = np.concatenate([top, lower])
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if palette is None:
        cv2.imwrite(str(path), banner[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    else:
        from PIL import Image

        indexed = Image.fromarray(banner).quantize(palette, dither=Image.Dither.FLOYDSTEINBERG)
        indexed.save(path, optimize=True)
    return path
