"""Evaluate a whole data set at once: every metric of a protocol from two sets of arrays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from handzoo.errors import DataError
from handzoo.evaluation import functional as F
from handzoo.evaluation.protocol import Protocol, metric_name
from handzoo.hands.conventions import TIP_JOINTS

MM = 1000.0
_CHUNK = 64  # meshes that one thread handles together: small enough for the cache
# Points that an alignment needs before its error says anything.
_MIN_POINTS = {
    "procrustes": 3,
    "procrustes-det+1": 3,
    "scale-translation": 2,
    "centroid": 2,
    "scale": 2,
}


@dataclass
class HandSet:
    """Hands of N samples as plain arrays, metres.

    Coordinates are the camera's where ``camera_valid`` is true; elsewhere only their differences
    mean something.

    Attributes:
        joints: (N, J, 3).
        vertices: (N, V, 3), or None.
        joints_valid: (N, J) bool; None means all.
        vertices_valid: (N,) bool; None means all, if there are vertices.
        camera_valid: (N,) bool; None means all.
    """

    joints: np.ndarray
    vertices: np.ndarray | None = None
    joints_valid: np.ndarray | None = None
    vertices_valid: np.ndarray | None = None
    camera_valid: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.joints = np.asarray(self.joints, dtype=np.float64)
        if self.joints.ndim != 3 or self.joints.shape[-1] != 3:
            raise DataError(f"joints must be (N, J, 3), got {self.joints.shape}")
        count = len(self.joints)
        if self.vertices is not None:
            self.vertices = np.asarray(self.vertices, dtype=np.float64)
            if self.vertices.ndim != 3 or self.vertices.shape[::2] != (count, 3):
                raise DataError(f"vertices must be ({count}, V, 3), got {self.vertices.shape}")
        shapes = {
            "joints_valid": self.joints.shape[:2],
            "vertices_valid": (count,),
            "camera_valid": (count,),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            value = np.ones(shape, dtype=bool) if value is None else np.asarray(value, dtype=bool)
            if value.shape != shape:
                raise DataError(f"{name} must be {shape}, got {value.shape}")
            setattr(self, name, value)
        if self.vertices is None:
            self.vertices_valid = np.zeros(count, dtype=bool)

    def __len__(self) -> int:
        return len(self.joints)


@dataclass
class Scores:
    """What :func:`evaluate_hands` found.

    Attributes:
        metrics: name -> value; distances in mm.
        per_sample: name -> (N,) of the same unit, NaN where a sample is not annotated for it; and
            ``joint_errors/<track>`` -> (N, J) mm.
        curves: name of an area -> {'thresholds_mm': (T,), 'pck': (T,)}.
        counts: name -> number of samples behind the value.
        left_out: what was not computed -> why.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    per_sample: dict[str, np.ndarray] = field(default_factory=dict)
    curves: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def evaluate_hands(
    gt: HandSet, pred: HandSet, protocol: Protocol, *, workers: int | None = None
) -> Scores:
    """Compute every metric of the protocol; what is not annotated is left out and named.

    Args:
        gt: ground truth.
        pred: predictions of the same samples; every joint and, if it has any, every vertex must be
            predicted.
        protocol: tracks, root, thresholds.
        workers: threads for the meshes; None takes every core that this process may use.

    Raises:
        DataError: numbers of samples or joints differ, or a prediction is not finite.
    """
    if pred.joints.shape != gt.joints.shape:
        raise DataError(f"joints: prediction {pred.joints.shape}, ground truth {gt.joints.shape}")
    for name, array in (("joints", pred.joints), ("vertices", pred.vertices)):
        if array is not None and not np.isfinite(array).all():
            bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
            raise DataError(
                f"predicted {name} of {len(bad)} of {len(array)} samples are not finite (NaN or "
                f"infinity), first sample {bad[0]}: such a model has no score"
            )
    both = gt.camera_valid & pred.camera_valid
    if "camera" in protocol.fscore_tracks and not both.any():
        # Without a camera frame the root-relative F-scores are the unaligned ones that can be had.
        others = tuple(track for track in protocol.fscore_tracks if track not in ("camera", "root"))
        protocol = protocol.replace(fscore_tracks=(*others, "root"))
    scores = Scores()
    _evaluate_joints(gt, pred, protocol, scores)
    _evaluate_vertices(gt, pred, protocol, scores, workers)
    return scores


