"""Where the hands are: boxes from the user, from a detector, or the middle of the picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handzoo.errors import DataError

# FreiHAND's training crop is 180 pixels of 224; a picture without a box is cut alike.
CENTER_FRACTION = 180 / 224
HANDS = ("right", "left")


@dataclass(frozen=True)
class HandBox:
    """A hand in a picture.

    Attributes:
        box: (x0, y0, x1, y1) pixels.
        is_right: whether it is a right hand.
        score: of the detector, 0 to 1.
    """

    box: tuple[float, float, float, float]
    is_right: bool = True
    score: float = 1.0

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.box
        if not (np.isfinite(self.box).all() and x1 > x0 and y1 > y0):
            raise DataError(f"a box is (x0, y0, x1, y1) with x1 > x0 and y1 > y0, got {self.box}.")


# A detector takes an (H, W, 3) uint8 RGB picture and returns its hands, none included.
Detector = Callable[[np.ndarray], Sequence[HandBox]]


def square_around(box: HandBox, factor: float) -> tuple[np.ndarray, float]:
    """Centre (2,) and side, in pixels, of the square crop round a box, enlarged by ``factor``."""
    x0, y0, x1, y1 = box.box
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2]), max(x1 - x0, y1 - y0) * factor


def central_square(image: np.ndarray, fraction: float) -> tuple[np.ndarray, float]:
    """Centre and side of the middle square with ``fraction`` of the picture's shorter side."""
    height, width = image.shape[:2]
    return np.array([width / 2, height / 2]), fraction * min(height, width)


def read_boxes(path: str | Path, default_hand: str = "right") -> dict[str, list[HandBox]]:
    """Read a box file: JSON, from file name (or path) to boxes.

    Each box is ``[x0, y0, x1, y1]`` or ``{"box": [x0, y0, x1, y1], "hand": "left"}``; a picture
    has one box or a list of them. A name stands for every input with that file name.

    Raises:
        DataError: the file is missing, no JSON, or a box does not have this form.
    """
    try:
        content = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot read the box file ({error}).") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object from file name to boxes.")
    return {
        name: parse_boxes(value, default_hand, f"{path}: {name}") for name, value in content.items()
    }


def parse_boxes(value: Any, default_hand: str = "right", where: str = "boxes") -> list[HandBox]:
    """Boxes of one picture in any of the forms of :func:`read_boxes`, arrays included."""
    if isinstance(value, (HandBox, Mapping)) or _is_box(value):
        value = [value]
    boxes = []
    for item in value if isinstance(value, (Sequence, np.ndarray)) else [value]:
        if isinstance(item, HandBox):
            boxes.append(item)
            continue
        corners, hand = item, default_hand
        if isinstance(item, Mapping):
            corners, hand = item.get("box"), item.get("hand", default_hand)
        if not _is_box(corners):
            raise DataError(
                f"{where}: expected [x0, y0, x1, y1] or {{'box': [...], 'hand': 'left'}}, "
                f"got {item!r}."
            )
        boxes.append(HandBox(tuple(float(v) for v in corners), is_right_hand(hand, where)))
    return boxes


def is_right_hand(hand: str, where: str = "hand") -> bool:
    """Whether ``hand`` names the right one.

    Raises:
        DataError: it is neither ``right`` nor ``left``.
    """
    if hand not in HANDS:
        raise DataError(f"{where}: a hand is 'right' or 'left', not {hand!r}.")
    return hand == "right"


def _is_box(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.shape == (4,)
    return (
        isinstance(value, Sequence)
        and len(value) == 4
        and all(isinstance(v, (int, float, np.number)) for v in value)
    )
