"""Writing a data set in FreiHAND v2's layout, file by file and never half a file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from handzoo.hands.conventions import FREIHAND_ROOT, SCALE_BONE

#: Decimals of coordinates in metres (a hundredth of a millimetre) and of angles in radians.
METRES, RADIANS = 5, 6
ANNOTATIONS = ("K", "xyz", "verts", "mano", "scale")


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)


def write_json(path: Path, value: Any, indent: int | None = None) -> None:
    """Writes compact JSON atomically."""
    separators = None if indent else (",", ":")
    write_atomically(path, json.dumps(value, separators=separators, indent=indent).encode())


def write_jpeg(path: Path, picture: np.ndarray, quality: int) -> None:
    """Writes a (H, W, 3) RGB or (H, W) gray uint8 picture as JPEG."""
    if picture.ndim == 3:
        picture = picture[..., ::-1]
    # Smaller files at the same quality: Huffman tables made for the picture.
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    ok, data = cv2.imencode(".jpg", picture, options)
    if not ok:
        raise OSError(f"{path}: the picture of shape {picture.shape} cannot be encoded as JPEG.")
    write_atomically(path, data.tobytes())


def freihand_mano(
    pose: np.ndarray, shape: np.ndarray, joints: np.ndarray, K: np.ndarray
) -> np.ndarray:
    """FreiHAND's 61 numbers: pose 48, shape 10, root's pixel 2, scale 1.

    A reader poses the hand model and moves joint 9 to ((u - cx), (v - cy), f) / scale with
    f = mean(fx, fy) (FreiHAND, utils/model.py). That pixel is not quite the projection of the
    joint where fx and fy differ; it is the one that this formula takes back to the joint.

    Args:
        pose: (48,). shape: (10,).
        joints: (21, 3) camera frame, metres.
        K: (3, 3).
    """
    root = np.asarray(joints, np.float64)[FREIHAND_ROOT]
    focal = 0.5 * (K[0, 0] + K[1, 1])
    scale = focal / root[2]
    uv = root[:2] * scale + [K[0, 2], K[1, 2]]
    return np.concatenate([pose, shape, uv, [scale]])


@dataclass
class Record:
    """Annotation of one hand, ready for JSON."""

    K: list
    xyz: list
    verts: list
    mano: list
    scale: float
    meta: dict[str, Any]

    @classmethod
    def of(
        cls,
        pose: np.ndarray,
        shape: np.ndarray,
        joints: np.ndarray,
        vertices: np.ndarray,
        K: np.ndarray,
        meta: dict[str, Any],
    ) -> Record:
        """Rounds and collects the annotation; joints (21, 3) and vertices (778, 3) in metres."""
        joints, vertices = np.asarray(joints, np.float64), np.asarray(vertices, np.float64)
        bone = joints[SCALE_BONE[0]] - joints[SCALE_BONE[1]]
        return cls(
            K=np.asarray(K).round(6).tolist(),
            xyz=joints.round(METRES).tolist(),
            verts=vertices.round(METRES).tolist(),
            mano=[freihand_mano(pose, shape, joints, K).round(RADIANS).tolist()],
            scale=round(float(np.linalg.norm(bone)), RADIANS),
            meta=meta,
        )


class FreiHandWriter:
    """Files of one split of a data set in FreiHAND's layout.

    Args:
        root: the data set's folder.
        split: 'training' or 'evaluation'.
        count: number of unique hands; file numbers are ``hand + count * version``.
        quality: JPEG quality.

    Finished hands leave a small record in a hidden folder, so that an interrupted run can go on;
    :meth:`finish` turns the records into the annotation files.
    """

    def __init__(self, root: str | Path, split: str, count: int, quality: int = 88) -> None:
        self.root, self.split = Path(root), split
        self.count, self.quality = count, quality
        self.records = self.root / ".records" / split

    def _record(self, index: int) -> Path:
        return self.records / f"{index:08d}.json"

    def done(self, index: int) -> bool:
        """Whether this hand is complete (its record is written after its pictures)."""
        return self._record(index).exists()

    def write(
        self, index: int, pictures: list[np.ndarray], mask: np.ndarray, record: Record
    ) -> None:
        """Writes the versions (each (H, W, 3) uint8) of a hand, its mask (H, W) and its record."""
        for version, picture in enumerate(pictures):
            name = f"{index + self.count * version:08d}.jpg"
            write_jpeg(self.root / self.split / "rgb" / name, picture, self.quality)
        if self.split == "training":
            path = self.root / self.split / "mask" / f"{index:08d}.jpg"
            write_jpeg(path, mask, 80)
        write_json(self._record(index), asdict(record))

    def finish(self) -> None:
        """Writes ``<split>_{K,xyz,verts,mano,scale,meta}.json``."""
        records = [json.loads(self._record(i).read_bytes()) for i in range(self.count)]
        for name in (*ANNOTATIONS, "meta"):
            values = [record[name] for record in records]
            write_json(self.root / f"{self.split}_{name}.json", values)
