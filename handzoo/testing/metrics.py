"""What every metric must do; it is called through MMEngine's Evaluator, as a run calls it."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric, Evaluator

from handzoo.hands.topology import HandTopology
from handzoo.registry import METRICS
from handzoo.structures import HandDataSample, empty_annotation
from handzoo.testing.configs import check_config
from handzoo.testing.drivers import ConformanceError, Context, require
from handzoo.testing.fixtures import make_targets, noise

_COUNT = 6
_ERROR = 0.03  # metres; of a prediction that is bad by every measure
_UNIT = 0.01  # mm or pixels; predictions are rounded as a submission would be
_LOWEST_SCORE = 0.95  # a curve whose first threshold is zero is never quite 1
_PRED = ("pred_camera", "pred_joints", "pred_vertices", "pred_joints_from_vertices")


def make_predicted_samples(
    topology: HandTopology,
    count: int = _COUNT,
    error: float = 0.0,
    annotated: bool = True,
    first_id: int = 0,
    size: int = 224,
) -> list[HandDataSample]:
    """Samples as an estimator's ``predict`` returns them.

    Args:
        topology: gives the mesh.
        count: how many.
        error: standard deviation of the prediction's error, metres; 0 is perfect in 3D, in the
            camera frame and in 2D.
        annotated: everything is annotated, or nothing.
        first_id: ``sample_id`` of the first one.
        size: side of the crop, pixels.
    """
    targets = make_targets(count, topology, seed=first_id, size=size)
    joints = targets.joints3d + error * noise(count, *targets.joints3d.shape[1:], seed=7)
    vertices = targets.vertices + error * noise(count, *targets.vertices.shape[1:], seed=8)
    camera = torch.cat((torch.full((count, 1), 6.0), targets.root[:, :2]), dim=1)
    camera += error * noise(count, 3, seed=9)
    from_mesh = topology.regress_joints(vertices)
    samples = []
    for index in range(count):
        fields = {name: value.clone() for name, value in empty_annotation().items()}
        if annotated:
            fields = {name: getattr(targets, name)[index].clone() for name in fields}
        predicted = (camera[index], joints[index], vertices[index], from_mesh[index])
        meta = {
            "sample_id": first_id + index,
            "dataset": "conformance",
            "img_path": f"{first_id + index:08d}.jpg",
        }
        fields |= {name: value.clone() for name, value in zip(_PRED, predicted, strict=True)}
        samples.append(HandDataSample(metainfo=meta, **fields))
    return samples


def build_metric(config: Mapping[str, Any]) -> BaseMetric:
    """Build a metric as a run would."""
    return METRICS.build(config, key="val_evaluator[0]")


def _evaluate(metric: BaseMetric, batches: Sequence[list[HandDataSample]]) -> dict[str, Any]:
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {"dataset": "conformance"}
    for batch in batches:
        evaluator.process(
            data_samples=batch,
            data_batch={
                "inputs": [torch.zeros(3, 4, 4, dtype=torch.uint8)] * len(batch),
                "data_samples": batch,
            },
        )
    found = evaluator.evaluate(sum(map(len, batches)))
    require(isinstance(found, Mapping), f"compute_metrics returns a mapping, not {found!r}")
    return dict(found)


def _measure(config: Mapping[str, Any], *batches: list[HandDataSample]) -> dict[str, Any]:
    return _evaluate(build_metric(config), batches)


def _figures_of_quality(config: Mapping[str, Any], context: Context) -> dict[str, tuple]:
    """Name -> (figure of a perfect prediction, of a bad one), where the two differ."""
    perfect = _measure(config, make_predicted_samples(context.topology))
    bad = _measure(config, make_predicted_samples(context.topology, error=_ERROR))
    require(set(perfect) == set(bad), "which figures there are depends on how good they are")
    return {name: (perfect[name], bad[name]) for name in perfect if perfect[name] != bad[name]}


def _contract(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its figures are finite numbers under plain names, and samples stay as they are."""
    metric = build_metric(config)
    require(isinstance(metric, BaseMetric), "derive it from mmengine.evaluator.BaseMetric")
    samples = make_predicted_samples(context.topology, error=_ERROR)
    kept = copy.deepcopy(samples)
    found = _evaluate(metric, [samples])
    require(found, "it measures nothing on samples that are annotated and predicted throughout")
    _check_figures(found)
    for sample, before in zip(samples, kept, strict=True):
        require(
            set(sample.keys()) == set(before.keys()), "it adds or removes fields of the samples"
        )
        for name, value in before.items():
            require(torch.equal(sample.get(name), value), f"it changes {name} of the samples")


