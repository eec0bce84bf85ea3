"""Alignments of predicted point sets to the ground truth, in batch and in float64.

Every function takes ``gt`` and ``pred`` of shape (N, P, 3) in one unit (metres in HandZoo) and
returns the aligned prediction (N, P, 3). ``valid`` (N, P), where given, names the points that an
alignment may look at; the transform is then applied to all points. A sample with too few valid
points comes back unaligned in the sense of the function's own docstring, never as an exception:
the caller decides what to leave out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handzoo.evaluation.functional.errors import centroid

# FreiHAND's eval.py adds this to both Frobenius norms, so that an all-zero prediction divides by
# it.
_NORM_EPSILON = 1e-8


@dataclass(frozen=True)
class Similarity:
    """``aligned = (points - pred_mean) @ rotation.T * scale + gt_mean``, one a sample.

    Attributes:
        rotation: (N, 3, 3); orthogonal, with determinant -1 where a reflection was allowed and
            fits better.
        scale: (N,).
        pred_mean: (N, 1, 3) centroid of the prediction.
        gt_mean: (N, 1, 3) centroid of the ground truth.
    """

    rotation: np.ndarray
    scale: np.ndarray
    pred_mean: np.ndarray
    gt_mean: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Carry points (N, P, 3) of the prediction into the frame of the ground truth."""
        turned = (points - self.pred_mean) @ self.rotation.transpose(0, 2, 1)
        turned *= self.scale[:, None, None]
        turned += self.gt_mean
        return turned

    def apply_around_own_mean(self, points: np.ndarray) -> np.ndarray:
        """Turn and scale points (N, P, 3) about their own centroid, then shift as the fit says.

        eval.py carries a mesh without 778 vertices so (``align_by_trafo``), with the transform of
        the key points; but it leaves out the division by the prediction's norm there, which
        shrinks the mesh to about a third. Here the scale is the fit's.
        """
        mean = centroid(points)
        turned = (points - mean) @ self.rotation.transpose(0, 2, 1)
        return turned * self.scale[:, None, None] + (self.gt_mean - self.pred_mean) + mean


