"""Hands in pictures and videos, in three lines.

Example:
    >>> from handzoo import HandInferencer
    >>> results = HandInferencer('cliphand_s24_freihand', 'checkpoint.pth')('hand.jpg')
    >>> results.save('out')
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from handzoo.apis.boxes import (
    CENTER_FRACTION,
    Detector,
    HandBox,
    central_square,
    is_right_hand,
    parse_boxes,
    square_around,
)
from handzoo.apis.filters import PredictionFilter, TrackFilter, build_filter, parse_filter
from handzoo.apis.inputs import Input, Picture, iterate, list_inputs
from handzoo.apis.placement import place_hand
from handzoo.apis.results import HandResult, ImageResult, Results
from handzoo.datasets.transforms.geometry import crop_affine, homogeneous, mirror_affine, warp
from handzoo.engine.data_choice import model_input_size
from handzoo.errors import ConfigError
from handzoo.resources import active_report, collect_resources
from handzoo.visualization.renderer import mirrored_faces

if TYPE_CHECKING:
    from mmengine.config import Config

logger = logging.getLogger("handzoo")

_FRAME = "metres; camera frame x right, y down, z forward; joints3d and vertices from the wrist"


class HandInferencer:
    """Predict hands in images, folders, videos and arrays.

    Args:
        model: model name, config path, config, or an estimator that is ready.
        checkpoint: weights; None for the published ones of a model that has some.
        device: ``cuda`` where there is one, else ``cpu``, if None.
        detector: finds the hands of a picture: a callable from an (H, W, 3) uint8 RGB array to a
            list of :class:`~handzoo.apis.boxes.HandBox`; ``none``: one hand in the middle of
            every picture that comes without boxes.
        batch_size: crops that the network sees at once.
        box_factor: enlargement of a box to the square crop.
        center_fraction: part of the picture's shorter side that is cut out without a box; the
            default is that of FreiHAND's crop, with which the models are trained.
        filter: refines the hands of videos by earlier frames: name (``temporal/OneEuro``), config,
            or :class:`~handzoo.apis.filters.PredictionFilter`. None: what the model's config
            names as ``prediction_filter``, if anything; ``none``: no filter.
        deploy: run the deployed form of the model (:mod:`handzoo.models.deploy`).

    Raises:
        ConfigError: unknown model or filter, or ``detector`` is neither callable nor ``none``.
        ResourceError: the model has published weights, and they are out of reach.
        CheckpointError: the weights do not fit, or are not those that were published.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Config | nn.Module,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str | None = None,
        detector: Detector | str | None = "none",
        batch_size: int = 8,
        box_factor: float = 1.5,
        center_fraction: float = CENTER_FRACTION,
        filter: str | Mapping[str, Any] | PredictionFilter | None = None,
        deploy: bool = False,
    ) -> None:
        if not (callable(detector) or detector in (None, "none")):
            raise ConfigError(
                f"detector: expected 'none' or a callable from an RGB picture to HandBoxes, "
                f"got {detector!r}."
            )
        self.detector = detector if callable(detector) else None
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.batch_size = max(1, int(batch_size))
        self.box_factor = box_factor
        self.center_fraction = center_fraction
        with contextlib.ExitStack() as stack:
            report = active_report() or stack.enter_context(collect_resources())
            self.estimator, cfg, checkpoint = self._load(model, checkpoint)
            resources = report.rows()
        self.crop_size = model_input_size(cfg)
        if deploy:
            self.estimator = self.estimator.deploy(image_size=self.crop_size)
        self.faces = self.estimator.topology.faces.cpu().numpy()
        described = filter if filter is not None else (cfg or {}).get("prediction_filter")
        self.filter = build_filter(described, self.estimator.topology)
        name = cfg.get("model_name") if cfg is not None else None
        self.info: dict[str, Any] = {
            "model": name or (str(model) if isinstance(model, (str, os.PathLike)) else "estimator"),
            "checkpoint": str(checkpoint) if checkpoint is not None else None,
            "resources": resources,
            "frame": _FRAME,
        }
        if self.filter is not None:
            self.info["filter"] = _plain(described)

    def _load(self, model: Any, checkpoint: Any) -> tuple[nn.Module, Any, Any]:
        """Estimator, its config (None where there is none) and the weights that it has."""
        if isinstance(model, nn.Module):
            if checkpoint is not None:
                raise ConfigError("checkpoint: load it into the estimator that is passed.")
            return model.to(self.device).eval(), None, None
        from handzoo.engine.build import load_estimator
        from handzoo.zoo.weights import published_weights

        if checkpoint is None and isinstance(model, (str, os.PathLike)):
            checkpoint = published_weights(model)
        if checkpoint is None:
            logger.warning("no checkpoint is given: predictions come from untrained weights")
        return *load_estimator(model, checkpoint, self.device), checkpoint

    def __call__(
        self,
        inputs: Input | Sequence[Input],
        boxes: Any = None,
        hand: str = "right",
        K: np.ndarray | float | None = None,
    ) -> Results:
        """Predict and keep all results (for long videos, see :meth:`stream`).

        Args: see :meth:`stream`.

        Returns:
            One :class:`~handzoo.apis.results.ImageResult` for each image or frame, in order;
            ``.save(out_dir)`` writes pictures, meshes and ``predictions.json``.
        """
        return Results(self.stream(inputs, boxes, hand, K), self.info)

    def stream(
        self,
        inputs: Input | Sequence[Input],
        boxes: Any = None,
        hand: str = "right",
        K: np.ndarray | float | None = None,
    ) -> Iterator[ImageResult]:
        """Predict picture by picture; a picture that cannot be read does not stop the others.

        Args:
            inputs: image, folder, video, (H, W, 3) uint8 RGB array, or a list of these.
            boxes: hands of the pictures, which then the detector is not asked about: a mapping
                from path or file name to boxes, or, for a single picture, its boxes. A box is
                ``(x0, y0, x1, y1)`` in pixels, ``{'box': ..., 'hand': 'left'}``, or a HandBox.
            hand: ``right`` or ``left``, where neither box nor detector says.
            K: (3, 3) camera of the pictures, or their focal length in pixels; guessed from their
                size if None.

        Yields:
            Results in the order of the inputs.

        Raises:
            DataError: an input is not there, or a box has the wrong form.
        """
        listed = list_inputs(inputs)
        known = _known_boxes(boxes, len(listed), hand)
        default_right = is_right_hand(hand)
        filtered = TrackFilter(self.filter) if self.filter is not None else None
        for batch in self._batches(iterate(listed), known, default_right):
            for result in self._predict(batch, K):
                yield filtered(result) if filtered is not None else result

    def _batches(
        self,
        pictures: Iterable[Picture],
        known: Mapping[str, list[HandBox]] | list[HandBox] | None,
        is_right: bool,
    ) -> Iterator[list[tuple[Picture, list[_Crop]]]]:
        """Pictures with their crops, so many that the crops fill a batch."""
        batch: list[tuple[Picture, list[_Crop]]] = []
        waiting = 0
        for picture in pictures:
            crops = [] if picture.image is None else self._crops(picture, known, is_right)
            if picture.error:
                logger.warning("skipped: %s", picture.error)
            batch.append((picture, crops))
            waiting += len(crops)
            if waiting >= self.batch_size or len(batch) >= 4 * self.batch_size:
                yield batch
                batch, waiting = [], 0
        if batch:
            yield batch

    def _crops(
        self,
        picture: Picture,
        known: Mapping[str, list[HandBox]] | list[HandBox] | None,
        is_right: bool,
    ) -> list[_Crop]:
        found = _lookup(known, picture.source)
        if found is None and self.detector is not None:
            found = list(self.detector(picture.image))
        if found is None:
            square = central_square(picture.image, self.center_fraction)
            return [_Crop(picture.image, *square, self.crop_size, is_right)]
        return [
            _Crop(
                picture.image,
                *square_around(box, self.box_factor),
                self.crop_size,
                box.is_right,
                box.score,
            )
            for box in found
        ]

    @torch.no_grad()
    def _predict(
        self, batch: list[tuple[Picture, list[_Crop]]], K: np.ndarray | float | None
    ) -> Iterator[ImageResult]:
        crops = [crop for _, of_picture in batch for crop in of_picture]
        hands = []
        for start in range(0, len(crops), self.batch_size):
            part = crops[start : start + self.batch_size]
            data = {"inputs": [crop.tensor for crop in part]}
            inputs = self.estimator.data_preprocessor(data, False)["inputs"]
            samples = self.estimator(inputs, None, mode="predict")
            hands += [self._result(*pair, K) for pair in zip(part, samples, strict=True)]
        ready = iter(hands)
        for picture, of_picture in batch:
            yield ImageResult(
                picture.source,
                picture.image,
                [next(ready) for _ in of_picture],
                picture.frame,
                picture.fps,
                picture.error,
            )

    def _result(self, crop: _Crop, sample: Any, K: np.ndarray | float | None) -> HandResult:
        camera, joints, vertices = (
            getattr(sample, name).detach().cpu().float().numpy()
            for name in ("pred_camera", "pred_joints", "pred_vertices")
        )
        return place_hand(
            joints,
            vertices,
            camera,
            K=_picture_camera(crop.picture_size, K),
            affine=crop.affine,
            crop_size=self.crop_size,
            faces=self.faces if crop.is_right else mirrored_faces(self.faces),
            is_right=crop.is_right,
            box=crop.box,
            score=crop.score,
        )