def _selected(gt: HandSet, protocol: Protocol) -> np.ndarray:
    """Joints that may be scored, (N, J)."""
    if protocol.points == "all":
        return gt.joints_valid
    tips = np.zeros(gt.joints.shape[1], dtype=bool)
    tips[list(TIP_JOINTS)] = True
    return gt.joints_valid & tips


def _usable(track: str, gt: HandSet, pred: HandSet, protocol: Protocol) -> tuple[np.ndarray, str]:
    """Samples (N,) on which the track is defined, and what they need."""
    root = gt.joints_valid[:, list(protocol.root)].all(axis=1)
    camera = gt.camera_valid & pred.camera_valid
    if track == "camera":
        return camera, "the position in the camera frame, true and predicted"
    if track == "root-depth":
        return camera & root, "the camera frame and an annotated root"
    if track in ("root", "scale"):
        return root, f"an annotated root ({protocol.root_name})"
    if track == "bone":
        return root & gt.joints_valid[:, list(protocol.bone)].all(axis=1), "root and bone"
    return np.ones(len(gt), dtype=bool), "enough annotated points"


def _align(
    track: str,
    gt: np.ndarray,
    pred: np.ndarray,
    gt_root: np.ndarray,
    pred_root: np.ndarray,
    protocol: Protocol,
    valid: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bring points (n, P, 3) into the frame in which the track measures. -> gt, pred."""
    if track == "camera":
        return gt, pred
    if track == "root-depth":
        return gt, F.root_depth_align(gt, pred, gt_root, pred_root)
    if track in ("procrustes", "procrustes-det+1"):
        reflections = track == "procrustes"
        return gt, F.procrustes_align(gt, pred, reflections=reflections, valid=valid)
    if track in ("scale-translation", "centroid"):
        scale = "least-squares" if track == "scale-translation" else "mean-distance"
        return gt, F.scale_translation_align(gt, pred, scale=scale, valid=valid)
    gt, pred = F.root_align(gt, gt_root), F.root_align(pred, pred_root)
    if track == "scale":
        pred = F.scale_align(gt, pred, valid=valid)
    elif track == "bone":
        pred = F.bone_scale_align(gt, pred, protocol.bone)
    return gt, pred


def _evaluate_joints(gt: HandSet, pred: HandSet, protocol: Protocol, scores: Scores) -> None:
    selected = _selected(gt, protocol)
    true = np.where(gt.joints_valid[..., None], gt.joints, 0.0)
    gt_root = F.root_position(true, protocol.root)
    pred_root = F.root_position(pred.joints, protocol.root)
    pooled = protocol.pck.pooled
    for track in protocol.tracks:
        usable, needs = _usable(track, gt, pred, protocol)
        usable = usable & (selected.sum(axis=1) >= _MIN_POINTS.get(track, 1))
        valid = selected & usable[:, None]
        error_name = metric_name(track, "MPJPE")
        if not valid.any():
            scores.left_out[error_name] = f"no sample has {needs}"
            continue
        mask = None if valid.all() else valid
        first, second = _align(track, true, pred.joints, gt_root, pred_root, protocol, mask)
        errors = F.point_errors(first, second)
        scores.metrics[error_name] = F.mean_error(errors, mask, pooled=pooled) * MM
        scores.counts[error_name] = int(usable.sum())
        scores.per_sample[error_name] = (
            F.masked_mean(errors, mask if mask is not None else None) * MM
        )
        scores.per_sample[f"joint_errors/{track}"] = np.where(valid, errors * MM, np.nan)
        for qualifier, range_ in (("", protocol.pck), *protocol.more_pck):
            name = metric_name(track, "AUC-J", qualifier)
            area, thresholds, curve = F.pck_auc(errors, range_, mask)
            scores.metrics[name] = area
            scores.counts[name] = scores.counts[error_name]
            scores.per_sample[name] = F.sample_auc(errors, range_, mask)
            scores.curves[name] = {"thresholds_mm": thresholds * MM, "pck": curve}


def _evaluate_vertices(
    gt: HandSet, pred: HandSet, protocol: Protocol, scores: Scores, workers: int | None
) -> None:
    tracks = [track for track in protocol.tracks if track != "bone"]
    annotated = gt.vertices_valid & pred.vertices_valid
    reason = ""
    if gt.vertices is None or not gt.vertices_valid.any():
        reason = "no sample has an annotated mesh"
    elif pred.vertices is None or not annotated.any():
        reason = "no mesh is predicted"
    elif pred.vertices.shape != gt.vertices.shape:
        reason = (
            f"the predicted mesh has {pred.vertices.shape[1]} vertices, the true one "
            f"{gt.vertices.shape[1]}; F-scores use the joints' alignment"
        )
        _fscore_other_topology(gt, pred, protocol, scores, workers)
    if reason:
        for track in tracks:
            scores.left_out[metric_name(track, "MPVPE")] = reason
        return
    gt_root = F.root_position(gt.joints, protocol.root)
    pred_root = F.root_position(pred.joints, protocol.root)
    for track in tracks:
        usable, needs = _usable(track, gt, pred, protocol)
        indices = np.flatnonzero(usable & annotated)
        if len(indices) == 0:
            scores.left_out[metric_name(track, "MPVPE")] = f"no sample with a mesh has {needs}"
            continue
        _evaluate_mesh_track(
            track, indices, gt, pred, gt_root, pred_root, protocol, scores, workers
        )


def _evaluate_mesh_track(
    track: str,
    indices: np.ndarray,
    gt: HandSet,
    pred: HandSet,
    gt_root: np.ndarray,
    pred_root: np.ndarray,
    protocol: Protocol,
    scores: Scores,
    workers: int | None,
) -> None:
    """Errors, areas and F-scores of the meshes of one track, a chunk of samples at a time."""
    thresholds = protocol.pck.thresholds()
    with_fscore = track in protocol.fscore_tracks
    error, area = np.full(len(gt), np.nan), np.full(len(gt), np.nan)
    fscores = np.full((len(gt), len(F.FREIHAND_THRESHOLDS)), np.nan)

    def chunk(begin: int) -> np.ndarray:
        part = indices[begin : begin + _CHUNK]
        first, second = _align(
            track,
            gt.vertices[part],
            pred.vertices[part],
            gt_root[part],
            pred_root[part],
            protocol,
            None,
        )
        errors = F.point_errors(first, second)
        error[part] = errors.mean(axis=1)
        area[part] = F.sample_auc(errors, protocol.pck)
        if with_fscore:
            fscores[part] = F.fscore_chunk(first, second)[0]
        return F.pck_curve(errors, thresholds, pooled=True) * len(part)

    with F.single_threaded_torch(), ThreadPoolExecutor(workers or F.available_workers()) as pool:
        curve = sum(pool.map(chunk, range(0, len(indices), _CHUNK))) / len(indices)
    values = {"MPVPE": error * MM, "AUC-V": area}
    if with_fscore:
        values |= {"F@5": fscores[:, 0], "F@15": fscores[:, 1]}
    for measure, per_sample in values.items():
        name = metric_name(track, measure)
        scores.metrics[name] = float(per_sample[indices].mean())
        scores.per_sample[name] = per_sample
        scores.counts[name] = len(indices)
    scores.curves[metric_name(track, "AUC-V")] = {"thresholds_mm": thresholds * MM, "pck": curve}


def _fscore_other_topology(
    gt: HandSet, pred: HandSet, protocol: Protocol, scores: Scores, workers: int | None
) -> None:
    """F-scores of a mesh with another number of vertices, aligned by the joints as eval.py does."""
    usable = gt.vertices_valid & pred.vertices_valid & gt.joints_valid.all(axis=1)
    for track in protocol.fscore_tracks:
        if track not in ("procrustes", "camera"):
            continue
        indices = np.flatnonzero(usable & _usable(track, gt, pred, protocol)[0])
        if len(indices) == 0:
            continue
        meshes = pred.vertices[indices]
        if track == "procrustes":
            fit = F.fit_similarity(gt.joints[indices], pred.joints[indices])
            meshes = fit.apply_around_own_mean(meshes)
        values = F.fscore(gt.vertices[indices], meshes, workers=workers)[0]
        for column, measure in enumerate(("F@5", "F@15")):
            name = metric_name(track, measure)
            scores.per_sample[name] = np.full(len(gt), np.nan)
            scores.per_sample[name][indices] = values[:, column]
            scores.metrics[name] = float(values[:, column].mean())
            scores.counts[name] = len(indices)
