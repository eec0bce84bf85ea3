"""The comparison in numbers: means over trials, intervals, paired tests against the first model."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handzoo.evaluation.protocol import metric_info
from handzoo.evaluation.results import EvaluationResult, sort_metrics
from handzoo.evaluation.statistics import bootstrap_interval, compare_to_reference
from handzoo.zoo.compare.outcome import ModelOutcome
from handzoo.zoo.compare.settings import Settings
from handzoo.zoo.compare.shared import Shared

_SAME = 1e-4  # relative: a figure is the mean of its samples


@dataclass
class Figures:
    """What was found out about all models together.

    Attributes:
        reference: label of the model that the others are compared with.
        sample_ids: samples behind the paired tests, in order.
        values: metric -> label -> ``value``, ``sd`` over trials (None with one), ``low`` and
            ``high`` (None where the figure is no mean over samples).
        comparisons: metric -> label -> :class:`PairedComparison` as a dictionary.
        per_sample: metric -> label -> (N,) means over trials.
        joint_errors: label -> (21,) mm; of the track ``joint_track``.
        curves: metric -> label -> {'thresholds_mm', 'pck'}.
        notes: sentences for the report.
    """

    reference: str
    sample_ids: list[str] = field(default_factory=list)
    values: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    comparisons: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    per_sample: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    joint_errors: dict[str, list[float | None]] = field(default_factory=dict)
    joint_track: str = ""
    curves: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the per-sample arrays, which lie with each model."""
        return {
            "reference": self.reference,
            "samples": len(self.sample_ids),
            "metrics": self.values,
            "comparisons": self.comparisons,
            "joint_errors": {"track": self.joint_track, "mm": self.joint_errors},
        }


def compute_figures(
    outcomes: Sequence[ModelOutcome],
    shared: Shared,
    settings: Settings,
    progress: Callable[[str, int, int], None],
) -> Figures:
    """Put the models' results side by side.

    Args:
        outcomes: models that have figures, the reference first.
        shared: what may be compared.
        settings: confidence, resamples, seed.
        progress: told how far it is.
    """
    figures = Figures(outcomes[0].label)
    figures.sample_ids, rows = _common_samples(outcomes, figures.notes)
    groups = sequence_groups(figures.sample_ids)
    if groups is not None:
        figures.notes.append(
            "The samples are frames of videos: whole sequences are resampled for the intervals."
        )
    names = sort_metrics(dict.fromkeys(n for o in outcomes for r in o.results for n in r.metrics))
    options = {
        "confidence": settings.confidence,
        "resamples": settings.resamples,
        "seed": settings.seed,
        "groups": groups,
    }
    for index, name in enumerate(names):
        progress("intervals and tests", index, len(names))
        arrays: dict[str, np.ndarray] = {}
        figures.values[name] = {}
        for outcome in outcomes:
            cell, samples = _cell(name, outcome, rows[outcome.label], options)
            if cell is not None:
                figures.values[name][outcome.label] = cell
            if samples is not None:
                arrays[outcome.label] = samples
        figures.per_sample[name] = arrays
        if name in shared.metrics and len(arrays) == len(outcomes) > 1:
            figures.comparisons[name] = _compare(name, arrays, options)
    progress("intervals and tests", len(names), len(names))
    _joint_errors(outcomes, figures)
    _curves(outcomes, figures)
    return figures


