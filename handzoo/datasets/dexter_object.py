"""Dexter+Object (Sridhar et al., ECCV 2016): finger tips of a left hand that holds a cuboid.

::

    data/<sequence>/color/Color_%04d.bmp            640 x 480, numbered from 1
    data/<sequence>/annotations/<sequence>3D.txt    a line a frame

A line lists points, separated by ``;``, as ``x,y,z`` in millimetres in the frame of the depth
camera: five finger tips (thumb to little), then corners of the cuboid. ``z = 32001`` marks a tip
that is not annotated. x and y are negated against a pinhole camera. The calibration of the colour
camera is the published one, as Minimal-Hand-pytorch and OLGA carry it.

The sign, the frame and the hand rest on those two loaders (docs/paper_notes.md). The set serves
evaluation: its wrist is not annotated, so tips are given relative to the mean of the valid ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handzoo.datasets.base import HandDataset, check_choice, project, require_images
from handzoo.datasets.cache import save_arrays
from handzoo.errors import DataError
from handzoo.hands.conventions import NUM_JOINTS, TIP_JOINTS
from handzoo.registry import DATASETS

SEQUENCES: tuple[str, ...] = ("Grasp1", "Grasp2", "Occlusion", "Pinch", "Rigid", "Rotate")
INVALID_DEPTH = 32001.0

K_COLOR = np.array([[587.45209, 0.0, 325.0], [0.0, 600.67456, 249.0], [0.0, 0.0, 1.0]])
# Depth camera to colour camera: rotation, and translation in millimetres.
DEPTH_TO_COLOR = np.array(
    [
        [0.9999, 0.0034, 0.0161, 19.0473],
        [-0.0033, 1.0, -0.0079, -1.8514],
        [-0.0162, 0.0079, 0.9998, -4.7501],
    ]
)


def parse_tips(text: str, source: str = "annotation") -> np.ndarray:
    """Finger tips of the lines of a ``<sequence>3D.txt``.

    Spaces, a trailing ``;`` and empty lines at the end are tolerated.

    Args:
        text: content of the file.
        source: its name, for errors.

    Returns:
        (F, 5, 3) millimetres as written; NaN where a tip is not annotated.

    Raises:
        DataError: a line has fewer than five points, or something that is not three numbers.
    """
    frames = []
    for number, line in enumerate(text.rstrip().splitlines(), start=1):
        entries = [entry for entry in line.replace(" ", "").strip().split(";") if entry]
        try:
            points = np.array([[float(v) for v in entry.split(",")] for entry in entries[:5]])
        except ValueError as error:
            raise DataError(f"{source}, line {number}: not a list of points ({error}).") from error
        if points.shape != (5, 3):
            raise DataError(
                f"{source}, line {number}: expected at least five points x,y,z separated by ';', "
                f"got {len(entries)} entries. Unpack the annotations again."
            )
        points[points[:, 2] == INVALID_DEPTH] = np.nan
        frames.append(points)
    return np.array(frames).reshape(-1, 5, 3)


def to_color_camera(tips: np.ndarray) -> np.ndarray:
    """Tips (..., 3) as written, in mm -> metres in the frame of the colour camera."""
    pinhole = tips * np.array([-1.0, -1.0, 1.0])
    return (pinhole @ DEPTH_TO_COLOR[:, :3].T + DEPTH_TO_COLOR[:, 3]) / 1000


@DATASETS.register_module()
class DexterObject(HandDataset):
    """Dexter+Object, colour frames with their annotated finger tips.

    Args:
        sequences: which of the six.
        boxes: JSON file ``{"<sequence>/<frame>": [x0, y0, x1, y1]}`` (frame from 1) with boxes of
            a detector or tracker. Without it the box of the projected tips is used, which knows
            the answer and says nothing about the palm: enlarge it well in HandCrop (2.2, as
            Boukhayma et al. do with 2D joints).
        min_tips: frames with fewer valid tips are left out; two are the least that the aligned
            protocol can scale.
        is_right: the hand in the pictures is a left one (Minimal-Hand-pytorch).
        **base: arguments of :class:`~handzoo.datasets.base.HandDataset`; ``test_mode`` is on.

    In test mode ``joints3d`` is relative to ``root``, the mean of the valid tips, and the sample's
    ``root_joint`` says so. Otherwise only 2D is flagged valid, because a loss would take the
    root for the wrist.
    """

    resource = "data/dexter_object"
    METAINFO = {"dataset": "dexter_object"}

    def __init__(
        self,
        data_root: str | Path | None = None,
        sequences: Sequence[str] = SEQUENCES,
        boxes: str | Path | None = None,
        min_tips: int = 2,
        is_right: bool = False,
        test_mode: bool = True,
        **base: Any,
    ) -> None:
        for sequence in sequences:
            check_choice("DexterObject.sequences", sequence, SEQUENCES)
        self.sequences = tuple(sequences)
        self.boxes_file = None if boxes is None else Path(boxes)
        self.min_tips = min_tips
        self.is_right = is_right
        super().__init__(data_root, test_mode=test_mode, **base)

    def _annotation(self, sequence: str) -> Path:
        return self.folder / sequence / "annotations" / f"{sequence}3D.txt"

    def _load(self) -> None:
        nested = self.data_root / "dexter+object"
        self.folder = (nested if nested.is_dir() else self.data_root) / "data"
        for sequence in self.sequences:
            require_images(self.folder / sequence / "color")
        sources = [self._annotation(sequence) for sequence in self.sequences]
        self._arrays = self.cache.get("-".join(("dexter", *self.sequences)), sources, self._convert)
        valid = ~np.isnan(self._arrays["tips"][:, :, 2])
        self._samples = np.nonzero(valid.sum(axis=1) >= self.min_tips)[0].astype(np.int32)
        self.boxes = {} if self.boxes_file is None else self._read_boxes()

    def _convert(self, folder: Path) -> None:
        tips, sequence, frame = [], [], []
        for i, name in enumerate(self.sequences):
            path = self._annotation(name)
            points = parse_tips(path.read_text(), str(path))
            tips.append(points)
            sequence.append(np.full(len(points), i, dtype=np.int8))
            frame.append(np.arange(1, len(points) + 1, dtype=np.int32))
        arrays = {"tips": tips, "sequence": sequence, "frame": frame}
        save_arrays(folder, {name: np.concatenate(parts) for name, parts in arrays.items()})

    def _read_boxes(self) -> dict[str, list[float]]:
        try:
            boxes = json.loads(self.boxes_file.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{self.boxes_file}: not a readable box file ({error}).") from error
        for name, box in boxes.items():
            if np.shape(box) != (4,):
                raise DataError(f"{self.boxes_file}: {name!r} is not [x0, y0, x1, y1] but {box!r}.")
        return boxes

    @property
    def num_valid_tips(self) -> int:
        """Annotated tips in all frames; the published evaluation pools 14,156."""
        self.full_init()
        return int((~np.isnan(self._arrays["tips"][:, :, 2])).sum())

    def _length(self) -> int:
        return len(self._samples)

    def _info(self, index: int) -> dict[str, Any]:
        row = int(self._samples[index])
        sequence = self.sequences[int(self._arrays["sequence"][row])]
        frame = int(self._arrays["frame"][row])
        points = to_color_camera(np.array(self._arrays["tips"][row]))
        valid = ~np.isnan(points[:, 2])
        points = np.where(valid[:, None], points, 0)
        root = points[valid].mean(axis=0)
        tips = list(TIP_JOINTS)
        joints3d, joints2d = np.zeros((NUM_JOINTS, 3)), np.zeros((NUM_JOINTS, 2))
        flags = np.zeros(NUM_JOINTS, dtype=bool)
        flags[tips] = valid
        joints3d[flags] = points[valid] - root
        joints2d[flags] = project(points[valid], K_COLOR)
        name = f"{sequence}/{frame}"
        return {
            "img_path": str(self.folder / sequence / "color" / f"Color_{frame:04d}.bmp"),
            "sample_id": name,
            "version": sequence,
            "is_right": self.is_right,
            "K": K_COLOR.copy(),
            "K_valid": True,
            "joints3d": joints3d,
            "joints3d_valid": flags if self.test_mode else np.zeros_like(flags),
            "joints2d": joints2d,
            "joints2d_valid": flags,
            "root": root,
            "root_valid": self.test_mode,
            "root_joint": "mean of valid tips",
            "bbox": self._box(name, joints2d[flags]),
        }

    def _box(self, name: str, tips2d: np.ndarray) -> np.ndarray:
        if self.boxes_file is None:
            return np.concatenate([tips2d.min(axis=0), tips2d.max(axis=0)])
        if name not in self.boxes:
            raise DataError(f"{self.boxes_file} has no box for {name!r}. Add one for every frame.")
        return np.asarray(self.boxes[name], dtype=np.float64)