def _check_figures(found: Mapping[str, Any]) -> None:
    for name, value in found.items():
        require(
            isinstance(name, str) and re.fullmatch(r"\S+", name),
            f"a figure's name is a word without spaces, not {name!r}",
        )
        require(
            isinstance(value, (int, float)) and not isinstance(value, bool),
            f"{name} must be a number of Python, not {type(value).__name__}: use float(...)",
        )
        require(math.isfinite(value), f"{name} is {value}; leave out what cannot be measured")
    json.dumps(found)


def _perfect(role: str, config: Mapping[str, Any], context: Context) -> None:
    """A perfect prediction has no error and full score, and a bad one is told from it."""
    quality = _figures_of_quality(config, context)
    require(quality, "its figures are the same for a perfect prediction and one 30 mm off")
    for name, (perfect, bad) in quality.items():
        if bad > perfect:
            require(
                abs(perfect) < _UNIT,
                f"{name} grows with the error and is {perfect:.4g} for a perfect prediction, not 0",
            )
        else:
            full = 100.0 if perfect > 1.5 else 1.0
            require(
                _LOWEST_SCORE * full <= perfect <= full * (1 + 1e-6),
                f"{name} falls with the error and is {perfect:.4g} for a perfect prediction; "
                "a full score is 1 (or 100)",
            )


def _batches(role: str, config: Mapping[str, Any], context: Context) -> None:
    """How samples are split into batches and in which order they come changes nothing.

    Nor does an earlier evaluation with the same object, as validation makes one every epoch.
    """
    samples = make_predicted_samples(context.topology, error=_ERROR)
    wanted = _measure(config, samples)
    splits = {
        "one sample a batch": [[sample] for sample in samples],
        "uneven batches": [samples[:1], samples[1:4], samples[4:]],
        "the other order": [samples[::-1]],
    }
    for name, batches in splits.items():
        _close(_measure(config, *batches), wanted, f"{name} changes the result")
    metric = build_metric(config)
    _evaluate(metric, [make_predicted_samples(context.topology, count=3, first_id=50)])
    _close(
        _evaluate(metric, [samples]), wanted, "samples of an earlier evaluation are still counted"
    )


def _unannotated(role: str, config: Mapping[str, Any], context: Context) -> None:
    """What is not annotated is left out: whole samples, single joints, and everything.

    Blank annotation is zero, so a metric that does not look at the flags scores against zero.
    """
    topology, size = context.topology, context.size
    quality = set(_figures_of_quality(config, context))
    samples = make_predicted_samples(topology, error=_ERROR, size=size)
    blank = make_predicted_samples(
        topology, count=3, error=_ERROR, annotated=False, first_id=_COUNT, size=size
    )
    alone, mixed = _measure(config, samples), _measure(config, samples[:2] + blank + samples[2:])
    for name in quality:
        require(name in mixed, f"{name} is lost as soon as one sample is not annotated")
    _close(
        {name: mixed[name] for name in quality},
        {name: alone[name] for name in quality},
        "samples without annotation are scored",
    )
    _check_figures(_try(config, blank))
    perfect = make_predicted_samples(topology, size=size)
    kept, partly = _measure(config, perfect), _measure(config, _partly(perfect))
    for name in quality & set(partly):
        require(
            abs(partly[name] - kept[name]) <= _UNIT + 0.02 * abs(kept[name]),
            f"{name} is {partly[name]:.4g} instead of {kept[name]:.4g} where the only wrong joints "
            "are not annotated: look at joints3d_valid and joints2d_valid",
        )


def _try(config: Mapping[str, Any], samples: list[HandDataSample]) -> dict[str, Any]:
    try:
        return _measure(config, samples)
    except ConformanceError:
        raise
    except Exception as error:
        raise ConformanceError(
            "it fails where nothing is annotated; return {} there "
            f"({type(error).__name__}: {error})"
        ) from error


def _partly(samples: list[HandDataSample]) -> list[HandDataSample]:
    """Copies with two joints that are neither annotated nor rightly predicted."""
    samples = copy.deepcopy(samples)
    for sample in samples:
        for joint in (3, 15):
            for points in ("joints3d", "joints2d"):
                sample.get(points)[joint] = 0
                sample.get(f"{points}_valid")[joint] = False
            for points in ("pred_joints", "pred_joints_from_vertices"):
                sample.get(points)[joint] += 0.1
    return samples


def _config(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its config survives being dumped and read again; a wrong argument is refused by name."""
    check_config(config, build_metric)


def _close(found: Mapping[str, float], wanted: Mapping[str, float], message: str) -> None:
    require(set(found) == set(wanted), f"{message}: there are other figures")
    for name, value in wanted.items():
        require(
            math.isclose(found[name], value, rel_tol=1e-5, abs_tol=1e-6),
            f"{message}: {name} is {found[name]:.6g} and was {value:.6g}",
        )


CHECKS: tuple[Callable[[str, Mapping[str, Any], Context], None], ...] = (
    _contract,
    _perfect,
    _batches,
    _unannotated,
    _config,
)
