"""Small procedural scenes: what stands behind a hand, out of focus.

Every painter draws an (size, size, 3) float32 sRGB picture in [0, 1] from a numpy generator
alone. Mood, light and clutter matter more than detail.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from handzoo.synthesis.brushes import blur, box, gradient, light_pool, polygon
from handzoo.synthesis.noise import fractal_noise


def paint_bright_room(size: int, rng: np.random.Generator) -> np.ndarray:
    """Daylight through a window on pale walls, with a few pieces of furniture."""
    wall = rng.uniform(0.78, 0.93) + rng.normal(0, 0.02, 3) + np.array([0.02, 0.0, -0.03])
    picture = gradient(size, wall * 1.03, wall * 0.92)
    corner = rng.uniform(0.15, 0.85)
    box(picture, corner, 0, 1.01, 1.01, wall * rng.uniform(0.84, 0.94))
    floor = rng.uniform(0.68, 0.85)
    wood = np.array([0.72, 0.58, 0.44]) * rng.uniform(0.75, 1.15)
    polygon(
        picture,
        np.array([[0, floor + 0.12], [corner, floor], [1, floor + 0.1], [1, 1.01], [0, 1.01]]),
        wood,
    )
    for _ in range(rng.integers(1, 3)):
        x, y = rng.uniform(-0.1, 0.8), rng.uniform(-0.15, 0.2)
        w, h = rng.uniform(0.22, 0.4), rng.uniform(0.3, 0.5)
        box(picture, x - 0.02, y - 0.02, x + w + 0.02, y + h + 0.02, wall * 1.06)
        box(picture, x, y, x + w, y + h, np.array([0.93, 0.97, 1.0]))
        box(picture, x, y + h * 0.65, x + w, y + h, np.array([0.78, 0.86, 0.78]))
        box(picture, x + w * 0.48, y, x + w * 0.52, y + h, wall * 1.04)
    for _ in range(rng.integers(2, 5)):
        color = 0.3 * rng.uniform(0.2, 0.8, 3) + 0.7 * wall * rng.uniform(0.35, 1.0)
        x, w = rng.uniform(-0.1, 0.9), rng.uniform(0.08, 0.3)
        top = rng.uniform(0.35, 0.75)
        box(picture, x, top, x + w, floor + rng.uniform(0.02, 0.2), color)
        box(picture, x, top, x + w, top + 0.03, color * 1.2)
    picture *= light_pool(size, rng, 0.06)
    return np.clip(blur(picture, rng.uniform(1.0, 2.6)), 0, 1)


def paint_mountain(size: int, rng: np.random.Generator) -> np.ndarray:
    """Ridges that fade into haze under an open, clouded or evening sky."""
    evening = rng.random() < 0.35
    if evening:
        low = np.array([0.96, 0.72, 0.52]) + rng.normal(0, 0.04, 3)
        high = np.array([0.45, 0.52, 0.72]) * rng.uniform(0.8, 1.15)
    else:
        low = np.array([0.82, 0.88, 0.94])
        high = np.array([0.32, 0.52, 0.82]) * rng.uniform(0.9, 1.2)
    picture = gradient(size, high, low, 0.8)
    clouds = fractal_noise((size, size), rng, 3, 5, 0.55, stretch=(1.6, 0.7))
    cover = np.clip(clouds * 0.5 + rng.uniform(-0.4, 0.3), 0, 1)[..., None]
    picture = picture * (1 - cover) + (low * 0.4 + 0.58) * cover
    x = np.linspace(0, 1, size)
    rows = np.arange(size, dtype=np.float32)[:, None] / size
    near = np.array([0.20, 0.25, 0.16]) * rng.uniform(0.6, 1.4)
    layers = rng.integers(3, 5)
    for layer in range(layers):
        share = (layer + 1) / layers
        line = fractal_noise((1, size), rng, 2.5 + 2 * layer, 5, 0.5)[0]
        peak = rng.uniform(0.15, 0.85)
        height = 0.16 * (1 - share) * np.exp(-((x - peak) ** 2) / 0.06)
        ridge = 0.30 + 0.42 * share - height - (0.07 - 0.03 * share) * line
        mask = np.clip((rows - ridge[None]) * size, 0, 1)[..., None]
        rock = near * share + (low * 0.85) * (1 - share)
        relief = fractal_noise((size, size), rng, 9, 5, 0.6, stretch=(1.0, 1.3))
        shade = rock * (1 + (0.10 + 0.16 * share) * relief[..., None])
        if layer < layers - 1 and rng.random() < 0.7:
            depth = np.clip(1 - (rows - ridge[None]) / 0.12 + 0.5 * relief, 0, 1)[..., None]
            snow = (relief[..., None] > -0.2) * depth
            shade = shade * (1 - 0.85 * snow) + 0.92 * low * 1.05 * 0.85 * snow
        picture = picture * (1 - mask) + shade * mask
    return np.clip(blur(picture, rng.uniform(0.3, 1.3)), 0, 1).astype(np.float32)


def _foliage(size: int, rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    clumps = fractal_noise((size, size), rng, 5, 2)
    leaves = fractal_noise((size, size), rng, 28, 3, 0.8)
    light = np.clip(0.75 + 0.28 * clumps + 0.30 * leaves, 0.1, 1.9)[..., None]
    hue = np.array([1.0, 1.0, 0.8]) + 0.15 * clumps[..., None] * np.array([1.0, 0.2, -0.4])
    return np.asarray(base) * light * hue


def paint_outdoor(size: int, rng: np.random.Generator) -> np.ndarray:
    """A lawn before trees, with sky between the crowns."""
    picture = gradient(size, np.array([0.60, 0.76, 0.95]), np.array([0.90, 0.93, 0.94]))
    green = np.array([0.25, 0.36, 0.16]) * rng.uniform(0.8, 1.3)
    crown = 0.30 + 0.12 * fractal_noise((1, size), rng, 4, 5, 0.6)[0] - rng.uniform(0.0, 0.3)
    rows = np.arange(size, dtype=np.float32)[:, None] / size
    holes = fractal_noise((size, size), rng, 12, 3)
    mask = np.clip((rows - crown[None]) * 40 + holes * 0.8, 0, 1)[..., None]
    picture = picture * (1 - mask) + _foliage(size, rng, green) * mask
    for _ in range(rng.integers(1, 5)):
        x, w = rng.uniform(0, 1), rng.uniform(0.01, 0.04)
        lean = rng.normal(0, 0.03)
        bark = np.array([0.27, 0.22, 0.17]) * rng.uniform(0.6, 1.3)
        polygon(
            picture,
            np.array([[x + lean, 0.1], [x + lean + w * 0.6, 0.1], [x + w, 0.8], [x - w, 0.8]]),
            bark,
        )
    lawn = rng.uniform(0.55, 0.75)
    blades = fractal_noise((size, size), rng, 30, 3, 0.8, stretch=(1.0, 0.6))
    tone = fractal_noise((size, size), rng, 3, 2, stretch=(2.0, 0.7))
    grass = np.array([0.40, 0.52, 0.20]) * rng.uniform(0.85, 1.2)
    grass = grass * (1 + 0.10 * blades + 0.14 * tone)[..., None]
    mask = np.clip((rows - lawn - 0.01 * tone) * 60, 0, 1)[..., None]
    picture = picture * (1 - mask) + grass * mask
    picture *= light_pool(size, rng, 0.1)
    return np.clip(blur(picture, rng.uniform(0.5, 2.2)), 0, 1).astype(np.float32)


def paint_forest(size: int, rng: np.random.Generator) -> np.ndarray:
    """Leaves from near with spots of light between them."""
    base = np.array([0.24, 0.33, 0.13]) * rng.uniform(0.7, 1.3)
    if rng.random() < 0.3:
        base = np.array([0.46, 0.33, 0.16]) * rng.uniform(0.8, 1.2)
    picture = _foliage(size, rng, base).astype(np.float32)
    sparkle = np.clip(fractal_noise((size, size), rng, 14, 2) - 1.3, 0, 1)[..., None]
    picture = picture + 0.55 * sparkle * np.array([1.0, 1.0, 0.85], np.float32)
    return np.clip(blur(picture.astype(np.float32), rng.uniform(0.8, 2.6)), 0, 1)


def paint_desk(size: int, rng: np.random.Generator) -> np.ndarray:
    """A table top seen from above with paper, books, a cup and a keyboard."""
    wood = np.array([[0.62, 0.45, 0.29], [0.80, 0.70, 0.56], [0.36, 0.24, 0.16], [0.85] * 3])
    tone = wood[rng.integers(len(wood))] * rng.uniform(0.9, 1.1)
    grain = fractal_noise((size, size), rng, 2, 5, 0.6, stretch=(12.0, 0.6))
    picture = (tone * (1 + 0.05 * grain[..., None])).astype(np.float32)
    for _ in range(rng.integers(3, 7)):
        center, angle = rng.uniform(0, 1, 2), rng.uniform(0, np.pi)
        half = rng.uniform(0.06, 0.26, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ turn.T + center
        shadow = picture.copy()
        polygon(shadow, corners + 0.015, tone * 0.45)
        picture = 0.4 * picture + 0.6 * blur(shadow, 2.5)
        paper = rng.random() < 0.5
        color = np.full(3, rng.uniform(0.85, 0.97)) if paper else rng.uniform(0.08, 0.8, 3)
        polygon(picture, corners, color)
        if paper:
            for line in np.linspace(-0.75, 0.75, rng.integers(5, 9)):
                row = np.array([[-0.8, line], [rng.uniform(0.2, 0.8), line]]) * half @ turn.T
                row = np.round((row + center) * size * 16).astype(np.int32)
                ink = [float(v) for v in color * 0.6]
                cv2.line(picture, row[0].tolist(), row[1].tolist(), ink, 1, cv2.LINE_AA, 4)
        else:
            polygon(picture, (corners - center) * 0.8 + center, color * rng.uniform(0.8, 1.25))
    if rng.random() < 0.5:
        x, y, r = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.07, 0.12)
        color = rng.uniform(0.2, 0.95, 3)
        for share, tint in ((1.0, color), (0.85, color * 0.7), (0.78, np.array([0.2, 0.12, 0.07]))):
            place = np.round(np.array([x, y]) * size * 16).astype(np.int32).tolist()
            radius = int(r * share * size * 16)
            cv2.circle(picture, place, radius, [float(t) for t in tint], -1, cv2.LINE_AA, 4)
    picture = picture * light_pool(size, rng, 0.1)
    return np.clip(blur(picture, rng.uniform(0.5, 1.8)), 0, 1).astype(np.float32)


def paint_office(size: int, rng: np.random.Generator) -> np.ndarray:
    """Shelves, screens and metal rails in the light of a laboratory."""
    wall = np.full(3, rng.uniform(0.35, 0.75)) + rng.normal(0, 0.03, 3)
    picture = gradient(size, wall, wall * 0.75)
    box(picture, 0, rng.uniform(0.65, 0.85), 1.01, 1.01, np.array([0.42, 0.33, 0.25]))
    for shelf in range(rng.integers(1, 4)):
        y = rng.uniform(0.05, 0.6)
        x, end = rng.uniform(-0.1, 0.5), rng.uniform(0.6, 1.1)
        box(picture, x, y, end, y + 0.025, wall * 0.5)
        while x < end - 0.03 and shelf < 2:
            w, h = rng.uniform(0.015, 0.05), rng.uniform(0.08, 0.16)
            book = 0.5 * rng.uniform(0.08, 0.8, 3) + rng.uniform(0.0, 0.4)
            box(picture, x, y - h, x + w * 0.9, y, book)
            x += w + (0.1 if rng.random() < 0.1 else 0)
    if rng.random() < 0.6:
        x, y = rng.uniform(-0.1, 0.7), rng.uniform(0.1, 0.6)
        box(picture, x, y, x + 0.4, y + 0.28, np.full(3, 0.07))
        box(picture, x + 0.02, y + 0.02, x + 0.38, y + 0.26, np.array([0.55, 0.68, 0.82]))
    for _ in range(rng.integers(1, 4)):
        start, angle = rng.uniform(0, 1, 2), rng.uniform(0, np.pi)
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]]) * rng.uniform(0.015, 0.03)
        metal = rng.uniform(0.55, 0.8)
        for share, tint in ((1.0, 0.8), (0.6, 1.15), (0.15, 0.55)):
            edges = [start - 2 * along, start + 2 * along]
            strip = [edges[0] - across * share, edges[1] - across * share]
            strip += [edges[1] + across * share, edges[0] + across * share]
            polygon(picture, np.array(strip), np.full(3, metal * tint))
    picture = picture * light_pool(size, rng, 0.12)
    return np.clip(blur(picture, rng.uniform(0.8, 2.2)), 0, 1).astype(np.float32)


def paint_beach(size: int, rng: np.random.Generator) -> np.ndarray:
    """Sky, sea and sand."""
    horizon = rng.uniform(0.25, 0.5)
    picture = gradient(size, np.array([0.42, 0.66, 0.92]), np.array([0.88, 0.93, 0.96]), 0.6)
    box(picture, 0, horizon, 1.01, 1.01, np.array([0.10, 0.42, 0.58]) * rng.uniform(0.8, 1.3))
    waves = fractal_noise((size, size), rng, 4, 4, 0.6, stretch=(8.0, 0.8))
    rows = np.arange(size, dtype=np.float32)[:, None] / size
    sea = (rows > horizon)[..., None]
    picture = picture * (1 + 0.08 * waves[..., None] * sea)
    shore = horizon + rng.uniform(0.1, 0.3) + 0.01 * fractal_noise((1, size), rng, 3, 3)
    sand = np.array([0.85, 0.75, 0.58]) * rng.uniform(0.85, 1.1)
    sand = sand * (1 + 0.04 * fractal_noise((size, size), rng, 12, 4, 0.7)[..., None])
    foam = np.exp(-(((rows - shore) / 0.012) ** 2))[..., None]
    mask = np.clip((rows - shore) * 80, 0, 1)[..., None]
    picture = picture * (1 - mask) + sand * mask
    picture = picture * (1 - 0.8 * foam) + 0.8 * foam
    return np.clip(blur(picture.astype(np.float32), rng.uniform(0.6, 1.8)), 0, 1)


def paint_city_lights(size: int, rng: np.random.Generator) -> np.ndarray:
    """Night-time lamps, so far out of focus that they are discs."""
    top = np.array([0.04, 0.05, 0.12]) * rng.uniform(0.7, 2.0)
    picture = gradient(size, top, np.array([0.16, 0.11, 0.10]) * rng.uniform(0.6, 1.5))
    tints = np.array([[1.0, 0.72, 0.35], [1.0, 0.45, 0.3], [0.95, 0.95, 0.85], [0.4, 0.7, 1.0]])
    for _ in range(rng.integers(25, 60)):
        layer = np.zeros_like(picture)
        place = rng.uniform(-0.05, 1.05), np.clip(rng.normal(0.55, 0.25), 0, 1)
        center = np.round(np.array(place) * size * 16).astype(np.int32).tolist()
        radius = rng.uniform(0.015, 0.06)
        tint = tints[rng.integers(len(tints))] * rng.uniform(0.15, 0.6)
        fill = [float(t) for t in tint]
        cv2.circle(layer, center, int(radius * size * 16), fill, -1, cv2.LINE_AA, 4)
        picture = 1 - (1 - picture) * (1 - layer)
    return np.clip(blur(picture, rng.uniform(0.5, 1.5)), 0, 1).astype(np.float32)


def paint_brick_wall(size: int, rng: np.random.Generator) -> np.ndarray:
    """Courses of brick, each with a tone of its own, in slanting light."""
    brick = np.array([[0.55, 0.27, 0.20], [0.62, 0.50, 0.40], [0.80, 0.78, 0.74]])
    tone = brick[rng.integers(len(brick))] * rng.uniform(0.85, 1.1)
    picture = np.full((size, size, 3), tone * rng.uniform(0.55, 1.2), np.float32)
    height = rng.uniform(0.045, 0.085)
    width = height * rng.uniform(2.2, 3.0)
    for row in range(int(1 / height) + 2):
        for column in range(-1, int(1 / width) + 2):
            x = (column + 0.5 * (row % 2)) * width
            own = tone * np.exp(rng.normal(0, 0.10)) + rng.normal(0, 0.012, 3)
            box(picture, x, row * height, x + 0.93 * width, (row + 0.86) * height, own)
    picture *= 1 + 0.06 * fractal_noise((size, size), rng, 25, 4, 0.7)[..., None]
    picture = picture * light_pool(size, rng, 0.13)
    return np.clip(blur(picture, rng.uniform(0.4, 1.6)), 0, 1).astype(np.float32)


def paint_street(size: int, rng: np.random.Generator) -> np.ndarray:
    """House fronts with rows of windows along a road, under an even sky."""
    sky = np.array([0.72, 0.80, 0.90]) * rng.uniform(0.75, 1.1)
    picture = gradient(size, sky * 0.9, sky * 1.1)
    road = rng.uniform(0.68, 0.85)
    x = -0.1
    while x < 1.0:
        width, top = rng.uniform(0.18, 0.4), rng.uniform(0.02, 0.35)
        front = rng.uniform(0.35, 0.8) + rng.normal(0, 0.07, 3)
        box(picture, x, top, x + width, road + 0.02, front)
        glass = np.array([0.30, 0.36, 0.42]) * rng.uniform(0.6, 1.3)
        columns, step = rng.integers(2, 5), rng.uniform(0.10, 0.15)
        for row in np.arange(top + 0.04, road - 0.08, step):
            for column in range(columns):
                left = x + width * (column + 0.25) / columns
                pane = glass * rng.uniform(0.7, 1.4)
                box(picture, left, row, left + 0.5 * width / columns, row + 0.6 * step, pane)
        x += width
    box(picture, 0, road, 1.01, 1.01, np.full(3, rng.uniform(0.28, 0.48)))
    box(picture, 0, road, 1.01, road + 0.035, np.full(3, rng.uniform(0.5, 0.68)))
    for _ in range(rng.integers(1, 4)):
        left, high = rng.uniform(-0.1, 0.9), rng.uniform(0.07, 0.12)
        paint_of_car = rng.uniform(0.05, 0.75, 3)
        box(picture, left, road - high, left + 3 * high, road + 0.3 * high, paint_of_car)
        box(picture, left + 0.6 * high, road - 1.7 * high, left + 2.3 * high, road - high, glass)
    picture = picture * (1 + 0.03 * fractal_noise((size, size), rng, 30, 3)[..., None])
    picture = picture * light_pool(size, rng, 0.08)
    return np.clip(blur(picture, rng.uniform(1.2, 2.8)), 0, 1).astype(np.float32)


def paint_kitchen(size: int, rng: np.random.Generator) -> np.ndarray:
    """Cupboards over a tiled wall and a worktop with pots and bottles."""
    front = rng.choice([0.85, 0.6, 0.3]) * np.exp(rng.normal(0, 0.12, 3))
    tile_color = np.full(3, rng.uniform(0.6, 0.9)) + rng.normal(0, 0.04, 3)
    picture = gradient(size, tile_color, tile_color * 0.85)
    step = rng.uniform(0.07, 0.12)
    for line in np.arange(0, 1, step):
        box(picture, line, 0, line + 0.006, 1, tile_color * 0.75)
        box(picture, 0, line, 1, line + 0.006, tile_color * 0.75)
    top, counter = rng.uniform(0.15, 0.38), rng.uniform(0.62, 0.8)
    width = rng.uniform(0.22, 0.4)
    for left in np.arange(rng.uniform(-0.2, 0), 1, width):
        for y0, y1 in ((-0.01, top), (counter + 0.05, 1.01)):
            box(picture, left, y0, left + width - 0.008, y1, front * rng.uniform(0.95, 1.03))
            handle = left + width * 0.8
            box(picture, handle, y1 - 0.1, handle + 0.012, y1 - 0.03, np.full(3, 0.55))
    box(picture, 0, counter, 1.01, counter + 0.045, np.array([0.45, 0.33, 0.24]))
    for _ in range(rng.integers(2, 6)):
        left, w = rng.uniform(0, 0.95), rng.uniform(0.03, 0.12)
        high, color = rng.uniform(0.06, 0.24), rng.uniform(0.08, 0.8, 3)
        box(picture, left, counter - high, left + w, counter, color)
        shine = np.clip(color * 1.5 + 0.1, 0, 1)
        box(picture, left + 0.2 * w, counter - 0.95 * high, left + 0.3 * w, counter, shine)
    picture = picture * light_pool(size, rng, 0.12)
    return np.clip(blur(picture, rng.uniform(0.9, 2.4)), 0, 1).astype(np.float32)


#: Names that a prompt can say -> painter(size, rng).
SCENES: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "bright room": paint_bright_room,
    "mountain": paint_mountain,
    "outdoor": paint_outdoor,
    "forest": paint_forest,
    "desk": paint_desk,
    "office": paint_office,
    "beach": paint_beach,
    "city lights": paint_city_lights,
    "brick wall": paint_brick_wall,
    "street": paint_street,
    "kitchen": paint_kitchen,
}
