"""Tiny data sets in the published layouts, made of random numbers, for the tests here."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np

from handzoo.hands.conventions import NUM_JOINTS, NUM_VERTICES


def random_hand(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (21, 3) and vertices (778, 3) in the camera frame in metres, and a camera (3, 3)."""
    root = np.array([0.02, -0.01, 0.7]) + rng.normal(0, 0.02, 3)
    joints = root + rng.uniform(-0.06, 0.06, (NUM_JOINTS, 3))
    vertices = root + rng.uniform(-0.08, 0.08, (NUM_VERTICES, 3))
    camera = np.array([[480.0, 0.0, 113.0], [0.0, 470.0, 109.0], [0.0, 0.0, 1.0]])
    return joints, vertices, camera


def picture(rng: np.random.Generator, height: int = 224, width: int = 224) -> np.ndarray:
    """A smooth random picture, so that JPEG keeps it nearly as it is."""
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def make_freihand(
    root: Path,
    unique: int = 6,
    split: str = "training",
    fields: tuple[str, ...] = ("K", "xyz", "verts", "mano", "scale"),
    versions: int = 4,
    seed: int = 0,
) -> dict[str, list]:
    """A folder in FreiHAND's layout; returns what its JSON files hold."""
    rng = np.random.default_rng(seed)
    images = root / split / "rgb"
    images.mkdir(parents=True)
    content: dict[str, list] = {name: [] for name in ("K", "xyz", "verts", "mano", "scale", "uv")}
    for _ in range(unique):
        joints, vertices, camera = random_hand(rng)
        projected = joints @ camera.T
        content["K"].append(camera.tolist())
        content["xyz"].append(joints.tolist())
        content["verts"].append(vertices.tolist())
        content["mano"].append(rng.normal(0, 0.5, (1, 61)).tolist())
        content["scale"].append(float(np.linalg.norm(joints[9] - joints[10])))
        content["uv"].append((projected[:, :2] / projected[:, 2:]).tolist())
    for name in fields:
        (root / f"{split}_{name}.json").write_text(json.dumps(content[name]))
    for number in range(unique * versions):
        cv2.imwrite(str(images / f"{number:08d}.jpg"), picture(rng))
    return content


def make_rhd(root: Path, split: str = "training") -> dict[int, dict[str, np.ndarray]]:
    """RHD's layout: left hand alone, right hand alone, and both with the left one larger."""
    rng = np.random.default_rng(1)
    folder = root / split
    for name in ("color", "mask"):
        (folder / name).mkdir(parents=True)
    camera = np.array([[300.0, 0, 161.0], [0, 310.0, 158.0], [0, 0, 1]], dtype=np.float32)
    content = {}
    for number, (left, right) in {3: (9, 0), 7: (0, 9), 8: (9, 4)}.items():
        xyz = rng.uniform(-0.08, 0.08, (42, 3)) + [0, 0, 0.6]
        xyz[:21] *= left > 0
        xyz[21:] *= right > 0
        projected = xyz @ camera.T.astype(np.float64)
        with np.errstate(invalid="ignore"):
            uv = np.nan_to_num(projected[:, :2] / projected[:, 2:])
        visible = (xyz[:, 2:] > 0).astype(float)
        visible[[5, 26]] = 0
        content[number] = {
            "K": camera,
            "xyz": xyz.astype(np.float32),
            "uv_vis": np.hstack([uv, visible]).astype(np.float32),
        }
        mask = np.ones((320, 320), dtype=np.uint8)
        mask[: 5 * left, :20] = 5
        mask[: 5 * right, 30:50] = 20
        cv2.imwrite(str(folder / "mask" / f"{number:05d}.png"), mask)
        cv2.imwrite(str(folder / "color" / f"{number:05d}.png"), picture(rng, 320, 320))
    with open(folder / f"anno_{split}.pickle", "wb") as file:
        pickle.dump(content, file)
    return content


# Two frames: all tips with two cuboid corners and a trailing ';', then three tips, with spaces.
DEXTER_LINES = (
    "-10,-20,400;-20,-40,410;-30,-40,420;-40,-40,430;-50,-30,440;1,2,500;3,4,500;\n"
    "-10,-20, 400; 0,0,32001; -30,-40,420;0,0,32001; -50,-30,440\n"
)


def make_dexter_object(root: Path, sequences: tuple[str, ...] = ("Grasp1", "Pinch")) -> None:
    """Dexter+Object's layout, two frames a sequence."""
    for sequence in sequences:
        folder = root / "data" / sequence
        (folder / "color").mkdir(parents=True)
        (folder / "annotations").mkdir()
        (folder / f"annotations/{sequence}3D.txt").write_text(DEXTER_LINES + "\n")
        (folder / f"annotations/{sequence}2D.txt").write_text("")
        for frame in (1, 2):
            image = np.full((480, 640, 3), 40 * frame, np.uint8)
            cv2.imwrite(str(folder / f"color/Color_{frame:04d}.bmp"), image)


HAGRID_POINTS = np.linspace(0.2, 0.4, 42).reshape(21, 2).tolist()


def write_hagrid(
    root: Path,
    annotation_folder: str,
    image_folder: str,
    gesture: str,
    entries: dict,
    skip: tuple[str, ...] = (),
) -> None:
    """One class of HaGRID: its JSON file, and its pictures but for those in ``skip``."""
    folder = root / annotation_folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{gesture}.json").write_text(json.dumps(entries))
    images = root / image_folder.format(gesture=gesture)
    images.mkdir(parents=True)
    for stem in entries:
        if stem not in skip:
            cv2.imwrite(str(images / f"{stem}.jpg"), np.full((200, 100, 3), 90, np.uint8))


def make_hagrid(root: Path) -> None:
    """HaGRID's version 1: two classes, three entries of two hands, one without its picture."""
    entry = {
        "bboxes": [[0.1, 0.2, 0.3, 0.4], [0.6, 0.6, 0.2, 0.1]],
        "labels": ["call", "no_gesture"],
        "landmarks": [HAGRID_POINTS, []],
        "leading_hand": "left",
        "leading_conf": 1.0,
        "user_id": "u0",
    }
    entries = {"a": entry, "gone": entry}
    write_hagrid(root, "ann_train_val", "{gesture}", "call", entries, skip=("gone",))
    other = {**entry, "labels": ["two up", "no_gesture"], "leading_hand": "right", "user_id": "u1"}
    write_hagrid(root, "ann_train_val", "{gesture}", "two_up", {"b": other})


def make_gesture_folder(root: Path) -> None:
    """Three pictures in the folders of two gestures."""
    rng = np.random.default_rng(2)
    for name in ("call/a", "call/b", "none/a"):
        path = root / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), picture(rng, 120, 160))