def _as_float64(gt: np.ndarray, pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gt, pred = np.asarray(gt, dtype=np.float64), np.asarray(pred, dtype=np.float64)
    if gt.shape != pred.shape or gt.ndim != 3 or gt.shape[-1] != 3:
        raise ValueError(
            f"ground truth and prediction must both be (N, P, 3), got {gt.shape} and {pred.shape}"
        )
    return gt, pred


def _centred(points: np.ndarray, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Subtract the centroid of the valid points; invalid points become zero. -> centred, mean (N,
    1, 3).
    """
    if valid is None:
        mean = centroid(points)
        return points - mean, mean
    weight = np.asarray(valid, dtype=np.float64)[..., None]
    points = np.where(
        weight > 0, points, 0.0
    )  # an unannotated point may hold anything, NaN included
    mean = points.sum(axis=1, keepdims=True) / np.maximum(weight.sum(axis=1, keepdims=True), 1.0)
    return (points - mean) * weight, mean


def _squared(points: np.ndarray) -> np.ndarray:
    """Sum of squares of each sample, (N, P, 3) -> (N,), without a temporary of the input's size."""
    flat = np.ascontiguousarray(points).reshape(len(points), 1, -1)
    return np.matmul(flat, flat.transpose(0, 2, 1))[:, 0, 0]


def fit_similarity(
    gt: np.ndarray, pred: np.ndarray, *, reflections: bool = True, valid: np.ndarray | None = None
) -> Similarity:
    """Fit rotation, scale and translation as FreiHAND's eval.py does (``align_w_scale``).

    Both sets are centred and divided by their Frobenius norm + 1e-8, then SciPy's
    ``orthogonal_procrustes(gt, pred)`` gives R = U V^T and the sum of the singular values of gt^T
    pred. There is no correction of det(R), so that a mirrored hand fits perfectly; with
    ``reflections=False`` the smallest singular direction is flipped where needed (Umeyama 1991),
    and R is a rotation.

    Args:
        gt: (N, P, 3).
        pred: (N, P, 3).
        reflections: True for the official alignment, False for det(R) = +1.
        valid: (N, P) bool or None.

    Returns:
        The transform of each sample. An all-zero prediction gets scale 0: every point lands on the
        centroid.
    """
    gt, pred = _as_float64(gt, pred)
    gt_centred, gt_mean = _centred(gt, valid)
    pred_centred, pred_mean = _centred(pred, valid)
    gt_norm = np.sqrt(_squared(gt_centred)) + _NORM_EPSILON
    pred_norm = np.sqrt(_squared(pred_centred)) + _NORM_EPSILON
    covariance = np.matmul(gt_centred.transpose(0, 2, 1), pred_centred)
    covariance /= (gt_norm * pred_norm)[:, None, None]
    u, singular, vt = np.linalg.svd(covariance)
    if not reflections:
        sign = np.where(np.linalg.det(u) * np.linalg.det(vt) < 0, -1.0, 1.0)
        u[:, :, 2] *= sign[:, None]
        singular[:, 2] *= sign
    rotation = np.matmul(u, vt)
    scale = singular.sum(axis=1) * gt_norm / pred_norm
    return Similarity(rotation, scale, pred_mean, gt_mean)


def procrustes_align(
    gt: np.ndarray, pred: np.ndarray, *, reflections: bool = True, valid: np.ndarray | None = None
) -> np.ndarray:
    """Align by rotation, scale and translation ("PA"); see :func:`fit_similarity`."""
    return fit_similarity(gt, pred, reflections=reflections, valid=valid).apply(
        np.asarray(pred, dtype=np.float64)
    )


def root_align(points: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Subtract the root (N, 3) of each sample from points (N, P, 3)."""
    return np.asarray(points, dtype=np.float64) - np.asarray(root, dtype=np.float64)[:, None]


def root_position(joints: np.ndarray, root: int | tuple[int, ...]) -> np.ndarray:
    """Position (N, 3) of the root: one joint of (N, J, 3), or the mean of several (RHD's palm:
    wrist and MCP).
    """
    indices = (root,) if isinstance(root, int) else tuple(root)
    return np.asarray(joints, dtype=np.float64)[:, list(indices)].mean(axis=1)


def least_squares_scale(
    gt: np.ndarray, pred: np.ndarray, valid: np.ndarray | None = None
) -> np.ndarray:
    """Scale s (N,) that minimises ||gt - s pred||^2; 0 for an all-zero prediction."""
    gt, pred = _as_float64(gt, pred)
    if valid is not None:
        weight = np.asarray(valid, dtype=bool)[..., None]
        gt, pred = np.where(weight, gt, 0.0), np.where(weight, pred, 0.0)
    product = np.einsum("npc,npc->n", gt, pred)
    square = _squared(pred)
    return np.divide(product, square, out=np.zeros_like(product), where=square > 0)


def scale_align(gt: np.ndarray, pred: np.ndarray, *, valid: np.ndarray | None = None) -> np.ndarray:
    """Scale a root-relative prediction about the root by least squares ("S-"): no rotation, no
    translation.
    """
    return least_squares_scale(gt, pred, valid)[:, None, None] * np.asarray(pred, dtype=np.float64)


def scale_translation_align(
    gt: np.ndarray,
    pred: np.ndarray,
    *,
    scale: str = "least-squares",
    valid: np.ndarray | None = None,
) -> np.ndarray:
    """Align centroid and scale, not rotation ("ST-").

    Args:
        gt: (N, P, 3).
        pred: (N, P, 3).
        scale: 'least-squares', or 'mean-distance': the ratio of the mean distances to the
            centroid, as Minimal-Hand-pytorch aligns finger tips of Dexter+Object (utils/align.py).
        valid: (N, P) bool or None.
    """
    gt, pred = _as_float64(gt, pred)
    gt_centred, gt_mean = _centred(gt, valid)
    pred_centred, pred_mean = _centred(pred, valid)
    if scale == "least-squares":
        factor = least_squares_scale(gt_centred, pred_centred)
    elif scale == "mean-distance":
        # The number of valid points is the same in both means and cancels.
        gt_size = np.linalg.norm(gt_centred, axis=-1).sum(axis=1)
        pred_size = np.linalg.norm(pred_centred, axis=-1).sum(axis=1)
        factor = np.divide(gt_size, pred_size, out=np.zeros_like(gt_size), where=pred_size > 0)
    else:
        raise ValueError(f"scale must be 'least-squares' or 'mean-distance', got {scale!r}")
    return (pred - pred_mean) * factor[:, None, None] + gt_mean


def bone_scale_align(gt: np.ndarray, pred: np.ndarray, bone: tuple[int, int]) -> np.ndarray:
    """Scale a root-relative prediction so that one bone has its true length (RHD's protocols).

    Args:
        gt: (N, J, 3), root-relative.
        pred: (N, J, 3), root-relative.
        bone: the two joints of the bone, for example (9, 10): H3D's middle MCP to PIP.
    """
    gt, pred = _as_float64(gt, pred)
    first, second = bone
    true_length = np.linalg.norm(gt[:, first] - gt[:, second], axis=-1)
    length = np.linalg.norm(pred[:, first] - pred[:, second], axis=-1)
    factor = np.divide(true_length, length, out=np.zeros_like(length), where=length > 0)
    return pred * factor[:, None, None]


def root_depth_align(
    gt: np.ndarray, pred: np.ndarray, gt_root: np.ndarray, pred_root: np.ndarray
) -> np.ndarray:
    """Shift camera-space points (N, P, 3) along z so that the root has its true depth (MTC's "*"
    variant).
    """
    gt, pred = _as_float64(gt, pred)
    aligned = pred.copy()
    aligned[..., 2] += (np.asarray(gt_root) - np.asarray(pred_root))[:, None, 2]
    return aligned
