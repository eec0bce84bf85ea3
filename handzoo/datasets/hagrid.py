"""HaGRID (Kapitanov et al., WACV 2024), versions 1 and 2: people who show gestures.

One JSON file a class, ``{image stem: {"bboxes": [[x, y, w, h], ...], "labels": [...], ...}}`` with
boxes in parts of the picture's size, one a hand. Version 1 adds ``landmarks`` and
``leading_hand``; version 2 (1M) calls them ``hand_landmarks``. Pictures lie in one folder a class,
under one of the names that the releases use.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from handzoo.datasets.base import HandDataset, check_choice
from handzoo.datasets.cache import save_arrays
from handzoo.errors import ConfigError, DataError, suggest
from handzoo.hands.conventions import NUM_JOINTS
from handzoo.hands.gestures import GESTURES
from handzoo.registry import DATASETS
from handzoo.resources import REAL, ResourceUse, record

ANNOTATION_FOLDERS = (
    "hagrid_annotations/{split}",
    "annotations/{split}",
    "ann_{split}",
    "hagrid-sample-30k-384p/ann_{split}",
)
IMAGE_FOLDERS = (
    "hagrid_dataset/{gesture}",
    "{split}/{gesture}",
    "{split}_{gesture}",
    "hagrid_30k/{split}_{gesture}",
    "hagrid-sample-30k-384p/hagrid_30k/{split}_{gesture}",
    "images/{gesture}",
    "{gesture}",
)
PICTURES = (".jpg", ".jpeg", ".png")


@DATASETS.register_module()
class HaGRID(HandDataset):
    """HaGRID, one sample a hand box.

    Args:
        split: folder of annotation: ``train``, ``val``, ``test`` (version 2); ``train_val``,
            ``test``, ``subsample`` (version 1).
        part: ``train`` or ``val`` of version 1's ``train_val``, by its authors' rule: the last
            fifth of the users, shuffled with seed 42.
        with_rest: keep boxes of hands that show no gesture.
        landmarks: give the annotated MediaPipe points, where there are any, as 2D joints. They
            are a detector's output, not ground truth.
        flip_left: take a leading hand that version 1 calls left for a left hand; other hands count
            as right, because HaGRID does not say.
        **base: arguments of :class:`~handzoo.datasets.base.HandDataset`.

    Samples carry ``gesture`` (index into the 19 classes, -1 for a class of version 2 (1M) that is
    not among them), ``gesture_name`` and ``bbox``. Entries without a picture are skipped.
    """

    resource = "data/hagrid"
    METAINFO = {"dataset": "hagrid"}

    def __init__(
        self,
        data_root: str | Path | None = None,
        split: str = "train",
        part: str | None = None,
        with_rest: bool = True,
        landmarks: bool = False,
        flip_left: bool = True,
        **base: Any,
    ) -> None:
        if part is not None:
            check_choice("HaGRID.part", part, ("train", "val"))
        self.split = split
        self.part = part
        self.with_rest = with_rest
        self.landmarks = landmarks
        self.flip_left = flip_left
        super().__init__(data_root, **base)

    def _load(self) -> None:
        files = self._annotation_files()
        self._folders = {path.stem: self._image_folder(path.stem) for path in files}
        found = {name: folder for name, folder in self._folders.items() if folder is not None}
        if not found:
            raise DataError(
                f"{self.data_root} has annotation for {len(files)} classes and no pictures in "
                f"{', '.join(IMAGE_FOLDERS)}. Unpack the pictures of at least one class."
            )
        # Which entries have a picture is part of the cache, so changed folders make a new one.
        options = "|".join(f"{name}:{path.stat().st_mtime_ns}" for name, path in found.items())
        self._arrays = self.cache.get(f"hagrid_{self.split}", files, self._convert, options)
        self._labels = [str(name) for name in self._arrays["label_names"]]
        self._folder_names = [str(name) for name in self._arrays["folder_names"]]
        self._samples = self._choose()

    def _annotation_files(self) -> list[Path]:
        for pattern in ANNOTATION_FOLDERS:
            files = sorted((self.data_root / pattern.format(split=self.split)).glob("*.json"))
            if files:
                return files
        there = sorted({path.parent.name for path in self.data_root.glob("*ann*/**/*.json")})
        raise ConfigError(
            f"HaGRID.split={self.split!r}: no annotation below {self.data_root}. "
            f"{suggest(self.split, there)} There are: {', '.join(there) or 'none'}."
        )

    def _image_folder(self, gesture: str) -> Path | None:
        for pattern in IMAGE_FOLDERS:
            folder = self.data_root / pattern.format(split=self.split, gesture=gesture)
            if folder.is_dir():
                return folder
        return None

    def _convert(self, target: Path) -> None:
        rows: dict[str, list[Any]] = {
            name: [] for name in ("stem", "folder", "box", "label", "landmarks", "side", "user")
        }
        folders = [name for name, folder in self._folders.items() if folder is not None]
        for f, name in enumerate(folders):
            pictures = {path.stem: path.name for path in self._folders[name].iterdir()}
            source = next(path for path in self._annotation_files() if path.stem == name)
            for stem, entry in _read_annotation(source).items():
                if stem in pictures:
                    for hand in _hands(entry, f"{source}: {stem}"):
                        for key, value in {"stem": pictures[stem], "folder": f, **hand}.items():
                            rows[key].append(value)
        labels = sorted(set(rows["label"]))
        users, user_index = np.unique(np.array(rows["user"], dtype=str), return_inverse=True)
        save_arrays(
            target,
            {
                "stem": np.array(rows["stem"], dtype=str),
                "folder": np.array(rows["folder"], dtype=np.int16),
                "box": np.array(rows["box"], dtype=np.float32).reshape(-1, 4),
                "label": np.array([labels.index(name) for name in rows["label"]], dtype=np.int16),
                "landmarks": np.array(rows["landmarks"], np.float32).reshape(-1, NUM_JOINTS, 2),
                "side": np.array(rows["side"], dtype=np.int8),
                "user": user_index.astype(np.int32),
                "user_names": users if users.size else np.array([""]),
                "label_names": np.array(labels or [""]),
                "folder_names": np.array(folders),
            },
        )

    def _choose(self) -> np.ndarray:
        keep = np.ones(len(self._arrays["label"]), dtype=bool)
        if not self.with_rest and "no_gesture" in self._labels:
            keep &= self._arrays["label"] != self._labels.index("no_gesture")
        if self.part is not None:
            validation = validation_users([str(name) for name in self._arrays["user_names"]])
            in_validation = np.isin(self._arrays["user"], validation)
            keep &= in_validation if self.part == "val" else ~in_validation
        return np.nonzero(keep)[0].astype(np.int32)

    def _length(self) -> int:
        return len(self._samples)

    def _info(self, index: int) -> dict[str, Any]:
        row = int(self._samples[index])
        arrays = self._arrays
        label = self._labels[int(arrays["label"][row])]
        folder = self._folders[self._folder_names[int(arrays["folder"][row])]]
        x, y, width, height = arrays["box"][row].astype(np.float64)
        name = str(arrays["stem"][row])
        info = {
            "img_path": str(folder / name),
            "sample_id": f"{Path(name).stem}/{row}",
            "is_right": not (self.flip_left and arrays["side"][row] == 0),
            "gesture": GESTURES.index(label) if label in GESTURES else -1,
            "gesture_name": label,
            "bbox_relative": np.array([x, y, x + width, y + height]),
        }
        points = arrays["landmarks"][row].astype(np.float64)
        if self.landmarks and not np.isnan(points).any():
            info["joints2d_relative"] = points
            info["joints2d_valid"] = np.ones(NUM_JOINTS, dtype=bool)
        return info


def validation_users(users: list[str]) -> np.ndarray:
    """Positions in ``users`` of version 1's validation users (Hagrid_v1 detector/dataset.py)."""
    order = sorted(users)
    random.Random(42).shuffle(order)
    held_out = set(order[int(len(order) * 0.8) :])
    return np.array([i for i, user in enumerate(users) if user in held_out], dtype=np.int64)