class _Crop:
    """A square of a picture as the network takes it: a right hand, ``size`` pixels wide."""

    def __init__(
        self,
        image: np.ndarray,
        center: np.ndarray,
        side: float,
        size: int,
        is_right: bool,
        score: float = 1.0,
    ) -> None:
        self.picture_size = image.shape[:2]
        self.is_right = is_right
        self.score = score
        half = np.array([side / 2, side / 2])
        self.box = np.concatenate((center - half, center + half))
        width = image.shape[1]
        if is_right:
            self.affine = crop_affine(center, side, size)
        else:
            mirrored = crop_affine(np.array([width - 1 - center[0], center[1]]), side, size)
            self.affine = mirrored @ homogeneous(mirror_affine(width))
        crop = warp(image, self.affine, size, cv2.BORDER_CONSTANT, 0)
        self.tensor: Tensor = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))


def _plain(described: Any) -> Any:
    """A filter's description as JSON can hold it."""
    if isinstance(described, str):
        return parse_filter(described)
    return dict(described) if isinstance(described, Mapping) else type(described).__name__


def _known_boxes(boxes: Any, num_inputs: int, hand: str) -> Any:
    if boxes is None:
        return None
    if isinstance(boxes, Mapping) and "box" not in boxes:
        return {str(name): parse_boxes(value, hand, str(name)) for name, value in boxes.items()}
    if num_inputs != 1:
        raise ConfigError("boxes: with several inputs, give a mapping from file name to boxes.")
    return parse_boxes(boxes, hand)


def _lookup(
    known: Mapping[str, list[HandBox]] | list[HandBox] | None, source: str
) -> list[HandBox] | None:
    """Boxes of a picture by its path, or by its file name; None if nothing is known of it."""
    if not isinstance(known, Mapping):
        return known
    return known.get(source, known.get(Path(source).name))


def _picture_camera(picture_size: tuple[int, int], K: np.ndarray | float | None) -> np.ndarray:
    """(3, 3) camera; without any knowledge its focal length is the picture's diagonal.

    That is a diagonal field of view of 53 degrees, between a phone's and a webcam's.
    """
    if K is not None and np.ndim(K) == 2:
        return np.asarray(K, dtype=np.float64)
    height, width = picture_size
    focal = float(np.hypot(height, width)) if K is None else float(K)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
