"""Putting a lit hand before its background, and what a camera does to the picture."""

from __future__ import annotations

import cv2
import numpy as np

from handzoo.synthesis.backgrounds import paint
from handzoo.synthesis.colors import to_linear, to_srgb
from handzoo.synthesis.lights import light_for
from handzoo.synthesis.noise import fractal_noise
from handzoo.synthesis.painters import SCENES
from handzoo.synthesis.render import GBuffer, HandRenderer, Layer
from handzoo.synthesis.scene import Scene, Version
from handzoo.synthesis.shading import Lighting


def expose(layer: Layer, rng: np.random.Generator) -> np.ndarray:
    """Scales a layer's light as a camera's meter would; (H, W, 3) linear, premultiplied.

    The meter half follows the subject: deep skin stays darker than pale skin.
    """
    covered = layer.alpha > 0.5
    level = float(layer.color[covered].mean()) if covered.any() else 0.3
    gain = (0.34 / max(level, 1e-3)) ** 0.45 * np.exp(rng.normal(0, 0.2))
    return soften_highlights(layer.color * gain, layer.alpha)


def soften_highlights(light: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Bends highlights into a shoulder, as film and cameras do, instead of clipping them.

    Args:
        light: (H, W, 3) linear, premultiplied by ``alpha`` (H, W).
    """
    knee = 0.7 * alpha[..., None]
    high = np.maximum(light - knee, 0)
    return np.minimum(light, knee) + 0.3 * (1 - np.exp(-high / 0.3))


def cast_shadow(alpha: np.ndarray, lighting: Lighting, rng: np.random.Generator) -> np.ndarray:
    """Shadow (H, W) in [0, 1] that the hand throws on a wall right behind it."""
    size = alpha.shape[0]
    distance = rng.uniform(0.03, 0.14) * size
    direction = np.array(lighting.key_direction)
    offset = -direction[:2] / max(abs(direction[2]), 0.5) * distance
    moved = cv2.warpAffine(
        alpha.astype(np.float32),
        np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32),
        (size, size),
        borderMode=cv2.BORDER_REPLICATE,
    )
    blur = distance * (0.15 + lighting.key_size) + 1.5
    strength = rng.uniform(0.15, 0.5) * (direction[2] < 0.1)
    return cv2.GaussianBlur(moved, (0, 0), blur) * strength


def photograph(picture: np.ndarray, rng: np.random.Generator, tint: float) -> np.ndarray:
    """Lens blur, white balance and sensor noise; sRGB (H, W, 3) in [0, 1] to uint8."""
    scale = picture.shape[0] / 224
    blur = rng.uniform(0.25, 0.65) * scale
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), blur)
    picture = picture * np.exp(rng.normal(0, tint, 3)).astype(np.float32)
    noise = rng.uniform(0.002, 0.010)
    size = picture.shape[:2]
    grain = rng.standard_normal((*size, 3)).astype(np.float32) * noise
    # Demosaicing and denoising leave a camera's noise smooth, and weaker in colour.
    grain = cv2.GaussianBlur(grain, (0, 0), 0.6 * scale + 0.1) * 1.7
    grain = 0.4 * grain + 0.6 * grain.mean(2, keepdims=True)
    picture = picture + grain + 0.3 * noise * fractal_noise(size, rng, 20, 2)[..., None]
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


def compose_version(
    renderer: HandRenderer,
    scene: Scene,
    version: Version,
    buffer: GBuffer,
    shadow: tuple,
) -> np.ndarray:
    """One finished picture (H, W, 3) uint8 RGB of a scene.

    Args:
        buffer, shadow: the scene's rasterised surface and key-light shadow, shared by versions.
    """
    rng = np.random.default_rng(version.seed)
    background = paint(version.background, buffer.size, rng)
    lighting = light_for(background, scene.key_direction, scene.key_size, rng)
    layer = renderer.shade(buffer, lighting, shadow)
    light = expose(layer, rng)
    is_scene = version.background in SCENES
    behind = to_linear(background)
    if is_scene:
        behind = behind * np.exp(rng.normal(0, 0.15))
    elif rng.random() < 0.6:
        behind = behind * (1 - cast_shadow(layer.alpha, lighting, rng))[..., None]
    picture = to_srgb(light + behind * (1 - layer.alpha[..., None]))
    return photograph(picture, rng, tint=0.03 if is_scene else 0.012)


def compose_scene(renderer: HandRenderer, scene: Scene, buffer: GBuffer) -> list[np.ndarray]:
    """All versions of a scene, each (H, W, 3) uint8 RGB."""
    rng = np.random.default_rng(scene.versions[0].seed)
    lighting = light_for(
        np.full((2, 2, 3), 0.5, np.float32), scene.key_direction, scene.key_size, rng
    )
    shadow = renderer.shadow(buffer, lighting)
    return [compose_version(renderer, scene, version, buffer, shadow) for version in scene.versions]
