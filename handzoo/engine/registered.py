"""Importing this module registers the engine's loops, optimiser wrappers and samplers."""

from handzoo.engine.loops import HandTrainLoop
from handzoo.engine.optim import HandAmpOptimWrapper, HandOptimWrapper
from handzoo.engine.sampling import ResumableSampler

__all__ = ["HandAmpOptimWrapper", "HandOptimWrapper", "HandTrainLoop", "ResumableSampler"]