def _read_annotation(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable JSON ({error}). Unpack it again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, not a dictionary of images.")
    return content


def _hands(entry: dict[str, Any], source: str) -> list[dict[str, Any]]:
    """One record a hand of a picture's entry, of whichever version."""
    boxes, labels = entry.get("bboxes") or [], entry.get("labels") or []
    if len(boxes) != len(labels):
        raise DataError(f"{source} has {len(boxes)} boxes and {len(labels)} labels.")
    landmarks = entry.get("landmarks") or entry.get("hand_landmarks") or []
    leading = {"left": 0, "right": 1}.get(entry.get("leading_hand"), -1)
    hands = []
    for i, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        points = landmarks[i] if i < len(landmarks) else None
        if np.shape(points) != (NUM_JOINTS, 2):
            points = np.full((NUM_JOINTS, 2), np.nan)
        hands.append(
            {
                "box": box,
                "label": label.replace(" ", "_"),
                "landmarks": points,
                "side": leading if label != "no_gesture" else -1,
                "user": str(entry.get("user_id", "")),
            }
        )
    return hands


@DATASETS.register_module()
class GestureFolder(HandDataset):
    """Pictures sorted into one folder a gesture; the class is all that is annotated.

    Args:
        data_root: folder with one folder a class, named as in ``GESTURES``.
        aliases: folder name -> class, for other names.
        **base: arguments of :class:`~handzoo.datasets.base.HandDataset`.
    """

    METAINFO = {"dataset": "gesture_folder"}

    def __init__(
        self,
        data_root: str | Path,
        aliases: dict[str, str] | None = None,
        **base: Any,
    ) -> None:
        self.aliases = {"none": "no_gesture", **(aliases or {})}
        super().__init__(data_root, **base)

    def _resolve(self, data_root: str | Path | None) -> ResourceUse:
        root = Path(data_root)
        if not root.is_dir():
            raise DataError(f"GestureFolder.data_root={str(root)!r} is not a folder.")
        return record(ResourceUse("data/gesture_folder", REAL, str(root), "Any pictures will do."))

    def _load(self) -> None:
        self._samples: list[tuple[Path, int]] = []
        for folder in sorted(path for path in self.data_root.iterdir() if path.is_dir()):
            if folder.name.startswith("."):
                continue
            name = self.aliases.get(folder.name, folder.name)
            check_choice(f"folder {folder}", name, GESTURES)
            pictures = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)
            self._samples += [(path, GESTURES.index(name)) for path in pictures]
        if not self._samples:
            raise DataError(f"{self.data_root} has no pictures in folders named after gestures.")

    def _length(self) -> int:
        return len(self._samples)

    def _info(self, index: int) -> dict[str, Any]:
        path, gesture = self._samples[index]
        return {
            "img_path": str(path),
            "sample_id": f"{path.parent.name}/{path.stem}",
            "gesture": gesture,
            "gesture_name": GESTURES[gesture],
        }
