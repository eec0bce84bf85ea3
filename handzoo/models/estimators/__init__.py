"""The estimator: parts composed into a method."""

from handzoo.models.estimators.hand_mesh import HandMeshEstimator
from handzoo.models.estimators.preprocessor import HandDataPreprocessor

__all__ = ["HandDataPreprocessor", "HandMeshEstimator"]
