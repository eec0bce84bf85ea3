"""From what a user names (files, folders, videos, arrays) to pictures, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from handzoo.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")

Input = str | Path | np.ndarray


@dataclass
class Picture:
    """One image or video frame.

    Attributes:
        source: path, or ``array_<n>``.
        image: (H, W, 3) uint8 RGB; None if it could not be read.
        frame: number of the frame, counted from 0, for a video.
        fps: frames per second of the video.
        error: why it could not be read.
    """

    source: str
    image: np.ndarray | None
    frame: int | None = None
    fps: float | None = None
    error: str = ""


def list_inputs(inputs: Input | Sequence[Input]) -> list[Path | np.ndarray]:
    """Spell folders out and check that everything is there, before any work is done.

    Args:
        inputs: a path (image, video, or folder of images), an RGB array, or a list of these.

    Raises:
        DataError: a path is not there, a folder holds no images, an array is no RGB picture, or
            a file has a suffix that is neither an image's nor a video's.
    """
    if isinstance(inputs, (str, Path, np.ndarray)):
        inputs = [inputs]
    found: list[Path | np.ndarray] = []
    for item in inputs:
        if isinstance(item, np.ndarray):
            if item.ndim != 3 or item.shape[2] != 3 or item.dtype != np.uint8:
                raise DataError(
                    f"an array input must be (H, W, 3) uint8 RGB, got {item.shape} {item.dtype}."
                )
            found.append(item)
            continue
        path = Path(item)
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not files:
                raise DataError(f"{path}: no images in this folder ({', '.join(IMAGE_SUFFIXES)}).")
            found += files
        elif not path.is_file():
            raise DataError(f"{path}: there is no such file or folder.")
        elif path.suffix.lower() not in IMAGE_SUFFIXES + VIDEO_SUFFIXES:
            raise DataError(
                f"{path}: neither an image ({', '.join(IMAGE_SUFFIXES)}) nor a video "
                f"({', '.join(VIDEO_SUFFIXES)})."
            )
        else:
            found.append(path)
    if not found:
        raise DataError("there is no input.")
    return found


def read_image(path: str | Path) -> np.ndarray:
    """Read a picture as (H, W, 3) uint8 RGB, turned as its EXIF says.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        raw = np.fromfile(path, dtype=np.uint8)  # cv2.imread cannot say what went wrong
        image = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    except (OSError, cv2.error) as error:
        raise DataError(f"{path}: cannot read the image ({error}).") from error
    if image is None:
        raise DataError(f"{path}: not a readable image, the file is damaged or empty.")
    return np.ascontiguousarray(image[..., ::-1])


def iterate(inputs: Sequence[Path | np.ndarray]) -> Iterator[Picture]:
    """Pictures of checked inputs; one that cannot be read carries an error and no image."""
    for number, item in enumerate(inputs):
        if isinstance(item, np.ndarray):
            yield Picture(f"array_{number}", item)
        elif item.suffix.lower() in VIDEO_SUFFIXES:
            yield from _frames(item)
        else:
            try:
                yield Picture(str(item), read_image(item))
            except DataError as error:
                yield Picture(str(item), None, error=str(error))


def count(inputs: Sequence[Path | np.ndarray]) -> int:
    """Number of pictures that the inputs hold, as far as video headers tell."""
    total = 0
    for item in inputs:
        if isinstance(item, Path) and item.suffix.lower() in VIDEO_SUFFIXES:
            capture = cv2.VideoCapture(str(item))
            total += max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
            capture.release()
        else:
            total += 1
    return total


def _frames(path: Path) -> Iterator[Picture]:
    capture: Any = cv2.VideoCapture(str(path))
    try:
        fps = capture.get(cv2.CAP_PROP_FPS) or 25.0
        frame = 0
        while True:
            read, image = capture.read()
            if not read:
                break
            yield Picture(str(path), np.ascontiguousarray(image[..., ::-1]), frame, fps)
            frame += 1
        if frame == 0:
            message = f"{path}: not a readable video, or none that OpenCV can decode."
            yield Picture(str(path), None, error=message)
    finally:
        capture.release()
