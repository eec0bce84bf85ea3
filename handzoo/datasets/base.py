"""What all data sets share: a light ``Dataset`` over memory-mapped annotation.

MMEngine's ``BaseDataset`` keeps one dictionary per sample and serialises all of them at start,
which for FreiHAND's 130,240 samples costs minutes and gigabytes. Here a sample's dictionary is
made when it is asked for, out of arrays that all workers map. What the Runner and the dataset
wrappers of MMEngine use of a data set (``metainfo``, ``full_init``, ``get_data_info``) is here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from handzoo.datasets.cache import AnnotationCache
from handzoo.datasets.randomness import generator
from handzoo.errors import ConfigError, DataError, suggest
from handzoo.hands.conventions import JOINT_NAMES, NUM_JOINTS, NUM_POSE, NUM_SHAPE, NUM_VERTICES
from handzoo.registry import TRANSFORMS
from handzoo.resources import ResourceUse, resolve

_REPLACEMENTS = 100  # samples that are tried in turn for one whose picture cannot be read


class ImageReadError(DataError):
    """One picture is missing or damaged; training may go on without it."""


def empty_info() -> dict[str, Any]:
    """Annotation of a picture of which nothing is known, before the transforms.

    Metres and the camera frame, 2D in the picture's pixels, all float64: ``joints3d`` (21, 3) and
    ``vertices`` (778, 3) relative to ``root`` (3,); ``K`` (3, 3); ``pose`` (48,), ``shape`` (10,);
    a flag ``<field>_valid`` says what is annotated. ``bbox`` is (x0, y0, x1, y1) or None. A left
    hand is given as it is, with ``is_right`` false: the affine transform mirrors it.
    """
    return {
        "joints3d": np.zeros((NUM_JOINTS, 3)),
        "joints3d_valid": np.zeros(NUM_JOINTS, dtype=bool),
        "joints2d": np.zeros((NUM_JOINTS, 2)),
        "joints2d_valid": np.zeros(NUM_JOINTS, dtype=bool),
        "vertices": np.zeros((NUM_VERTICES, 3)),
        "vertices_valid": False,
        "root": np.zeros(3),
        "root_valid": False,
        "K": np.eye(3),
        "K_valid": False,
        "pose": np.zeros(NUM_POSE),
        "shape": np.zeros(NUM_SHAPE),
        "mano_valid": False,
        "gesture": -1,
        "gesture_name": None,
        "color": None,
        "version": "",
        "is_right": True,
        "bbox": None,
    }


def project(points: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Pinhole projection of camera-frame points (N, 3) with ``K`` (3, 3) to pixels (N, 2)."""
    projected = points @ K.T
    return projected[:, :2] / projected[:, 2:]


class HandDataset(Dataset):
    """Base of the data sets.

    A subclass sets ``resource`` and ``METAINFO``, opens its annotation in ``_load`` and returns one
    sample's annotation from ``_info``.

    Args:
        data_root: folder of the data set; found by :func:`handzoo.resources.resolve` if omitted.
        pipeline: transforms (configs or callables) from an info dictionary to a packed sample.
        test_mode: evaluation: a picture that cannot be read raises, since a number over other
            samples would not be the protocol's.
        max_bad_fraction: in training, a picture that cannot be read is reported once and another
            sample takes its place, until more than this part of the samples is bad.
        cache_dir: folder of the annotation cache; beside the data if omitted.
        lazy_init: do not open the annotation before it is needed.
    """

    resource: ClassVar[str]
    METAINFO: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        data_root: str | Path | None = None,
        pipeline: Sequence[Any] = (),
        test_mode: bool = False,
        max_bad_fraction: float = 0.01,
        cache_dir: str | Path | None = None,
        lazy_init: bool = False,
    ) -> None:
        self.use = self._resolve(data_root)
        self.data_root = self.use.path
        self.test_mode = test_mode
        self.max_bad_fraction = max_bad_fraction
        self.cache = AnnotationCache(self.data_root, cache_dir)
        self.pipeline = [
            TRANSFORMS.build(step, key=f"pipeline[{i}]") if isinstance(step, Mapping) else step
            for i, step in enumerate(pipeline)
        ]
        self.bad_images: dict[str, str] = {}
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def _resolve(self, data_root: str | Path | None) -> ResourceUse:
        return resolve(self.resource, data_root)

    @property
    def metainfo(self) -> dict[str, Any]:
        """What is the same for all samples: data set, joints, annotated fields."""
        info = {"dataset": "hands", "joint_names": JOINT_NAMES, "resource_status": self.use.status}
        return copy.deepcopy({**info, **self.METAINFO})

    def full_init(self) -> None:
        """Open the annotation; done once."""
        if not self._fully_initialized:
            self._load()
            self._fully_initialized = True

    def _load(self) -> None:
        raise NotImplementedError

    def _info(self, index: int) -> dict[str, Any]:
        raise NotImplementedError

    def _length(self) -> int:
        raise NotImplementedError

    def __len__(self) -> int:
        self.full_init()
        return self._length()

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Annotation of sample ``index`` (see :func:`empty_info`) with its path and id.

        Raises:
            IndexError: there is no such sample.
        """
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"sample {index} of a data set with {length}")
        info = {**empty_info(), **self._info(index % length)}
        info["dataset"] = self.METAINFO["dataset"]
        return info

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Sample ``index`` after the pipeline.

        Raises:
            DataError: the picture cannot be read and the data set is in test mode, or too many
                pictures cannot be read.
        """
        for _ in range(_REPLACEMENTS):
            info = self.get_data_info(index)
            try:
                for transform in self.pipeline:
                    info = transform(info)
                return info
            except ImageReadError as error:
                if self.test_mode:
                    raise
                self._count_bad(info["img_path"], error)
                index = int(generator().integers(len(self)))
        # Pictures are counted once, so where many samples share a bad one the count stays low.
        raise DataError(
            f"{_REPLACEMENTS} samples in a row cannot be read, the last from {info['img_path']}. "
            f"Unpack or download the data set below {self.data_root} again."
        )

    def _count_bad(self, path: str, error: ImageReadError) -> None:
        if path in self.bad_images:
            return
        self.bad_images[path] = str(error)
        bad, length = len(self.bad_images), len(self)
        print_log(f"{error} Another sample takes its place.", logger="current", level=30)
        if bad > max(1, self.max_bad_fraction * length) or bad >= length:
            raise DataError(
                f"{bad} of {length} pictures below {self.data_root} cannot be read, more than "
                f"max_bad_fraction={self.max_bad_fraction} allows; the last was {path}. "
                "Unpack or download the data set again."
            ) from error


def check_choice(key: str, value: str, allowed: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``allowed``.

    Raises:
        ConfigError: it is not; names the argument and the nearest value.
    """
    if value not in allowed:
        raise ConfigError(
            f"{key}={value!r} is unknown. {suggest(str(value), allowed)} "
            f"Allowed: {', '.join(allowed)}."
        )
    return value


def require_images(folder: Path, pattern: str = "*") -> None:
    """Raise if ``folder`` is missing or holds no file.

    Raises:
        DataError: the pictures of a data set are wholly absent.
    """
    if next(folder.glob(pattern), None) is None:
        raise DataError(
            f"{folder} holds no picture, but the data set's annotation is there. Unpack the "
            "archive with the pictures as well."
        )
