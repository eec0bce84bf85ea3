"""Percentage of correct key points and the area under its curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class PCKRange:
    """Which thresholds an area under the PCK curve is taken over, and how key points are averaged.

    Attributes:
        start_mm: first threshold of the evenly spaced grid.
        stop_mm: last threshold, inclusive.
        steps: number of thresholds of the grid.
        skip: leading thresholds of the grid that are left out: H3D's "20-50" is ``linspace(0, 50,
            20)[8:]``, which begins at 21.05 mm.
        pooled: True pools all valid points; False averages each key point over the samples first
            (EvalUtil).
    """

    start_mm: float = 0.0
    stop_mm: float = 50.0
    steps: int = 100
    skip: int = 0
    pooled: bool = False

    def thresholds(self) -> np.ndarray:
        """Thresholds in metres. Spaced in metres, as the official code does: a bit of rounding
        decides ties.
        """
        return np.linspace(self.start_mm / 1000.0, self.stop_mm / 1000.0, self.steps)[self.skip :]

    @property
    def id(self) -> str:
        """For example ``0-50mm,100,per-keypoint``."""
        skip = f"[{self.skip}:]" if self.skip else ""
        how = "pooled" if self.pooled else "per-keypoint"
        return f"{self.start_mm:g}-{self.stop_mm:g}mm,{self.steps}{skip},{how}"


FREIHAND_PCK = PCKRange(0, 50, 100)
"""FreiHAND's eval.py: 100 thresholds from 0 to 50 mm."""
H3D_PCK = PCKRange(0, 50, 20)
"""hand3d (Zimmermann and Brox), 0 to 50 mm."""
H3D_PCK_20_50 = PCKRange(0, 50, 20, skip=8)
"""hand3d and its followers: the last 12 of 20 thresholds, which begin at 21.05 mm."""
BIHAND_PCK_20_50 = PCKRange(20, 50, 20)
"""BiHand: 20 thresholds from 20 to 50 mm."""
TIPS_PCK_0_100 = PCKRange(0, 100, 20, pooled=True)
"""Dexter+Object, absolute."""
TIPS_PCK_20_50 = PCKRange(20, 50, 16, pooled=True)
"""Dexter+Object, aligned: every 2 mm, as minimal-hand plots it."""


def threshold_bins(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Index of the first threshold that each error is <= to; T for none, as for NaN.

    Equals ``np.searchsorted(thresholds, errors, side='left')``, but evenly spaced thresholds need
    no search: the index is computed, then put right where rounding made it one off.
    """
    errors, last = np.asarray(errors, dtype=np.float64), len(thresholds)
    step = (thresholds[-1] - thresholds[0]) / (last - 1)
    padded = np.concatenate(([-np.inf], thresholds, [np.inf]))
    place = np.ceil((errors - thresholds[0]) / step)
    index = np.nan_to_num(np.clip(place, 0, last), nan=last).astype(np.intp)
    index -= padded[index] >= errors  # the threshold before already holds it
    index += padded[index + 1] < errors
    return index


@lru_cache(maxsize=32)
def _area_of_bin(range_: PCKRange) -> np.ndarray:
    """Area under the step curve of one error, by its bin: (T + 1,)."""
    thresholds = range_.thresholds()
    steps = np.triu(np.ones((len(thresholds), len(thresholds))))
    return np.array([area_under_curve(step, thresholds) for step in steps] + [0.0])


def pck_curve(
    errors: np.ndarray,
    thresholds: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    pooled: bool = False,
) -> np.ndarray:
    """Share of errors that are <= each threshold.

    Args:
        errors: (N, K) distances, in the unit of the thresholds.
        thresholds: (T,) ascending.
        valid: (N, K) bool or None.
        pooled: see :class:`PCKRange`.

    Returns:
        (T,). Key points without one valid sample are left out of the mean, as EvalUtil does.

    Raises:
        ValueError: when nothing is valid; a curve of nothing has no value.
    """
    errors = np.asarray(errors)
    samples, points = errors.shape
    count = np.full(points, samples) if valid is None else np.asarray(valid, dtype=bool).sum(axis=0)
    if count.sum() == 0:
        raise ValueError("no valid point: there is no PCK to compute")
    bins = threshold_bins(errors, thresholds)
    bins += np.arange(points) * (len(thresholds) + 1)
    selected = bins.ravel() if valid is None else bins[np.asarray(valid, dtype=bool)]
    histogram = np.bincount(selected, minlength=points * (len(thresholds) + 1))
    hits = histogram.reshape(points, -1)[:, :-1].cumsum(axis=1)
    if pooled:
        return hits.sum(axis=0) / count.sum()
    seen = count > 0
    return (hits[seen] / count[seen, None]).mean(axis=0)


def area_under_curve(curve: np.ndarray, thresholds: np.ndarray) -> float:
    """Trapezoid area divided by the range of the thresholds, so that 1 is perfect."""
    curve, thresholds = np.asarray(curve), np.asarray(thresholds)
    widths = np.diff(thresholds)
    return float((widths * (curve[1:] + curve[:-1])).sum() / 2.0 / widths.sum())


def pck_auc(
    errors: np.ndarray, range_: PCKRange = FREIHAND_PCK, valid: np.ndarray | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Area under the PCK curve of errors (N, K) in metres.

    Returns:
        auc, thresholds (T,) in metres, curve (T,). The mean over key points of their areas equals
        the area of their mean curve, because the area is linear in the curve.
    """
    thresholds = range_.thresholds()
    curve = pck_curve(errors, thresholds, valid, pooled=range_.pooled)
    return area_under_curve(curve, thresholds), thresholds, curve


def sample_auc(
    errors: np.ndarray, range_: PCKRange = FREIHAND_PCK, valid: np.ndarray | None = None
) -> np.ndarray:
    """Area under the PCK curve of each sample alone, (N, K) -> (N,), for paired comparisons; NaN
    where unannotated.

    Their mean is the data set's AUC whenever every key point has the same number of samples.
    """
    area = _area_of_bin(range_)[threshold_bins(errors, range_.thresholds())]
    if valid is None:
        return area.mean(axis=1)
    weight = np.asarray(valid, dtype=np.float64)
    total = weight.sum(axis=1)
    return np.divide(
        (area * weight).sum(axis=1), total, out=np.full(len(errors), np.nan), where=total > 0
    )
