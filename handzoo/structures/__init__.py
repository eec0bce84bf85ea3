"""What travels between the rooms: samples, their batched targets, and predictions."""

from handzoo.structures.prediction import HandPrediction
from handzoo.structures.sample import HandDataSample, empty_annotation
from handzoo.structures.targets import HandTargets

__all__ = ["HandDataSample", "HandPrediction", "HandTargets", "empty_annotation"]