def _common_samples(
    outcomes: Sequence[ModelOutcome], notes: list[str]
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Samples that every model predicted, and their rows in each model's arrays."""
    ids = {o.label: [str(i) for i in o.results[0].sample_ids] for o in outcomes}
    common = set.intersection(*(set(own) for own in ids.values()))
    order = [identifier for identifier in ids[outcomes[0].label] if identifier in common]
    most = max(len(own) for own in ids.values())
    if len(order) < most:
        notes.append(
            f"Paired tests are on the {len(order)} samples that all models predicted, of {most}."
        )
    rows = {}
    for label, own in ids.items():
        place = {identifier: index for index, identifier in enumerate(own)}
        rows[label] = np.array([place[identifier] for identifier in order], dtype=int)
    return order, rows


def sequence_groups(sample_ids: Sequence[str]) -> np.ndarray | None:
    """Labels of sequences where identifiers are ``sequence/frame``; None for single pictures."""
    if not sample_ids or not all("/" in identifier for identifier in sample_ids):
        return None
    groups = np.array([identifier.rsplit("/", 1)[0] for identifier in sample_ids])
    count = len(np.unique(groups))
    # Two groups at the least make an interval; as many as samples are none.
    return groups if 2 <= count < len(groups) else None


def _cell(
    name: str, outcome: ModelOutcome, rows: np.ndarray, options: dict[str, Any]
) -> tuple[dict[str, Any] | None, np.ndarray | None]:
    """One model's figure of one metric, and its values by sample. The mean is over trials."""
    values = [result.metrics[name] for result in outcome.results if name in result.metrics]
    if len(values) < len(outcome.results) or any(value is None for value in values):
        return None, None
    cell: dict[str, Any] = {
        "value": statistics.fmean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
        "trials": values,
        "low": None,
        "high": None,
        "samples": outcome.results[0].counts.get(name, outcome.results[0].num_samples),
        "unit": metric_info(name).unit,
    }
    arrays = [result.per_sample.get(name) for result in outcome.results]
    if any(array is None for array in arrays):
        return cell, None
    samples = np.mean([np.asarray(array, dtype=np.float64) for array in arrays], axis=0)
    known = samples[~np.isnan(samples)]
    if len(known) < 2 or abs(known.mean() - cell["value"]) > _SAME * max(1e-9, abs(cell["value"])):
        return cell, None  # pooled over points: no mean over samples, so no interval of one
    samples = samples[rows]
    if (~np.isnan(samples)).sum() >= 2:
        interval = bootstrap_interval(samples, **options)
        cell["low"], cell["high"] = interval.low, interval.high
    return cell, samples


def _compare(
    name: str, arrays: dict[str, np.ndarray], options: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    joint = np.all([~np.isnan(array) for array in arrays.values()], axis=0)
    if joint.sum() < 2:
        return {}
    found = compare_to_reference(
        arrays, higher_is_better=metric_info(name).higher_is_better, **options
    )
    return {label: comparison.to_dict() for label, comparison in found.items()}


def _joint_errors(outcomes: Sequence[ModelOutcome], figures: Figures) -> None:
    """Mean error of each joint, of the first alignment that all models have."""
    for track in ("procrustes", "root", "bone", "camera", "centroid"):
        key = f"joint_errors/{track}"
        if all(key in result.per_sample for o in outcomes for result in o.results):
            figures.joint_track = track
            break
    else:
        return
    for outcome in outcomes:
        means = [_mean_by_joint(result, key) for result in outcome.results]
        mean = np.mean(means, axis=0)
        figures.joint_errors[outcome.label] = [None if np.isnan(v) else float(v) for v in mean]


def _mean_by_joint(result: EvaluationResult, key: str) -> np.ndarray:
    errors = np.asarray(result.per_sample[key], dtype=np.float64)
    known = ~np.isnan(errors)
    count = known.sum(axis=0)
    total = np.where(known, errors, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _curves(outcomes: Sequence[ModelOutcome], figures: Figures) -> None:
    names = dict.fromkeys(name for o in outcomes for r in o.results for name in r.curves)
    for name in names:
        rows = {}
        for outcome in outcomes:
            curves = [result.curves[name] for result in outcome.results if name in result.curves]
            if len(curves) == len(outcome.results):
                pck = np.mean([np.asarray(c["pck"], dtype=np.float64) for c in curves], axis=0)
                rows[outcome.label] = {
                    "thresholds_mm": [float(t) for t in curves[0]["thresholds_mm"]],
                    "pck": pck.tolist(),
                }
        figures.curves[name] = rows
