"""F-score of two point sets, for thousands of meshes in seconds and equal to a KD-tree's.

A distance table of 778 x 778 is one matrix product of five-vectors, [p, |p|^2, 1] . [-2q, 1,
|q|^2], and its row and column minima are both directions of the nearest-neighbour search. That
runs in float32, a strip at a time so that a strip stays in the cache. Where a minimum is so near
to a threshold that float32 might decide wrongly, the point is decided again in float64: the counts
    are those of an exact search.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from handzoo.evaluation.functional.errors import centroid

FREIHAND_THRESHOLDS = (0.005, 0.015)
"""Metres; F@5 and F@15 of FreiHAND's eval.py."""

# Rows of the distance table that are held at once, and for how many samples.
_STRIP = 98
_GROUP = 8
# Samples that one thread prepares and counts together, to spend little time in the interpreter.
_CHUNK = 64
# Bound on the float32 error of a squared distance, as a multiple of max|p|^2 + max|q|^2: with units
# u = 6e-8 in the last place, rounded inputs give at most 3 u, five products and their sum 10 u.
_BAND = 1e-6


def available_workers() -> int:
    """Number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


@contextlib.contextmanager
def single_threaded_torch() -> Iterator[None]:
    """Keep torch to one thread an operation while many operations run in threads of our own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _exact_hits(
    points: np.ndarray, others: np.ndarray, sets: np.ndarray, threshold: float
) -> np.ndarray:
    """Whether points (K, 3) are strictly nearer than the threshold to one of others[sets[k]], in
    float64.
    """
    hits = np.empty(len(points), dtype=bool)
    for begin in range(0, len(points), 64):
        part, near = points[begin : begin + 64], others[sets[begin : begin + 64]]
        square = np.zeros(near.shape[:2])
        for axis in range(3):
            square += (part[:, None, axis] - near[:, :, axis]) ** 2
        hits[begin : begin + 64] = np.sqrt(square).min(axis=1) < threshold
    return hits


def _hit_shares(
    minimum: np.ndarray,
    points: np.ndarray,
    others: np.ndarray,
    thresholds: Sequence[float],
    band: np.ndarray,
) -> np.ndarray:
    """Share of the points of each set whose nearest other point is strictly nearer than each
    threshold.

    Args:
        minimum: (n, P) float32 squared distance to the nearest other point.
        points: (n, P, 3) float64.
        others: (n, Q, 3) float64.
        thresholds: T distances.
        band: (n, 1) bound on the error of ``minimum``.

    Returns:
        (n, T).
    """
    shares = np.empty((len(points), len(thresholds)))
    for column, threshold in enumerate(thresholds):
        margin = minimum - threshold * threshold
        hits = margin < -band
        sets, rows = np.nonzero(np.abs(margin) <= band)
        hits[sets, rows] = _exact_hits(points[sets, rows], others, sets, threshold)
        shares[:, column] = np.count_nonzero(hits, axis=1) / points.shape[1]
    return shares


def _nearest_squared(gt: np.ndarray, pred: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squared distances of nearest neighbours both ways, by float32 matrix products.

    Args:
        gt: (n, P, 3), near the origin.
        pred: (n, Q, 3).

    Returns:
        to_pred (n, P) float32, to_gt (n, Q) float32, and the bound (n, 1) on their error.
    """
    gt_square, pred_square = np.einsum("npc,npc->np", gt, gt), np.einsum("npc,npc->np", pred, pred)
    left = np.ones((*pred.shape[:2], 5), dtype=np.float32)
    left[..., :3], left[..., 3] = pred, pred_square
    right = np.ones((len(gt), 5, gt.shape[1]), dtype=np.float32)
    right[:, :3], right[:, 4] = -2.0 * gt.transpose(0, 2, 1), gt_square
    lefts, rights = torch.from_numpy(left), torch.from_numpy(right)
    to_gt = torch.empty(pred.shape[:2])
    to_pred = torch.full(gt.shape[:2], float("inf"))
    for first in range(0, len(gt), _GROUP):
        group = slice(first, first + _GROUP)
        for begin in range(0, pred.shape[1], _STRIP):
            strip = slice(begin, begin + _STRIP)
            table = torch.bmm(lefts[group, strip], rights[group])
            to_gt[group, strip] = table.amin(dim=2)
            torch.minimum(to_pred[group], table.amin(dim=1), out=to_pred[group])
    band = _BAND * (gt_square.max(axis=1) + pred_square.max(axis=1))
    return to_pred.numpy(), to_gt.numpy(), band[:, None]


def fscore_chunk(
    gt: np.ndarray, pred: np.ndarray, thresholds: Sequence[float] = FREIHAND_THRESHOLDS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """:func:`fscore` of some tens of samples in the calling thread, unchecked."""
    centre = centroid(gt)  # near the origin float32 is finest
    true, guess = gt - centre, pred - centre
    to_pred, to_gt, band = _nearest_squared(true, guess)
    precision = _hit_shares(to_gt, guess, true, thresholds, band)
    recall = _hit_shares(to_pred, true, guess, thresholds, band)
    total = precision + recall
    score = np.divide(2.0 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return score, precision, recall


def fscore(
    gt: np.ndarray,
    pred: np.ndarray,
    thresholds: Sequence[float] = FREIHAND_THRESHOLDS,
    *,
    workers: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F-score of each sample by nearest neighbours both ways, strictly nearer than each threshold.

    Args:
        gt: (N, P, 3) ground-truth vertices, metres.
        pred: (N, Q, 3) predicted vertices, metres; Q may differ from P.
        thresholds: T distances in metres.
        workers: threads; None takes every core that this process may use.

    Returns:
        F, precision and recall, each (N, T). Precision is the share of predicted points near the
        ground truth (FreiHAND's eval.py swaps the two labels; F is the same).

    Raises:
        ValueError: if a coordinate is not finite, or a set is empty.
    """
    gt, pred = np.asarray(gt, dtype=np.float64), np.asarray(pred, dtype=np.float64)
    if gt.ndim != 3 or pred.ndim != 3 or len(gt) != len(pred) or 0 in (gt.shape[1], pred.shape[1]):
        raise ValueError(
            f"expected (N, P, 3) and (N, Q, 3) with P, Q > 0, got {gt.shape} and {pred.shape}"
        )
    if not (np.isfinite(gt).all() and np.isfinite(pred).all()):
        raise ValueError("a coordinate is not finite (NaN or infinity): there is no F-score of it")
    workers = available_workers() if workers is None else max(1, workers)
    out = np.empty((3, len(gt), len(thresholds)))

    def fill(begin: int) -> None:
        part = slice(begin, begin + _CHUNK)
        out[:, part] = fscore_chunk(gt[part], pred[part], thresholds)

    with single_threaded_torch(), ThreadPoolExecutor(workers) as pool:
        list(pool.map(fill, range(0, len(gt), _CHUNK)))
    return out[0], out[1], out[2]
