"""Each check of a metric finds its breach, and names it; a right metric passes."""

import numpy as np
import pytest
import torch
from breaches import failures, registering
from mmengine.evaluator import BaseMetric


@pytest.fixture
def register(monkeypatch):
    return registering(monkeypatch, "metric")


class Good(BaseMetric):
    """Mean error of the annotated joints in mm, and the share of joints within 10 mm."""

    default_prefix = "good"

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            error = (sample["pred_joints"] - sample["joints3d"]).norm(dim=-1) * 1000
            self.results.append(error[sample["joints3d_valid"]])

    def compute_metrics(self, results):
        errors = torch.cat(results).double()
        if not len(errors):
            return {}
        within = (errors < 10).double().mean()
        return {"error": float(errors.mean()), "within": float(within), "joints": len(errors)}


class IgnoresFlags(Good):
    def process(self, data_batch, data_samples):
        for sample in data_samples:
            error = (sample["pred_joints"] - sample["joints3d"]).norm(dim=-1) * 1000
            self.results.append(error)


class IgnoresJointFlags(Good):
    def process(self, data_batch, data_samples):
        known = [sample for sample in data_samples if sample["joints3d_valid"].any()]
        for sample in known:
            error = (sample["pred_joints"] - sample["joints3d"]).norm(dim=-1) * 1000
            self.results.append(error)
        self.results += [torch.zeros(0)] * (len(data_samples) - len(known))


class MeanOfBatches(Good):
    def process(self, data_batch, data_samples):
        before = len(self.results)
        super().process(data_batch, data_samples)
        mean = torch.cat(self.results[before:]).mean()
        self.results[before:] = [mean[None]] + [torch.zeros(0)] * (len(data_samples) - 1)


class OwnMemory(Good):
    """Gathers in a list of its own, which nobody empties."""

    def __init__(self):
        super().__init__()
        self.errors = []

    def process(self, data_batch, data_samples):
        super().process(data_batch, data_samples)
        self.errors += self.results[-len(data_samples) :]

    def compute_metrics(self, results):
        return super().compute_metrics(self.errors)


class FirstCounts(Good):
    def compute_metrics(self, results):
        return {"error": float(results[0].mean())} if len(results[0]) else {}


class NotPerfect(Good):
    """Compares with the wrist moved by a centimetre."""

    def process(self, data_batch, data_samples):
        super().process(data_batch, data_samples)
        self.results = [error + 10 for error in self.results]


class LowScore(Good):
    def compute_metrics(self, results):
        return {name: value * 0.9 for name, value in super().compute_metrics(results).items()}


class Blind(Good):
    def compute_metrics(self, results):
        return {"joints": float(len(torch.cat(results)))}


class Tensors(Good):
    def compute_metrics(self, results):
        return {"error": torch.cat(results).mean()}


class NotANumber(Good):
    def compute_metrics(self, results):
        return {"error": float(torch.cat(results).mean())}


class Spaces(Good):
    def compute_metrics(self, results):
        return {"mean error": 1.0, **super().compute_metrics(results)}


class ChangesSamples(Good):
    def process(self, data_batch, data_samples):
        super().process(data_batch, data_samples)
        for sample in data_samples:
            sample["pred_joints"].mul_(1000)


class Fails(Good):
    def compute_metrics(self, results):
        errors = np.concatenate([error.numpy() for error in results])
        return {"error": float(errors.mean()), "worst": float(errors.max())}


class ShowsMoreWhenBad(Good):
    def compute_metrics(self, results):
        found = super().compute_metrics(results)
        return {**found, "bad": 1.0} if found.get("error", 0) > 5 else found


def loose(**anything):
    """Takes any argument, as a function may that hands on what it is given."""
    return Good()


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (IgnoresFlags, "unannotated", "samples without annotation are scored"),
        (IgnoresJointFlags, "unannotated", "joints3d_valid"),
        (Fails, "unannotated", "return {} there"),
        (NotANumber, "unannotated", "leave out what cannot be measured"),
        (MeanOfBatches, "batches", "changes the result"),
        (FirstCounts, "batches", "the other order changes the result"),
        (OwnMemory, "batches", "earlier evaluation"),
        (NotPerfect, "perfect", "not 0"),
        (LowScore, "perfect", "a full score is 1"),
        (Blind, "perfect", "the same for a perfect prediction"),
        (ShowsMoreWhenBad, "perfect", "which figures there are"),
        (Tensors, "contract", "use float"),
        (Spaces, "contract", "without spaces"),
        (ChangesSamples, "contract", "changes pred_joints"),
        (loose, "config", "unknown argument is accepted"),
    ],
)
def test_each_breach_is_found(register, cls, check, words):
    assert words in failures("metric", register(cls), check)[check]


def test_a_right_metric_passes(register):
    assert failures("metric", register(Good)) == {}
