"""MMEngine metrics: they gather a run's predictions and hand them to :func:`evaluate_hands`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from handzoo.errors import DataError
from handzoo.evaluation import functional as F
from handzoo.evaluation.evaluate import HandSet, Scores, evaluate_hands
from handzoo.evaluation.protocol import Protocol, metric_name
from handzoo.evaluation.results import EvaluationResult
from handzoo.evaluation.submission import FREIHAND_EVALUATION_SIZE, quantise, write_submission
from handzoo.hands.camera import normalized_to_pixels, weak_perspective_project, weak_to_translation
from handzoo.registry import METRICS
from handzoo.resources import ASSETS, active_report

_PREDICTED = ("pred_camera", "pred_joints", "pred_vertices", "pred_joints_from_vertices")
_ANNOTATED = (
    "joints3d",
    "joints3d_valid",
    "joints2d",
    "joints2d_valid",
    "vertices",
    "vertices_valid",
    "root",
    "root_valid",
    "K",
    "K_valid",
    "aug_rotation",
)
# Names that data sets give themselves -> name and version in a protocol id.
_VERSIONS = {"freihand": "freihand-v2", "rhd": "rhd-v2", "dexter_object": "dexter+object"}


@METRICS.register_module()
class HandMetric(BaseMetric):
    """All metrics of a protocol over the predictions of a validation or test run.

    What is not annotated is left out of every mean; if nothing is annotated the metric returns
    nothing and says so. Joints are scored as the method reports them or as regressed from its mesh
    (``joints_from``), and ``PA-MPJPE[mesh]`` and ``MPJPE[mesh]`` give the latter beside the former.

    Args:
        split: name of the split for the protocol id.
        dataset: name of the data set for the protocol id; None reads it off the samples, and names
            the bundled sample or an excerpt as such.
        joints_from: 'joints' or 'mesh'.
        protocol: other fields of :class:`~handzoo.evaluation.protocol.Protocol`.
        out_dir: folder for pred.json and pred.zip (FreiHAND's format, camera frame, evaluation
            order), metrics.json and per_sample.npz; None writes nothing.
        submission: write pred.json and pred.zip.
        input_size: side of the crop in pixels, which the predicted camera refers to.
        workers: threads; None takes every core that the process may use.
        collect_device, prefix, collect_dir: see :class:`mmengine.evaluator.BaseMetric`.

    Attributes:
        result: the :class:`EvaluationResult` of the last run on the main process, or None.
    """

    default_prefix = ""
    default_protocol: Mapping[str, Any] = {}

    def __init__(
        self,
        split: str = "evaluation",
        dataset: str | None = None,
        joints_from: str = "joints",
        protocol: Mapping[str, Any] | None = None,
        out_dir: str | None = None,
        submission: bool = True,
        input_size: int = 224,
        workers: int | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        fields = {**self.default_protocol, **(protocol or {})}
        if isinstance(fields.get("pck"), Mapping):
            fields["pck"] = F.PCKRange(**fields["pck"])
        for name in ("root", "bone", "tracks", "fscore_tracks"):
            if isinstance(fields.get(name), list):
                fields[name] = tuple(fields[name])
        if isinstance(fields.get("more_pck"), Mapping):
            fields["more_pck"] = tuple(
                (key, F.PCKRange(**value) if isinstance(value, Mapping) else value)
                for key, value in fields["more_pck"].items()
            )
        self.protocol = Protocol(split=split, joints_from=joints_from, **fields)
        self.dataset = dataset
        self.out_dir = None if out_dir is None else Path(out_dir)
        self.submission = submission
        self.input_size = input_size
        self.workers = workers
        self.result: EvaluationResult | None = None

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keep what the metrics need of each sample, on the CPU.

        Raises:
            DataError: a sample carries no prediction.
        """
        for sample in data_samples:
            missing = [name for name in _PREDICTED if name not in sample]
            if missing:
                raise DataError(
                    f"a sample has no {', '.join(missing)}: the estimator must be called with "
                    "mode='predict' before its samples are evaluated"
                )
            kept = {
                name: torch.as_tensor(sample.get(name)).detach().cpu().numpy()
                for name in (*_PREDICTED, *_ANNOTATED)
            }
            for name in ("sample_id", "dataset", "img_path"):
                kept[name] = sample.get(name)
            self.results.append(kept)

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Evaluate the gathered samples. -> metric name -> value; {} if nothing is annotated."""
        if not results:
            return {}
        if all(isinstance(item["sample_id"], int) for item in results):
            results = sorted(results, key=lambda item: item["sample_id"])
        arrays = {
            name: np.stack([item[name] for item in results]) for name in (*_PREDICTED, *_ANNOTATED)
        }
        protocol = self.protocol.replace(dataset=self._dataset_name(results))
        gt, pred, mesh_joints = self._hand_sets(arrays, protocol)
        scores = evaluate_hands(gt, pred, protocol, workers=self.workers)
        self._add_mesh_joints(gt, pred, mesh_joints, protocol, scores)
        self._add_projection(arrays, pred, protocol, scores)
        report = active_report()
        self.result = EvaluationResult.from_scores(
            scores,
            protocol,
            len(results),
            sample_ids=[self._identifier(item, index) for index, item in enumerate(results)],
            resources=report.rows() if report else [],
        )
        if not scores.metrics:
            print_log(
                f"{len(results)} samples were predicted and none is annotated: there is nothing to "
                "measure",
                logger="current",
                level=logging.WARNING,
            )
        if self.out_dir is not None:
            self._write(pred)
        return dict(scores.metrics)

    @staticmethod
    def _identifier(item: Mapping[str, Any], index: int) -> int | str:
        identifier = item["sample_id"]
        return index if identifier is None else identifier

    def _dataset_name(self, results: list[dict[str, Any]]) -> str:
        if self.dataset is not None:
            return self.dataset
        path = results[0]["img_path"]
        if path and (ASSETS / "sample").resolve() in Path(path).resolve().parents:
            return "bundled-sample"
        name = results[0]["dataset"] or (self.dataset_meta or {}).get("dataset") or "unknown"
        name = _VERSIONS.get(name, name)
        full = FREIHAND_EVALUATION_SIZE
        if name == "freihand-v2" and self.protocol.split == "evaluation" and len(results) != full:
            return f"freihand-layout-{len(results)}"
        return name

    def _hand_sets(
        self, arrays: Mapping[str, np.ndarray], protocol: Protocol
    ) -> tuple[HandSet, HandSet, np.ndarray]:
        """Ground truth, prediction and the joints of the predicted mesh, without the
        augmentation's rotation.
        """
        angle = arrays["aug_rotation"].astype(np.float64)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.zeros((len(angle), 3, 3))  # row vectors times R turn back by R^T
        turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1], turn[:, 2, 2] = (
            cos,
            -sin,
            sin,
            cos,
            1,
        )

        def upright(points: np.ndarray) -> np.ndarray:
            return points.astype(np.float64) @ turn

        camera = torch.from_numpy(arrays["pred_camera"]).double()
        K = torch.from_numpy(arrays["K"]).double()
        translation = weak_to_translation(camera, K, self.input_size).numpy()
        translation = np.where(arrays["K_valid"][:, None], translation, 0.0)[:, None]
        root = np.where(arrays["root_valid"][:, None], arrays["root"].astype(np.float64), 0.0)[
            :, None
        ]
        gt = HandSet(
            upright(arrays["joints3d"] + root),
            upright(arrays["vertices"] + root),
            arrays["joints3d_valid"],
            arrays["vertices_valid"],
            arrays["root_valid"],
        )
        own = arrays["pred_joints"] + translation
        from_mesh = arrays["pred_joints_from_vertices"] + translation
        # Evaluated as a submission would be written, so that tools/evaluate.py gives the same
        # figures.
        own, from_mesh = quantise(upright(own)), quantise(upright(from_mesh))
        pred = HandSet(
            from_mesh if protocol.joints_from == "mesh" else own,
            quantise(upright(arrays["pred_vertices"] + translation)),
            camera_valid=arrays["K_valid"],
        )
        return gt, pred, from_mesh

    def _add_mesh_joints(
        self,
        gt: HandSet,
        pred: HandSet,
        mesh_joints: np.ndarray,
        protocol: Protocol,
        scores: Scores,
    ) -> None:
        if protocol.joints_from == "mesh":
            return
        short = protocol.replace(
            tracks=tuple(t for t in ("procrustes", "root") if t in protocol.tracks), more_pck=()
        )
        joints_only = HandSet(gt.joints, None, gt.joints_valid, None, gt.camera_valid)
        found = evaluate_hands(
            joints_only, HandSet(mesh_joints, camera_valid=pred.camera_valid), short
        )
        for track in short.tracks:
            name, target = metric_name(track, "MPJPE"), metric_name(track, "MPJPE", "mesh")
            if name in found.metrics:
                scores.metrics[target] = found.metrics[name]
                scores.per_sample[target] = found.per_sample[name]
                scores.counts[target] = found.counts[name]

    def _add_projection(
        self, arrays: Mapping[str, np.ndarray], pred: HandSet, protocol: Protocol, scores: Scores
    ) -> None:
        """EPE-2D: the predicted joints under the predicted camera against the 2D annotation, crop
        pixels.
        """
        valid = arrays["joints2d_valid"].astype(bool)
        if protocol.points == "tips":
            return
        if not valid.any():
            scores.left_out["EPE-2D"] = "no sample has annotated 2D joints"
            return
        source = "pred_joints_from_vertices" if protocol.joints_from == "mesh" else "pred_joints"
        points, camera = torch.from_numpy(arrays[source]), torch.from_numpy(arrays["pred_camera"])
        projected = normalized_to_pixels(weak_perspective_project(points, camera), self.input_size)
        errors = F.point_errors(arrays["joints2d"], projected.numpy())
        scores.metrics["EPE-2D"] = F.mean_error(errors, valid)
        scores.per_sample["EPE-2D"] = F.masked_mean(errors, valid)
        scores.counts["EPE-2D"] = int(valid.any(axis=1).sum())

    def _write(self, pred: HandSet) -> None:
        if self.submission:
            self._write_submission(pred)
        self.result.save(self.out_dir)

    def _write_submission(self, pred: HandSet) -> None:
        """Write pred.json and pred.zip, or say in the result why they cannot be."""
        missing, count = int((~pred.camera_valid).sum()), len(pred)
        reason = ""
        if missing:
            reason = (
                f"{missing} of {count} samples have no camera matrix, and a submission is in the "
                "camera frame"
            )
        elif self.result.sample_ids != list(range(count)):
            reason = (
                f"the samples are not the images 0 to {count - 1} of a split, and a submission "
                "holds all of them in order"
            )
        if reason:
            self.result.left_out["submission"] = reason
            message = f"pred.json is not written: {reason}"
            print_log(message, logger="current", level=logging.WARNING)
            return
        path = write_submission(self.out_dir, pred.joints, pred.vertices)
        print_log(f"submission written: {path} and {path.with_suffix('.zip').name}", "current")
        if count != FREIHAND_EVALUATION_SIZE:
            self.result.notes.append(
                f"pred.json holds {count} samples; FreiHAND's own evaluation takes "
                f"{FREIHAND_EVALUATION_SIZE}"
            )


@METRICS.register_module()
class RHDMetric(HandMetric):
    """RHD as hand3d evaluates it: palm root, true length of one bone, 20 thresholds; joints only.

    Root is the mean of wrist and middle MCP, the bone is the middle finger's MCP to PIP (joints 9
    and 10 here, 12 and 11 in RHD's order). ``AUC-J[20-50]`` is ``linspace(0, 50, 20)[8:]``, which
    begins at 21.05 mm, and ``AUC-J[20-50-bihand]`` is BiHand's ``linspace(20, 50, 20)``. Which
    joints count (all or visible ones) is the data set's choice.
    """

    default_protocol = {
        "root_name": "palm",
        "root": (0, 9),
        "bone": (9, 10),
        "tracks": ("bone", "root", "procrustes", "procrustes-det+1", "camera"),
        "fscore_tracks": (),
        "pck": F.H3D_PCK,
        "more_pck": (("20-50", F.H3D_PCK_20_50), ("20-50-bihand", F.BIHAND_PCK_20_50)),
    }

    def __init__(self, split: str = "evaluation", submission: bool = False, **more: Any) -> None:
        super().__init__(split=split, submission=submission, **more)


@METRICS.register_module()
class DexterObjectMetric(HandMetric):
    """Dexter+Object: finger tips only, all valid tips pooled.

    ``CS-AUC-J[0-100]`` is the absolute protocol (20 thresholds to 100 mm); ``C-AUC-J[20-50]`` the
    aligned one: centroid and mean distance over the valid tips (at least two), no rotation. The
        figures are not comparable.
    """

    default_protocol = {
        "root_name": "none",
        "joint_order": "21-freihand",
        "points": "tips",
        "tracks": ("camera", "centroid"),
        "fscore_tracks": (),
        "pck": F.PCKRange(0, 50, 51, pooled=True),
        "more_pck": (("0-100", F.TIPS_PCK_0_100), ("20-50", F.TIPS_PCK_20_50)),
    }

    def __init__(self, split: str = "all", submission: bool = False, **more: Any) -> None:
        super().__init__(split=split, submission=submission, **more)
