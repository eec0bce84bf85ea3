"""Distances between predicted and true points, and their means over what is annotated."""

from __future__ import annotations

import numpy as np


def centroid(points: np.ndarray) -> np.ndarray:
    """Mean point of each sample, (N, P, 3) -> (N, 1, 3).

    As a matrix product: NumPy's mean over the middle axis adds three numbers at a time.
    """
    weights = np.full((1, points.shape[1]), 1.0 / points.shape[1])
    return np.matmul(weights, points)


def point_errors(gt: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Euclidean distance of each point, (N, P, 3) and (N, P, 3) -> (N, P), in the unit of the
    input.
    """
    difference = np.asarray(gt, dtype=np.float64) - np.asarray(pred, dtype=np.float64)
    return np.sqrt(np.einsum("npc,npc->np", difference, difference))


def masked_mean(errors: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Mean over the valid points of each sample, (N, P) -> (N,); NaN for a sample without any."""
    errors = np.asarray(errors, dtype=np.float64)
    if valid is None:
        return errors.mean(axis=1)
    valid = np.asarray(valid, dtype=bool)
    count = valid.sum(axis=1)
    total = np.where(valid, errors, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(errors), np.nan), where=count > 0)


def mean_error(
    errors: np.ndarray, valid: np.ndarray | None = None, *, pooled: bool = False
) -> float:
    """Mean error of the data set: over samples for each key point, then over key points, as
    EvalUtil does.

    Args:
        errors: (N, P).
        valid: (N, P) bool or None; key points that are never valid are left out.
        pooled: average all valid points alike instead.

    Raises:
        ValueError: when nothing is valid.
    """
    errors = np.asarray(errors, dtype=np.float64)
    if valid is None:
        valid = np.ones(errors.shape, dtype=bool)
    valid = np.asarray(valid, dtype=bool)
    count = valid.sum(axis=0)
    if count.sum() == 0:
        raise ValueError("no valid point: there is no mean error to compute")
    total = np.where(valid, errors, 0.0).sum(axis=0)
    if pooled:
        return float(total.sum() / count.sum())
    seen = count > 0
    return float((total[seen] / count[seen]).mean())
