"""FreiHAND's official evaluation, written from its definition as a plain loop over samples.

Independent of handzoo.evaluation: SciPy's orthogonal_procrustes and KD-tree, one sample at a time.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import KDTree


def align(gt: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Scale, rotation or reflection, translation."""
    gt_mean, pred_mean = gt.mean(0), pred.mean(0)
    a, b = gt - gt_mean, pred - pred_mean
    a_norm, b_norm = np.linalg.norm(a) + 1e-8, np.linalg.norm(b) + 1e-8
    a, b = a / a_norm, b / b_norm
    rotation, scale = orthogonal_procrustes(a, b)
    return b @ rotation.T * scale * a_norm + gt_mean


def f_score(gt: np.ndarray, pred: np.ndarray, threshold: float) -> float:
    """Harmonic mean of the shares of points that have a strictly nearer neighbour."""
    first = float((KDTree(pred).query(gt)[0] < threshold).mean())
    second = float((KDTree(gt).query(pred)[0] < threshold).mean())
    return 2 * first * second / (first + second) if first + second > 0 else 0.0


def auc(errors: np.ndarray, start: float, stop: float, steps: int) -> float:
    """Area under the PCK curve of each key point (errors (N, K)), then the mean over key points."""
    thresholds = np.linspace(start, stop, steps)
    areas = []
    for column in errors.T:
        curve = [float((column <= t).mean()) for t in thresholds]
        area = sum(
            (curve[i] + curve[i + 1]) / 2 * (thresholds[i + 1] - thresholds[i])
            for i in range(steps - 1)
        )
        areas.append(area / (thresholds[-1] - thresholds[0]))
    return float(np.mean(areas))


def evaluate(
    xyz: np.ndarray, verts: np.ndarray, xyz_pred: np.ndarray, verts_pred: np.ndarray
) -> dict[str, float]:
    """The four tracks and the F-scores, under the names that handzoo gives them; mm."""
    errors: dict[str, list[np.ndarray]] = {"CS-J": [], "PA-J": [], "CS-V": [], "PA-V": []}
    scores: dict[str, list[float]] = {"CS-F@5": [], "CS-F@15": [], "PA-F@5": [], "PA-F@15": []}
    for joints, mesh, joints_p, mesh_p in zip(xyz, verts, xyz_pred, verts_pred, strict=True):
        joints_a, mesh_a = align(joints, joints_p), align(mesh, mesh_p)
        errors["CS-J"].append(np.linalg.norm(joints - joints_p, axis=1))
        errors["PA-J"].append(np.linalg.norm(joints - joints_a, axis=1))
        errors["CS-V"].append(np.linalg.norm(mesh - mesh_p, axis=1))
        errors["PA-V"].append(np.linalg.norm(mesh - mesh_a, axis=1))
        for name, threshold in (("5", 0.005), ("15", 0.015)):
            scores[f"CS-F@{name}"].append(f_score(mesh, mesh_p, threshold))
            scores[f"PA-F@{name}"].append(f_score(mesh, mesh_a, threshold))
    result = {name: float(np.mean(values)) for name, values in scores.items()}
    for name, rows in errors.items():
        table = np.stack(rows)
        track, kind = name.split("-")
        mean = "MPJPE" if kind == "J" else "MPVPE"
        result[f"{track}-{mean}"] = float(table.mean(0).mean()) * 1000
        result[f"{track}-AUC-{kind}"] = auc(table, 0.0, 0.05, 100)
    return result
