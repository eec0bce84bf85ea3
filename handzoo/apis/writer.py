"""Writes results as they come: pictures and meshes of images, one film for each video."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from handzoo.apis.results import ImageResult
from handzoo.visualization.panels import resize_to_height
from handzoo.visualization.renderer import render_view

logger = logging.getLogger("handzoo")

_MAX_FILM_HEIGHT = 720


class ResultWriter:
    """Context manager that puts results into a folder.

    Images give ``<stem>_overlay.png``, ``<stem>_skeleton.png``, ``<stem>_side.png``, ``.obj`` and
    ``.glb``; a video gives ``<stem>.mp4`` (skeleton, overlay, side view). ``predictions.json``
    holds all of them, without vertices for videos, which would make hundreds of megabytes.

    Args:
        out_dir: folder, made if needed.
        info: what to write beside the predictions (model, checkpoint, resources).

    Attributes:
        predictions: path of ``predictions.json``.
        written: number of pictures that were written.
        rows: what ``predictions.json`` says of each picture.
        failed: errors of pictures that could not be read.
    """

    def __init__(self, out_dir: str | Path, info: dict[str, Any] | None = None) -> None:
        self.folder = Path(out_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.predictions = self.folder / "predictions.json"
        self.info = dict(info or {})
        self.written = 0
        self.failed: list[str] = []
        self.rows: list[dict[str, Any]] = []
        self._stems: dict[str, str] = {}
        self._films: dict[str, _Film] = {}

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, result: ImageResult) -> None:
        """Write one result. A picture that could not be read is noted in the predictions."""
        is_frame = result.frame is not None
        self.rows.append(result.to_dict(vertices=not is_frame))
        if result.error:
            self.failed.append(result.error)
            return
        if is_frame:
            self._film(result).add(result)
        else:
            result.save(self.folder, self._stem(result.source))
        self.written += 1

    def close(self) -> None:
        """Finish the films and write ``predictions.json``, whole or not at all."""
        for film in self._films.values():
            film.close()
        self._films.clear()
        content = {**self.info, "results": self.rows}
        temporary = self.predictions.with_suffix(".json.part")
        temporary.write_text(json.dumps(content))
        os.replace(temporary, self.predictions)

    def _film(self, result: ImageResult) -> _Film:
        if result.source not in self._films:
            path = self.folder / f"{self._stem(result.source)}.mp4"
            self._films[result.source] = _Film(path, result.fps or 25.0)
        return self._films[result.source]

    def _stem(self, source: str) -> str:
        """Stem of a source's files; a number keeps equal names of different folders apart."""
        if source not in self._stems:
            base = stem = Path(source).stem
            number = 2
            while stem in self._stems.values():
                stem, number = f"{base}_{number}", number + 1
            self._stems[source] = stem
        return self._stems[source]


class _Film:
    """Frames side by side: skeleton, overlay, side view of the first hand."""

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self.fps = fps
        self.extent: float | None = None
        self.writer: cv2.VideoWriter | None = None

    def add(self, result: ImageResult) -> None:
        height = min(_MAX_FILM_HEIGHT, result.image.shape[0])
        side = np.full((height, height, 3), 255, dtype=np.uint8)
        if result.hands:
            hand = result.hands[0]
            if self.extent is None:  # one scale for the whole film
                centred = hand.vertices - (hand.vertices.min(0) + hand.vertices.max(0)) / 2
                self.extent = 2.3 * float(np.linalg.norm(centred, axis=1).max())
            side = render_view(hand.vertices, hand.faces, height, azimuth=90.0, extent=self.extent)
        panels = [result.draw_skeleton(), result.draw_overlay(), side]
        panel = np.concatenate([resize_to_height(image, height) for image in panels], axis=1)
        # Video codecs want even sides.
        panel = panel[: panel.shape[0] // 2 * 2, : panel.shape[1] // 2 * 2]
        if self.writer is None:
            code = cv2.VideoWriter_fourcc(*"mp4v")
            size = (panel.shape[1], panel.shape[0])
            self.writer = cv2.VideoWriter(str(self.path), code, self.fps, size)
            if not self.writer.isOpened():
                logger.warning("%s: OpenCV cannot write this video here", self.path)
        self.writer.write(np.ascontiguousarray(panel[..., ::-1]))

    def close(self) -> None:
        if self.writer is not None:
            self.writer.release()
