"""Evaluation: metrics as pure functions, whole data sets at once, files, and what a model costs."""

from handzoo.evaluation.evaluate import HandSet, Scores, evaluate_hands
from handzoo.evaluation.metrics import DexterObjectMetric, HandMetric, RHDMetric
from handzoo.evaluation.protocol import MetricInfo, Protocol, metric_info
from handzoo.evaluation.results import EvaluationResult, environment
from handzoo.evaluation.submission import Submission, read_submission, write_submission

__all__ = [
    "DexterObjectMetric",
    "EvaluationResult",
    "HandMetric",
    "HandSet",
    "MetricInfo",
    "Protocol",
    "RHDMetric",
    "Scores",
    "Submission",
    "environment",
    "evaluate_hands",
    "metric_info",
    "read_submission",
    "write_submission",
]
