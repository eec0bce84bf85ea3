"""Gesture and colour of each unique sample, and a labeller that works from 3D joints.

The paper labels FreiHAND's training images with a detector trained on HaGRID. Where no detector
was trained, :func:`nearest_gestures` compares a sample's annotated joints with the templates of
the 19 classes. Labels lie beside the data in ``gesture_labels.json``:
``{"labeller": ..., "training": [name or null, ...], "evaluation": [...]}``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handzoo.datasets.cache import AnnotationCache, ArrayStore, save_arrays
from handzoo.errors import DataError
from handzoo.hands.gestures import GESTURES

LABELS_FILE = "gesture_labels.json"
# Metres; twins are the same pose of the same hand, seen from another side.
_TWIN_DISTANCE = 0.0005


def read_labels(cache: AnnotationCache, root: Path, split: str, count: int) -> ArrayStore | None:
    """Gestures and background colours of a split's unique samples, if anything is known of them.

    ``{split}_meta.json`` (written by the synthesis: ``gesture`` and ``colors``, one a version)
    goes before ``gesture_labels.json``.

    Args:
        cache: the data set's cache.
        root: its folder.
        split: ``training`` or ``evaluation``.
        count: number of unique samples that the annotation has.

    Returns:
        Arrays ``gesture`` (N,) index or -1, and with the meta file ``color`` (N, V) index into
        ``color_names``; None if there is neither file.

    Raises:
        DataError: a file is damaged, has another length, or names an unknown gesture.
    """
    meta, labels = root / f"{split}_meta.json", root / LABELS_FILE
    if meta.is_file():

        def convert_meta(folder: Path) -> None:
            rows = _read_json(meta)
            _check_count(meta, rows, count)
            colors = [row.get("colors") or [] for row in rows]
            width = max((len(row) for row in colors), default=0)
            names = sorted({name for row in colors for name in row})
            index = np.full((count, width), -1, dtype=np.int16)
            for i, row in enumerate(colors):
                index[i, : len(row)] = [names.index(name) for name in row]
            gesture = _gesture_indices(meta, [row.get("gesture") for row in rows])
            arrays = {"gesture": gesture, "color": index, "color_names": np.array(names or [""])}
            save_arrays(folder, arrays)

        return cache.get(f"{split}_meta", [meta], convert_meta)
    if labels.is_file():

        def convert_labels(folder: Path) -> None:
            content = _read_json(labels)
            names = content.get(split, []) if isinstance(content, dict) else content
            if names:
                _check_count(labels, names, count)
            gesture = _gesture_indices(labels, names or [None] * count)
            save_arrays(folder, {"gesture": gesture})

        return cache.get(f"{split}_gestures", [labels], convert_labels, options=str(count))
    return None


def write_labels(root: Path, labels: dict[str, list[str | None]], labeller: str) -> Path:
    """Write ``gesture_labels.json``, keeping the other splits that it has.

    Args:
        root: folder of the data set.
        labels: split -> name or None of each unique sample.
        labeller: what made the labels; kept in the file.
    """
    path = root / LABELS_FILE
    content = _read_json(path) if path.is_file() else {}
    content.update(labels, labeller=labeller)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content))
    draft.replace(path)
    return path


def nearest_gestures(
    joints: np.ndarray, templates: np.ndarray, threshold: float = 0.012
) -> tuple[np.ndarray, np.ndarray]:
    """Label hands by the template nearest after Procrustes alignment (rotation and scale).

    Classes that are the same pose turned over (peace and peace_inverted) stay apart by the angle
    of that rotation: among templates that are twins of each other, the one that needs the
    smallest rotation in the camera's frame wins.

    Args:
        joints: (N, 21, 3) metres.
        templates: (19, 21, 3) metres, in the order of ``GESTURES``, upright in the camera frame.
        threshold: metres of mean joint distance above which a hand is ``no_gesture``; so is a
            hand nearest to that class's own template, a relaxed hand.

    Returns:
        indices (N,) into ``GESTURES``, and the aligned mean distance (N,) in metres of the nearest
        template, at the hand's own scale.
    """
    distance, angle = procrustes_to_templates(joints, templates)
    between, _ = procrustes_to_templates(templates, templates)
    best = distance.argmin(axis=1)
    twins = between[best] < _TWIN_DISTANCE
    chosen = np.where(twins, angle, np.inf).argmin(axis=1)
    nearest = distance[np.arange(len(joints)), best]
    return np.where(nearest <= threshold, chosen, GESTURES.index("no_gesture")), nearest


def procrustes_to_templates(
    joints: np.ndarray, templates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean distance (metres) and rotation angle (radians) from each template to each hand.

    Args:
        joints: (N, 21, 3).
        templates: (T, 21, 3), carried onto the joints by rotation, scale and translation.

    Returns:
        Two arrays (N, T).
    """
    joints = joints - joints.mean(axis=1, keepdims=True)
    templates = templates - templates.mean(axis=1, keepdims=True)
    distances = np.empty((len(joints), len(templates)))
    angles = np.empty_like(distances)
    for t, template in enumerate(templates.astype(np.float64)):
        u, s, vt = np.linalg.svd(np.einsum("njk,jl->nkl", joints, template))
        sign = np.ones_like(s)
        sign[:, 2] = np.sign(np.linalg.det(u @ vt))
        rotation = (u * sign[:, None]) @ vt
        scale = (s * sign).sum(axis=1) / (template**2).sum()
        carried = scale[:, None, None] * np.einsum("nkl,jl->njk", rotation, template)
        distances[:, t] = np.linalg.norm(carried - joints, axis=2).mean(axis=1)
        cosine = (np.trace(rotation, axis1=1, axis2=2) - 1) / 2
        angles[:, t] = np.arccos(np.clip(cosine, -1, 1))
    return distances, angles


def _gesture_indices(source: Path, names: Sequence[str | None]) -> np.ndarray:
    index = {name: i for i, name in enumerate(GESTURES)} | {None: -1}
    unknown = sorted({str(name) for name in names if name not in index})
    if unknown:
        raise DataError(
            f"{source} names gestures that are not among the 19 classes: {', '.join(unknown[:5])}. "
            f"Allowed: {', '.join(GESTURES)}, or null."
        )
    return np.array([index[name] for name in names], dtype=np.int16)


def _check_count(source: Path, rows: Sequence[object], count: int) -> None:
    if len(rows) != count:
        raise DataError(
            f"{source} has {len(rows)} entries and the annotation has {count} unique samples. "
            "Make it again for this data set."
        )


def _read_json(path: Path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{path} is not readable JSON ({error}). Make it again.") from error
