"""Pictures side by side, with captions."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_PAPER = (255, 255, 255)
_INK = (45, 45, 50)


def resize_to_height(image: np.ndarray, height: int) -> np.ndarray:
    """Scale an RGB picture to a height, keeping its shape."""
    if image.shape[0] == height:
        return image
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    shrinks = height < image.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=method)


def caption_bar(text: str, width: int, height: int = 22) -> np.ndarray:
    """A line of text, centred in a white bar (height, width, 3); cut with '…' if too long."""
    from PIL import Image, ImageDraw, ImageFont

    bar = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(bar)
    font = ImageFont.load_default(size=max(8, round(0.62 * height)))
    shown = text
    while len(shown) > 1 and draw.textlength(shown, font=font) > width - 4:
        shown = shown.rstrip("…")[:-1] + "…"
    draw.text((width / 2, height / 2), shown, fill=_INK, font=font, anchor="mm")
    return np.asarray(bar)


def tile(
    rows: Sequence[Sequence[np.ndarray]],
    captions: Sequence[Sequence[str]] | None = None,
    height: int | None = None,
    gap: int = 4,
) -> np.ndarray:
    """Lay pictures out in rows.

    Args:
        rows: RGB uint8 pictures; rows may differ in length, pictures in size.
        captions: text above each picture, in the same layout; '' leaves a picture without.
        height: of every picture; the first picture's if None.
        gap: white pixels between pictures and around all.

    Returns:
        (H, W, 3) uint8.
    """
    if not rows or not any(len(row) for row in rows):
        raise ValueError("there is no picture to lay out")
    height = height or next(row[0].shape[0] for row in rows if len(row))
    bar_height = max(14, round(0.09 * height))
    strips = []
    for r, row in enumerate(rows):
        cells = []
        for c, image in enumerate(row):
            cell = resize_to_height(np.ascontiguousarray(image), height)
            if captions is not None:
                bar = caption_bar(captions[r][c], cell.shape[1], bar_height)
                cell = np.concatenate((bar, cell))
            cells += [cell, np.full((cell.shape[0], gap, 3), _PAPER, dtype=np.uint8)]
        if cells:
            strips.append(np.concatenate(cells[:-1], axis=1))
    width = max(strip.shape[1] for strip in strips)
    padded = []
    for strip in strips:
        space = np.full((strip.shape[0], width - strip.shape[1], 3), _PAPER, dtype=np.uint8)
        padded += [np.concatenate((strip, space), axis=1), np.full((gap, width, 3), 255, np.uint8)]
    sheet = np.concatenate(padded[:-1])
    return np.pad(sheet, ((gap, gap), (gap, gap), (0, 0)), constant_values=255)
